//! The coordinator over HTTP: parse, decide, render.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use slog::Logger;

use super::SERVICE;
use super::protocol::{self, BATCH_MAX, BusyReply, GrantedReply, ReleasedReply};
use super::service::{LockRefused, Service, not_live_name};
use super::table::{Acquire, Refused, Release, Released};
use crate::http::fields::Fields;
use crate::http::links::{Link, Links};
use crate::http::problem::{FieldError, Problem};
use crate::http::router::{Found, Router};
use crate::http::server::{Handler, Request, is_request_id, log_problem};
use crate::http::{self, Response, body};

/// The most bytes of a body.
const BODY_MAX: usize = 64 * 1024;
/// The most bytes of a batch.
const BATCH_BODY_MAX: usize = 1024 * 1024;

#[derive(Clone, Copy)]
enum Route {
    Lock,
    Unlock,
    Batch,
    Health,
}

static ROUTER: LazyLock<Router<Route>> = LazyLock::new(|| {
    Router::new(&[
        ("/lock", Method::POST, Route::Lock),
        ("/unlock", Method::POST, Route::Unlock),
        ("/lote", Method::POST, Route::Batch),
        ("/saude", Method::GET, Route::Health),
    ])
});

/// The service as a handler: what it spawns needs it shared.
pub struct Routes(pub Arc<Service>);

impl Handler for Routes {
    async fn handle(&self, request: &mut Request) -> Result<Response, Problem> {
        let service = &self.0;
        let route = match ROUTER.find(&request.head.method, request.head.uri.path())? {
            Found::Options(allow) => return Ok(http::options(&allow)),
            Found::Route(route, _) => route,
        };
        let (headers, log) = (&request.head.headers, &request.log);
        match route {
            Route::Lock => {
                let bytes = body::read_json(headers, &mut request.body, BODY_MAX).await?;
                let acquire = protocol::read_lock(Fields::parse(&bytes)?, "").map_err(Problem::invalid_fields)?;
                let granted = lock(service, log, acquire).await?;
                Ok(http::json(StatusCode::OK, &granted))
            }
            Route::Unlock => {
                let bytes = body::read_json(headers, &mut request.body, BODY_MAX).await?;
                let release = protocol::read_unlock(Fields::parse(&bytes)?, "").map_err(Problem::invalid_fields)?;
                Ok(http::json(StatusCode::OK, &unlock(service, log, &release)?))
            }
            Route::Batch => {
                let bytes = body::read_json(headers, &mut request.body, BATCH_BODY_MAX).await?;
                let answers = batch(service, &request.id, &bytes).await?;
                Ok(http::json(StatusCode::OK, &Batch { respostas: answers }))
            }
            Route::Health => Ok(http::json(
                StatusCode::OK,
                &json!({
                    "status": "vivo",
                    "servico": SERVICE,
                    "versao": env!("CARGO_PKG_VERSION"),
                    "ativo_ha_ms": millis(service.uptime()),
                    "travas": service.live_leases(),
                    "_links": Links::new().with("self", Link::get("/saude")),
                }),
            )),
        }
    }
}

/// A grant, with what can be done with it.
#[derive(serde::Serialize)]
struct GrantedAnswer {
    #[serde(flatten)]
    reply: GrantedReply,
    _links: Links,
}

async fn lock(service: &Arc<Service>, log: &Logger, request: Acquire) -> Result<GrantedAnswer, Problem> {
    match service.lock(log, &request).await {
        Ok(granted) => Ok(GrantedAnswer {
            reply: GrantedReply {
                situacao: "concedido".to_owned(),
                recursos: request.resources,
                trava_id: granted.lease.to_string(),
                token: granted.token,
                dono: request.owner,
                ttl_ms: millis(granted.ttl),
                expira_em_utc: service.expires_at(granted.deadline).micros().to_string(),
            },
            _links: Links::new().with("liberar", Link::action("POST", "/unlock", "Liberar esta trava")),
        }),
        Err(LockRefused::Table(refused)) => Err(refusal(refused)),
        Err(LockRefused::NoTokens(reason)) => Err(no_tokens().caused_by(reason)),
    }
}

fn refusal(refused: Refused) -> Problem {
    match refused {
        Refused::Busy { resource, owner, token, free_in, retained } => {
            let detail = match (&owner, retained) {
                (_, true) => format!("O recurso {resource} acabou de ser liberado e ainda está retido."),
                (Some(owner), false) => format!("O recurso {resource} está em uso (dono: {owner})."),
                (None, false) => format!("O recurso {resource} está em uso."),
            };
            let expira_em_ms = millis(free_in);
            let reply = BusyReply { recurso: resource, dono: owner, token, expira_em_ms, retido: retained };
            Problem::new(StatusCode::CONFLICT, "ocupado", "Recurso ocupado", detail)
                .with_members(&reply)
                .retry_after_s(expira_em_ms.div_ceil(1000).max(1))
                .already_logged()
        }
        Refused::TokenLimit(_) => no_tokens(),
        Refused::Full => {
            let detail = "Há recursos demais travados ou retidos; tente de novo em instantes.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "tabela_cheia", "Tabela de travas cheia", detail)
                .retry_after_s(1)
                .already_logged()
        }
    }
}

fn no_tokens() -> Problem {
    let detail = "O próximo token não pôde ser gravado, e nenhum é dado antes disso.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "tokens_indisponiveis", "Tokens indisponíveis", detail)
        .retry_after_s(1)
}

fn unlock(service: &Service, log: &Logger, request: &Release) -> Result<ReleasedReply, Problem> {
    match service.unlock(log, request) {
        Released::Freed(_) => Ok(ReleasedReply { liberado: true, motivo: None }),
        Released::Nothing(why) => Ok(ReleasedReply { liberado: false, motivo: Some(not_live_name(why).to_owned()) }),
        Released::NotOwner { resource } => {
            let detail = format!("A trava de {resource} tem dono: libere-a pelo seu trava_id.");
            Err(Problem::new(StatusCode::CONFLICT, "nao_e_dono", "Trava de outro dono", detail).already_logged())
        }
    }
}

/// Decides each operation on its own, in order.
async fn batch(service: &Arc<Service>, request_id: &Arc<str>, bytes: &[u8]) -> Result<Vec<OperationAnswer>, Problem> {
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
    let mut answers = Vec::with_capacity(operations.len());
    for raw in operations {
        answers.push(operation(service, request_id, raw).await);
    }
    Ok(answers)
}

#[derive(serde::Serialize)]
struct Batch {
    respostas: Vec<OperationAnswer>,
}

/// One operation's answer: the members that it would have alone, and its status.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum OperationAnswer {
    Granted {
        status: u16,
        #[serde(flatten)]
        answer: GrantedAnswer,
    },
    Released {
        status: u16,
        #[serde(flatten)]
        answer: ReleasedReply,
    },
    /// A problem document has its status already.
    Refused(Value),
}

async fn operation(service: &Arc<Service>, batch_id: &Arc<str>, raw: &RawValue) -> OperationAnswer {
    let mut id = Arc::clone(batch_id);
    let mut log = service.request_log(&id);
    let status = StatusCode::OK.as_u16();
    let decided = async {
        let mut fields = Fields::from_raw(raw).map_err(|error| Problem::invalid_fields(vec![error]))?;
        if let Some(brought) = text(&mut fields, "req")? {
            if !is_request_id(&brought) {
                return Err(wrong("req", "deve ter de 1 a 64 caracteres de A–Z a–z 0–9 . _ -"));
            }
            id = brought.into();
            log = service.request_log(&id);
        }
        match text(&mut fields, "op")?.as_deref() {
            Some("lock") => {
                let acquire = protocol::read_lock(fields, ", op, req").map_err(Problem::invalid_fields)?;
                let answer = lock(service, &log, acquire).await?;
                Ok(OperationAnswer::Granted { status, answer })
            }
            Some("unlock") => {
                let release = protocol::read_unlock(fields, ", op, req").map_err(Problem::invalid_fields)?;
                let answer = unlock(service, &log, &release)?;
                Ok(OperationAnswer::Released { status, answer })
            }
            _ => Err(wrong("op", "deve ser \"lock\" ou \"unlock\"")),
        }
    };
    decided.await.unwrap_or_else(|problem: Problem| {
        log_problem(&log, &problem);
        OperationAnswer::Refused(problem.to_value(&id))
    })
}

fn text(fields: &mut Fields<'_>, name: &str) -> Result<Option<String>, Problem> {
    let Some(raw) = fields.take(name) else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong(name, "deve ser um texto"))
}

fn wrong(field: &str, message: &str) -> Problem {
    Problem::invalid_fields(vec![FieldError { campo: field.to_owned(), mensagem: message.to_owned() }])
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
