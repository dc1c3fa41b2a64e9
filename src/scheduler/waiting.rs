//! Waiting lists over HTTP: entering the list of a start, leaving it, and what has become of an entry.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde::Serialize;
use slog::{Logger, info};

use super::app::App;
use super::book::check_audit;
use super::handlers::{BODY_MAX, check, not_yours};
use super::origin::Origin;
use super::outcome::{broken, store_failed};
use super::problems::{not_read, refused};
use super::refusal::Refusal;
use super::requests::WaitsRequest;
use super::views::Notes;
use super::{links, requests};
use crate::access::principal::Who;
use crate::access::role::Permission;
use crate::agenda::Wait;
use crate::http::fields::Fields;
use crate::http::identity::read_json;
use crate::http::links::Links;
use crate::http::prefix::seen;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::table::Table;
use crate::http::whole::{self, PAGE};
use crate::http::written::Written;
use crate::http::{self, Response, no_room};
use crate::store::{NotEntered, NotLeft, Placed};
use crate::time::Timestamp;

/// `POST /telescopios/{id}/agenda/{inicio}/espera`.
pub async fn enter(app: &App, (code, start): (&str, &str), request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let bytes = read_json(request, BODY_MAX).await?;
    let (draft, wrong_fields) = requests::waiting(Fields::parse(&bytes)?, code, start);
    if let Some(scientist) = draft.scientist_id {
        request.who.check_scientist(scientist).map_err(|denied| not_yours(denied, request))?;
    }
    if app.gate.locking().is_none() {
        return Err(refused(Refusal::NoWaits));
    }
    let new = check(app, draft, wrong_fields, &request.log).await?;
    check_audit(app, &origin).map_err(refused)?;
    let (telescope, slots) = (new.telescope.code.clone(), new.slots);
    let entered = app.store.enter(new, origin.cause.clone()).await;
    let placed = match entered.map_err(|error| refused(store_failed(&origin, &error)))? {
        Ok(placed) => placed,
        Err(NotEntered::Broken(rejection)) => return Err(refused(broken(app, &origin, rejection).await)),
        Err(NotEntered::Free) => return Err(refused(Refusal::Free { telescope, slots })),
        Err(NotEntered::Already(id)) => return Err(refused(Refusal::AlreadyWaiting(id))),
        Err(NotEntered::StartFull) => return Err(refused(Refusal::WaitsFull { of_scientist: false })),
        Err(NotEntered::ScientistFull) => return Err(refused(Refusal::WaitsFull { of_scientist: true })),
    };
    info!(origin.log, "Espera {} criada para o cientista {}", placed.wait.id, placed.wait.scientist_id);
    Ok(made(&placed.wait, placed.place, &request.who))
}

/// The answer to an entry that was made.
pub fn made(wait: &Wait, place: Option<u64>, who: &Who) -> Response {
    let mut response = http::json(StatusCode::CREATED, &view(wait, place, who));
    if let Ok(location) = HeaderValue::from_str(&seen(&links::wait_path(wait.id))) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// `GET /esperas`.
pub async fn list(app: &Arc<App>, request: &Request) -> Result<Response, Problem> {
    let mut written = Written::of_list(&request.head.headers, &WAITS)?;
    let asked = requests::waits(request.head.uri.query(), app.clock.now())?;
    let visit = request.hosting.visit();
    if asked.is_whole && written.is_table() {
        let (app, who, log) = (Arc::clone(app), request.who.clone(), request.log.clone());
        let pages = Pages { app, asked: WaitsRequest { limit: PAGE, ..asked }, who, log };
        return whole::answer(pages, written, visit, &request.log).await;
    }
    let (room, _reading) = visit.page(asked.limit).await.map_err(no_room::for_reading)?;
    let next = write(app, &asked, &request.who, &request.log, &mut written).await?;
    let links = links::of_waits(&asked, next);
    Ok(written.with("limite", &asked.limit).with_links(&links).into_response(room))
}

/// Writes the entries that are asked for. Returns the one after which the list goes on.
async fn write(
    app: &App,
    asked: &WaitsRequest,
    who: &Who,
    log: &Logger,
    written: &mut Written,
) -> Result<Option<i64>, Problem> {
    let page = app.store.waits(asked.filter.clone(), asked.after, asked.limit).await;
    let page = page.map_err(|error| not_read(log, &error))?;
    written.begin_list(WAITS.list);
    for placed in page.waits {
        written.item(&view(&placed.wait, placed.place, who));
    }
    written.end_list();
    Ok(page.next)
}

/// All of the list.
struct Pages {
    app: Arc<App>,
    /// The next page.
    asked: WaitsRequest,
    who: Who,
    log: Logger,
}

impl whole::Pages for Pages {
    async fn write(&mut self, written: &mut Written) -> Result<bool, Problem> {
        let next = write(&self.app, &self.asked, &self.who, &self.log, written).await?;
        self.asked.after = next.unwrap_or(self.asked.after);
        Ok(next.is_some())
    }
}

/// The entries as a table.
static WAITS: Table = Table {
    list: "esperas",
    columns: &[
        "id",
        "telescopio",
        "cientista_id",
        "proposta_id",
        "horario_inicio_utc",
        "horario_fim_utc",
        "duracao_min",
        "status",
        "posicao",
        "alvo",
        "observacoes",
        "criada_em_utc",
        "encerrada_em_utc",
        "agendamento_id",
        "preterida.em_utc",
        "preterida.codigo",
        "preterida.motivo",
    ],
    also: &[],
};

/// `GET /esperas/{id}`.
pub async fn show(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let number = requests::id(id).ok_or_else(|| unknown(id))?;
    let placed = stored(app, number, request).await?;
    Ok(http::json(StatusCode::OK, &view(&placed.wait, placed.place, &request.who)))
}

/// `DELETE /esperas/{id}`.
pub async fn leave(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let number = requests::id(id).ok_or_else(|| unknown(id))?;
    if !request.who.may(Permission::ChangeAnyBooking) {
        // An entry never changes its scientist, so this is still true when it is taken back.
        let scientist = stored(app, number, request).await?.wait.scientist_id;
        request.who.check_scientist(scientist).map_err(|denied| not_yours(denied, request))?;
    }
    check_audit(app, &origin).map_err(refused)?;
    let left = app.store.leave(number, origin.cause.clone()).await;
    let wait = match left.map_err(|error| refused(store_failed(&origin, &error)))? {
        Ok(wait) => wait,
        Err(NotLeft::Unknown) => return Err(unknown(id)),
        Err(NotLeft::Over(status)) => return Err(refused(Refusal::WaitOver(number, status))),
    };
    Ok(http::json(StatusCode::OK, &view(&wait, None, &request.who)))
}

async fn stored(app: &App, id: i64, request: &Request) -> Result<Placed, Problem> {
    let found = app.store.wait(id, app.clock.now()).await.map_err(|error| not_read(&request.log, &error))?;
    found.ok_or_else(|| unknown(&id.to_string()))
}

/// 404 for an entry. `id` is as the client wrote it.
fn unknown(id: &str) -> Problem {
    refused(Refusal::UnknownWait(id.to_owned()))
}

/// An entry of a waiting list.
#[derive(Serialize)]
struct WaitView<'a> {
    id: i64,
    telescopio: &'a str,
    cientista_id: i64,
    proposta_id: Option<i64>,
    horario_inicio_utc: String,
    horario_fim_utc: String,
    duracao_min: i64,
    status: &'static str,
    posicao: Option<u64>,
    alvo: Option<&'a str>,
    /// Missing where the reader may not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    observacoes: Option<Notes<'a>>,
    criada_em_utc: String,
    encerrada_em_utc: Option<String>,
    agendamento_id: Option<i64>,
    preterida: Option<PassedOverView<'a>>,
    _links: Links,
}

/// When and why an entry did not get slots that were free.
#[derive(Serialize)]
struct PassedOverView<'a> {
    em_utc: String,
    codigo: &'a str,
    motivo: &'a str,
}

fn view<'a>(wait: &'a Wait, place: Option<u64>, who: &Who) -> WaitView<'a> {
    let Wait { id, telescope, scientist_id, slots, status, target, notes, .. } = wait;
    let micros = |at: Timestamp| at.micros().to_string();
    WaitView {
        id: *id,
        telescopio: telescope,
        cientista_id: *scientist_id,
        proposta_id: wait.proposal_id,
        horario_inicio_utc: slots.start().seconds().to_string(),
        horario_fim_utc: slots.end().seconds().to_string(),
        duracao_min: slots.duration_min(),
        status: status.name(),
        posicao: place,
        alvo: target.as_deref(),
        observacoes: who.may_read_notes_of(*scientist_id).then_some(Notes(notes.as_deref())),
        criada_em_utc: micros(wait.created_at),
        encerrada_em_utc: wait.ended_at.map(micros),
        agendamento_id: wait.booking_id,
        preterida: wait.passed_over.as_ref().map(|passed| PassedOverView {
            em_utc: micros(passed.at),
            codigo: &passed.code,
            motivo: &passed.words,
        }),
        _links: links::of_wait(wait, who),
    }
}
