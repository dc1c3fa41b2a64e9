//! Who waits, and how the table serves them: first come, first served, for each resource.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::values::{Acquire, Busy, Happened, LeaseId, Refused, Resources, State, Ticket};
use super::{Ending, Hold, Table};

/// One waiting request.
#[derive(Debug)]
pub struct Waiter {
    pub request: Acquire,
    pub lease: LeaseId,
    pub since: Duration,
    pub gives_up_at: Duration,
}

/// All of them, in order of arrival. Their places are in the resources' queues.
#[derive(Debug, Default)]
pub struct Waiters {
    by_ticket: BTreeMap<Ticket, Waiter>,
    by_request: HashMap<Identity, Ticket>,
    places: usize,
    last_ticket: u64,
}

impl Waiters {
    pub fn len(&self) -> usize {
        self.by_ticket.len()
    }

    /// Places in all queues.
    pub fn places(&self) -> usize {
        self.places
    }

    pub fn get(&self, ticket: Ticket) -> Option<&Waiter> {
        self.by_ticket.get(&ticket)
    }

    pub fn requests(&self) -> impl Iterator<Item = &Acquire> {
        self.by_ticket.values().map(|waiter| &waiter.request)
    }

    pub fn tickets(&self) -> Vec<Ticket> {
        self.by_ticket.keys().copied().collect()
    }

    /// Where this very request waits already.
    pub fn same(&self, request: &Acquire) -> Option<Ticket> {
        if self.by_request.is_empty() {
            return None;
        }
        self.by_request.get(&identity(request)?).copied()
    }

    fn add(&mut self, waiter: Waiter) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.places += waiter.request.resources.len();
        if let Some(identity) = identity(&waiter.request) {
            self.by_request.insert(identity, ticket);
        }
        self.by_ticket.insert(ticket, waiter);
        ticket
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.by_ticket.remove(&ticket)?;
        self.places -= waiter.request.resources.len();
        if let Some(identity) = identity(&waiter.request) {
            self.by_request.remove(&identity);
        }
        Some(waiter)
    }
}

/// What makes a request the same one again: its owner, its own name, and what it wants.
type Identity = (Arc<str>, Arc<str>, Resources);

fn identity(request: &Acquire) -> Option<Identity> {
    let Acquire { owner, request_id, resources, .. } = request;
    Some((Arc::clone(owner.as_ref()?), Arc::clone(request_id.as_ref()?), Arc::clone(resources)))
}

impl Table {
    /// Puts a request that cannot be granted now at the end of its resources' queues.
    pub(super) fn enqueue(&mut self, now: Duration, request: &Acquire, lease: LeaseId) -> Result<Ticket, Refused> {
        let too_many = |resource: &Arc<str>| {
            self.resources.get(resource).is_some_and(|entry| entry.queue.len() >= self.limits.waiters_of_one)
        };
        if self.waiters.places() + request.resources.len() > self.limits.places
            || request.resources.iter().any(too_many)
        {
            return Err(Refused::QueueFull);
        }
        let gives_up_at = now + request.wait;
        let ticket = self.waiters.add(Waiter { request: request.clone(), lease, since: now, gives_up_at });
        for resource in request.resources.iter() {
            self.resources.entry(Arc::clone(resource)).or_default().queue.insert(ticket);
        }
        self.endings.insert((gives_up_at, Ending::Wait(ticket)));
        Ok(ticket)
    }

    /// Lets a waiter wait until `at`, if that is later.
    pub(super) fn wait_until(&mut self, ticket: Ticket, at: Duration) {
        let Some(waiter) = self.waiters.by_ticket.get_mut(&ticket) else { return };
        if at > waiter.gives_up_at {
            self.endings.remove(&(waiter.gives_up_at, Ending::Wait(ticket)));
            waiter.gives_up_at = at;
            self.endings.insert((at, Ending::Wait(ticket)));
        }
    }

    /// Takes a waiter out of all queues, and gives who is now first where it was.
    pub(super) fn dequeue(&mut self, ticket: Ticket) -> Option<(Waiter, BTreeSet<Ticket>)> {
        let waiter = self.waiters.remove(ticket)?;
        self.endings.remove(&(waiter.gives_up_at, Ending::Wait(ticket)));
        let mut first_ones = BTreeSet::new();
        for resource in waiter.request.resources.iter() {
            let Some(entry) = self.resources.get_mut(resource) else { continue };
            let was_first = entry.queue.first() == Some(&ticket);
            entry.queue.remove(&ticket);
            if let Some(first) = entry.queue.first().filter(|_| was_first) {
                first_ones.insert(*first);
            }
            if entry.queue.is_empty() && matches!(entry.hold, Hold::Free) {
                self.resources.remove(resource);
            }
        }
        Some((waiter, first_ones))
    }

    /// A waiter's time is up: it is told what it waited for.
    pub(super) fn give_up(&mut self, now: Duration, ticket: Ticket) {
        let Some(waiter) = self.waiters.get(ticket) else { return };
        let Acquire { resources, despite_retention, min_token, .. } = &waiter.request;
        let waited = now.saturating_sub(waiter.since);
        let refused = match self.obstacle(now, resources, *despite_retention, Some(ticket)) {
            Some(busy) => Refused::Busy(Busy { waited, ..busy }),
            // Nothing was in its way but the lack of a durable token.
            None => self.next_token(*min_token).err().unwrap_or(Refused::Busy(Busy {
                resource: Arc::clone(&resources[0]),
                state: State::Promised,
                queue: 0,
                waited,
            })),
        };
        if let Some((_, freed)) = self.dequeue(ticket) {
            self.happened.push(Happened::Refused { ticket, refused });
            self.serve(now, freed);
        }
    }

    /// Grants those of `first_ones`, who may now be first in their queues, whom nothing stands in the way of, in order of arrival.
    ///
    /// Who is behind one of them cannot be granted by this: its resource is held now, or still promised.
    pub(super) fn serve(&mut self, now: Duration, first_ones: BTreeSet<Ticket>) {
        for ticket in first_ones {
            let Some(waiter) = self.waiters.get(ticket) else { continue };
            let Acquire { resources, despite_retention, min_token, .. } = &waiter.request;
            let obstacle = self.obstacle(now, resources, *despite_retention, Some(ticket));
            // Without a durable token it stays where it is until there is one.
            if obstacle.is_some() || self.next_token(*min_token).is_err() {
                continue;
            }
            let Some((waiter, _)) = self.dequeue(ticket) else { continue };
            let waited = now.saturating_sub(waiter.since);
            if let Ok(granted) = self.grant(now, &waiter.request, waiter.lease, waited) {
                self.happened.push(Happened::Granted { ticket, granted });
            }
        }
    }
}
