//! The entry point, liveness, readiness and metrics.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use serde_json::json;

use crate::coordinator::metrics;
use crate::coordinator::protocol::{SERVICE, grace, path};
use crate::coordinator::service::Service;
use crate::http::links::{Link, Links};
use crate::http::server::Request;
use crate::http::{self, Response};
use crate::time::millis;

/// `GET /`: the links to everything else.
pub fn entry() -> Response {
    let links = Links::new()
        .with("self", Link::get(path::ENTRY))
        .with("travar", Link::action("POST", path::LOCK, "Pedir uma trava"))
        .with("renovar", Link::action("POST", path::RENEW, "Renovar uma trava"))
        .with("liberar", Link::action("POST", path::UNLOCK, "Liberar uma trava"))
        .with("lote", Link::action("POST", path::BATCH, "Várias operações numa só requisição"))
        .with("travas", Link::template(format!("{}{{?prefixo,limite,cursor}}", path::LOCKS)))
        .with("trava", Link::template(path::LOCK_OF))
        .with("publicar", Link::action("POST", path::EVENTS, "Publicar eventos num canal"))
        .with(
            "eventos",
            Link::template(format!("{}{{?canal}}", path::EVENTS))
                .with_title("Os eventos de um canal (server-sent events)"),
        )
        .with("saude", Link::get(path::HEALTH))
        .with("pronto", Link::get(path::READY))
        .with("medidas", Link::titled(path::METRICS, "Métricas, para o Prometheus"));
    let body = json!({ "servico": SERVICE, "versao": env!("CARGO_PKG_VERSION"), "_links": links });
    http::json(StatusCode::OK, &body)
}

/// The link of an answer about a path that does not exist.
pub fn to_entry() -> Links {
    Links::new().with("inicio", Link::get(path::ENTRY))
}

/// `GET /metrics`.
pub fn measure(service: &Service) -> Response {
    http::text(metrics::CONTENT_TYPE, service.metrics().text(&service.measure(), service.hub()))
}

/// `GET /saude`.
pub fn health(service: &Service) -> Response {
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
            grace::LEFT: left_ms(service.grace_left()),
            "_links": links,
        }),
    )
}

/// `GET /pronto`: 503 while no lock can be granted.
pub fn ready(service: &Service, request: &Request) -> Response {
    let grace_left = service.grace_left();
    let parts = [
        ("carencia", (!grace_left.is_zero()).then(|| grace::words(grace_left))),
        ("tokens", service.token_fault()),
        ("parada", request.hosting.is_stopping().then(|| "encerrando".to_owned())),
    ];
    let fine = parts.iter().all(|(_, fault)| fault.is_none());
    let parts: serde_json::Map<_, _> =
        parts.into_iter().map(|(name, fault)| (name.to_owned(), fault.unwrap_or("ok".to_owned()).into())).collect();
    let (status, word) =
        if fine { (StatusCode::OK, "pronto") } else { (StatusCode::SERVICE_UNAVAILABLE, "indisponivel") };
    let links = Links::new().with("self", Link::get(path::READY));
    let body = json!({ "status": word, "partes": parts, grace::LEFT: left_ms(grace_left), "_links": links });
    let mut response = http::json(status, &body);
    if !fine {
        response.headers_mut().insert(RETRY_AFTER, grace::seconds(grace_left).into());
    }
    response
}

/// The rest of the grace; `None` after it.
fn left_ms(left: Duration) -> Option<u64> {
    (!left.is_zero()).then(|| millis(left))
}
