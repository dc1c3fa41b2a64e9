//! The outcomes of operations: a lease, or the reason why there is none.

use std::time::Duration;

use crate::coordinator::table::{Granted, NotGranted, NotLive};

/// What became of a lock request in the end.
pub type LockOutcome = Result<Granted, LockRefused>;

/// Why a lock request got no lease.
#[derive(Clone, Debug)]
pub enum LockRefused {
    /// The table's reason.
    Table(NotGranted),
    /// A limit that it needs cannot be made durable. For the log.
    NotDurable(String),
    /// A lease from before this start may be live, for this long.
    Grace(Duration),
    /// The requester has closed its connection.
    Gone,
    /// The service is stopping.
    Stopping,
    /// Another coordinator is elected, or may be.
    NotElected,
}

/// Why a lease was not renewed.
#[derive(Clone, Copy, Debug)]
pub enum RenewRefused {
    /// It is not live.
    NotLive(NotLive),
    /// The TTL cannot be made durable.
    NotDurable,
    /// The service has stopped, and the longest life of a lease is written down.
    Stopping,
}
