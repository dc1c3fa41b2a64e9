//! The audit trail over HTTP: its records, each with its own bytes so that its hash can be checked, and its head.
//!
//! The records come from the database, which the trail's file follows. A page is bounded in records and in work.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderMap, LINK};
use serde_json::json;
use slog::Logger;

use super::app::App;
use super::problems::not_read;
use super::requests::AuditRequest;
use super::views::LINES_TYPES;
use super::{links, requests, views};
use crate::audit::fields::{Record, text};
use crate::http::accept::Accepted;
use crate::http::no_room;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::whole::{self, PAGE};
use crate::http::written::Written;
use crate::http::{self, Response};

/// `GET /auditoria`.
pub async fn records(app: &Arc<App>, request: &Request) -> Result<Response, Problem> {
    let mut written = Written::of_list(&request.head.headers, &views::RECORDS)?;
    let asked = requests::audit(request.head.uri.query())?;
    let visit = request.hosting.visit();
    if asked.is_whole && written.is_table() {
        let pages =
            Pages { app: Arc::clone(app), asked: AuditRequest { limit: PAGE, ..asked }, log: request.log.clone() };
        return whole::answer(pages, written, visit, &request.log).await;
    }
    let (room, _reading) = visit.page(asked.limit).await.map_err(no_room::for_reading)?;
    let page = app.store.trail_page(asked.wanted.clone(), asked.after, asked.limit).await;
    let page = page.map_err(|error| not_read(&request.log, &error))?;
    if let Some(content_type) = lines_type(&request.head.headers).filter(|_| !written.is_table()) {
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
    views::records(&mut written, page.lines).map_err(|error| not_a_record(&error))?;
    let links = links::of_audit_page(&asked, page.next);
    Ok(written.with("limite", &asked.limit).with_links(&links).into_response(room))
}

/// The store has read each line as JSON to apply the filter.
fn not_a_record(error: &serde_json::Error) -> Problem {
    Problem::internal(format!("um registro de auditoria: {error}"))
}

/// All of the records.
struct Pages {
    app: Arc<App>,
    /// The next page.
    asked: AuditRequest,
    log: Logger,
}

impl whole::Pages for Pages {
    async fn write(&mut self, written: &mut Written) -> Result<bool, Problem> {
        let AuditRequest { wanted, after, limit, .. } = &self.asked;
        let page = self.app.store.trail_page(wanted.clone(), *after, *limit).await;
        let page = page.map_err(|error| not_read(&self.log, &error))?;
        views::records(written, page.lines).map_err(|error| not_a_record(&error))?;
        self.asked.after = page.next.unwrap_or(self.asked.after);
        Ok(page.next.is_some())
    }
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
