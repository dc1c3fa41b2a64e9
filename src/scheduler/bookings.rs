//! The list of bookings over HTTP: a page of it, or all of it as a table.

use std::sync::Arc;

use slog::Logger;

use super::app::App;
use super::problems::not_read;
use super::requests::ListRequest;
use super::{handlers, links, requests, views};
use crate::access::principal::Who;
use crate::http::Response;
use crate::http::no_room;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::whole::{self, PAGE};
use crate::http::written::Written;
use crate::time::Timestamp;

/// `GET /agendamentos`.
pub async fn list(app: &Arc<App>, request: &Request) -> Result<Response, Problem> {
    let mut written = Written::of_list(&request.head.headers, &views::BOOKINGS)?;
    let asked = requests::list(request.head.uri.query())?;
    let visit = request.hosting.visit();
    if asked.is_whole && written.is_table() {
        let (app, who, log) = (Arc::clone(app), request.who.clone(), request.log.clone());
        let pages = Pages { app, asked: ListRequest { limit: PAGE, ..asked }, who, log };
        return whole::answer(pages, written, visit, &request.log).await;
    }
    let (room, _reading) = visit.page(asked.limit).await.map_err(no_room::for_reading)?;
    let next = write(app, &asked, &request.who, &request.log, &mut written).await?;
    let links = links::of_page(&asked, next, &request.who);
    Ok(written.with("limite", &asked.limit).with_links(&links).into_response(room))
}

/// Writes the bookings that are asked for. Returns the place after which the list goes on.
async fn write(
    app: &App,
    asked: &ListRequest,
    who: &Who,
    log: &Logger,
    written: &mut Written,
) -> Result<Option<(Timestamp, i64)>, Problem> {
    let page = app.store.list(asked.filter.clone(), asked.after, asked.limit).await;
    let page = page.map_err(|error| not_read(log, &error))?;
    let catalogue = handlers::recent(app, log).await?;
    views::bookings(written, page.bookings, &catalogue, app.clock.now(), who);
    Ok(page.next)
}

/// All of the list.
struct Pages {
    app: Arc<App>,
    /// The next page.
    asked: ListRequest,
    who: Who,
    log: Logger,
}

impl whole::Pages for Pages {
    async fn write(&mut self, written: &mut Written) -> Result<bool, Problem> {
        self.asked.after = write(&self.app, &self.asked, &self.who, &self.log, written).await?;
        Ok(self.asked.after.is_some())
    }
}
