//! The lock table: a pure state machine.
//!
//! Promises, as long as `now` does not go backwards:
//!
//! - at most one live lease per resource;
//! - every token is larger than all before it (the fencing token of M. Kleppmann, "How to do distributed locking",
//!   2016, after Chubby's sequencer: Burrows, OSDI 2006), and no request lifts them by more than [`TOKEN_JUMP_MAX`];
//! - a lease lives its whole TTL from the grant on, and ends at its release or its expiry, the earlier of the two;
//! - a request for several resources is granted whole or not at all, and holds nothing while it waits;
//! - waiters are served in order of arrival, and those in a contest in the order of their stamps, before the others: a request is granted once all its resources are free and no earlier waiter
//!   waits for any of them. The earliest of all waiters is first in each of its queues, so no set of waiters can block
//!   itself, and a request for many resources is not starved by later ones for few.
//!
//! The caller passes the time, as a duration since some fixed start, and the identifiers. The consequences of a change for others (a
//! lease ran out, a waiter was served) are told by [`Table::take_happened`].
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use sctec::coordinator::table::{Acquire, Acquired, Happened, LeaseId, Limits, Table};
//!
//! let mut table = Table::new(0, Limits::default());
//! table.allow_tokens(Duration::ZERO, 1000);
//! table.allow_ttl(Duration::from_secs(10));
//! let request = Acquire {
//!     resources: [Arc::from("Hubble-Acad_2025-12-01T03:00:00Z")].into(),
//!     owner: None,
//!     request_id: None,
//!     ttl: Duration::from_secs(10),
//!     wait: Duration::ZERO,
//!     min_token: 0,
//!     despite_retention: false,
//!     contest: None,
//! };
//! let granted = table.acquire(Duration::ZERO, &request, LeaseId(1));
//! assert!(matches!(granted, Ok(Acquired::Granted(lease)) if lease.token == 1));
//! // A rival is refused while the lease lives, or waits, and is granted a larger token after it.
//! assert!(table.acquire(Duration::from_secs(8), &request, LeaseId(2)).is_err());
//! let patient = Acquire { wait: Duration::from_secs(5), ..request };
//! assert!(matches!(table.acquire(Duration::from_secs(9), &patient, LeaseId(3)), Ok(Acquired::Queued { .. })));
//! table.expire(Duration::from_secs(10));
//! let happened = table.take_happened();
//! assert!(matches!(&happened[..], [Happened::Expired(_), Happened::Granted { granted, .. }] if granted.token == 2));
//! ```

mod bounds;
mod clients;
mod contest;
mod draw;
mod durable;
mod ended;
mod entrants;
mod entries;
mod footprint;
mod leases;
mod obstacle;
mod queue;
mod room;
mod values;
mod view;
mod waiters;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub use self::bounds::{
    Bound, CLIENT_PLACES_DEFAULT, CLIENT_RESOURCES_DEFAULT, Client, Limits, Measure, OverQuota, TABLE_MIB_DEFAULT,
};
use self::clients::Clients;
use self::ended::EndedLeases;
pub use self::entrants::{Contender, Contenders, Contest, Draw, Tie};
use self::entries::{Ending, Entry, Hold, Lease, Waited};
use self::values::RandomIds;
pub use self::values::{
    Acquire, Acquired, Busy, Counts, Ended, ForceTarget, Granted, Happened, LeaseId, Listed, NotGranted, NotLive,
    NotRenewed, Release, Released, Resources, Shown, State, TOKEN_JUMP_MAX, Ticket, WaiterView,
};
use self::waiters::Waiters;

/// The table.
#[derive(Debug)]
pub struct Table {
    leases: HashMap<LeaseId, Lease, RandomIds>,
    resources: BTreeMap<Arc<str>, Entry>,
    /// Everything that ends by itself, soonest first.
    endings: BTreeSet<(Duration, Ending)>,
    waiters: Waiters,
    clients: Clients,
    ended: EndedLeases,
    happened: Vec<Happened>,
    held: usize,
    retained: usize,
    /// The memory of the leases, and of the resources' entries.
    bytes: usize,
    last_token: u64,
    token_limit: u64,
    ttl_limit: Duration,
    /// Nothing is given from then on; `None` is no such end.
    gives_until: Option<Duration>,
    /// The longest TTL given since [`Table::settle_ttl`] last looked.
    longest_ttl: Duration,
    limits: Limits,
}

impl Table {
    /// An empty table whose first token is `last_token + 1`. It grants nothing before it is told which tokens
    /// ([`Table::allow_tokens`]) and which TTL ([`Table::allow_ttl`]) are durable.
    pub fn new(last_token: u64, limits: Limits) -> Self {
        Self {
            leases: HashMap::default(),
            resources: BTreeMap::new(),
            endings: BTreeSet::new(),
            waiters: Waiters::default(),
            clients: Clients::default(),
            ended: EndedLeases::default(),
            happened: Vec::new(),
            held: 0,
            retained: 0,
            bytes: 0,
            last_token,
            token_limit: last_token,
            ttl_limit: Duration::ZERO,
            gives_until: None,
            longest_ttl: Duration::ZERO,
            limits,
        }
    }

    /// The consequences for others since the last call, in order.
    pub fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// When the next lease, retention or wait ends by itself.
    pub fn next_ending(&self) -> Option<Duration> {
        self.endings.first().map(|(at, _)| *at)
    }

    /// Ends the leases, retentions and waits that are over by `now`. Every other method does this first.
    pub fn expire(&mut self, now: Duration) {
        while self.endings.first().is_some_and(|(at, _)| *at <= now) {
            match self.endings.pop_first() {
                Some((_, Ending::Lease(id))) => {
                    let Some(lease) = self.take_lease(id, NotLive::Expired) else { continue };
                    let Lease { resources, owner, token, .. } = lease;
                    let freed = self.free_all(&resources);
                    self.happened.push(Happened::Expired(Ended { resources, owner, token }));
                    self.serve(now, freed);
                }
                Some((_, Ending::Retention(resource))) => {
                    let freed = self.remove_retention(&resource).into_iter().collect();
                    self.serve(now, freed);
                }
                Some((_, Ending::Window(resource))) => self.close_window(now, &resource),
                Some((_, Ending::Wait(ticket))) => self.give_up(now, ticket),
                None => break,
            }
        }
    }

    /// Grants a lease named `id` on all the resources, lets the request wait, or refuses it. No quota is kept for the client.
    ///
    /// # Errors
    /// [`NotGranted`]; nothing was changed.
    pub fn acquire(&mut self, now: Duration, request: &Acquire, id: LeaseId) -> Result<Acquired, NotGranted> {
        self.acquire_for(now, request, None, id)
    }

    /// The same for a client, within its quotas.
    ///
    /// # Errors
    /// [`NotGranted`]; nothing was changed.
    pub fn acquire_for(
        &mut self,
        now: Duration,
        request: &Acquire,
        client: Option<&Client>,
        id: LeaseId,
    ) -> Result<Acquired, NotGranted> {
        self.expire(now);
        if self.has_lapsed(now) {
            return Err(NotGranted::Lapsed);
        }
        let busy = self.obstacle(now, &request.resources, request.despite_retention, None);
        // A lease of the same request is in its way.
        if busy.is_some()
            && let Some(granted) = self.granted_before(request)
        {
            return Ok(Acquired::Granted(granted));
        }
        if let Some(ticket) = self.waiters.same(request) {
            self.wait_until(ticket, now + request.wait);
            return Ok(Acquired::Queued { ticket, again: true });
        }
        let window = self.window_of(request);
        if let Some(busy) = &busy
            && window.is_none()
            && (request.wait.is_zero() || request.contest.is_some())
        {
            return Err(NotGranted::Busy(busy.clone()));
        }
        let waits = busy.is_some() || window.is_some();
        self.check_quota(request, client, waits)?;
        self.check_room(request, client, waits)?;
        self.next_token(request.min_token)?;
        if request.ttl > self.ttl_limit {
            return Err(NotGranted::TtlLimit);
        }
        if !waits {
            return self.grant(now, request, client, id, Waited::default()).map(Acquired::Granted);
        }
        let ticket = self.enqueue(now, request, client, id)?;
        if let Some(window) = window {
            self.open_windows(now, &request.resources, window);
        }
        Ok(Acquired::Queued { ticket, again: false })
    }

    /// Lets a lease end `ttl` from now, or its own TTL from now where none is given.
    ///
    /// # Errors
    /// [`NotRenewed`]; nothing was changed. A lease that is not live stays so.
    pub fn renew(&mut self, now: Duration, id: LeaseId, ttl: Option<Duration>) -> Result<Granted, NotRenewed> {
        self.expire(now);
        let lapsed = self.has_lapsed(now);
        let Some(lease) = self.leases.get_mut(&id) else {
            return Err(NotRenewed::NotLive(self.ended.how(id)));
        };
        let ttl = ttl.unwrap_or(lease.ttl);
        if lapsed {
            return Err(NotRenewed::Lapsed);
        }
        if ttl > self.ttl_limit {
            return Err(NotRenewed::TtlLimit);
        }
        self.longest_ttl = self.longest_ttl.max(ttl);
        self.endings.remove(&(lease.deadline, Ending::Lease(id)));
        (lease.ttl, lease.deadline) = (ttl, now + ttl);
        self.endings.insert((lease.deadline, Ending::Lease(id)));
        Ok(lease.granted(id, true))
    }

    /// Ends a lease; the waiters for its resources are served.
    pub fn release(&mut self, now: Duration, release: &Release) -> Released {
        self.expire(now);
        let (id, retention) = match release {
            Release::ById { lease, retention } => (*lease, *retention),
            Release::ByName { resource, retention } => match self.hold(resource) {
                Hold::Held(id) => {
                    if self.leases.get(id).is_some_and(|lease| lease.owner.is_some()) {
                        return Released::NotOwner { resource: resource.clone() };
                    }
                    (*id, *retention)
                }
                Hold::Retained { .. } => return Released::Nothing(NotLive::AlreadyReleased),
                Hold::Free => return Released::Nothing(NotLive::Unknown),
            },
        };
        match self.end(now, id, NotLive::AlreadyReleased, retention) {
            Some(ended) => Released::Freed(ended),
            None => Released::Nothing(self.ended.how(id)),
        }
    }

    /// Undoes a grant whose answer was not delivered, unless its request came again and was told of it.
    pub fn take_back(&mut self, now: Duration, id: LeaseId) -> Option<Ended> {
        self.expire(now);
        if self.leases.get(&id).is_none_or(|lease| lease.told_again) {
            return None;
        }
        self.end(now, id, NotLive::AlreadyReleased, Duration::ZERO)
    }

    /// Ends the lease that `resource` belongs to, or its retention, without regard to its holder.
    pub fn force(&mut self, now: Duration, resource: &str) -> Option<ForceTarget> {
        self.expire(now);
        match self.hold(resource) {
            Hold::Free => None,
            Hold::Held(id) => {
                let id = *id;
                let ended = self.end(now, id, NotLive::Forced, Duration::ZERO)?;
                Some(ForceTarget { ended, retained: false })
            }
            Hold::Retained { owner, token, .. } => {
                let (owner, token) = (owner.clone(), *token);
                let resource: Arc<str> = resource.into();
                let freed = self.remove_retention(&resource).into_iter().collect();
                self.serve(now, freed);
                Some(ForceTarget { ended: Ended { resources: [resource].into(), owner, token }, retained: true })
            }
        }
    }

    /// Takes a waiter out of the queue: its client has gone. Those behind it are served. Whether it was there.
    pub fn leave(&mut self, now: Duration, ticket: Ticket) -> bool {
        self.expire(now);
        let Some((_, freed)) = self.dequeue(ticket) else { return false };
        self.serve(now, freed);
        true
    }

    /// Sends all waiters away.
    pub fn dismiss(&mut self, now: Duration) {
        self.expire(now);
        for ticket in self.waiters.tickets() {
            if self.dequeue(ticket).is_some() {
                self.happened.push(Happened::Refused { ticket, refused: NotGranted::Dismissed });
            }
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
