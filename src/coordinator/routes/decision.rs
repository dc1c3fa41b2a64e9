//! Deciding one operation, alone or of a batch, and the answer to it.

use std::sync::Arc;
use std::time::Duration;

use slog::Logger;

use super::answers;
use super::forms::{self, Form};
use crate::coordinator::protocol::Operation;
use crate::coordinator::protocol::batch::WrittenAnswer;
use crate::coordinator::service::outcome::{LockOutcome, RenewRefused};
use crate::coordinator::service::waiting::QueuedRequest;
use crate::coordinator::service::{Begun, Requester, Service};
use crate::coordinator::table::{Granted, NotLive, Released};
use crate::http::presence::{Guest, Hosting};
use crate::http::problem::Problem;

/// The result of an operation, or its place in the queue.
pub enum Decision {
    /// A lock request that waits in the queue.
    Queued(QueuedRequest),
    /// A lock request that is decided.
    Locked(LockOutcome),
    /// A renewal.
    Renewed(Result<Granted, RenewRefused>),
    /// An unlock.
    Released(Released),
}

/// Decides `operation`. An operation that may have to wait needs a place among the long answers first; it is put into `guest` if that
/// is empty.
///
/// # Errors
/// When there is no such place.
pub async fn decide(
    service: &Arc<Service>,
    hosting: &Hosting,
    log: &Logger,
    operation: &Operation,
    requester: Requester<'_>,
    guest: &mut Option<Guest>,
) -> Result<Decision, Problem> {
    Ok(match operation {
        Operation::Lock(request) => {
            if !request.wait.is_zero() && guest.is_none() {
                *guest = Some(hosting.admit()?);
            }
            match service.begin(log, request, requester).await {
                Begun::Decided(outcome) => Decision::Locked(outcome),
                Begun::Queued(queued) => Decision::Queued(queued),
            }
        }
        Operation::Renew { lease, ttl } => Decision::Renewed(service.renew(log, *lease, *ttl).await),
        Operation::Unlock(release) => Decision::Released(service.unlock(log, release)),
    })
}

/// The answer to a lock request that is decided; `left_of` gives the remaining life of its lease.
pub fn locked(
    service: &Service,
    outcome: LockOutcome,
    form: Form,
    left_of: impl FnOnce(&Granted) -> Result<Duration, NotLive>,
) -> Result<WrittenAnswer, Problem> {
    match outcome {
        Ok(granted) => {
            let left = left_of(&granted).map_err(answers::lost)?;
            Ok(forms::granted(service, &granted, left, form))
        }
        Err(refused) => forms::refused(refused, form),
    }
}

/// The answer to a renewal, as [`locked`].
pub fn renewed(
    service: &Service,
    renewed: Result<Granted, RenewRefused>,
    form: Form,
    left_of: impl FnOnce(&Granted) -> Result<Duration, NotLive>,
) -> Result<WrittenAnswer, Problem> {
    let granted = renewed.map_err(answers::not_renewed)?;
    let left = left_of(&granted).map_err(answers::lost)?;
    Ok(forms::renewed(service, &granted, left, form))
}
