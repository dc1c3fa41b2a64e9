//! Which request an operation belongs to: what records and events say of it, and its logger.

use slog::Logger;

use crate::audit::record::Cause;
use crate::http::server::Request;

/// The request that asked for an operation. A use case outlives its connection, so it has a copy of both.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its identifier, and who sent it.
    pub cause: Cause,
    /// Its logger.
    pub log: Logger,
}

impl Origin {
    /// Where `request` comes from.
    pub fn of(request: &Request) -> Self {
        let cause = Cause { request_id: request.id.clone(), caller: request.who.at(request.peer) };
        Self { cause, log: request.log.clone() }
    }
}
