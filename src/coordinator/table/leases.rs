//! How a lease begins and ends.

use std::collections::{BTreeSet, btree_map};
use std::sync::Arc;
use std::time::Duration;

use super::Table;
use super::bounds::Client;
use super::entries::{Ending, Entry, Hold, Lease, Waited};
use super::footprint;
use super::values::{Acquire, Ended, Granted, LeaseId, NotGranted, NotLive, Ticket};

impl Table {
    /// Grants a request that has no obstacle.
    pub(super) fn grant(
        &mut self,
        now: Duration,
        request: &Acquire,
        client: Option<&Client>,
        id: LeaseId,
        Waited { time: waited, contenders }: Waited,
    ) -> Result<Granted, NotGranted> {
        let token = self.next_token(request.min_token)?;
        let client = client.map(|client| self.clients.known(client));
        self.last_token = token;
        self.longest_ttl = self.longest_ttl.max(request.ttl);
        for resource in request.resources.iter() {
            self.hold_by(id, resource);
        }
        self.held += request.resources.len();
        self.clients.change(client.as_ref(), |usage| usage.resources += request.resources.len());
        let lease = Lease {
            resources: Arc::clone(&request.resources),
            owner: request.owner.clone(),
            request_id: request.request_id.clone(),
            token,
            ttl: request.ttl,
            deadline: now + request.ttl,
            waited,
            contenders,
            told_again: false,
            client,
        };
        self.bytes += footprint::of_lease(&lease);
        let granted = lease.granted(id, false);
        self.endings.insert((lease.deadline, Ending::Lease(id)));
        self.leases.insert(id, lease);
        Ok(granted)
    }

    /// Ends a live lease.
    pub(super) fn end(&mut self, now: Duration, id: LeaseId, how: NotLive, retention: Duration) -> Option<Ended> {
        let lease = self.take_lease(id, how)?;
        self.endings.remove(&(lease.deadline, Ending::Lease(id)));
        let first_ones =
            if retention.is_zero() { self.free_all(&lease.resources) } else { self.retain(now + retention, &lease) };
        self.serve(now, first_ones);
        Some(Ended { resources: lease.resources, owner: lease.owner, token: lease.token })
    }

    /// Lets a resource be held by the lease `id`.
    fn hold_by(&mut self, id: LeaseId, resource: &Arc<str>) {
        let mut entry = match self.resources.entry(Arc::clone(resource)) {
            btree_map::Entry::Vacant(free) => {
                self.bytes += footprint::entry(resource);
                free.insert(Entry { hold: Hold::Held(id), ..Entry::default() });
                return;
            }
            // It is under another copy of the name: from here on the lease and it share one.
            btree_map::Entry::Occupied(other) => other.remove(),
        };
        self.end_retention(resource, &entry.hold);
        entry.hold = Hold::Held(id);
        self.resources.insert(Arc::clone(resource), entry);
    }

    /// Retains the resources of a lease that has ended. Gives the first waiters of those that may be served all the same: those whose
    /// requests pass over a retention, in their turn.
    fn retain(&mut self, until: Duration, lease: &Lease) -> BTreeSet<Ticket> {
        let Lease { resources, owner, token, client, .. } = lease;
        let share = footprint::share_of_owner(owner.as_ref(), resources.len());
        let mut first_ones = BTreeSet::new();
        for resource in resources.iter() {
            // What a lease holds has an entry.
            let Some(entry) = self.resources.get_mut(resource) else { continue };
            if entry.queue.is_empty() {
                *entry = Entry::default();
            }
            entry.hold = Hold::Retained { until, owner: owner.clone(), token: *token, client: client.clone(), share };
            first_ones.extend(entry.queue.first());
            self.retained += 1;
            self.bytes += share;
            self.endings.insert((until, Ending::Retention(Arc::clone(resource))));
        }
        self.clients.change(client.as_ref(), |usage| usage.resources += resources.len());
        first_ones.retain(|ticket| self.waiters.get(*ticket).is_some_and(|waiter| waiter.request.despite_retention));
        first_ones
    }

    /// Makes resources free, and gives the first waiters of their queues.
    pub(super) fn free_all(&mut self, resources: &[Arc<str>]) -> BTreeSet<Ticket> {
        resources.iter().filter_map(|resource| self.free(resource)).collect()
    }

    /// Takes a lease out of the table. The caller takes its end out of the endings, and says what becomes of its resources.
    pub(super) fn take_lease(&mut self, id: LeaseId, how: NotLive) -> Option<Lease> {
        let lease = self.leases.remove(&id)?;
        self.ended.remember(id, how);
        self.bytes -= footprint::of_lease(&lease);
        self.held -= lease.resources.len();
        self.clients.change(lease.client.as_ref(), |usage| usage.resources -= lease.resources.len());
        Some(lease)
    }

    /// Ends a retention, and gives the first waiter for its resource.
    pub(super) fn remove_retention(&mut self, resource: &Arc<str>) -> Option<Ticket> {
        let entry = self.resources.get_mut(resource)?;
        let hold = std::mem::take(&mut entry.hold);
        self.end_retention(resource, &hold);
        self.free(resource)
    }

    /// Takes the counts of a retention back, and its end.
    fn end_retention(&mut self, resource: &Arc<str>, hold: &Hold) {
        let Hold::Retained { until, client, share, .. } = hold else { return };
        self.retained -= 1;
        self.bytes -= share;
        self.clients.change(client.as_ref(), |usage| usage.resources -= 1);
        self.endings.remove(&(*until, Ending::Retention(Arc::clone(resource))));
    }

    /// Makes a resource free, and gives the first waiter of its queue.
    fn free(&mut self, resource: &str) -> Option<Ticket> {
        let entry = self.resources.get_mut(resource)?;
        entry.hold = Hold::Free;
        let first = entry.queue.first().copied();
        if first.is_none() {
            self.take_entry(resource);
        }
        first
    }

    /// Takes a resource's entry out of the table.
    pub(super) fn take_entry(&mut self, resource: &str) -> Option<Entry> {
        let entry = self.resources.remove(resource)?;
        self.bytes -= footprint::entry(resource);
        Some(entry)
    }

    /// Puts an entry into the table, under a name that has none there.
    pub(super) fn put_entry(&mut self, resource: Arc<str>, entry: Entry) {
        self.bytes += footprint::entry(&resource);
        self.resources.insert(resource, entry);
    }

    /// The live lease that the same request was granted before: its answer may have been lost.
    pub(super) fn granted_before(&mut self, request: &Acquire) -> Option<Granted> {
        let (owner, request_id) = (request.owner.as_ref()?, request.request_id.as_ref()?);
        let Hold::Held(id) = *self.hold(request.resources.first()?) else { return None };
        let lease = self.leases.get_mut(&id)?;
        let same = lease.owner.as_ref() == Some(owner)
            && lease.request_id.as_ref() == Some(request_id)
            && lease.resources == request.resources;
        if !same {
            return None;
        }
        lease.told_again = true;
        Some(lease.granted(id, true))
    }
}
