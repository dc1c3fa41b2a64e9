//! The audit trail over HTTP: its records, each with its own bytes so that its hash can be checked, and its head.
//!
//! The records come from the database, which the trail's file follows. A page is bounded in records and in work.

use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderMap, LINK};
use serde_json::json;

use super::app::App;
use super::problems::not_read;
use super::{links, requests, views};
use crate::audit::fields::{Record, text};
use crate::http::accept::Accepted;
use crate::http::no_room;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::{self, Response};

/// The media types of JSON lines.
const LINES_TYPES: [&str; 2] = ["application/jsonl", "application/x-ndjson"];

/// `GET /auditoria`.
pub async fn records(app: &App, request: &Request) -> Result<Response, Problem> {
    let asked = requests::audit(request.head.uri.query())?;
    let visit = request.hosting.visit();
    let (room, _reading) = visit.page(asked.limit).await.map_err(no_room::for_reading)?;
    let page = app.store.trail_page(asked.wanted.clone(), asked.after, asked.limit).await;
    let page = page.map_err(|error| not_read(&request.log, &error))?;
    if let Some(content_type) = lines_type(&request.head.headers) {
        let mut lines = String::with_capacity(page.lines.iter().map(|line| line.len() + 1).sum());
        for line in page.lines {
            lines.push_str(&line);
            lines.push('\n');
        }
        let mut response = http::bytes(StatusCode::OK, content_type, lines.into_bytes());
        if let Some(pages) = links::of_audit_page(&asked, page.next).header() {
            response.headers_mut().insert(LINK, pages);
        }
        return Ok(response);
    }
    // The store has read each line as JSON to apply the filter.
    let written = views::audit_page(page, &asked);
    let written = written.map_err(|error| Problem::internal(format!("um registro de auditoria: {error}")))?;
    Ok(written.into_response(room))
}

/// `GET /auditoria/cabeca`.
pub async fn head(app: &App, request: &Request) -> Result<Response, Problem> {
    let latest = app.store.latest_record().await.map_err(|error| not_read(&request.log, &error))?;
    let record = latest.line.as_deref().and_then(|line| serde_json::from_str::<Record<'_>>(line).ok());
    let at = record.map(|record| text(record.timestamp_utc).into_owned());
    let body = json!({
        "seq": latest.head.seq,
        "hash": latest.head.hash,
        "timestamp_utc": at,
        "_links": links::from_audit_head(),
    });
    Ok(http::json(StatusCode::OK, &body))
}

/// The media type for JSON lines, if the client accepts them at least as gladly as a page of JSON.
fn lines_type(headers: &HeaderMap) -> Option<&'static str> {
    let accepted = Accepted::read(headers, &ACCEPT);
    let best = LINES_TYPES.iter().map(|name| accepted.named(name)).fold(0.0, f32::max);
    LINES_TYPES.into_iter().find(|name| {
        let lines = accepted.named(name);
        lines > 0.0 && lines >= accepted.named("application/json") && lines >= best
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn json_lines_are_sent_to_clients_that_prefer_them() {
        let chosen =
            |accept: &'static str| lines_type(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]));
        for accept in [
            "",
            "*/*",
            "application/json",
            "text/html, */*;q=0.8",
            "application/jsonl;q=0",
            "application/jsonl;q=0.5, application/json",
        ] {
            assert_eq!(chosen(accept), None, "{accept}");
        }
        assert_eq!(lines_type(&HeaderMap::new()), None);
        for (accept, name) in [
            ("application/jsonl", "application/jsonl"),
            ("Application/X-NDJSON ; charset=utf-8", "application/x-ndjson"),
            ("application/x-ndjson, application/json;q=0.9, */*;q=0.1", "application/x-ndjson"),
            ("application/x-ndjson;q=0.5, application/jsonl;q=0.9", "application/jsonl"),
        ] {
            assert_eq!(chosen(accept), Some(name), "{accept}");
        }
    }
}
