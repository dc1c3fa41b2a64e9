//! The maintenances of telescopes over HTTP.

mod closing;

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use serde::Serialize;
use serde_json::Value;
use slog::info;

use super::app::App;
use super::book::check_audit;
use super::catalogue::refusal::CatalogueRefusal;
use super::origin::Origin;
use super::outcome::{store_failed, tell_promoted};
use super::problems::{refused, unknown_telescope};
use super::refusal::Refusal;
use super::to_its_end::to_its_end;
use super::{handlers, links, requests, views};
use crate::access::principal::Who;
use crate::access::role::Permission;
use crate::agenda::maintenance::{Maintenance, MaintenanceView, NewMaintenance, REASON_MAX_CHARS, WrongMaintenance};
use crate::agenda::timetable::Period;
use crate::agenda::{Booking, Telescope};
use crate::http::fields::{Fields, TextRule};
use crate::http::identity::read_json;
use crate::http::links::{Link, Links};
use crate::http::prefix::seen;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::table::Table;
use crate::http::written::Written;
use crate::http::wrong::FieldCode;
use crate::http::{self, Response};
use crate::store::{Closed, NotClosed};
use crate::time::{Rfc3339, Timestamp};

/// The most bytes of a body.
pub const BODY_MAX: usize = 16 * 1024;
/// How many of the bookings in its time a refusal shows.
const SHOWN_MAX: usize = 50;
/// The fields of a maintenance that a client gives.
const FIELDS: &str = "inicio_utc, fim_utc, motivo, semanal_ate_utc, cancelar_agendamentos";
/// Its other fields. A client that sends back what it read may leave them in.
const ANSWERED_FIELDS: [&str; 5] = ["id", "telescopio", "agendamentos_cancelados", "abre_em_utc", "_links"];

/// The maintenances as a table.
static TABLE: Table = Table {
    list: "manutencoes",
    columns: &["id", "telescopio", "inicio_utc", "fim_utc", "semanal_ate_utc", "motivo"],
    also: &[],
};

/// A maintenance on the wire.
#[derive(Serialize)]
struct View<'a> {
    id: i64,
    telescopio: &'a str,
    #[serde(flatten)]
    when: MaintenanceView<'a>,
    /// In the answer to the request that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    agendamentos_cancelados: Option<Vec<i64>>,
    /// In the answer to the request that took it away, if its slots do not open at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    abre_em_utc: Option<Rfc3339>,
    _links: Links,
}

fn view<'a>(telescope: &'a str, maintenance: &'a Maintenance, stands: bool, who: &Who) -> View<'a> {
    let path = links::maintenance_path(maintenance.id);
    let removable = stands && who.may(Permission::ManageCatalogue);
    let day = links::timetable_href(&links::telescope_path(telescope), Period::day_of(maintenance.when.start));
    View {
        id: maintenance.id,
        telescopio: telescope,
        when: MaintenanceView::of(&maintenance.when),
        agendamentos_cancelados: None,
        abre_em_utc: None,
        _links: Links::new()
            .with("self", Link::get(path.clone()))
            .with_if(removable, "retirar", || Link::action("DELETE", path, "Retirar esta manutenção"))
            .with("agenda", Link::get(day))
            .with("manutencoes", Link::get(links::maintenances_path(telescope)))
            .with("telescopio", Link::get(links::telescope_path(telescope))),
    }
}

/// `GET /telescopios/{id}/manutencoes`.
pub async fn list(app: &App, code: &str, request: &Request) -> Result<Response, Problem> {
    let written = Written::of_list(&request.head.headers, &TABLE)?;
    let catalogue = handlers::catalogue(app, &request.log).await?;
    let telescope = catalogue.telescope(code).ok_or_else(|| unknown_telescope(code))?;
    let now = app.clock.now();
    let all: Vec<_> = telescope
        .maintenance
        .iter()
        .filter(|one| stands(telescope, one, now))
        .map(|one| view(code, one, true, &request.who))
        .collect();
    let path = links::maintenances_path(code);
    let links = Links::new()
        .with("self", Link::get(path.clone()))
        .with_if(request.who.may(Permission::ManageCatalogue), "criar", || {
            Link::action("POST", path, "Acrescentar uma manutenção")
        })
        .with("telescopio", Link::get(links::telescope_path(code)));
    Ok(written.with("telescopio", &code).with_list(TABLE.list, all).with_links(&links).into_counted())
}

/// Whether a maintenance has not ended; of a simulated telescope, where the past can be booked, all stand.
fn stands(telescope: &Telescope, maintenance: &Maintenance, now: Timestamp) -> bool {
    telescope.simulated || maintenance.when.ends() > now
}

/// `GET /manutencoes/{id}`.
pub async fn one(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let (telescope, maintenance) = known(app, id, request).await?;
    let stands = stands(&telescope, &maintenance, app.clock.now());
    Ok(http::json(StatusCode::OK, &view(&telescope.code, &maintenance, stands, &request.who)))
}

/// `POST /telescopios/{id}/manutencoes`.
pub async fn create(app: &Arc<App>, code: &str, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let bytes = read_json(request, BODY_MAX).await?;
    let (when, cancels) = new_maintenance(&bytes)?;
    let catalogue = handlers::catalogue(app, &request.log).await?;
    let telescope = catalogue.telescope(code).ok_or_else(|| unknown_telescope(code))?.clone();
    // Each lock is given back, also when the client goes away now.
    let closed = to_its_end(&app.tasks, closing::close(Arc::clone(app), telescope, when, cancels, origin)).await;
    let closed = closed.map_err(refused)?;
    let Closed { maintenance, cancelled, .. } = closed.map_err(|not| not_closed(app, code, not, request))?;
    let count = cancelled.len();
    info!(request.log, "Manutenção {} de {} criada por {}", maintenance.id, code, request.who.author(); "cancelados" => count);
    // What is cached here is right at once. The maintenance is made, also if this reading fails, which is logged.
    let _ = handlers::catalogue(app, &request.log).await;
    let cancelled: Vec<i64> = cancelled.iter().map(|booking| booking.id).collect();
    Ok(made(code, &maintenance, &cancelled, &request.who))
}

/// The answer to the request that has made this maintenance, for which these bookings were cancelled.
pub fn made(code: &str, maintenance: &Maintenance, cancelled: &[i64], who: &Who) -> Response {
    let mut view = view(code, maintenance, true, who);
    view.agendamentos_cancelados = Some(cancelled.to_vec());
    let mut response = http::json(StatusCode::CREATED, &view);
    if let Ok(location) = HeaderValue::from_str(&seen(&links::maintenance_path(maintenance.id))) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// `DELETE /manutencoes/{id}`.
pub async fn remove(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let (telescope, maintenance) = known(app, id, request).await?;
    check_audit(app, &origin).map_err(refused)?;
    // Without locks there are no contests.
    let lead = app.gate.locking().map_or(Duration::ZERO, |_| app.lead());
    let removed = app.store.reopen(telescope.code.clone(), maintenance.id, lead, origin.cause.clone()).await;
    let removed = removed.map_err(|error| refused(store_failed(&origin, &error)))?.ok_or_else(|| unknown(id))?;
    tell_promoted(app, &origin, &removed.promoted);
    app.live.reopened(&telescope.code, removed.opens_at, &origin);
    let (removed, opens_at) = (removed.maintenance, removed.opens_at);
    info!(origin.log, "Manutenção {} de {} retirada por {}", removed.id, telescope.code, request.who.author());
    let _ = handlers::catalogue(app, &request.log).await;
    let abre_em_utc = opens_at.map(Timestamp::micros);
    Ok(http::json(StatusCode::OK, &View { abre_em_utc, ..view(&telescope.code, &removed, false, &request.who) }))
}

/// The maintenance of that number, with its telescope.
async fn known(app: &App, id: &str, request: &Request) -> Result<(Telescope, Maintenance), Problem> {
    let number = requests::id(id).ok_or_else(|| unknown(id))?;
    let catalogue = handlers::catalogue(app, &request.log).await?;
    let (telescope, maintenance) = catalogue.in_maintenance(number).ok_or_else(|| unknown(id))?;
    Ok((telescope.clone(), maintenance.clone()))
}

fn unknown(id: &str) -> Problem {
    refused(Refusal::Catalogue(CatalogueRefusal::UnknownMaintenance(id.to_owned())))
}

/// The answer where nothing was written, with the bookings that were in the way.
fn not_closed(app: &App, code: &str, not: NotClosed, request: &Request) -> Problem {
    let with_bookings = |problem: Problem, bookings: &[Booking]| {
        let catalogue = app.catalogue();
        let now = app.clock.now();
        let shown = bookings.iter().take(SHOWN_MAX);
        let shown = shown.map(|booking| views::booking(booking, &catalogue, now, &request.who));
        let shown: Vec<Value> = shown.filter_map(|view| serde_json::to_value(view).ok()).collect();
        problem.with("agendamentos", shown).with_links(Links::new().with("agenda", links::any_timetable(code)))
    };
    match not {
        NotClosed::Unknown => unknown_telescope(code),
        NotClosed::Booked(bookings) => {
            with_bookings(refused(Refusal::Catalogue(CatalogueRefusal::BookedThen(bookings.len()))), &bookings)
        }
        NotClosed::Begun(bookings) => {
            with_bookings(refused(Refusal::Catalogue(CatalogueRefusal::BegunThen(bookings.len()))), &bookings)
        }
        NotClosed::TooManyBookings => refused(Refusal::Catalogue(CatalogueRefusal::TooManyBookings)),
        NotClosed::TooManyMaintenances => {
            let path = links::maintenances_path(code);
            refused(Refusal::Catalogue(CatalogueRefusal::TooManyMaintenances))
                .with_links(Links::new().with("manutencoes", Link::get(path)))
        }
        // The use case has tried again, and has said why not.
        NotClosed::Others | NotClosed::Fence(_) => Problem::internal("uma manutenção sem trava"),
    }
}

/// Reads a new maintenance, and whether it may cancel bookings.
///
/// # Errors
/// The problem to answer with.
fn new_maintenance(body: &[u8]) -> Result<(NewMaintenance, bool), Problem> {
    let mut fields = Fields::parse(body)?;
    let (start, end) = (fields.required_exact_instant("inicio_utc"), fields.required_exact_instant("fim_utc"));
    let reason = fields.required_text("motivo", TextRule { max_chars: REASON_MAX_CHARS, multiline: false });
    let weekly_until = fields.exact_instant("semanal_ate_utc");
    let cancels = fields.boolean("cancelar_agendamentos").unwrap_or(false);
    for answered in ANSWERED_FIELDS {
        fields.pass_over(answered);
    }
    let when = start.zip(end).map(|(start, end)| NewMaintenance {
        start,
        end,
        reason: reason.clone().unwrap_or_default(),
        weekly_until,
    });
    for wrong in when.iter().flat_map(NewMaintenance::wrong) {
        let code = match wrong {
            WrongMaintenance::OffGrid(_) => FieldCode::OffGrid,
            WrongMaintenance::Length(_) | WrongMaintenance::Repeated => FieldCode::Contradiction,
        };
        fields.reject(wrong.field(), code.says(wrong.to_string()));
    }
    fields.finish(FIELDS).map_err(Problem::invalid_fields)?;
    let when = when.ok_or_else(|| Problem::internal("uma manutenção sem erro e sem um campo obrigatório"))?;
    Ok((when, cancels))
}
