//! A telescope's agenda slot by slot, and the nearest free slots, over HTTP.

use hyper::StatusCode;
use slog::Logger;

use super::app::App;
use super::handlers::catalogue;
use super::problems::{not_read, unknown_telescope};
use super::{requests, views};
use crate::agenda::Telescope;
use crate::agenda::timetable::{Search, states as states_of};
use crate::http::gzip;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::{self, Response};
use crate::panics;

/// `GET /telescopios/{id}/agenda`.
pub async fn states(app: &App, code: &str, request: &Request) -> Result<Response, Problem> {
    let now = app.clock.now();
    let period = requests::timetable(request.head.uri.query(), now)?;
    let telescope = telescope(app, code, &request.log).await?;
    let standing = app.store.standing(&telescope.code, period.start(), period.end()).await;
    let standing = standing.map_err(|error| not_read(&request.log, &error))?;
    let (headers, who) = (request.head.headers.clone(), request.who.clone());
    // A week is 400 KB, and in the race each slot may have many bookings: writing and compressing that would hold up the
    // requests that share the thread.
    let written = panics::blocking(move || {
        let slots = states_of(period, &standing, telescope.simulated, now);
        gzip::json(&headers, StatusCode::OK, &views::timetable(&telescope, period, slots, &standing, now, &who))
    });
    written.await.map_err(|error| Problem::internal(format!("a agenda de um período: {error}")))
}

/// `GET /telescopios/{id}/livres`.
pub async fn free(app: &App, code: &str, request: &Request) -> Result<Response, Problem> {
    let now = app.clock.now();
    let asked = requests::free(request.head.uri.query(), now)?;
    let telescope = telescope(app, code, &request.log).await?;
    // The duration was checked when it was read.
    let search = Search::new(asked.near, asked.duration_min, telescope.simulated, now);
    let search = search.map_err(|error| Problem::internal(error.to_string()))?;
    let (from, until) = search.looks_at();
    let taken = app.store.taken(&telescope.code, from, until).await.map_err(|error| not_read(&request.log, &error))?;
    let found = search.nearest(&taken, usize::from(asked.limit));
    Ok(http::json(StatusCode::OK, &views::free(code, &asked, found, &request.who)))
}

/// The telescope of that code. The catalogue is read again before a code is called unknown.
async fn telescope(app: &App, code: &str, log: &Logger) -> Result<Telescope, Problem> {
    if let Some(telescope) = app.catalogue().telescope(code) {
        return Ok(telescope.clone());
    }
    catalogue(app, log).await?.telescope(code).cloned().ok_or_else(|| unknown_telescope(code))
}
