//! The record of an operator's order: one line of JSON in the log, in the form of the audit trail.

use std::net::IpAddr;

use serde::Serialize;

use crate::audit::record::LEVEL;
use crate::coordinator::protocol::SERVICE;
use crate::coordinator::table::{ForceTarget, Resources};
use crate::http::request_id::RequestId;
use crate::text::escaped;
use crate::time::Timestamp;

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

/// An operator's order to take a lock away.
pub struct Order {
    /// One of its resources.
    pub resource: String,
    /// Why.
    pub reason: Option<String>,
    /// Where it came from.
    pub peer: IpAddr,
    /// The request.
    pub req: RequestId,
}

/// The line that says `event` of an order to take `target` away, without its end.
pub fn line(event: &str, at: Timestamp, target: &ForceTarget, order: &Order) -> String {
    let record = Record {
        timestamp_utc: at.micros().to_string(),
        level: LEVEL,
        event_type: event,
        service: SERVICE,
        details: Details {
            recurso: &order.resource,
            estado_anterior: if target.retained { "retido" } else { "travado" },
            recursos: &target.ended.resources,
            dono: target.ended.owner.as_deref(),
            token: target.ended.token,
            motivo: order.reason.as_deref(),
            ip: order.peer.to_string(),
        },
        req: &order.req,
    };
    // A struct of texts and numbers: serialising it to memory cannot fail.
    escaped(&serde_json::to_string(&record).expect("a record serialises"))
}
