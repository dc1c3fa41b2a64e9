//! The coordinator over HTTP: parse, decide, render.

use std::sync::{Arc, LazyLock};

use hyper::header::RETRY_AFTER;
use hyper::{Method, StatusCode};
use serde_json::json;

use super::answers::{self, ListedAnswer, Page, ShownAnswer};
use super::force_route::{Forcing, free};
use super::protocol::{self, millis};
use super::service::{Begun, Service};
use super::{SERVICE, metrics};
use super::{batch_route, events_route};
use crate::http::fields::Fields;
use crate::http::links::{Link, Links};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::router::{Endpoint, Found, Query, Router, Table};
use crate::http::server::{Handler, Request};
use crate::http::unknown::{Handling, Unknown};
use crate::http::{self, Response, body};

/// The most bytes of a body.
pub(super) const BODY_MAX: usize = 64 * 1024;
/// The most bytes of a batch.
const BATCH_BODY_MAX: usize = 1024 * 1024;
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
        (Route::Lock, post("/lock", "asks for a lease on one or several resources, and waits for it if told to")),
        (Route::Renew, post("/renew", "prolongs a lease")),
        (Route::Unlock, post("/unlock", "gives a lease back")),
        (Route::Batch, post("/lote", "several of these in one exchange, each decided on its own")),
        (Route::List, get("/locks", "the resources that are locked or waited for, by pages").query(Read)),
        (Route::Show, get("/locks/{recurso}", "the holder and the waiters of one resource")),
        (Route::Force, Endpoint::new(Method::DELETE, "/locks/{recurso}", "takes a lease away, for the operator")),
        (Route::Publish, post("/eventos", "publishes events to a channel")),
        (Route::Listen, get("/eventos", "a channel's events, as a stream").query(Read)),
        (Route::Health, get("/saude", "whether the process answers").query(Ignored)),
        (Route::Ready, get("/pronto", "whether locks can be granted now").query(Ignored)),
        (Route::Metrics, get("/metrics", "counters and gauges").query(Ignored)),
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
            Route::Lock => lock(service, request, unknown).await,
            Route::Renew => {
                let bytes = body::read_json(&request.head.headers, &mut request.body, BODY_MAX).await?;
                let read = protocol::read_renew(Fields::parse(&bytes)?, "", unknown);
                let (lease, ttl) = read.map_err(Problem::invalid_fields)?;
                let renewed = service.renew(&request.log, lease, ttl).await.map_err(answers::not_renewed)?;
                let left = service.left_of(&renewed).map_err(answers::lost)?;
                Ok(unknown.answer(&answers::renewed(service, &renewed, left)))
            }
            Route::Unlock => {
                let bytes = body::read_json(&request.head.headers, &mut request.body, BODY_MAX).await?;
                let read = protocol::read_unlock(Fields::parse(&bytes)?, "", unknown);
                let release = read.map_err(Problem::invalid_fields)?;
                let released = answers::released(service.unlock(&request.log, &release))?;
                Ok(unknown.answer(&released))
            }
            Route::Batch => {
                let bytes = body::read_json(&request.head.headers, &mut request.body, BATCH_BODY_MAX).await?;
                batch_route::batch(service, request, &bytes, unknown).await
            }
            Route::List => list(service, request),
            Route::Show => match service.show(&name) {
                Some(shown) => Ok(http::json(StatusCode::OK, &ShownAnswer::new(service, shown))),
                None => Err(free(&name)),
            },
            Route::Force => self.forcing.force(request, &name).await,
            Route::Publish => {
                let bytes = body::read_json(&request.head.headers, &mut request.body, BATCH_BODY_MAX).await?;
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

async fn lock(service: &Arc<Service>, request: &mut Request, unknown: &mut Unknown) -> Result<Response, Problem> {
    let bytes = body::read_json(&request.head.headers, &mut request.body, BODY_MAX).await?;
    let acquire = protocol::read_lock(Fields::parse(&bytes)?, "", unknown).map_err(Problem::invalid_fields)?;
    // Who may have to wait needs a place among the long answers first.
    let guest = if acquire.wait.is_zero() { None } else { Some(request.hosting.admit()?) };
    let mut client = request.hosting.presence();
    let mut wait = match service.begin(&request.log, &acquire, &mut client).await {
        Begun::Decided(decided) => return answer(service, decided, unknown),
        Begun::Waits(wait) => wait,
    };
    // It waits only if it may, and then it has its place.
    let Some(guest) = guest else { return Err(Problem::internal("um pedido sem espera ficou na fila")) };
    let told = tokio::select! {
        biased;
        () = guest.gone() => return Err(answers::gone()),
        told = wait.decided() => told,
    };
    if client.is_gone() {
        // Dropped before it is delivered, what it was granted is taken back.
        return Err(answers::gone());
    }
    wait.delivered();
    answer(service, told, unknown)
}

fn answer(service: &Service, told: super::waiting::Told, unknown: &Unknown) -> Result<Response, Problem> {
    match told {
        Ok(granted) => {
            let left = service.left_of(&granted).map_err(answers::lost)?;
            Ok(unknown.answer(&answers::granted(service, &granted, left)))
        }
        Err(refused) => Err(answers::refusal(refused)),
    }
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
        .with("self", Link::get("/saude"))
        .with("travas", Link::get("/locks"))
        .with("pronto", Link::get("/pronto"));
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
    let links = Links::new().with("self", Link::get("/pronto"));
    let mut response = http::json(status, &json!({ "status": word, "partes": parts, "_links": links }));
    if !fine {
        response.headers_mut().insert(RETRY_AFTER, grace_ms.div_ceil(1000).max(1).into());
    }
    response
}
