//! `POST /lote`: several operations in one exchange, each decided on its own.
//!
//! They are begun in order. One that waits does not detain the next; the answer leaves when the last is decided.

use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use slog::Logger;

use super::answers;
use super::protocol::{self, BATCH_MAX, LeaseReply, ReleasedReply};
use super::service::{Begun, Service};
use super::waiting::{Told, Wait};
use crate::http::fields::Fields;
use crate::http::presence::Guest;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::{Request, is_request_id, log_problem};
use crate::http::{self, Response};

#[derive(Serialize)]
struct Batch {
    respostas: Vec<OperationAnswer>,
}

/// One operation's answer: the members that it would have alone, and its status.
#[derive(Serialize)]
#[serde(untagged)]
enum OperationAnswer {
    Lease(LeaseReply),
    Released(ReleasedReply),
    /// A problem document has its status already.
    Refused(Value),
}

const OK: Option<u16> = Some(200);

/// An operation once begun: answered, or to be answered when its wait is over.
enum Operation {
    Answered(Result<OperationAnswer, Problem>),
    Waits(Wait),
}

/// What was granted at once in a batch that is not answered yet. Dropped before it is, nobody ever heard of it.
struct Unheard {
    service: Arc<Service>,
    granted: Vec<Told>,
}

impl Drop for Unheard {
    fn drop(&mut self) {
        for told in &self.granted {
            self.service.undo(told);
        }
    }
}

/// What an operation's log lines and answers carry.
struct Caller {
    id: Arc<str>,
    log: Logger,
}

/// Decides each operation on its own, in order.
pub async fn batch(service: &Arc<Service>, request: &Request, bytes: &[u8]) -> Result<Response, Problem> {
    let raw_operations = operations(bytes)?;
    let mut guest = None;
    let mut unheard = Unheard { service: Arc::clone(service), granted: Vec::new() };
    let mut begun = Vec::with_capacity(raw_operations.len());
    for raw in raw_operations {
        let mut caller = Caller { id: Arc::clone(&request.id), log: request.log.clone() };
        let operation = begin(&mut unheard, request, &mut caller, &mut guest, raw).await;
        let operation = operation.unwrap_or_else(|problem| Operation::Answered(Err(problem)));
        begun.push((caller, operation));
    }
    let told = match &guest {
        // Nobody waits: the waits, of which there are none, are over.
        None => Vec::new(),
        Some(guest) => tokio::select! {
            biased;
            // Dropped, the waits give up their places and what they were granted.
            () = guest.gone() => return Err(answers::gone()),
            told = decided(&mut begun) => told,
        },
    };
    unheard.granted.clear();
    let mut told = told.into_iter();
    let mut answers = Vec::with_capacity(begun.len());
    for (caller, operation) in begun {
        let answered = match operation {
            Operation::Answered(answered) => answered,
            Operation::Waits(wait) => {
                wait.delivered();
                told.next().map_or_else(|| Err(answers::stopping()), |told| lease(service, told))
            }
        };
        answers.push(answered.unwrap_or_else(|problem| {
            log_problem(&caller.log, &problem);
            OperationAnswer::Refused(problem.to_value(&caller.id))
        }));
    }
    Ok(http::json(StatusCode::OK, &Batch { respostas: answers }))
}

/// What those that wait were told, in order, once the last of them was.
async fn decided(begun: &mut [(Caller, Operation)]) -> Vec<Told> {
    let mut told = Vec::new();
    for (_, operation) in begun {
        if let Operation::Waits(wait) = operation {
            told.push(wait.decided().await);
        }
    }
    told
}

fn operations(bytes: &[u8]) -> Result<Vec<&RawValue>, Problem> {
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
    fields.finish("operacoes").map_err(Problem::invalid_fields)?;
    Ok(operations)
}

async fn begin(
    unheard: &mut Unheard,
    request: &Request,
    caller: &mut Caller,
    guest: &mut Option<Guest>,
    raw: &RawValue,
) -> Result<Operation, Problem> {
    const ALSO: &str = ", op, req";
    let service = &Arc::clone(&unheard.service);
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
    let answer = match text(&mut fields, "op")?.as_deref() {
        Some("lock") => {
            let acquire = protocol::read_lock(fields, ALSO).map_err(Problem::invalid_fields)?;
            if !acquire.wait.is_zero() && guest.is_none() {
                *guest = Some(request.hosting.admit()?);
            }
            match service.begin(&caller.log, &acquire).await {
                Begun::Decided(decided) => {
                    unheard.granted.extend(decided.is_ok().then(|| decided.clone()));
                    lease(service, decided)?
                }
                Begun::Waits(wait) => return Ok(Operation::Waits(wait)),
            }
        }
        Some("renew") => {
            let (id, ttl) = protocol::read_renew(fields, ALSO).map_err(Problem::invalid_fields)?;
            let renewed = service.renew(&caller.log, id, ttl).await.map_err(answers::not_renewed)?;
            OperationAnswer::Lease(LeaseReply { status: OK, ..answers::renewed(service, &renewed) })
        }
        Some("unlock") => {
            let release = protocol::read_unlock(fields, ALSO).map_err(Problem::invalid_fields)?;
            let answer = answers::released(service.unlock(&caller.log, &release))?;
            OperationAnswer::Released(ReleasedReply { status: OK, ..answer })
        }
        _ => return Err(wrong("op", "deve ser \"lock\", \"unlock\" ou \"renew\"")),
    };
    Ok(Operation::Answered(Ok(answer)))
}

fn lease(service: &Service, told: Told) -> Result<OperationAnswer, Problem> {
    let granted = told.map_err(answers::refusal)?;
    Ok(OperationAnswer::Lease(LeaseReply { status: OK, ..answers::granted(service, &granted) }))
}

fn text(fields: &mut Fields<'_>, name: &str) -> Result<Option<String>, Problem> {
    let Some(raw) = fields.take(name) else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong(name, "deve ser um texto"))
}

fn wrong(field: &str, message: &str) -> Problem {
    Problem::invalid_fields(vec![FieldError { campo: field.to_owned(), mensagem: message.to_owned() }])
}
