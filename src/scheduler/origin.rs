//! Which request an operation belongs to: what records and events say of it, its logger, and where its steps are noted.

use std::sync::Arc;

use slog::Logger;

use crate::agenda::keeping::Keeping;
use crate::audit::record::Cause;
use crate::http::server::Request;
use crate::http::steps::Steps;
use crate::time::Timestamp;

/// The step from asking for a lock to the coordinator's answer.
pub const LOCK: &str = "lock";
/// The step from there to the store's answer.
pub const COMMIT: &str = "commit";

/// The request that asked for an operation. A use case outlives its connection, so it has copies of all.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its identifier, and who sent it.
    pub cause: Cause,
    /// Its logger.
    pub log: Logger,
    /// When it arrived.
    pub received: Timestamp,
    /// The SHA-256 of its time token, if it brings one to a booking.
    pub time_token: Option<String>,
    /// How long its steps took.
    pub steps: Arc<Steps>,
}

impl Origin {
    /// Where `request` comes from.
    pub fn of(request: &Request) -> Self {
        let keeping = request.head.extensions.get::<Arc<Keeping>>().cloned();
        let cause = Cause { request_id: request.id.clone(), caller: request.who.at(request.peer), keeping };
        Self { cause, log: request.log.clone(), received: request.received, time_token: None, steps: request.steps() }
    }
}
