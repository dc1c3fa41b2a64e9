//! Giving a lease back once its use case is decided.
//!
//! It is tried until the coordinator has answered, or the lease has expired. The answer to the client waits for that, up to
//! [`PATIENCE`]: then the client's next request, at this scheduler or at another, mostly finds the lock
//! released, and a coordinator that hangs delays no answer for longer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::{debug, info, warn};
use tokio_util::task::TaskTracker;

use super::gate::Locking;
use super::origin::Origin;
use super::to_its_end::to_its_end;
use crate::audit::record::Cause;
use crate::coordinator::client::{Client, Lease, Unlocked};
use crate::logging::Several;
use crate::text::Word;
use crate::time::micros;

/// How long the answer to the client waits for the unlock. A coordinator on the same machine needs a millisecond.
const PATIENCE: Duration = Duration::from_millis(50);
/// The pause between two tries at a coordinator that does not answer.
const RETRY: Duration = Duration::from_millis(500);

/// When the steps of a use case were reached.
pub struct Times {
    /// The lock was asked for.
    pub begun: Instant,
    /// The lease was granted.
    pub locked: Instant,
    /// The store had answered.
    pub committed: Instant,
}

/// Gives `lease` back; its resources stay refused for `retention`.
pub async fn give_back(
    locking: &Locking,
    origin: &Origin,
    (lease, resources): (Lease, &[String]),
    retention: Duration,
    times: Times,
) {
    info!(origin.log, "Liberando lock para o recurso {}", Word(&resources[0]); Several(resources.len()));
    let (client, resources) = (Arc::clone(&locking.client), resources.to_vec());
    let mut origin = origin.clone();
    // A key that the request has is free once its answer is there.
    origin.cause.keeping = None;
    let unlock = unlock(client, origin, lease, resources, retention, times);
    // After the timeout it goes on.
    let _ = tokio::time::timeout(PATIENCE, to_its_end(&locking.unlocks, unlock)).await;
}

async fn unlock(
    client: Arc<Client>,
    origin: Origin,
    lease: Lease,
    resources: Vec<String>,
    retention: Duration,
    times: Times,
) {
    let Origin { cause: Cause { request_id, .. }, log, .. } = &origin;
    let first = client.unlock(request_id, &lease, retention).await;
    debug!(log, "Tempos da operação";
        "lock_us" => micros(times.locked - times.begun),
        "commit_us" => micros(times.committed - times.locked),
        "unlock_us" => micros(times.committed.elapsed()),
    );
    match first {
        Ok(Unlocked::Freed) => return,
        Ok(Unlocked::WasGone(why)) => return warn!(log, "Lock já não existia ao liberar: {}", why),
        Err(reason) => {
            warn!(log, "Lock sem confirmação de liberação para o recurso {}: {}", Word(&resources[0]), reason;
                Several(resources.len()));
        }
    }
    while Instant::now() < lease.deadline {
        tokio::time::sleep(RETRY).await;
        match client.unlock(request_id, &lease, retention).await {
            Ok(Unlocked::Freed) => return info!(log, "Lock liberado com atraso"),
            Ok(Unlocked::WasGone(why)) => return warn!(log, "Lock já não existia ao liberar: {}", why),
            // The first failure was logged.
            Err(_) => {}
        }
    }
}

/// Waits up to `patience` for the leases that are being given back. The rest expire by themselves.
pub async fn finish(unlocks: &TaskTracker, patience: Duration, log: &slog::Logger) {
    unlocks.close();
    if tokio::time::timeout(patience, unlocks.wait()).await.is_err() {
        warn!(log, "{} travas sem confirmação de liberação ao encerrar; as que restarem vencem por si", unlocks.len());
    }
}
