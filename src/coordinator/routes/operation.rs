//! `POST /lock`, `/renew` and `/unlock`: one operation and its answer.

use std::sync::Arc;

use super::answers;
use super::decision::{self, Decision, decide};
use super::forms::{self, Form};
use super::rights::Rights;
use crate::coordinator::protocol::requests::OperationKind;
use crate::coordinator::protocol::{BODY_MAX, Operation};
use crate::coordinator::service::outcome::LockOutcome;
use crate::coordinator::service::waiting::QueuedRequest;
use crate::coordinator::service::{Looked, Requester, Service};
use crate::coordinator::table::Granted;
use crate::http::Response;
use crate::http::identity::{ended, read_json};
use crate::http::pass::Pass;
use crate::http::presence::{Guest, Presence};
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::unknown::Unknown;

/// Decides an operation, and waits in the queue where it has to.
pub async fn answer(
    service: &Arc<Service>,
    request: &mut Request,
    kind: OperationKind,
    rights: &Rights,
    unknown: &mut Unknown,
) -> Result<Response, Problem> {
    let bytes = read_json(request, BODY_MAX).await?;
    let operation = Operation::read_body(kind, &bytes, unknown)?;
    // Before the lines of the decision.
    unknown.log(&request.log);
    rights.check_operation(service, &operation)?;
    let (mut presence, mut looked, mut guest) = (request.hosting.presence(), Looked::default(), None);
    let client = service.client(&request.who.at(request.peer));
    let requester = Requester { presence: &mut presence, client: client.as_ref(), looked: &mut looked };
    let decided = decide(service, &request.hosting, &request.log, &operation, requester, &mut guest).await?;
    let left_of = |granted: &Granted| service.left_of(granted);
    let answer = match decided {
        Decision::Queued(queued) => {
            let outcome = outcome(queued, guest, &mut presence, &request.pass).await?;
            decision::locked(service, outcome, Form::ALONE, left_of)?
        }
        Decision::Locked(outcome) => decision::locked(service, outcome, Form::ALONE, left_of)?,
        Decision::Renewed(renewed) => decision::renewed(service, renewed, Form::ALONE, left_of)?,
        Decision::Released(released) => forms::released(released, Form::ALONE)?,
    };
    Ok(unknown.answer(&answer))
}

/// The outcome of a request in the queue.
async fn outcome(
    mut queued: QueuedRequest,
    guest: Option<Guest>,
    client: &mut Presence,
    pass: &Pass,
) -> Result<LockOutcome, Problem> {
    // It was queued because it may wait, and then it was given a place.
    let Some(guest) = guest else { return Err(Problem::internal("um pedido sem espera ficou na fila")) };
    let outcome = tokio::select! {
        biased;
        () = guest.gone() => return Err(answers::gone()),
        () = pass.ended() => return Err(ended()),
        outcome = queued.decided() => outcome,
    };
    if client.is_gone() {
        // Dropped before it is delivered, the queued request takes its grant back.
        return Err(answers::gone());
    }
    queued.delivered();
    Ok(outcome)
}
