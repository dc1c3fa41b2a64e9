//! The entry point, liveness, readiness and metrics.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use serde::Serialize;
use serde_json::json;

use super::rights::Rights;
use crate::access::role::Permission::{Observe, UseLocks};
use crate::coordinator::office::{Office, View};
use crate::coordinator::protocol::challenge::NONCE;
use crate::coordinator::protocol::{RESERVE, SERVICE, grace, path};
use crate::http::description;
use crate::http::links::{Link, Links};
use crate::http::server::Request;
use crate::http::{self, Response};
use crate::time::millis;

/// `GET /`: the links to everything else that the caller may do.
pub fn entry(rights: &Rights) -> Response {
    let (uses, observes) = (rights.may(UseLocks), rights.may(Observe));
    let events = || {
        let link = Link::template(format!("{}{{?canal}}", path::EVENTS));
        link.with_title("Os eventos de um canal (server-sent events)")
    };
    let links = Links::new()
        .with("self", Link::get(path::ENTRY))
        .with_if(uses, "travar", || Link::action("POST", path::LOCK, "Pedir uma trava"))
        .with_if(uses, "renovar", || Link::action("POST", path::RENEW, "Renovar uma trava"))
        .with_if(uses, "liberar", || Link::action("POST", path::UNLOCK, "Liberar uma trava"))
        .with_if(uses, "lote", || Link::action("POST", path::BATCH, "Várias operações numa só requisição"))
        .with_if(observes, "travas", || Link::template(format!("{}{{?prefixo,limite,cursor}}", path::LOCKS)))
        .with_if(observes, "trava", || Link::template(path::LOCK_OF))
        .with_if(uses, "publicar", || Link::action("POST", path::EVENTS, "Publicar eventos num canal"))
        .with_if(observes, "eventos", events)
        .with("saude", Link::get(path::HEALTH))
        .with("pronto", Link::get(path::READY))
        .with("desafio", Link::template(format!("{}{{?{NONCE}}}", path::CHALLENGE)))
        .with("problemas", Link::titled(path::PROBLEMS, "Os tipos de problema, explicados"))
        .with(description::RELATION, description::link())
        .with_if(observes, "medidas", || Link::titled(path::METRICS, "Métricas, para o Prometheus"));
    let body = json!({ "servico": SERVICE, "versao": env!("CARGO_PKG_VERSION"), "_links": links });
    http::json(StatusCode::OK, &body)
}

/// The link of an answer about a path that does not exist.
pub fn to_entry() -> Links {
    Links::new().with("inicio", Link::get(path::ENTRY))
}

/// `GET /metrics`.
pub fn measure(office: &Office, request: &Request) -> Response {
    let (bounds, service) = (request.hosting.visit().bounds(), office.service());
    let now = service.as_ref().map(|service| (service.measure(), service.hub()));
    let election = office.counts().zip(office.election()).map(|(counts, view)| (counts, office.gives(), view.term));
    http::metrics::answer(&office.metrics().registry(office.uptime(), now, election, bounds), &request.head.headers)
}

/// The election, in an answer.
#[derive(Serialize)]
struct ElectionAnswer {
    papel: &'static str,
    eleito: Option<String>,
    mandato: Option<u64>,
}

fn election(office: &Office) -> Option<ElectionAnswer> {
    let View { elected, address, term } = office.election()?;
    Some(ElectionAnswer { papel: if elected { "eleito" } else { RESERVE }, eleito: address, mandato: term })
}

/// `GET /saude`.
pub fn health(office: &Office, rights: &Rights) -> Response {
    let service = office.service();
    let counts = service.as_ref().map(|service| service.counts()).unwrap_or_default();
    let grace_left = service.map(|service| service.grace_left()).unwrap_or_default();
    let links = Links::new()
        .with("self", Link::get(path::HEALTH))
        .with_if(rights.may(Observe), "travas", || Link::get(path::LOCKS))
        .with("pronto", Link::get(path::READY));
    let mut body = json!({
        "status": "vivo",
        "servico": SERVICE,
        "versao": env!("CARGO_PKG_VERSION"),
        "ativo_ha_ms": millis(office.uptime()),
        "travas": counts.leases,
        "esperando": counts.waiting,
        grace::LEFT: left_ms(grace_left),
    });
    if let Some(election) = election(office) {
        body["eleicao"] = json!(election);
    }
    body["_links"] = json!(links);
    http::json(StatusCode::OK, &body)
}

/// `GET /pronto`: 503 while no lock can be granted. It also says whether the caller may ask for the locks that a scheduler needs.
pub fn ready(office: &Office, request: &Request, rights: &Rights) -> Response {
    let (service, election) = (office.service(), election(office));
    let grace_left = service.as_ref().map(|service| service.grace_left()).unwrap_or_default();
    let mut parts = vec![
        ("carencia", (!grace_left.is_zero()).then(|| grace::words(grace_left))),
        ("tokens", service.as_ref().and_then(|service| service.token_fault())),
        ("parada", request.hosting.is_stopping().then(|| "encerrando".to_owned())),
    ];
    if let Some(election) = &election {
        parts.push(("eleicao", service.is_none().then(|| not_elected(election))));
    }
    let fine = parts.iter().all(|(_, fault)| fault.is_none());
    let parts: serde_json::Map<_, _> =
        parts.into_iter().map(|(name, fault)| (name.to_owned(), fault.unwrap_or("ok".to_owned()).into())).collect();
    let (status, word) =
        if fine { (StatusCode::OK, "pronto") } else { (StatusCode::SERVICE_UNAVAILABLE, "indisponivel") };
    let links = Links::new().with("self", Link::get(path::READY));
    let mut body = json!({
        "status": word,
        "partes": parts,
        grace::LEFT: left_ms(grace_left),
        "agendador": rights.are_a_schedulers(),
    });
    if let Some(election) = election {
        body["eleicao"] = json!(election);
    }
    body["_links"] = json!(links);
    let mut response = http::json(status, &body);
    if !fine {
        response.headers_mut().insert(RETRY_AFTER, grace::seconds(grace_left).into());
    }
    response
}

/// Why this coordinator gives no locks.
fn not_elected(election: &ElectionAnswer) -> String {
    match (election.papel, &election.eleito) {
        ("eleito", _) => "eleito, e o mandato ainda começa".to_owned(),
        (_, Some(address)) => format!("não eleito; o eleito é {address}"),
        (_, None) => "não eleito, e não se sabe qual é o eleito".to_owned(),
    }
}

/// The rest of the grace; `None` after it.
fn left_ms(left: Duration) -> Option<u64> {
    (!left.is_zero()).then(|| millis(left))
}
