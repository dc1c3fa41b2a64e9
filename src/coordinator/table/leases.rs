//! How a lease begins and ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Table;
use super::entries::{Ending, Hold, Lease};
use super::values::{Acquire, Ended, Granted, LeaseId, NotGranted, NotLive, Ticket};

impl Table {
    /// Grants a request that has no obstacle.
    pub(super) fn grant(
        &mut self,
        now: Duration,
        request: &Acquire,
        id: LeaseId,
        waited: Duration,
    ) -> Result<Granted, NotGranted> {
        let token = self.next_token(request.min_token)?;
        self.last_token = token;
        self.longest_ttl = self.longest_ttl.max(request.ttl);
        for resource in request.resources.iter() {
            let entry = match self.resources.get_mut(resource) {
                Some(entry) => entry,
                None => self.resources.entry(Arc::clone(resource)).or_default(),
            };
            if let Hold::Retained { until, .. } = entry.hold {
                self.retained -= 1;
                self.endings.remove(&(until, Ending::Retention(Arc::clone(resource))));
            }
            entry.hold = Hold::Held(id);
        }
        self.held += request.resources.len();
        let lease = Lease {
            resources: Arc::clone(&request.resources),
            owner: request.owner.clone(),
            request_id: request.request_id.clone(),
            token,
            ttl: request.ttl,
            deadline: now + request.ttl,
            waited,
            told_again: false,
        };
        let granted = lease.granted(id, false);
        self.endings.insert((lease.deadline, Ending::Lease(id)));
        self.leases.insert(id, lease);
        Ok(granted)
    }

    /// Ends a live lease.
    pub(super) fn end(&mut self, now: Duration, id: LeaseId, how: NotLive, retention: Duration) -> Option<Ended> {
        let Lease { resources, owner, token, deadline, .. } = self.leases.remove(&id)?;
        self.endings.remove(&(deadline, Ending::Lease(id)));
        self.ended.remember(id, how);
        let mut freed = self.free(&resources);
        if !retention.is_zero() {
            let until = now + retention;
            for resource in resources.iter() {
                let entry = self.resources.entry(Arc::clone(resource)).or_default();
                entry.hold = Hold::Retained { until, owner: owner.clone(), token };
                self.retained += 1;
                self.endings.insert((until, Ending::Retention(Arc::clone(resource))));
            }
            // Only requests that pass over a retention are served now, and they in their turn.
            freed.retain(|ticket| self.waiters.get(*ticket).is_some_and(|waiter| waiter.request.despite_retention));
        }
        self.serve(now, freed);
        Some(Ended { resources, owner, token })
    }

    /// Makes held or retained resources free, and gives the first waiters of their queues.
    pub(super) fn free(&mut self, resources: &[Arc<str>]) -> BTreeSet<Ticket> {
        let mut first_ones = BTreeSet::new();
        for resource in resources {
            let Some(entry) = self.resources.get_mut(resource) else { continue };
            match entry.hold {
                Hold::Held(_) => self.held -= 1,
                Hold::Retained { .. } => self.retained -= 1,
                Hold::Free => {}
            }
            entry.hold = Hold::Free;
            match entry.queue.first() {
                Some(first) => drop(first_ones.insert(*first)),
                None => drop(self.resources.remove(resource)),
            }
        }
        first_ones
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
