//! The coordinator over HTTP: parse, decide, render.

use std::sync::{Arc, LazyLock};

use hyper::header::RETRY_AFTER;
use hyper::{Method, StatusCode};
use serde_json::json;

use super::answers::{self, ListedAnswer, Page, ShownAnswer};
use super::decision::{self, Decision, decide};
use super::force_route::{Forcing, free};
use super::protocol::requests::Kind;
use super::protocol::{BODY_MAX, LARGE_BODY_MAX, Operation, path};
use super::service::Service;
use super::table::Granted;
use super::waiting::{Told, Wait};
use super::{SERVICE, metrics};
use super::{batch_route, events_route};
use crate::http::fields::Fields;
use crate::http::links::{Link, Links};
use crate::http::parameters::Parameters;
use crate::http::presence::{Guest, Presence};
use crate::http::problem::Problem;
use crate::http::router::{Endpoint, Found, Query, Router, Table};
use crate::http::server::{Handler, Request};
use crate::http::unknown::{Handling, Unknown};
use crate::http::{self, Response, body};
use crate::time::millis;

/// Resources of one page where nothing is said.
const PAGE_DEFAULT: i64 = 100;
/// Resources of one page at the most.
const PAGE_MAX: i64 = 1000;

#[derive(Clone, Copy)]
enum Route {
    Lock,
    Renew,
    Unlock,
    Batch,
    List,
    Show,
    Force,
    Publish,
    Listen,
    Health,
    Ready,
    Metrics,
}

/// The coordinator's endpoints.
static TABLE: &Table<Route> = {
    use Query::{Ignored, Read};
    const fn get(path: &'static str, about: &'static str) -> Endpoint {
        Endpoint::new(Method::GET, path, about)
    }
    const fn post(path: &'static str, about: &'static str) -> Endpoint {
        Endpoint::new(Method::POST, path, about)
    }
    &[
        (Route::Lock, post(path::LOCK, "asks for a lease on one or several resources, and waits for it if told to")),
        (Route::Renew, post(path::RENEW, "prolongs a lease")),
        (Route::Unlock, post(path::UNLOCK, "gives a lease back")),
        (Route::Batch, post(path::BATCH, "several of these in one exchange, each decided on its own")),
        (Route::List, get(path::LOCKS, "the resources that are locked or waited for, by pages").query(Read)),
        (Route::Show, get(path::LOCK_OF, "the holder and the waiters of one resource")),
        (Route::Force, Endpoint::new(Method::DELETE, path::LOCK_OF, "takes a lease away, for the operator")),
        (Route::Publish, post(path::EVENTS, "publishes events to a channel")),
        (Route::Listen, get(path::EVENTS, "a channel's events, as a stream").query(Read)),
        (Route::Health, get(path::HEALTH, "whether the process answers").query(Ignored)),
        (Route::Ready, get(path::READY, "whether locks can be granted now").query(Ignored)),
        (Route::Metrics, get(path::METRICS, "counters and gauges").query(Ignored)),
    ]
};

static ROUTER: LazyLock<Router<Route>> = LazyLock::new(|| Router::new(TABLE));

/// The coordinator's endpoints, in the order of `docs/API.md`.
pub fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    TABLE.iter().map(|(_, endpoint)| endpoint)
}

/// The service as a handler: what it spawns needs it shared.
pub struct Routes {
    pub service: Arc<Service>,
    /// What an operator does.
    pub forcing: Forcing,
}

impl Handler for Routes {
    async fn handle(&self, request: &mut Request) -> Result<Response, Problem> {
        // Unknown fields are passed over only in what programs send. An operator's order (DELETE) is read strictly.
        let handling = Handling::asked(&request.head.headers).filter(|_| request.head.method == Method::POST);
        let mut unknown = Unknown::new(handling);
        let answered = self.answer(request, &mut unknown).await;
        unknown.log(&request.log);
        let mut response = match answered {
            Ok(response) => response,
            Err(problem) => {
                let problem = unknown.problem(problem);
                return Err(handling.map(Handling::applied).into_iter().fold(problem, Problem::with_preference));
            }
        };
        if let Some(handling) = handling {
            handling.note(&mut response);
        }
        Ok(response)
    }
}

impl Routes {
    async fn answer(&self, request: &mut Request, unknown: &mut Unknown) -> Result<Response, Problem> {
        let service = &self.service;
        let (route, endpoint, name) = match ROUTER.find(&request.head.method, request.head.uri.path())? {
            Found::Options(allow) => return Ok(http::options(&allow)),
            Found::Endpoint { route, endpoint, parameter } => (route, endpoint, parameter),
        };
        endpoint.check_query(request.head.uri.query())?;
        match route {
            Route::Lock => operation(service, request, Kind::Lock, unknown).await,
            Route::Renew => operation(service, request, Kind::Renew, unknown).await,
            Route::Unlock => operation(service, request, Kind::Unlock, unknown).await,
            Route::Batch => {
                let bytes = body::read_json(&request.head.headers, &mut request.body, LARGE_BODY_MAX).await?;
                batch_route::batch(service, request, &bytes, unknown).await
            }
            Route::List => list(service, request),
            Route::Show => match service.show(&name) {
                Some(shown) => Ok(http::json(StatusCode::OK, &ShownAnswer::new(service, shown))),
                None => Err(free(&name)),
            },
            Route::Force => self.forcing.force(request, &name).await,
            Route::Publish => {
                let bytes = body::read_json(&request.head.headers, &mut request.body, LARGE_BODY_MAX).await?;
                events_route::publish(service, &bytes, unknown)
            }
            Route::Listen => events_route::listen(service, request),
            Route::Health => Ok(health(service)),
            Route::Ready => Ok(ready(service, request)),
            Route::Metrics => {
                Ok(http::text(metrics::CONTENT_TYPE, service.metrics.text(&service.measure(), &service.hub)))
            }
        }
    }
}

/// Decides an operation that came alone, and waits for its answer.
async fn operation(
    service: &Arc<Service>,
    request: &mut Request,
    kind: Kind,
    unknown: &mut Unknown,
) -> Result<Response, Problem> {
    let bytes = body::read_json(&request.head.headers, &mut request.body, BODY_MAX).await?;
    let operation = Operation::read(kind, Fields::parse(&bytes)?, "", unknown).map_err(Problem::invalid_fields)?;
    let (mut client, mut guest) = (request.hosting.presence(), None);
    let decided = decide(service, &request.hosting, &request.log, &operation, &mut client, &mut guest).await?;
    let left_of = |granted: &Granted| service.left_of(granted);
    let answer = match decided {
        Decision::Queued(wait) => {
            let told = outcome(wait, guest, &mut client).await?;
            decision::locked(service, told, None, left_of)?
        }
        Decision::Locked(told) => decision::locked(service, told, None, left_of)?,
        Decision::Renewed(renewed) => decision::renewed(service, renewed, None, left_of)?,
        Decision::Released(released) => decision::released(released, None)?,
    };
    Ok(unknown.answer(&answer))
}

/// What becomes of a request that waits in the queue.
async fn outcome(mut wait: Wait, guest: Option<Guest>, client: &mut Presence) -> Result<Told, Problem> {
    // It waits only if it may, and then it has its place.
    let Some(guest) = guest else { return Err(Problem::internal("um pedido sem espera ficou na fila")) };
    let told = tokio::select! {
        biased;
        () = guest.gone() => return Err(answers::gone()),
        told = wait.decided() => told,
    };
    if client.is_gone() {
        // A wait that is dropped before it is delivered takes its grant back.
        return Err(answers::gone());
    }
    wait.delivered();
    Ok(told)
}

fn list(service: &Service, request: &Request) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(request.head.uri.query());
    let prefix = parameters.text("prefixo").unwrap_or_default();
    let limit = parameters.integer("limite", 1..=PAGE_MAX).unwrap_or(PAGE_DEFAULT);
    let cursor = parameters.text("cursor");
    parameters.finish("prefixo, limite, cursor")?;
    let (page, more) = service.list(&prefix, cursor.as_deref(), usize::try_from(limit).unwrap_or_default());
    let limit_text = limit.to_string();
    let href = |cursor: Option<&str>| {
        let pairs = [("prefixo", prefix.as_str()), ("limite", &limit_text), ("cursor", cursor.unwrap_or_default())];
        http::links::with_query("/locks", pairs.into_iter().filter(|(_, value)| !value.is_empty()))
    };
    let last = page.last().map(|listed| Arc::clone(&listed.resource));
    let links = Links::new()
        .with("self", Link::get(href(cursor.as_deref())))
        .with_if(more, "proxima", || Link::get(href(last.as_deref())));
    let travas = page.into_iter().map(|listed| ListedAnswer::new(service, listed)).collect();
    Ok(http::json(StatusCode::OK, &Page { travas, limite: limit, _links: links }))
}

fn health(service: &Service) -> Response {
    let counts = service.counts();
    let links = Links::new()
        .with("self", Link::get(path::HEALTH))
        .with("travas", Link::get(path::LOCKS))
        .with("pronto", Link::get(path::READY));
    http::json(
        StatusCode::OK,
        &json!({
            "status": "vivo",
            "servico": SERVICE,
            "versao": env!("CARGO_PKG_VERSION"),
            "ativo_ha_ms": millis(service.uptime()),
            "travas": counts.leases,
            "esperando": counts.waiting,
            "_links": links,
        }),
    )
}

fn ready(service: &Service, request: &Request) -> Response {
    let grace_ms = millis(service.grace_left());
    let parts = [
        ("carencia", (grace_ms > 0).then(|| format!("faltam {grace_ms} ms"))),
        ("tokens", service.token_fault()),
        ("parada", request.hosting.is_stopping().then(|| "encerrando".to_owned())),
    ];
    let fine = parts.iter().all(|(_, fault)| fault.is_none());
    let parts: serde_json::Map<_, _> =
        parts.into_iter().map(|(name, fault)| (name.to_owned(), fault.unwrap_or("ok".to_owned()).into())).collect();
    let (status, word) =
        if fine { (StatusCode::OK, "pronto") } else { (StatusCode::SERVICE_UNAVAILABLE, "indisponivel") };
    let links = Links::new().with("self", Link::get(path::READY));
    let mut response = http::json(status, &json!({ "status": word, "partes": parts, "_links": links }));
    if !fine {
        response.headers_mut().insert(RETRY_AFTER, grace_ms.div_ceil(1000).max(1).into());
    }
    response
}
