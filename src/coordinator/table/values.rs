//! The table's requests, answers and happenings.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::bounds::{Bound, OverQuota};
use super::entrants::{Contenders, Contest};

/// How far above the last token a request may lift the counter. So one request can neither use up the tokens nor lift them so
/// far that, after the state is lost, requests cannot lift them there again. An operator may lift them further.
pub const TOKEN_JUMP_MAX: u64 = 1 << 20;

/// The names of a request's resources, shared between the table, the log and the answers.
pub type Resources = Arc<[Arc<str>]>;

/// A lease's identity: 128 random bits, known to its holder alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u128);

impl LeaseId {
    /// Reads the 32 lower-case hexadecimal digits that [`LeaseId`] is shown as.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bits = [0; size_of::<u128>()];
        let read = base16ct::lower::decode(text, &mut bits).ok()?;
        (read.len() == size_of::<u128>()).then(|| Self(u128::from_be_bytes(bits)))
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for LeaseId {
    /// The identity is a secret: it is enough to unlock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseId(…)")
    }
}

/// Hashes a [`LeaseId`] by its own bits: they are random, and no client can choose them.
pub(super) type RandomIds = BuildHasherDefault<OwnBits>;

#[derive(Default)]
pub(super) struct OwnBits(u64);

impl Hasher for OwnBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, bits: u128) {
        self.write(&bits.to_le_bytes()[..8]);
    }
}

/// A place in the queue: a smaller one is served earlier. In a contest the smaller stamp is; else who came earlier, and after all contests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// The stamp, in a contest; else [`Ticket::NO_STAMP`].
    pub(super) stamp_us: i64,
    /// Counts the waiters.
    pub(super) number: u64,
}

impl Ticket {
    /// The place in the order of stamps of those that have none.
    pub(super) const NO_STAMP: i64 = i64::MAX;

    /// Whether it is one in a contest.
    pub(super) fn is_contested(self) -> bool {
        self.stamp_us != Self::NO_STAMP
    }
}

/// A request for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// The resources: distinct names, at least one.
    pub resources: Resources,
    /// The owner's name.
    pub owner: Option<Arc<str>>,
    /// With an owner: the same request again gets the same lease again.
    pub request_id: Option<Arc<str>>,
    /// The lease's life, from the grant on.
    pub ttl: Duration,
    /// How long to wait for it. Zero does not wait.
    pub wait: Duration,
    /// The token will be larger than this.
    pub min_token: u64,
    /// Whether a retained resource counts as free.
    pub despite_retention: bool,
    /// With it the request is decided together with its rivals; it waits for that alone, at most for `wait`.
    pub contest: Option<Contest>,
}

/// A request to end a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// The answer to a request that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It has its lease.
    Granted(Granted),
    /// It waits in the queue; a [`Happened`] will tell the outcome.
    Queued {
        /// Its place.
        ticket: Ticket,
        /// Whether the same request was waiting there before.
        again: bool,
    },
}

/// A lease as granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its identity.
    pub lease: LeaseId,
    /// The locked resources.
    pub resources: Resources,
    /// The holder's name.
    pub owner: Option<Arc<str>>,
    /// Its fencing token.
    pub token: u64,
    /// Its life, from the grant or the last renewal on.
    pub ttl: Duration,
    /// When it ends.
    pub deadline: Duration,
    /// How long it was waited for.
    pub waited: Duration,
    /// Whether the same request had been granted it before.
    pub again: bool,
    /// Who was in the contest for it, if there was one.
    pub contenders: Option<Contenders>,
}

impl Granted {
    /// The public part of the lease, as it is told once the lease has ended.
    pub fn ended(&self) -> Ended {
        Ended { resources: Arc::clone(&self.resources), owner: self.owner.clone(), token: self.token }
    }
}

/// Why a lease was not granted. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotGranted {
    /// One of the resources is not free.
    Busy(Busy),
    /// The next token, this one, is past the limit that is known to be durable.
    TokenLimit(u64),
    /// The caller has seen tokens that are too far above the last one given, this one.
    TooFar {
        /// The largest token that the caller has seen.
        min_token: u64,
        /// The last token given.
        last_token: u64,
    },
    /// The TTL is longer than the durable one.
    TtlLimit,
    /// Too much is held, retained or waited for.
    Full(Bound),
    /// A queue, or all of them together, is full.
    QueueFull(Bound),
    /// The client would have more than one client may have.
    Quota(OverQuota),
    /// All waiters are sent away: the table is closing.
    Dismissed,
    /// The time is over in which the table may give anything.
    Lapsed,
}

/// Why a resource is not free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The resource.
    pub resource: Arc<str>,
    /// Its state.
    pub state: State,
    /// The number of waiters for it, without the one that is refused.
    pub queue: usize,
    /// How long this was waited for.
    pub waited: Duration,
}

/// A resource's state, as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Held under a lease.
    Held {
        /// The holder's name.
        owner: Option<Arc<str>>,
        /// The lease's token.
        token: u64,
        /// How long the lease has left.
        free_in: Duration,
    },
    /// Released, and refused for a while.
    Retained {
        /// The last holder's name.
        owner: Option<Arc<str>>,
        /// The token it was held under.
        token: u64,
        /// How long it stays refused.
        free_in: Duration,
    },
    /// Free, but promised to the first in its queue, which waits for another resource too.
    Promised,
}

/// The answer to a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// The lease was live and is no more.
    Freed(Ended),
    /// There was nothing to end.
    Nothing(NotLive),
    /// By name alone, for a lease that has an owner.
    NotOwner {
        /// The resource.
        resource: String,
    },
}

/// A lease that was live and is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The resources that it locked.
    pub resources: Resources,
    /// The holder's name.
    pub owner: Option<Arc<str>>,
    /// Its token.
    pub token: u64,
}

/// Why a lease is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLive {
    /// It was released before.
    AlreadyReleased,
    /// It had expired.
    Expired,
    /// An operator took it away.
    Forced,
    /// Never granted here, or so long ago that it is forgotten.
    Unknown,
}

/// Why a lease was not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRenewed {
    /// It is not live, and a renewal never resurrects.
    NotLive(NotLive),
    /// The TTL is longer than the durable one.
    TtlLimit,
    /// The time is over in which the table may give anything.
    Lapsed,
}

/// The lease or the retention that an operator's order takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForceTarget {
    /// The lease; of a retention, its one resource and its last holder.
    pub ended: Ended,
    /// Whether it was only retained.
    pub retained: bool,
}

/// A consequence of a change for other requests than the one that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A lease ran out.
    Expired(Ended),
    /// A waiter has its lease.
    Granted {
        /// The waiter's place.
        ticket: Ticket,
        /// The lease.
        granted: Granted,
    },
    /// A waiter got no lease.
    Refused {
        /// The waiter's place.
        ticket: Ticket,
        /// Why. After a wait to its end, the obstacle.
        refused: NotGranted,
    },
}

/// A resource in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub resource: Arc<str>,
    /// Its state.
    pub state: State,
    /// The number of waiters for it.
    pub queue: usize,
}

/// A resource looked at closely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// As in a list.
    pub listed: Listed,
    /// All resources of its lease, and the lease's TTL, where it is held.
    pub lease: Option<(Resources, Duration)>,
    /// The first waiters, in order.
    pub waiting: Vec<WaiterView>,
}

/// A waiter, as others may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiterView {
    /// The waiter's name.
    pub owner: Option<Arc<str>>,
    /// How long it has waited.
    pub waited: Duration,
    /// How much longer it may wait.
    pub gives_up_in: Duration,
    /// The resources that it waits for.
    pub resources: Resources,
}

/// How much is in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Live leases.
    pub leases: usize,
    /// Resources held under them.
    pub held: usize,
    /// Resources retained.
    pub retained: usize,
    /// Waiters.
    pub waiting: usize,
    /// Clients that have a lease, a retention or a place in a queue, and a quota.
    pub clients: usize,
    /// The memory of all of it, in bytes.
    pub bytes: usize,
    /// How much of it is the waiters'.
    pub queue_bytes: usize,
}
