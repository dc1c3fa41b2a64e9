//! How rivals for a slot are kept apart: by the coordinator's locks; or not at all, to demonstrate the race.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::coordinator::client::Client;

/// What a booking passes on its way to the database.
pub enum Gate {
    /// The coordinator's locks: the real agenda.
    Locked(Locking),
    /// Nothing: the demonstration of the race, on a database of its own.
    Race,
}

/// How the scheduler locks.
pub struct Locking {
    /// The coordinator.
    pub client: Arc<Client>,
    /// Leases that are being given back. These tasks hold nothing that a stop has to close.
    pub unlocks: TaskTracker,
    /// The life of a lease.
    pub ttl: Duration,
    /// How long a slot stays refused after it was booked.
    pub retention: Duration,
}

impl Gate {
    /// The locks, where there are any.
    pub const fn locking(&self) -> Option<&Locking> {
        match self {
            Self::Locked(locking) => Some(locking),
            Self::Race => None,
        }
    }

    /// The mode's name in answers and records.
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Locked(_) => "com_trava",
            Self::Race => "sem_trava",
        }
    }
}
