//! The record of an operator's order: one line of JSON in the log, in the form of the audit trail.

use std::net::IpAddr;

use serde::Serialize;

use crate::audit::record::{Cause, LEVEL};
use crate::coordinator::protocol::SERVICE;
use crate::coordinator::table::{ForceTarget, Resources};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    req_cliente: Option<&'a str>,
    autor: String,
    ip: Option<IpAddr>,
}

#[derive(Serialize)]
struct Details<'a> {
    recurso: &'a str,
    estado_anterior: &'a str,
    recursos: &'a Resources,
    dono: Option<&'a str>,
    token: u64,
    motivo: Option<&'a str>,
    /// Also here since before every record had one.
    ip: Option<IpAddr>,
}

/// An operator's order to take a lock away.
pub struct Order {
    /// One of its resources.
    pub resource: String,
    /// Why.
    pub reason: Option<String>,
    /// The request, and who sent it.
    pub cause: Cause,
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
            ip: order.cause.caller.ip,
        },
        req: &order.cause.request_id,
        req_cliente: order.cause.request_id.client(),
        autor: order.cause.caller.author.to_string(),
        ip: order.cause.caller.ip,
    };
    // A struct of texts and numbers: serialising it to memory cannot fail.
    escaped(&serde_json::to_string(&record).expect("a record serialises"))
}
