//! The lock table: a pure state machine.
//!
//! Promises, as long as `now` does not go backwards:
//!
//! - at most one live lease per resource;
//! - every token is larger than all before it (the fencing token of M. Kleppmann, "How to do distributed locking",
//!   2016, after Chubby's sequencer: Burrows, OSDI 2006);
//! - a lease lives its whole TTL from the grant on, and ends at its release or its expiry, whichever is first;
//! - a request for several resources is granted whole or refused whole.
//!
//! Time is what the caller says it is, as a duration since some fixed start; identifiers come from the caller too.
//!
//! ```
//! use std::time::Duration;
//! use sctec::coordinator::table::{Acquire, LeaseId, Table};
//!
//! let mut table = Table::new(0, 1000);
//! let request = Acquire {
//!     resources: vec!["Hubble-Acad_2025-12-01T03:00:00Z".to_owned()],
//!     owner: None,
//!     request_id: None,
//!     ttl: Duration::from_secs(10),
//!     min_token: 0,
//!     despite_retention: false,
//! };
//! let granted = table.acquire(Duration::ZERO, &request, LeaseId(1)).expect("nobody has it");
//! assert_eq!(granted.token, 1);
//! // A rival is refused while the lease lives, and granted a larger token after it.
//! assert!(table.acquire(Duration::from_secs(9), &request, LeaseId(2)).is_err());
//! table.expire(Duration::from_secs(10));
//! let next = table.acquire(Duration::from_secs(10), &request, LeaseId(3)).expect("the lease has run out");
//! assert_eq!(next.token, 2);
//! ```

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Ended leases that are remembered, so that a late unlock can be told what became of its lease.
const ENDED_REMEMBERED: usize = 65_536;
/// Resources held or retained at once.
pub const RESOURCES_TRACKED_MAX: usize = 1_000_000;

/// A lease's identity: 128 random bits, known to its holder alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u128);

impl LeaseId {
    /// Reads the 32 lower-case hexadecimal digits that [`LeaseId`] is shown as.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !plain {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for LeaseId {
    /// The identity is a secret: whoever has it can unlock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseId(…)")
    }
}

/// A request for a lease.
#[derive(Clone, Debug)]
pub struct Acquire {
    /// What to lock: distinct names, at least one.
    pub resources: Vec<String>,
    /// Who asks.
    pub owner: Option<String>,
    /// With an owner: the same request again gets the same lease again.
    pub request_id: Option<String>,
    /// The lease's life.
    pub ttl: Duration,
    /// The token will be larger than this.
    pub min_token: u64,
    /// Whether a retained resource counts as free.
    pub despite_retention: bool,
}

/// A request to end a lease.
#[derive(Clone, Debug)]
pub enum Release {
    /// By its identity.
    ById {
        /// The lease.
        lease: LeaseId,
        /// How long its resources stay refused.
        retention: Duration,
    },
    /// By a resource's name alone: only for a lease without an owner.
    ByName {
        /// One of the lease's resources.
        resource: String,
        /// How long its resources stay refused.
        retention: Duration,
    },
}

/// A lease as granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its identity.
    pub lease: LeaseId,
    /// Its fencing token.
    pub token: u64,
    /// Its life from the grant on.
    pub ttl: Duration,
    /// When it ends.
    pub deadline: Duration,
    /// Whether the same request had been granted it before.
    pub again: bool,
}

/// Why a lease was not granted. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// One of the resources is held or retained.
    Busy {
        /// The first such resource.
        resource: String,
        /// Who holds it.
        owner: Option<String>,
        /// The holder's token.
        token: u64,
        /// How long until it is free at the latest.
        free_in: Duration,
        /// Whether it is only retained.
        retained: bool,
    },
    /// The next token, this one, is past the limit that is known to be durable.
    TokenLimit(u64),
    /// Too many resources are held or retained.
    Full,
}

/// What became of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// The lease was live and is no more; its resources.
    Freed(Vec<Arc<str>>),
    /// There was nothing to end.
    Nothing(NotLive),
    /// By name alone, for a lease that has an owner.
    NotOwner {
        /// The resource.
        resource: String,
    },
}

/// Why there was nothing to release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLive {
    /// It was released before.
    AlreadyReleased,
    /// It had expired.
    Expired,
    /// Never granted here, or so long ago that it is forgotten.
    Unknown,
}

/// A resource whose lease expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The resource.
    pub resource: Arc<str>,
    /// The lease's token.
    pub token: u64,
}

#[derive(Debug)]
struct Lease {
    resources: Vec<Arc<str>>,
    owner: Option<String>,
    request_id: Option<String>,
    token: u64,
    ttl: Duration,
    deadline: Duration,
}

#[derive(Debug)]
enum Entry {
    Held(LeaseId),
    Retained { until: Duration, owner: Option<String>, token: u64 },
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Lease(LeaseId),
    Retention(Arc<str>),
}

/// The table.
#[derive(Debug)]
pub struct Table {
    leases: HashMap<LeaseId, Lease>,
    resources: HashMap<Arc<str>, Entry>,
    /// Everything that ends by itself, soonest first.
    endings: BTreeSet<(Duration, Ending)>,
    ended: HashMap<LeaseId, NotLive>,
    ended_order: VecDeque<LeaseId>,
    last_token: u64,
    token_limit: u64,
}

impl Table {
    /// An empty table whose first token is `last_token + 1`. None past `token_limit` is given.
    pub fn new(last_token: u64, token_limit: u64) -> Self {
        Self {
            leases: HashMap::new(),
            resources: HashMap::new(),
            endings: BTreeSet::new(),
            ended: HashMap::new(),
            ended_order: VecDeque::new(),
            last_token,
            token_limit,
        }
    }

    /// Allows tokens up to `limit`, which the caller has made durable.
    pub fn raise_token_limit(&mut self, limit: u64) {
        self.token_limit = self.token_limit.max(limit);
    }

    /// Tokens that may still be given.
    pub fn tokens_left(&self) -> u64 {
        self.token_limit.saturating_sub(self.last_token)
    }

    /// The largest token that may be given.
    pub fn token_limit(&self) -> u64 {
        self.token_limit
    }

    /// How many leases are live.
    pub fn live_leases(&self) -> usize {
        self.leases.len()
    }

    /// Ends what has run out by `now`, and gives the resources whose lease expired.
    pub fn expire(&mut self, now: Duration) -> Vec<Expired> {
        let mut expired = Vec::new();
        while self.endings.first().is_some_and(|(at, _)| *at <= now) {
            match self.endings.pop_first() {
                Some((_, Ending::Lease(id))) => {
                    let Some(lease) = self.leases.remove(&id) else { continue };
                    self.remember(id, NotLive::Expired);
                    for resource in lease.resources {
                        self.resources.remove(&resource);
                        expired.push(Expired { resource, token: lease.token });
                    }
                }
                Some((_, Ending::Retention(resource))) => {
                    self.resources.remove(&resource);
                }
                None => break,
            }
        }
        expired
    }

    /// Grants a lease named `id` on all the resources, or refuses. Call [`Table::expire`] with the same `now` first.
    ///
    /// # Errors
    /// [`Refused`]; nothing was changed.
    pub fn acquire(&mut self, now: Duration, request: &Acquire, id: LeaseId) -> Result<Granted, Refused> {
        if let Some(granted) = self.granted_before(request) {
            return Ok(granted);
        }
        for resource in &request.resources {
            if let Some(entry) = self.resources.get(resource.as_str())
                && let Some(refused) = self.busy(now, resource, entry, request.despite_retention)
            {
                return Err(refused);
            }
        }
        if self.resources.len() + request.resources.len() > RESOURCES_TRACKED_MAX {
            return Err(Refused::Full);
        }
        let token = self.last_token.max(request.min_token) + 1;
        if token > self.token_limit {
            return Err(Refused::TokenLimit(token));
        }
        self.last_token = token;
        let deadline = now + request.ttl;
        let mut resources = Vec::with_capacity(request.resources.len());
        for resource in &request.resources {
            self.end_retention(resource);
            let resource: Arc<str> = resource.as_str().into();
            self.resources.insert(Arc::clone(&resource), Entry::Held(id));
            resources.push(resource);
        }
        let lease = Lease {
            resources,
            owner: request.owner.clone(),
            request_id: request.request_id.clone(),
            token,
            ttl: request.ttl,
            deadline,
        };
        self.leases.insert(id, lease);
        self.endings.insert((deadline, Ending::Lease(id)));
        Ok(Granted { lease: id, token, ttl: request.ttl, deadline, again: false })
    }

    /// Ends a lease. Call [`Table::expire`] with the same `now` first.
    pub fn release(&mut self, now: Duration, release: &Release) -> Released {
        let (id, retention) = match release {
            Release::ById { lease, retention } => (*lease, *retention),
            Release::ByName { resource, retention } => match self.resources.get(resource.as_str()) {
                Some(Entry::Held(id)) => {
                    if self.leases.get(id).is_some_and(|lease| lease.owner.is_some()) {
                        return Released::NotOwner { resource: resource.clone() };
                    }
                    (*id, *retention)
                }
                Some(Entry::Retained { .. }) => return Released::Nothing(NotLive::AlreadyReleased),
                None => return Released::Nothing(NotLive::Unknown),
            },
        };
        let Some(lease) = self.leases.remove(&id) else {
            return Released::Nothing(self.ended.get(&id).copied().unwrap_or(NotLive::Unknown));
        };
        self.endings.remove(&(lease.deadline, Ending::Lease(id)));
        self.remember(id, NotLive::AlreadyReleased);
        for resource in &lease.resources {
            self.resources.remove(resource);
            if retention > Duration::ZERO {
                let until = now + retention;
                let entry = Entry::Retained { until, owner: lease.owner.clone(), token: lease.token };
                self.resources.insert(Arc::clone(resource), entry);
                self.endings.insert((until, Ending::Retention(Arc::clone(resource))));
            }
        }
        Released::Freed(lease.resources)
    }

    /// The lease that this very request was granted before, if it is still live: its answer may have been lost.
    fn granted_before(&self, request: &Acquire) -> Option<Granted> {
        let (owner, request_id) = (request.owner.as_ref()?, request.request_id.as_ref()?);
        let Some(Entry::Held(id)) = self.resources.get(request.resources.first()?.as_str()) else {
            return None;
        };
        let lease = self.leases.get(id)?;
        let same = lease.owner.as_ref() == Some(owner)
            && lease.request_id.as_ref() == Some(request_id)
            && lease.resources.len() == request.resources.len()
            && lease.resources.iter().zip(&request.resources).all(|(held, asked)| **held == **asked);
        same.then_some(Granted {
            lease: *id,
            token: lease.token,
            ttl: lease.ttl,
            deadline: lease.deadline,
            again: true,
        })
    }

    fn busy(&self, now: Duration, resource: &str, entry: &Entry, despite_retention: bool) -> Option<Refused> {
        let (owner, token, until, retained) = match entry {
            Entry::Held(id) => {
                let lease = self.leases.get(id)?;
                (lease.owner.clone(), lease.token, lease.deadline, false)
            }
            Entry::Retained { .. } if despite_retention => return None,
            Entry::Retained { until, owner, token } => (owner.clone(), *token, *until, true),
        };
        let free_in = until.saturating_sub(now);
        Some(Refused::Busy { resource: resource.to_owned(), owner, token, free_in, retained })
    }

    fn end_retention(&mut self, resource: &str) {
        if let Some((name, Entry::Retained { until, .. })) = self.resources.remove_entry(resource) {
            self.endings.remove(&(until, Ending::Retention(name)));
        }
    }

    fn remember(&mut self, id: LeaseId, how: NotLive) {
        if self.ended_order.len() == ENDED_REMEMBERED
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        self.ended.insert(id, how);
        self.ended_order.push_back(id);
    }
}

#[cfg(test)]
mod tests;
