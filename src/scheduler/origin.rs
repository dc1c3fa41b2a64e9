//! Which request an operation belongs to: its identifier, for records and events, and its logger.

use slog::Logger;

use crate::http::request_id::RequestId;

/// The request that asked for an operation. A use case outlives its connection, so it has a copy of both.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The request's identifier.
    pub request_id: RequestId,
    /// The request's logger.
    pub log: Logger,
}
