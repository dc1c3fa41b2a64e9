//! `GET /locks` and `GET /locks/{recurso}`: who holds what, and who waits.

use std::sync::Arc;

use hyper::StatusCode;

use super::answers::{self, ListedAnswer, ShownAnswer};
use super::rights::Rights;
use crate::coordinator::protocol::path;
use crate::coordinator::service::Service;
use crate::http::links::{Link, Links};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::written::Written;
use crate::http::{self, Response};

/// Resources of one page where the request does not say.
const PAGE_DEFAULT: i64 = 100;
/// After so many resources of a page, the tasks of other requests have a turn.
const TURN: usize = 16;
/// The most resources of one page.
const PAGE_MAX: i64 = 1000;

/// One resource closely.
pub fn show(service: &Service, resource: &str, rights: &Rights) -> Result<Response, Problem> {
    match service.show(resource) {
        Some(shown) => Ok(http::json(StatusCode::OK, &ShownAnswer::new(service, shown, rights))),
        None => Err(answers::free(resource)),
    }
}

/// A page of resources: `travas`, in order of name, `limite`, and links. A long one takes milliseconds of a processor, so one is made at a
/// time, and other requests have turns in between.
pub async fn list(service: &Service, request: &Request, rights: &Rights) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(request.head.uri.query());
    let prefix = parameters.text("prefixo").unwrap_or_default();
    let limit = parameters.integer("limite", 1..=PAGE_MAX).unwrap_or(PAGE_DEFAULT);
    let cursor = parameters.text("cursor");
    parameters.finish("prefixo, limite, cursor")?;
    let _turn = service.turn_of_lists().await;
    let (page, more) = service.list(&prefix, cursor.as_deref(), usize::try_from(limit).unwrap_or_default());
    let limit_text = limit.to_string();
    let href = |cursor: Option<&str>| {
        let pairs = [("prefixo", prefix.as_str()), ("limite", &limit_text), ("cursor", cursor.unwrap_or_default())];
        http::links::with_query(path::LOCKS, pairs.into_iter().filter(|(_, value)| !value.is_empty()))
    };
    let last = page.last().map(|listed| Arc::clone(&listed.resource));
    let links = Links::new()
        .with("self", Link::get(href(cursor.as_deref())))
        .with_if(more, "proxima", || Link::get(href(last.as_deref())));
    let mut written = Written::new();
    written.begin_list("travas");
    for (index, listed) in page.into_iter().enumerate() {
        if index > 0 && index % TURN == 0 {
            tokio::task::yield_now().await;
        }
        written.item(&ListedAnswer::new(service, listed, rights));
    }
    written.end_list();
    Ok(written.with("limite", &limit).with_links(&links).into_counted())
}
