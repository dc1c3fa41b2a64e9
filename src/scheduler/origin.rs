//! Which request an operation belongs to: its identifier, for records and events, and its logger.

use std::sync::Arc;

use slog::Logger;

/// The request that asked for an operation. A use case outlives its connection, so it has a copy of both.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The request's identifier.
    pub request_id: Arc<str>,
    /// The request's logger.
    pub log: Logger,
}
