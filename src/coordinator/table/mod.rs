//! The lock table: a pure state machine.
//!
//! Promises, as long as `now` does not go backwards:
//!
//! - at most one live lease per resource;
//! - every token is larger than all before it (the fencing token of M. Kleppmann, "How to do distributed locking",
//!   2016, after Chubby's sequencer: Burrows, OSDI 2006), and no request lifts them by more than [`TOKEN_JUMP_MAX`];
//! - a lease lives its whole TTL from the grant on, and ends at its release or its expiry, whichever is first;
//! - a request for several resources is granted whole or not at all, and holds nothing while it waits;
//! - who waits is served in order of arrival: a request is granted once all its resources are free and nobody who came
//!   earlier waits for any of them. The earliest of all waiters is first in each of its queues, so no set of waiters can
//!   block itself, and one that wants much is not starved by those behind it that want little.
//!
//! Time is what the caller says it is, as a duration since some fixed start; identifiers come from the caller too. What
//! a change brings about for others (a lease ran out, a waiter was served) is told by [`Table::take_happened`].
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
//! };
//! let granted = table.acquire(Duration::ZERO, &request, LeaseId(1));
//! assert!(matches!(granted, Ok(Acquired::Granted(lease)) if lease.token == 1));
//! // A rival is refused while the lease lives, or waits, and is granted a larger token after it.
//! assert!(table.acquire(Duration::from_secs(8), &request, LeaseId(2)).is_err());
//! let patient = Acquire { wait: Duration::from_secs(5), ..request };
//! assert!(matches!(table.acquire(Duration::from_secs(9), &patient, LeaseId(3)), Ok(Acquired::Waiting { .. })));
//! table.expire(Duration::from_secs(10));
//! let happened = table.take_happened();
//! assert!(matches!(&happened[..], [Happened::Expired(_), Happened::Granted { granted, .. }] if granted.token == 2));
//! ```

mod ended;
mod values;
mod view;
mod waiters;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use self::ended::EndedLeases;
use self::values::RandomIds;
pub use self::values::{
    Acquire, Acquired, Busy, Counts, Ended, Forced, Granted, Happened, LeaseId, Limits, Listed, NotLive, NotRenewed,
    Refused, Release, Released, Resources, Shown, State, Ticket, Waiting,
};
use self::waiters::Waiters;

/// How far above the last token a request may lift the counter. So one request can neither use up the tokens nor lift them so
/// far that, after the state is lost, requests cannot lift them there again. An operator may lift them further.
pub const TOKEN_JUMP_MAX: u64 = 1 << 20;

#[derive(Debug)]
struct Lease {
    resources: Resources,
    owner: Option<Arc<str>>,
    request_id: Option<Arc<str>>,
    token: u64,
    ttl: Duration,
    deadline: Duration,
    waited: Duration,
    /// Whether its request came again and was told of it.
    told_again: bool,
}

/// What is known of a resource: one that is free and not waited for has no entry.
#[derive(Debug, Default)]
struct Entry {
    hold: Hold,
    /// Who waits for it, in order.
    queue: BTreeSet<Ticket>,
}

#[derive(Debug, Default)]
enum Hold {
    #[default]
    Free,
    Held(LeaseId),
    Retained {
        until: Duration,
        owner: Option<Arc<str>>,
        token: u64,
    },
}

/// Something that ends by itself. At one instant leases end before waiting does, so who waited for one gets it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Lease(LeaseId),
    Retention(Arc<str>),
    Wait(Ticket),
}

/// The table.
#[derive(Debug)]
pub struct Table {
    leases: HashMap<LeaseId, Lease, RandomIds>,
    resources: BTreeMap<Arc<str>, Entry>,
    /// Everything that ends by itself, soonest first.
    endings: BTreeSet<(Duration, Ending)>,
    waiters: Waiters,
    ended: EndedLeases,
    happened: Vec<Happened>,
    held: usize,
    retained: usize,
    last_token: u64,
    token_limit: u64,
    ttl_limit: Duration,
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
            ended: EndedLeases::default(),
            happened: Vec::new(),
            held: 0,
            retained: 0,
            last_token,
            token_limit: last_token,
            ttl_limit: Duration::ZERO,
            longest_ttl: Duration::ZERO,
            limits,
        }
    }

    /// Allows tokens up to `limit`, which the caller has made durable. Waiters that lacked one are served.
    pub fn allow_tokens(&mut self, now: Duration, limit: u64) {
        self.expire(now);
        if limit > self.token_limit {
            self.token_limit = limit;
            let all: BTreeSet<Ticket> = self.waiters.tickets().into_iter().collect();
            self.serve(now, all);
        }
    }

    /// Allows leases to live for up to `ttl`, which the caller has made durable.
    pub fn allow_ttl(&mut self, ttl: Duration) {
        self.ttl_limit = self.ttl_limit.max(ttl);
    }

    /// Forbids TTLs longer than all that were given since the last call, still live, or are waited for, and gives the
    /// longest of them: what has to be durable from now on. `step` rounds up.
    pub fn settle_ttl(&mut self, step: impl FnOnce(Duration) -> Duration) -> Duration {
        let live = self.leases.values().map(|lease| lease.ttl);
        let wanted = self.waiters.requests().map(|request| request.ttl);
        let longest = step(live.chain(wanted).fold(self.longest_ttl, Duration::max));
        self.longest_ttl = Duration::ZERO;
        self.ttl_limit = self.ttl_limit.min(longest);
        self.ttl_limit
    }

    /// The longest TTL that may be given.
    pub fn ttl_limit(&self) -> Duration {
        self.ttl_limit
    }

    /// Tokens that may still be given.
    pub fn tokens_left(&self) -> u64 {
        self.token_limit.saturating_sub(self.last_token)
    }

    /// The largest token that may be given.
    pub fn token_limit(&self) -> u64 {
        self.token_limit
    }

    /// The last token that was given, or where the table began.
    pub fn last_token(&self) -> u64 {
        self.last_token
    }

    /// What happened to others since the last call, in order.
    pub fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// When the next thing ends by itself.
    pub fn next_ending(&self) -> Option<Duration> {
        self.endings.first().map(|(at, _)| *at)
    }

    /// Ends what has run out by `now`. The others do this first by themselves.
    pub fn expire(&mut self, now: Duration) {
        while self.endings.first().is_some_and(|(at, _)| *at <= now) {
            match self.endings.pop_first() {
                Some((_, Ending::Lease(id))) => {
                    let Some(lease) = self.leases.remove(&id) else { continue };
                    self.ended.remember(id, NotLive::Expired);
                    let freed = self.free(&lease.resources);
                    let Lease { resources, owner, token, .. } = lease;
                    self.happened.push(Happened::Expired(Ended { resources, owner, token }));
                    self.serve(now, freed);
                }
                Some((_, Ending::Retention(resource))) => {
                    let freed = self.free(std::slice::from_ref(&resource));
                    self.serve(now, freed);
                }
                Some((_, Ending::Wait(ticket))) => self.give_up(now, ticket),
                None => break,
            }
        }
    }

    /// Grants a lease named `id` on all the resources, lets the request wait, or refuses it.
    ///
    /// # Errors
    /// [`Refused`]; nothing was changed.
    pub fn acquire(&mut self, now: Duration, request: &Acquire, id: LeaseId) -> Result<Acquired, Refused> {
        self.expire(now);
        if let Some(granted) = self.granted_before(request) {
            return Ok(Acquired::Granted(granted));
        }
        if let Some(ticket) = self.waiters.same(request) {
            self.wait_until(ticket, now + request.wait);
            return Ok(Acquired::Waiting { ticket, again: true });
        }
        let busy = self.obstacle(now, &request.resources, request.despite_retention, None);
        if let Some(busy) = &busy
            && request.wait.is_zero()
        {
            return Err(Refused::Busy(busy.clone()));
        }
        if self.held + self.retained + self.waiters.places() + request.resources.len() > self.limits.resources {
            return Err(Refused::Full);
        }
        self.next_token(request.min_token)?;
        if request.ttl > self.ttl_limit {
            return Err(Refused::TtlLimit);
        }
        if busy.is_none() {
            return self.grant(now, request, id, Duration::ZERO).map(Acquired::Granted);
        }
        self.enqueue(now, request, id).map(|ticket| Acquired::Waiting { ticket, again: false })
    }

    /// Lets a lease end `ttl` from now, or its own TTL from now where none is given.
    ///
    /// # Errors
    /// [`NotRenewed`]; nothing was changed. A lease that is not live stays so.
    pub fn renew(&mut self, now: Duration, id: LeaseId, ttl: Option<Duration>) -> Result<Granted, NotRenewed> {
        self.expire(now);
        let Some(lease) = self.leases.get_mut(&id) else {
            return Err(NotRenewed::NotLive(self.ended.how(id)));
        };
        let ttl = ttl.unwrap_or(lease.ttl);
        if ttl > self.ttl_limit {
            return Err(NotRenewed::TtlLimit);
        }
        self.longest_ttl = self.longest_ttl.max(ttl);
        self.endings.remove(&(lease.deadline, Ending::Lease(id)));
        (lease.ttl, lease.deadline) = (ttl, now + ttl);
        self.endings.insert((lease.deadline, Ending::Lease(id)));
        Ok(lease.granted(id, true))
    }

    /// Ends a lease; who waits for its resources is served.
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

    /// Undoes a grant that nobody heard of, unless its request came again and was told of it.
    pub fn take_back(&mut self, now: Duration, id: LeaseId) -> Option<Ended> {
        self.expire(now);
        if self.leases.get(&id).is_none_or(|lease| lease.told_again) {
            return None;
        }
        self.end(now, id, NotLive::AlreadyReleased, Duration::ZERO)
    }

    /// Ends the lease that `resource` belongs to, or its retention, whoever has it.
    pub fn force(&mut self, now: Duration, resource: &str) -> Option<Forced> {
        self.expire(now);
        match self.hold(resource) {
            Hold::Free => None,
            Hold::Held(id) => {
                let id = *id;
                let ended = self.end(now, id, NotLive::Forced, Duration::ZERO)?;
                Some(Forced { ended, retained: false })
            }
            Hold::Retained { until, owner, token } => {
                let (until, owner, token) = (*until, owner.clone(), *token);
                let resource: Arc<str> = resource.into();
                self.endings.remove(&(until, Ending::Retention(Arc::clone(&resource))));
                let freed = self.free(std::slice::from_ref(&resource));
                self.serve(now, freed);
                Some(Forced { ended: Ended { resources: [resource].into(), owner, token }, retained: true })
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
                self.happened.push(Happened::Refused { ticket, refused: Refused::Dismissed });
            }
        }
    }

    /// The next token for a caller who has seen `min_token`.
    fn next_token(&self, min_token: u64) -> Result<u64, Refused> {
        if min_token > self.last_token.saturating_add(TOKEN_JUMP_MAX) {
            return Err(Refused::TooFar { min_token, last_token: self.last_token });
        }
        let token = self.last_token.max(min_token) + 1;
        if token > self.token_limit { Err(Refused::TokenLimit(token)) } else { Ok(token) }
    }

    /// Grants what nothing stands in the way of.
    fn grant(&mut self, now: Duration, request: &Acquire, id: LeaseId, waited: Duration) -> Result<Granted, Refused> {
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
    fn end(&mut self, now: Duration, id: LeaseId, how: NotLive, retention: Duration) -> Option<Ended> {
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
            // Only those who pass over a retention get past this, and they too in their turn.
            freed.retain(|ticket| self.waiters.get(*ticket).is_some_and(|waiter| waiter.request.despite_retention));
        }
        self.serve(now, freed);
        Some(Ended { resources, owner, token })
    }

    /// Makes held or retained resources free, and gives who is now first in their queues.
    fn free(&mut self, resources: &[Arc<str>]) -> BTreeSet<Ticket> {
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

    /// The lease that this very request was granted before, if it is still live: its answer may have been lost.
    fn granted_before(&mut self, request: &Acquire) -> Option<Granted> {
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

    fn hold(&self, resource: &str) -> &Hold {
        self.resources.get(resource).map_or(&Hold::Free, |entry| &entry.hold)
    }

    /// What stands in the way of a request, or of a waiter in its place.
    fn obstacle(
        &self,
        now: Duration,
        resources: &[Arc<str>],
        despite_retention: bool,
        place: Option<Ticket>,
    ) -> Option<Busy> {
        resources.iter().find_map(|resource| {
            let entry = self.resources.get(resource)?;
            let in_the_way = match entry.hold {
                Hold::Held(_) => true,
                Hold::Retained { .. } => !despite_retention,
                Hold::Free => false,
            };
            let someone_before = entry.queue.first().is_some_and(|first| place.is_none_or(|place| *first < place));
            (in_the_way || someone_before).then(|| Busy {
                resource: Arc::clone(resource),
                // A retention that is passed over is no obstacle: the queue is.
                state: if in_the_way { self.state(now, &entry.hold) } else { State::Promised },
                queue: entry.queue.len() - usize::from(place.is_some_and(|place| entry.queue.contains(&place))),
                waited: Duration::ZERO,
            })
        })
    }

    fn state(&self, now: Duration, hold: &Hold) -> State {
        match hold {
            Hold::Free => State::Promised,
            Hold::Held(id) => match self.leases.get(id) {
                Some(lease) => State::Held {
                    owner: lease.owner.clone(),
                    token: lease.token,
                    free_in: lease.deadline.saturating_sub(now),
                },
                // A resource is held by a live lease, or not at all.
                None => State::Promised,
            },
            Hold::Retained { until, owner, token } => {
                State::Retained { owner: owner.clone(), token: *token, free_in: until.saturating_sub(now) }
            }
        }
    }
}

impl Lease {
    fn granted(&self, id: LeaseId, again: bool) -> Granted {
        Granted {
            lease: id,
            resources: Arc::clone(&self.resources),
            owner: self.owner.clone(),
            token: self.token,
            ttl: self.ttl,
            deadline: self.deadline,
            waited: self.waited,
            again,
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
