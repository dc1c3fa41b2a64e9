//! Looking at the table without changing it: lists, one resource or lease closely, and counts.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::Table;
use super::bounds::Limits;
use super::entries::{Entry, Hold};
use super::values::{Counts, Ended, ForceTarget, LeaseId, Listed, NotLive, Resources, Shown, WaiterView};

/// Waiters that are shown of one queue.
const WAITING_SHOWN: usize = 100;

impl Table {
    /// Resources that are held, retained or waited for, whose names begin with `prefix`, in order of name: up to
    /// `limit` of those after `after`, and whether there are more.
    pub fn list(&mut self, now: Duration, prefix: &str, after: Option<&str>, limit: usize) -> (Vec<Listed>, bool) {
        self.expire(now);
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut found = self
            .resources
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(resource, _)| resource.starts_with(prefix))
            .map(|(resource, entry)| self.listed(now, resource, entry));
        let page: Vec<Listed> = found.by_ref().take(limit).collect();
        let more = found.next().is_some();
        (page, more)
    }

    /// One resource closely; `None` where it is free and has no waiters.
    pub fn show(&mut self, now: Duration, resource: &str) -> Option<Shown> {
        self.expire(now);
        let (resource, entry) = self.resources.get_key_value(resource)?;
        let lease = match entry.hold {
            Hold::Held(id) => self.leases.get(&id).map(|lease| (Arc::clone(&lease.resources), lease.ttl)),
            Hold::Free | Hold::Retained { .. } => None,
        };
        let waiting = entry.queue.iter().filter_map(|ticket| self.waiters.get(*ticket)).take(WAITING_SHOWN);
        let waiting = waiting.map(|waiter| WaiterView {
            owner: waiter.request.owner.clone(),
            waited: now.saturating_sub(waiter.since),
            gives_up_in: waiter.gives_up_at.saturating_sub(now),
            resources: Arc::clone(&waiter.request.resources),
        });
        Some(Shown { listed: self.listed(now, resource, entry), lease, waiting: waiting.collect() })
    }

    /// How much of a lease is left.
    ///
    /// # Errors
    /// How it ended, where it is not live.
    pub fn left_of(&mut self, now: Duration, id: LeaseId) -> Result<Duration, NotLive> {
        self.expire(now);
        let lease = self.leases.get(&id).ok_or_else(|| self.ended.how(id))?;
        Ok(lease.deadline.saturating_sub(now))
    }

    /// The resources of a live lease.
    pub fn resources_of(&mut self, now: Duration, id: LeaseId) -> Option<Resources> {
        self.expire(now);
        self.leases.get(&id).map(|lease| Arc::clone(&lease.resources))
    }

    /// How much is left of the lease that lives longest; zero where none lives.
    pub fn longest_left(&mut self, now: Duration) -> Duration {
        self.expire(now);
        let last = self.leases.values().map(|lease| lease.deadline).max();
        last.map_or(Duration::ZERO, |deadline| deadline.saturating_sub(now))
    }

    /// The lease or retention that [`Table::force`] would take away now.
    pub fn force_target(&mut self, now: Duration, resource: &str) -> Option<ForceTarget> {
        self.expire(now);
        let (resource, entry) = self.resources.get_key_value(resource)?;
        match &entry.hold {
            Hold::Free => None,
            Hold::Held(id) => {
                let lease = self.leases.get(id)?;
                let (resources, owner) = (Arc::clone(&lease.resources), lease.owner.clone());
                Some(ForceTarget { ended: Ended { resources, owner, token: lease.token }, retained: false })
            }
            Hold::Retained { owner, token, .. } => {
                let (resources, owner) = ([Arc::clone(resource)].into(), owner.clone());
                Some(ForceTarget { ended: Ended { resources, owner, token: *token }, retained: true })
            }
        }
    }

    /// How much the table takes.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How much is in the table.
    pub fn counts(&mut self, now: Duration) -> Counts {
        self.expire(now);
        Counts {
            leases: self.leases.len(),
            held: self.held,
            retained: self.retained,
            waiting: self.waiters.len(),
            clients: self.clients.len(),
            bytes: self.bytes(),
            queue_bytes: self.waiters.bytes(),
        }
    }

    fn listed(&self, now: Duration, resource: &Arc<str>, entry: &Entry) -> Listed {
        Listed { resource: Arc::clone(resource), state: self.state(now, &entry.hold), queue: entry.queue.len() }
    }
}
