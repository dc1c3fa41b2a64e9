//! The table's records: leases, waiters, each resource's state and queue, and the ends that time brings.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::bounds::Client;
use super::entrants::Contenders;
use super::values::{Acquire, Granted, LeaseId, Resources, Ticket};

/// A live lease.
#[derive(Debug)]
pub struct Lease {
    pub resources: Resources,
    pub owner: Option<Arc<str>>,
    pub request_id: Option<Arc<str>>,
    pub token: u64,
    pub ttl: Duration,
    pub deadline: Duration,
    pub waited: Duration,
    pub contenders: Option<Contenders>,
    /// Whether its request came again and was told of it.
    pub told_again: bool,
    /// Whose quota it counts in, if it counts in one.
    pub client: Option<Client>,
}

/// What a request has been through before its grant.
#[derive(Debug, Default)]
pub struct Waited {
    pub time: Duration,
    pub contenders: Option<Contenders>,
}

/// A resource's state and queue. A free resource without waiters has no entry.
#[derive(Debug, Default)]
pub struct Entry {
    pub hold: Hold,
    /// Its waiters, in order.
    pub queue: BTreeSet<Ticket>,
    /// When the window of its contest closes, while it is open. Nobody gets the resource before that.
    pub closes_at: Option<Duration>,
}

impl Entry {
    /// Whether a contest's window is open.
    pub fn is_contested(&self) -> bool {
        self.closes_at.is_some()
    }
}

#[derive(Debug, Default)]
pub enum Hold {
    #[default]
    Free,
    Held(LeaseId),
    Retained {
        until: Duration,
        owner: Option<Arc<str>>,
        token: u64,
        /// Whose quota it counts in, if it counts in one.
        client: Option<Client>,
        /// The resource's part of the owner's memory.
        share: usize,
    },
}

/// One waiting request.
#[derive(Debug)]
pub struct Waiter {
    pub request: Acquire,
    pub lease: LeaseId,
    pub since: Duration,
    pub gives_up_at: Duration,
    /// Whose quota it counts in, if it counts in one.
    pub client: Option<Client>,
}

/// The identity of a request that may come again: its owner, its own name, and its resources.
pub type Identity = (Arc<str>, Arc<str>, Resources);

/// What one client has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resources under its leases, or retained by it.
    pub resources: usize,
    /// Places in queues.
    pub places: usize,
}

/// Something that ends by itself. At the same instant leases and windows end before waits do, so the waiter gets the lease.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    Lease(LeaseId),
    Retention(Arc<str>),
    /// Of the contest for that resource.
    Window(Arc<str>),
    Wait(Ticket),
}

impl Lease {
    pub fn granted(&self, id: LeaseId, again: bool) -> Granted {
        Granted {
            lease: id,
            resources: Arc::clone(&self.resources),
            owner: self.owner.clone(),
            token: self.token,
            ttl: self.ttl,
            deadline: self.deadline,
            waited: self.waited,
            again,
            contenders: self.contenders.clone(),
        }
    }
}
