//! The paths of the coordinator's endpoints, for the server and for the client.

use crate::http::explained::TYPE_PATH;
use crate::http::problem::TYPES_PATH;

/// The entry point: the links to everything else.
pub const ENTRY: &str = "/";
/// Asks for a lease.
pub const LOCK: &str = "/lock";
/// Prolongs a lease.
pub const RENEW: &str = "/renew";
/// Ends a lease.
pub const UNLOCK: &str = "/unlock";
/// Several operations in one exchange.
pub const BATCH: &str = "/lote";
/// The list of locks.
pub const LOCKS: &str = "/locks";
/// The lock on one resource.
pub const LOCK_OF: &str = "/locks/{recurso}";
/// Publishes events and listens to them.
pub const EVENTS: &str = "/eventos";
/// The proof that the coordinator has the secret.
pub const CHALLENGE: &str = "/desafio";
/// Liveness.
pub const HEALTH: &str = "/saude";
/// Readiness.
pub const READY: &str = "/pronto";
/// The kinds of problem, explained.
pub const PROBLEMS: &str = TYPES_PATH;
/// One of them.
pub const PROBLEM: &str = TYPE_PATH;
/// Counters, for Prometheus.
pub const METRICS: &str = "/metrics";
