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
use crate::http::table::Table;
use crate::http::whole;
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

/// The resources as a table.
static TABLE: Table = Table {
    list: "travas",
    columns: &["recurso", "estado", "dono", "token", "expira_em_ms", "resta_ms", "expira_em_utc", "fila"],
    also: &[],
};

/// A page of resources: `travas`, in order of name, `limite`, and links; or all of them, as a table.
pub async fn list(service: &Arc<Service>, request: &Request, rights: Rights) -> Result<Response, Problem> {
    let mut written = Written::of_list(&request.head.headers, &TABLE)?.untagged();
    let mut parameters = Parameters::parse(request.head.uri.query());
    let prefix = parameters.text("prefixo").unwrap_or_default();
    let limit = parameters.integer("limite", 1..=PAGE_MAX);
    let cursor = parameters.text("cursor");
    parameters.finish("prefixo, limite, cursor")?;
    let asked = Asked { service: Arc::clone(service), prefix, rights };
    if limit.is_none() && written.is_table() {
        return whole::answer(Pages { asked, cursor }, written, request.hosting.visit(), &request.log).await;
    }
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    let next = asked.write(cursor.as_deref(), usize::try_from(limit).unwrap_or_default(), &mut written).await;
    let limit_text = limit.to_string();
    let href = |cursor: Option<&str>| {
        let pairs = [("prefixo", &*asked.prefix), ("limite", &limit_text), ("cursor", cursor.unwrap_or_default())];
        http::links::with_query(path::LOCKS, pairs.into_iter().filter(|(_, value)| !value.is_empty()))
    };
    let links = Links::new()
        .with("self", Link::get(href(cursor.as_deref())))
        .with_some("proxima", next.map(|next| Link::get(href(Some(&next)))));
    Ok(written.with("limite", &limit).with_links(&links).into_counted())
}

/// Which resources are asked for.
struct Asked {
    service: Arc<Service>,
    prefix: String,
    rights: Rights,
}

impl Asked {
    /// Writes the resources after a name, at most so many. Returns the name of the last one, if there are more. A long page takes
    /// milliseconds of a processor, so one is made at a time, and other requests have turns in between.
    async fn write(&self, after: Option<&str>, limit: usize, written: &mut Written) -> Option<Arc<str>> {
        let _turn = self.service.turn_of_lists().await;
        let (page, more) = self.service.list(&self.prefix, after, limit);
        let last = page.last().map(|listed| Arc::clone(&listed.resource));
        written.begin_list(TABLE.list);
        for (index, listed) in page.into_iter().enumerate() {
            if index > 0 && index % TURN == 0 {
                tokio::task::yield_now().await;
            }
            written.item(&ListedAnswer::new(&self.service, listed, &self.rights));
        }
        written.end_list();
        last.filter(|_| more)
    }
}

/// All of them.
struct Pages {
    asked: Asked,
    /// The last name of the pages before.
    cursor: Option<String>,
}

impl whole::Pages for Pages {
    async fn write(&mut self, written: &mut Written) -> Result<bool, Problem> {
        let next = self.asked.write(self.cursor.as_deref(), usize::from(whole::PAGE), written).await;
        self.cursor = next.map(|next| next.to_string());
        Ok(self.cursor.is_some())
    }
}
