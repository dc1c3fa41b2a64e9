//! A telescope's agenda slot by slot, and the nearest free slots, over HTTP.

use hyper::StatusCode;
use serde::Serialize;
use slog::Logger;

use super::app::App;
use super::handlers::catalogue;
use super::links::{self, BookingView};
use super::problems::{not_read, unknown_telescope};
use super::requests;
use crate::agenda::timetable::{Search, SlotState, states as states_of};
use crate::agenda::{SlotRange, Telescope};
use crate::http::links::{Link, Links, with_query};
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::{self, Response};
use crate::time::Timestamp;

#[derive(Serialize)]
struct TimetableView<'a> {
    telescopio: &'a str,
    simulado: bool,
    de_utc: String,
    ate_utc: String,
    agora_utc: String,
    horarios: Vec<SlotView>,
    agendamentos: Vec<BookingView<'a>>,
    _links: Links,
}

#[derive(Serialize)]
struct SlotView {
    horario_inicio_utc: String,
    estado: &'static str,
    agendamento_id: Option<i64>,
    _links: Links,
}

/// `GET /telescopios/{id}/agenda`.
pub async fn states(app: &App, code: &str, request: &Request) -> Result<Response, Problem> {
    let now = app.clock.now();
    let period = requests::timetable(request.head.uri.query(), now)?;
    let Telescope { simulated, .. } = telescope(app, code, &request.log).await?;
    let standing = app.store.standing(code, period.start(), period.end()).await;
    let standing = standing.map_err(|error| not_read(&request.log, &error))?;
    let known = app.catalogue();
    let slots = states_of(period, &standing, simulated, now);
    let at = |period| Link::get(links::timetable_href(code, period));
    let view = TimetableView {
        telescopio: code,
        simulado: simulated,
        de_utc: period.start().seconds().to_string(),
        ate_utc: period.end().seconds().to_string(),
        agora_utc: now.micros().to_string(),
        horarios: slots.into_iter().map(|(start, state)| slot(start, state)).collect(),
        agendamentos: standing.iter().map(|booking| links::booking(booking, &known, now)).collect(),
        _links: Links::new()
            .with("self", at(period))
            .with_some("anterior", period.before().map(at))
            .with_some("seguinte", period.after().map(at))
            .with("agenda", links::any_timetable(code))
            .with("livres", links::any_free(code))
            .with("eventos", Link::get("/eventos"))
            .with("telescopio", Link::get(links::telescope_path(code))),
    };
    Ok(http::json(StatusCode::OK, &view))
}

/// One slot, with what can be done with it.
fn slot(start: Timestamp, state: SlotState) -> SlotView {
    let (booking_id, links) = match state {
        SlotState::Free => (None, book_this()),
        SlotState::Booked(id) => (Some(id), links::to_booking(id)),
        SlotState::Past => (None, Links::new()),
    };
    SlotView {
        horario_inicio_utc: start.seconds().to_string(),
        estado: state.name(),
        agendamento_id: booking_id,
        _links: links,
    }
}

#[derive(Serialize)]
struct FreeView<'a> {
    telescopio: &'a str,
    perto_de_utc: String,
    duracao_min: i64,
    livres: Vec<RunView>,
    _links: Links,
}

#[derive(Serialize)]
struct RunView {
    horario_inicio_utc: String,
    horario_fim_utc: String,
    _links: Links,
}

/// `GET /telescopios/{id}/livres`.
pub async fn free(app: &App, code: &str, request: &Request) -> Result<Response, Problem> {
    let now = app.clock.now();
    let asked = requests::free(request.head.uri.query(), now)?;
    let Telescope { simulated, .. } = telescope(app, code, &request.log).await?;
    // The duration was checked when it was read.
    let search = Search::new(asked.near, asked.duration_min, simulated, now);
    let search = search.map_err(|error| Problem::internal(error.to_string()))?;
    let (from, until) = search.looks_at();
    let taken = app.store.taken(code, from, until).await.map_err(|error| not_read(&request.log, &error))?;
    let run = |run: SlotRange| RunView {
        horario_inicio_utc: run.start().seconds().to_string(),
        horario_fim_utc: run.end().seconds().to_string(),
        _links: book_this(),
    };
    let (near, duration) = (asked.near.micros().to_string(), asked.duration_min.to_string());
    let limit = asked.limit.to_string();
    let pairs = [("perto_de", near.as_str()), ("duracao_min", &duration), ("limite", &limit)];
    let view = FreeView {
        telescopio: code,
        perto_de_utc: near.clone(),
        duracao_min: asked.duration_min,
        livres: search.nearest(&taken, usize::from(asked.limit)).into_iter().map(run).collect(),
        _links: Links::new()
            .with("self", Link::get(with_query(&format!("{}/livres", links::telescope_path(code)), pairs)))
            .with("agenda", links::any_timetable(code))
            .with("telescopio", Link::get(links::telescope_path(code))),
    };
    Ok(http::json(StatusCode::OK, &view))
}

fn book_this() -> Links {
    Links::new().with("agendar", Link::action("POST", "/agendamentos", "Agendar este horário"))
}

/// The telescope of that code; the catalogue is read again before it is called unknown.
async fn telescope(app: &App, code: &str, log: &Logger) -> Result<Telescope, Problem> {
    if let Some(telescope) = app.catalogue().telescope(code) {
        return Ok(telescope.clone());
    }
    catalogue(app, log).await?.telescope(code).cloned().ok_or_else(|| unknown_telescope(code))
}
