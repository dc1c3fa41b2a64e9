//! The waiting requests, in order of arrival.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::entries::{Identity, Waiter};
use super::footprint;
use super::values::{Acquire, Ticket};

/// All of them, in order of arrival. Their places are in the resources' queues.
#[derive(Debug, Default)]
pub struct Waiters {
    by_ticket: BTreeMap<Ticket, Waiter>,
    by_request: HashMap<Identity, Ticket>,
    places: usize,
    bytes: usize,
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

    /// Their memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn get(&self, ticket: Ticket) -> Option<&Waiter> {
        self.by_ticket.get(&ticket)
    }

    pub fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        self.by_ticket.get_mut(&ticket)
    }

    pub fn requests(&self) -> impl Iterator<Item = &Acquire> {
        self.by_ticket.values().map(|waiter| &waiter.request)
    }

    pub fn tickets(&self) -> Vec<Ticket> {
        self.by_ticket.keys().copied().collect()
    }

    /// The place at which the same request waits already.
    pub fn same(&self, request: &Acquire) -> Option<Ticket> {
        if self.by_request.is_empty() {
            return None;
        }
        self.by_request.get(&identity(request)?).copied()
    }

    pub fn add(&mut self, waiter: Waiter) -> Ticket {
        self.last_ticket += 1;
        // A request with a stamp that is in no contest does not wait.
        let stamp_us = waiter.request.contest.as_ref().map_or(Ticket::NO_STAMP, |contest| contest.stamp_us);
        let ticket = Ticket { stamp_us, number: self.last_ticket };
        self.places += waiter.request.resources.len();
        self.bytes += footprint::waiter(&waiter.request);
        if let Some(identity) = identity(&waiter.request) {
            self.by_request.insert(identity, ticket);
        }
        self.by_ticket.insert(ticket, waiter);
        ticket
    }

    pub fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.by_ticket.remove(&ticket)?;
        self.places -= waiter.request.resources.len();
        self.bytes -= footprint::waiter(&waiter.request);
        if let Some(identity) = identity(&waiter.request) {
            self.by_request.remove(&identity);
        }
        Some(waiter)
    }
}

fn identity(request: &Acquire) -> Option<Identity> {
    let Acquire { owner, request_id, resources, .. } = request;
    Some((Arc::clone(owner.as_ref()?), Arc::clone(request_id.as_ref()?), Arc::clone(resources)))
}
