//! The paths of the coordinator's endpoints, for the server and for the client.

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
/// Counters, for Prometheus.
pub const METRICS: &str = "/metrics";
