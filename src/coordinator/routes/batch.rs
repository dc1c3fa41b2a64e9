//! `POST /lote`: several operations in one exchange, each decided on its own.
//!
//! They are begun in order; an operation that waits does not delay the next. An answer leaves once its operation and all
//! before it are decided: where none waits, all leave together; else the body is sent in pieces. An answer says what is left of its
//! lease at the instant at which the answer is written.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, unfold};
use hyper::StatusCode;
use slog::Logger;
use tokio::sync::OwnedSemaphorePermit;

use super::answers;
use super::decision::{self, Decision, decide};
use super::forms::{self, Form, Length};
use super::rights::Rights;
use crate::coordinator::protocol::batch::{Entry, WrittenAnswer};
use crate::coordinator::protocol::{self, Operation};
use crate::coordinator::service::outcome::{LockOutcome, LockRefused};
use crate::coordinator::service::{Looked, Requester, Service};
use crate::coordinator::table::{Client, Granted, NotLive, Released};
use crate::http::identity::ended;
use crate::http::pass::Pass;
use crate::http::prefer::{self, is_minimal};
use crate::http::presence::{Guest, Presence};
use crate::http::problem::Problem;
use crate::http::request_id::RequestId;
use crate::http::server::{Request, log_problem};
use crate::http::unknown::{Handling, Unknown};
use crate::http::{self, Response};

/// After so many operations or answers of a batch, the tasks of other requests have a turn.
const TURN: usize = 16;

/// Room for the answer to an operation as the schedulers ask for it, and for what is around all answers.
const ANSWER_BYTES: usize = 160;
const USUAL_BYTES: usize = 32;

/// The decision of an entry, or why there is none.
type Outcome = Result<Decision, Problem>;

/// The context of one operation: its request's identifier, its logger, its unknown fields.
struct Cause {
    id: RequestId,
    log: Logger,
    unknown: Unknown,
}

impl Cause {
    /// The operation's answer, with its unknown fields.
    fn noted(&self, answered: Result<WrittenAnswer, Problem>) -> WrittenAnswer {
        let answer = answered.unwrap_or_else(|problem| {
            log_problem(&self.log, &problem);
            WrittenAnswer::Other(problem.to_value(&self.id))
        });
        self.unknown.added_to(answer).map_or_else(|answer| answer, WrittenAnswer::Other)
    }
}

/// The operations that were begun and are not answered yet. If they are dropped before that, their grants are undone: the client
/// does not know of them.
struct Batch {
    service: Arc<Service>,
    presence: Presence,
    looked: Looked,
    /// In whose quota each lock request counts, if it counts in one.
    client: Option<Client>,
    pass: Pass,
    guest: Option<Guest>,
    /// Room for the answers that wait for an earlier one, once an operation may have to wait.
    room: Option<OwnedSemaphorePermit>,
    unsaid: VecDeque<(Cause, Outcome)>,
    /// The tokens of the leases that the batch itself released.
    given_back: Vec<u64>,
    /// How the answers are written.
    form: Form,
}

impl Drop for Batch {
    fn drop(&mut self) {
        for (_, outcome) in &self.unsaid {
            if let Ok(Decision::Locked(outcome)) = outcome {
                self.service.undo(outcome);
            }
        }
    }
}

/// Decides each operation on its own, in order.
pub async fn answer(
    service: &Arc<Service>,
    request: &mut Request,
    bytes: &[u8],
    rights: &Rights,
    unknown: &mut Unknown,
) -> Result<Response, Problem> {
    let entries = protocol::batch::entries(bytes, unknown)?;
    request.meter.charge_more(entries.len().saturating_sub(1))?;
    let handling = Handling::asked(&request.head.headers);
    let length = if is_minimal(&request.head.headers) { Length::Brief } else { Length::Full };
    let mut batch = Batch {
        service: Arc::clone(service),
        presence: request.hosting.presence(),
        looked: Looked::default(),
        client: service.client(&request.who.at(request.peer)),
        pass: request.pass.clone(),
        guest: None,
        room: None,
        unsaid: VecDeque::with_capacity(entries.len()),
        given_back: Vec::new(),
        form: Form { length, status: Some(StatusCode::OK.as_u16()) },
    };
    let count = entries.len();
    for (index, text) in entries.into_iter().enumerate() {
        if index > 0 && index % TURN == 0 {
            tokio::task::yield_now().await;
        }
        let mut entry = Entry::read(text);
        let req = entry.as_mut().map_or(None, |entry| entry.req.take());
        let mut cause = batch.cause(request, rights, req, Unknown::new(handling));
        let outcome = match entry {
            Ok(entry) => batch.begin(request, &mut cause, rights, entry, count - index).await,
            Err(errors) => Err(Problem::invalid_fields(errors)),
        };
        cause.unknown.log(&cause.log);
        batch.unsaid.push_back((cause, outcome));
    }
    if batch.presence.is_gone() {
        batch.abandon(answers::gone);
    }
    let end = unknown.member().map_or(Cow::Borrowed("]}"), |notices| format!("],{notices}}}").into());
    let mut pieces = Pieces { batch, next: "", end, late: false };
    let mut first = Vec::with_capacity(USUAL_BYTES + count * ANSWER_BYTES);
    first.extend_from_slice(b"{\"respostas\":[");
    while pieces.write_ready(&mut first) {
        tokio::task::yield_now().await;
    }
    if pieces.batch.unsaid.is_empty() {
        first.extend_from_slice(pieces.end.as_bytes());
        return Ok(preferred(http::bytes(StatusCode::OK, "application/json", first), length));
    }
    pieces.late = true;
    let rest = unfold(Some(pieces), async |pieces| {
        let mut pieces = pieces?;
        let piece = pieces.next().await;
        let pieces = (!pieces.batch.unsaid.is_empty()).then_some(pieces);
        Some((piece, pieces))
    });
    Ok(preferred(http::json_in_pieces(stream::iter([first.into()]).chain(rest)), length))
}

/// The answer, which says so if it is shorter than usual.
fn preferred(mut response: Response, length: Length) -> Response {
    if length == Length::Brief {
        response.headers_mut().append(prefer::APPLIED, prefer::MINIMAL);
    }
    response
}

/// The body, piece by piece.
struct Pieces {
    batch: Batch,
    /// The text before the next answer.
    next: &'static str,
    /// The text after the last answer.
    end: Cow<'static, str>,
    /// Whether answers leave some time after they were decided.
    late: bool,
}

impl Pieces {
    /// Writes answers that can leave now, at the most [`TURN`]. Whether there may be more of them.
    fn write_ready(&mut self, text: &mut Vec<u8>) -> bool {
        for _ in 0..TURN {
            let Some(answer) = self.batch.say_next(self.late) else { return false };
            text.extend_from_slice(self.next.as_bytes());
            // A struct of texts and numbers: serialising it to memory cannot fail.
            serde_json::to_writer(&mut *text, &answer).expect("an answer serialises");
            self.next = ",";
        }
        true
    }

    /// The next piece, once there is one; with the last of them the end.
    async fn next(&mut self) -> Bytes {
        let Batch { unsaid, guest, pass, .. } = &mut self.batch;
        let lost = match (unsaid.front_mut(), guest) {
            (Some((_, Ok(Decision::Queued(queued)))), Some(guest)) => tokio::select! {
                biased;
                () = guest.gone() => Some(answers::gone as fn() -> Problem),
                () = pass.ended() => Some(ended as fn() -> Problem),
                _ = queued.decided() => None,
            },
            // This does not happen: the first unanswered operation waits, and an operation that waits has a place (`guest`).
            _ => None,
        };
        if let Some(why) = lost.or_else(|| self.batch.presence.is_gone().then_some(answers::gone as fn() -> Problem)) {
            self.batch.abandon(why);
        }
        let mut text = Vec::new();
        while self.write_ready(&mut text) {}
        if self.batch.unsaid.is_empty() {
            text.extend_from_slice(self.end.as_bytes());
        }
        text.into()
    }
}

impl Batch {
    /// The answer to the first operation that has none yet, if it is decided.
    fn say_next(&mut self, late: bool) -> Option<WrittenAnswer> {
        if let Ok(Decision::Queued(queued)) = &mut self.unsaid.front_mut()?.1 {
            drop(queued.outcome()?);
        }
        let (cause, outcome) = self.unsaid.pop_front()?;
        Some(cause.noted(outcome.and_then(|decision| self.answer(decision, late))))
    }

    fn answer(&self, decision: Decision, late: bool) -> Result<WrittenAnswer, Problem> {
        let service = &self.service;
        let left_of = |granted: &Granted| self.left_of(granted);
        let as_of_now =
            |outcome: LockOutcome| outcome.map_err(|refused| if late { service.as_of_now(refused) } else { refused });
        match decision {
            Decision::Queued(mut queued) => {
                let outcome = queued.outcome().unwrap_or(Err(LockRefused::Stopping));
                queued.delivered();
                decision::locked(service, as_of_now(outcome), self.form, left_of)
            }
            Decision::Locked(outcome) => decision::locked(service, as_of_now(outcome), self.form, left_of),
            Decision::Renewed(renewed) => decision::renewed(service, renewed, self.form, left_of),
            Decision::Released(released) => forms::released(released, self.form),
        }
    }

    /// What is left of a lease now. Of a lease that the same batch released nothing is left, and that is no error: the client asked
    /// for it.
    fn left_of(&self, granted: &Granted) -> Result<Duration, NotLive> {
        match self.service.left_of(granted) {
            Err(NotLive::AlreadyReleased) if self.given_back.contains(&granted.token) => Ok(Duration::ZERO),
            left => left,
        }
    }

    /// The client has gone, or is not known any more: unanswered grants are undone. Their answers say `why`.
    fn abandon(&mut self, why: fn() -> Problem) {
        for (_, outcome) in &mut self.unsaid {
            if let Ok(Decision::Locked(Ok(_)) | Decision::Queued(_)) = outcome {
                let undone = std::mem::replace(outcome, Err(why()));
                if let Ok(Decision::Locked(outcome)) = undone {
                    self.service.undo(&outcome);
                }
            }
        }
    }

    /// The context of an operation whose entry names that request, or none.
    fn cause(&self, request: &Request, rights: &Rights, req: Option<RequestId>, unknown: Unknown) -> Cause {
        // Another caller's word on which request this belongs to is no reason to log it under that request.
        match req.filter(|_| rights.are_a_schedulers()) {
            Some(id) => Cause { log: rights.named_in(&self.service.request_log(&id)), id, unknown },
            None => Cause { id: request.id.clone(), log: request.log.clone(), unknown },
        }
    }

    /// Begins the operation of an entry; `left` are still to be begun, with it.
    async fn begin(
        &mut self,
        request: &Request,
        cause: &mut Cause,
        rights: &Rights,
        entry: Entry<'_>,
        left: usize,
    ) -> Outcome {
        let Self { service, presence, looked, client, guest, room, .. } = self;
        let operation = entry.operation(&mut cause.unknown).map_err(Problem::invalid_fields)?;
        // Before the lines of the decision.
        cause.unknown.log(&cause.log);
        rights.check_operation(service, &operation)?;
        if room.is_none() && matches!(&operation, Operation::Lock(request) if !request.wait.is_zero()) {
            *room = Some(service.room_for_answers(&cause.log, left).ok_or_else(answers::too_many_answers)?);
        }
        let requester = Requester { presence, client: client.as_ref(), looked };
        let decision = decide(service, &request.hosting, &cause.log, &operation, requester, guest).await?;
        if let Decision::Released(Released::Freed(ended)) = &decision {
            self.given_back.push(ended.token);
        }
        Ok(decision)
    }
}
