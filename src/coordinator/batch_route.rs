//! `POST /lote`: several operations in one exchange, each decided on its own.
//!
//! They are begun in order, and one that waits does not detain the next. An answer leaves once its operation and all
//! before it are decided: where none waits, all leave together; else the body is sent piece by piece. What is said of a
//! lease is what is true when it is said.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, unfold};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use slog::Logger;

use super::answers;
use super::protocol::{self, BATCH_MAX, LeaseReply, ReleasedReply};
use super::service::{Begun, LockRefused, RenewRefused, Service};
use super::table::{Granted, NotLive, Released};
use super::waiting::{Told, Wait};
use crate::http::fields::Fields;
use crate::http::presence::{Guest, Presence};
use crate::http::problem::{FieldError, Problem};
use crate::http::server::{Request, is_request_id, log_problem};
use crate::http::unknown::{Handling, Unknown};
use crate::http::{self, Response};

/// One operation's answer: the members that it would have alone, and its status.
#[derive(Serialize)]
#[serde(untagged)]
enum OperationAnswer {
    Lease(LeaseReply),
    Released(ReleasedReply),
    /// A problem document, which has its status already, or an answer with notices.
    Other(Value),
}

const OK: Option<u16> = Some(200);

/// An operation once begun.
enum Operation {
    Waits(Wait),
    Locked(Told),
    Renewed(Result<Granted, RenewRefused>),
    Released(Released),
    Refused(Problem),
}

/// What an operation's log lines and answers carry.
struct Caller {
    id: Arc<str>,
    log: Logger,
    unknown: Unknown,
}

impl Caller {
    /// The operation's answer, with what was passed over of it.
    fn noted(&self, answered: Result<OperationAnswer, Problem>) -> OperationAnswer {
        let answer = answered.unwrap_or_else(|problem| {
            log_problem(&self.log, &problem);
            OperationAnswer::Other(problem.to_value(&self.id))
        });
        self.unknown.added_to(answer).map_or_else(|answer| answer, OperationAnswer::Other)
    }
}

/// The operations that were begun and are not answered yet. If they are dropped before, their grants are undone: no client has
/// heard of them.
struct Batch {
    service: Arc<Service>,
    client: Presence,
    guest: Option<Guest>,
    unsaid: VecDeque<(Caller, Operation)>,
    /// The tokens of the leases that it gave back itself.
    given_back: Vec<u64>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        for (_, operation) in &self.unsaid {
            if let Operation::Locked(told) = operation {
                self.service.undo(told);
            }
        }
    }
}

/// Decides each operation on its own, in order.
pub async fn batch(
    service: &Arc<Service>,
    request: &Request,
    bytes: &[u8],
    unknown: &mut Unknown,
) -> Result<Response, Problem> {
    let raw_operations = operations(bytes, unknown)?;
    let mut batch = Batch {
        service: Arc::clone(service),
        client: request.hosting.presence(),
        guest: None,
        unsaid: VecDeque::with_capacity(raw_operations.len()),
        given_back: Vec::new(),
    };
    for raw in raw_operations {
        let unknown = Unknown::new(Handling::asked(&request.head.headers));
        let mut caller = Caller { id: Arc::clone(&request.id), log: request.log.clone(), unknown };
        let operation = batch.begin(request, &mut caller, raw).await.unwrap_or_else(Operation::Refused);
        caller.unknown.log(&caller.log);
        batch.unsaid.push_back((caller, operation));
    }
    if batch.client.is_gone() {
        batch.abandon();
    }
    let end = unknown.member().map_or_else(|| "]}".to_owned(), |notices| format!("],{notices}}}"));
    let mut pieces = Pieces { batch, next: "", end, late: false };
    let first = format!("{{\"respostas\":[{}", pieces.ready());
    if pieces.batch.unsaid.is_empty() {
        return Ok(http::bytes(StatusCode::OK, "application/json", (first + &pieces.end).into()));
    }
    pieces.late = true;
    let rest = unfold(Some(pieces), async |pieces| {
        let mut pieces = pieces?;
        let piece = pieces.next().await;
        let pieces = (!pieces.batch.unsaid.is_empty()).then_some(pieces);
        Some((piece, pieces))
    });
    Ok(http::json_in_pieces(stream::iter([first.into()]).chain(rest)))
}

/// The body, piece by piece.
struct Pieces {
    batch: Batch,
    /// What stands before the next answer.
    next: &'static str,
    /// What stands after the last.
    end: String,
    /// Whether answers leave some time after they were decided.
    late: bool,
}

impl Pieces {
    /// All answers that can leave now.
    fn ready(&mut self) -> String {
        let mut text = String::new();
        while let Some(answer) = self.batch.say_next(self.late) {
            // A struct of texts and numbers: serialising it to memory cannot fail, nor can writing to a `String`.
            let answer = serde_json::to_string(&answer).expect("an answer serialises");
            let _ = write!(text, "{}{answer}", self.next);
            self.next = ",";
        }
        text
    }

    /// The next piece, once there is one; with the last of them the end.
    async fn next(&mut self) -> Bytes {
        let Batch { unsaid, guest, .. } = &mut self.batch;
        let gone = match (unsaid.front_mut(), guest) {
            (Some((_, Operation::Waits(wait))), Some(guest)) => tokio::select! {
                biased;
                () = guest.gone() => true,
                _ = wait.decided() => false,
            },
            // This does not happen: the first that is left waits, and an operation that waits has a place (`guest`).
            _ => false,
        };
        if gone || self.batch.client.is_gone() {
            self.batch.abandon();
        }
        let mut text = self.ready();
        if self.batch.unsaid.is_empty() {
            text.push_str(&self.end);
        }
        text.into()
    }
}

impl Batch {
    /// The answer to the first operation that has none yet, if it is decided.
    fn say_next(&mut self, late: bool) -> Option<OperationAnswer> {
        if let Operation::Waits(wait) = &mut self.unsaid.front_mut()?.1 {
            drop(wait.told()?);
        }
        let (caller, operation) = self.unsaid.pop_front()?;
        Some(caller.noted(self.answer(operation, late)))
    }

    fn answer(&self, operation: Operation, late: bool) -> Result<OperationAnswer, Problem> {
        let service = &self.service;
        Ok(match operation {
            Operation::Waits(mut wait) => {
                let told = wait.told().unwrap_or(Err(LockRefused::Stopping));
                wait.delivered();
                self.locked(told, late)?
            }
            Operation::Locked(told) => self.locked(told, late)?,
            Operation::Renewed(renewed) => {
                let renewed = renewed.map_err(answers::not_renewed)?;
                let left = self.left_of(&renewed)?;
                OperationAnswer::Lease(LeaseReply { status: OK, ..answers::renewed(service, &renewed, left) })
            }
            Operation::Released(released) => {
                OperationAnswer::Released(ReleasedReply { status: OK, ..answers::released(released)? })
            }
            Operation::Refused(problem) => return Err(problem),
        })
    }

    fn locked(&self, told: Told, late: bool) -> Result<OperationAnswer, Problem> {
        let service = &self.service;
        let granted =
            told.map_err(|refused| answers::refusal(if late { service.as_of_now(refused) } else { refused }))?;
        let left = self.left_of(&granted)?;
        Ok(OperationAnswer::Lease(LeaseReply { status: OK, ..answers::granted(service, &granted, left) }))
    }

    /// What is left of a lease now. Of one that this same batch gave back nothing is left, and that is no error: the client asked
    /// for it.
    fn left_of(&self, granted: &Granted) -> Result<Duration, Problem> {
        match self.service.left_of(granted) {
            Err(NotLive::AlreadyReleased) if self.given_back.contains(&granted.token) => Ok(Duration::ZERO),
            left => left.map_err(answers::lost),
        }
    }

    /// The client has gone: what it has not heard of is undone, and said to be so, in case it only stopped sending.
    fn abandon(&mut self) {
        for (_, operation) in &mut self.unsaid {
            if let Operation::Locked(Ok(_)) | Operation::Waits(_) = operation {
                let undone = std::mem::replace(operation, Operation::Refused(answers::gone()));
                if let Operation::Locked(told) = undone {
                    self.service.undo(&told);
                }
            }
        }
    }

    async fn begin(&mut self, request: &Request, caller: &mut Caller, raw: &RawValue) -> Result<Operation, Problem> {
        const ALSO: &str = ", op, req";
        let service = &self.service;
        let mut fields = Fields::from_raw(raw).map_err(|error| Problem::invalid_fields(vec![error]))?;
        if let Some(brought) = text(&mut fields, "req")? {
            if !is_request_id(&brought) {
                return Err(wrong(
                    "req",
                    "deve ter de 1 a 64 caracteres de A–Z a–z 0–9 . _ -, e uma letra ou um algarismo",
                ));
            }
            caller.id = brought.into();
            caller.log = service.request_log(&caller.id);
        }
        match text(&mut fields, "op")?.as_deref() {
            Some("lock") => {
                let acquire =
                    protocol::read_lock(fields, ALSO, &mut caller.unknown).map_err(Problem::invalid_fields)?;
                if !acquire.wait.is_zero() && self.guest.is_none() {
                    self.guest = Some(request.hosting.admit()?);
                }
                Ok(match service.begin(&caller.log, &acquire, &mut self.client).await {
                    Begun::Decided(told) => Operation::Locked(told),
                    Begun::Waits(wait) => Operation::Waits(wait),
                })
            }
            Some("renew") => {
                let read = protocol::read_renew(fields, ALSO, &mut caller.unknown);
                let (id, ttl) = read.map_err(Problem::invalid_fields)?;
                Ok(Operation::Renewed(service.renew(&caller.log, id, ttl).await))
            }
            Some("unlock") => {
                let read = protocol::read_unlock(fields, ALSO, &mut caller.unknown);
                let release = read.map_err(Problem::invalid_fields)?;
                let released = service.unlock(&caller.log, &release);
                if let Released::Freed(ended) = &released {
                    self.given_back.push(ended.token);
                }
                Ok(Operation::Released(released))
            }
            _ => Err(wrong("op", "deve ser \"lock\", \"unlock\" ou \"renew\"")),
        }
    }
}

fn operations<'a>(bytes: &'a [u8], unknown: &mut Unknown) -> Result<Vec<&'a RawValue>, Problem> {
    let mut fields = Fields::parse(bytes)?;
    let raw_operations = fields.take("operacoes").map(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()));
    let operations = match raw_operations {
        Some(Ok(operations)) if (1..=BATCH_MAX).contains(&operations.len()) => operations,
        Some(Ok(operations)) => {
            fields.reject("operacoes", format!("deve ter de 1 a {BATCH_MAX} operações; tem {}", operations.len()));
            Vec::new()
        }
        Some(Err(_)) => {
            fields.reject("operacoes", "deve ser uma lista de operações");
            Vec::new()
        }
        None => {
            fields.reject("operacoes", "é obrigatório");
            Vec::new()
        }
    };
    fields.finish_noting("", "operacoes", unknown).map_err(Problem::invalid_fields)?;
    Ok(operations)
}

fn text(fields: &mut Fields<'_>, name: &str) -> Result<Option<String>, Problem> {
    let Some(raw) = fields.take(name) else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong(name, "deve ser um texto"))
}

fn wrong(field: &str, message: &str) -> Problem {
    Problem::invalid_fields(vec![FieldError::new(field, message)])
}
