//! The record of what an operator did: one line of JSON between the log's own, as the audit trail writes them.

use serde::Serialize;

use super::SERVICE;
use super::table::{Forced, Resources};
use crate::http::server::Request;
use crate::logging::escaped;
use crate::time::Timestamp;

/// An operator took a lock away.
pub const EVENT_FORCED: &str = "TRAVA_FORCADA";

#[derive(Serialize)]
struct Record<'a> {
    timestamp_utc: String,
    level: &'a str,
    event_type: &'a str,
    service: &'a str,
    details: Details<'a>,
    req: &'a str,
}

#[derive(Serialize)]
struct Details<'a> {
    recurso: &'a str,
    estado_anterior: &'a str,
    recursos: &'a Resources,
    dono: Option<&'a str>,
    token: u64,
    motivo: Option<&'a str>,
    ip: String,
}

/// The line, without its end.
pub fn forced(at: Timestamp, resource: &str, forced: &Forced, reason: Option<&str>, request: &Request) -> String {
    let record = Record {
        timestamp_utc: at.micros().to_string(),
        level: "AUDIT",
        event_type: EVENT_FORCED,
        service: SERVICE,
        details: Details {
            recurso: resource,
            estado_anterior: if forced.retained { "retido" } else { "travado" },
            recursos: &forced.ended.resources,
            dono: forced.ended.owner.as_deref(),
            token: forced.ended.token,
            motivo: reason,
            ip: request.peer.ip().to_string(),
        },
        req: &request.id,
    };
    // A struct of texts and numbers: serialising it to memory cannot fail.
    escaped(&serde_json::to_string(&record).expect("a record serialises"))
}
