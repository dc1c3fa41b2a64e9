//! The handlers: parse, call, render.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION, RETRY_AFTER};
use serde_json::{Map, json};
use slog::Logger;

use super::app::App;
use super::config::{NOT_USED, SERVICE, VERSION};
use super::links::Crowd;
use super::origin::Origin;
use super::problems::{field_error, not_read, opening, refused, unknown_booking, with_opening};
use super::refusal::{Refusal, is_of_catalogue, is_unknown};
use super::to_its_end::to_its_end;
use super::{book, hour, links, page, requests, views};
use crate::access::principal::{Denied, Who};
use crate::access::role::Permission;
use crate::agenda::{Booking, Cancellation, Catalogue, Draft, NewBooking, Rejection, SlotRange};
use crate::clock::token;
use crate::coordinator::protocol::grace;
use crate::http::fields::Fields;
use crate::http::html;
use crate::http::identity::{denied, read_json};
use crate::http::parameters::Parameters;
use crate::http::precondition::{IfMatch, tagged};
use crate::http::prefix::seen;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::{self, Response};
use crate::store::Counted;
use crate::time::{Timestamp, millis};

/// The most bytes of a body.
pub const BODY_MAX: usize = 64 * 1024;
/// How long the database may take to answer the readiness probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// `GET /`: the page to a client that prefers HTML, which may have any query; otherwise the links to everything.
pub fn entry(app: &App, request: &Request) -> Result<Response, Problem> {
    let headers = &request.head.headers;
    if html::is_preferred(headers) {
        return Ok(page::index(headers));
    }
    Parameters::none(request.head.uri.query())?;
    let body = json!({ "servico": SERVICE, "versao": VERSION, "modo": app.gate.mode(), "_links": links::entry(&request.who, signed(app, request)) });
    let mut response = http::json(StatusCode::OK, &body);
    page::vary(&mut response, "Accept");
    Ok(response)
}

/// What the links say of signing in and out.
pub fn signed(app: &App, request: &Request) -> links::Signed {
    links::Signed {
        asked: app.identity.identifies(),
        in_session: request.pass.session().is_some(),
        has_provider: app.provider.is_some(),
    }
}

/// The catalogue as it is now.
pub async fn catalogue(app: &App, log: &Logger) -> Result<Arc<Catalogue>, Problem> {
    app.reload_catalogue().await.map_err(|error| not_read(log, &error))
}

/// The catalogue as it was a moment ago.
pub async fn recent(app: &App, log: &Logger) -> Result<Arc<Catalogue>, Problem> {
    app.recent_catalogue().await.map_err(|error| not_read(log, &error))
}

/// `POST /agendamentos`.
pub async fn book(app: &Arc<App>, request: &mut Request) -> Result<Response, Problem> {
    let mut origin = Origin::of(request);
    let bytes = read_json(request, BODY_MAX).await?;
    let (mut draft, wrong_fields) = requests::booking(Fields::parse(&bytes)?);
    let (clicked_at, time_token) = (draft.clicked_at, draft.time_token.take());
    if let Some(scientist) = draft.scientist_id {
        request.who.check_scientist(scientist).map_err(|denied| not_yours(denied, request))?;
    }
    let mut new = check(app, draft, wrong_fields, &request.log).await?;
    if let Some(text) = time_token {
        new.stamp = Some(hour::stamp(app, request, clicked_at, &text).await);
        origin.time_token = Some(token::hash(&text));
    }
    let (telescope, slots) = (Arc::clone(&new.telescope), new.slots);
    // The lock is given back, also when the client goes away now.
    let booking = match to_its_end(&app.tasks, book::book(Arc::clone(app), new, origin)).await {
        Ok(booking) => booking,
        Err(refusal @ Refusal::NotWritten(_)) => {
            return Err(refused(refusal).with_links(links::where_it_would_be(&telescope.code, slots)));
        }
        Err(refusal) => return Err(conflict(app, refusal, &telescope.code, slots, &request.log).await),
    };
    Ok(made(&booking, &app.catalogue(), app.clock.now(), &request.who))
}

/// The answer to the request that has made this booking.
pub fn made(booking: &Booking, catalogue: &Catalogue, now: Timestamp, who: &Who) -> Response {
    let view = views::booking(booking, catalogue, now, who).with_receipt(booking);
    let mut response = tagged(http::json(StatusCode::CREATED, &view), &booking.version.to_string());
    if let Ok(location) = HeaderValue::from_str(&seen(&links::booking_path(booking.id))) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// A refused booking as the client reads it. Where a rival was faster, the answer names the rival and leads to free slots. A
/// request that lost at the coordinator is answered without the database: there may be thousands of them.
pub async fn conflict(app: &App, refusal: Refusal, telescope: &str, slots: SlotRange, log: &Logger) -> Problem {
    let has_waits = app.gate.locking().is_some();
    let (at, booking_id, scientist_id) = match &refusal {
        Refusal::Taken { start, booking_id, scientist_id, .. } => (*start, *booking_id, *scientist_id),
        Refusal::Busy { start, .. } => {
            let is_contested = !app.windows.window(app.clock.now()).is_zero();
            let crowd = Crowd { telescope: telescope.into(), slots, at: *start, has_waits, is_contested };
            return refused(refusal).with_links(app.crowd_links.of(crowd));
        }
        _ => return refused(refusal),
    };
    let mut known = app.catalogue();
    if known.scientist(scientist_id).is_none()
        && let Ok(fresh) = catalogue(app, log).await
    {
        known = fresh;
    }
    let name = known.scientist(scientist_id).map(|scientist| scientist.name.clone());
    let links = links::after_conflict(telescope, slots, at, Some(booking_id), has_waits);
    refused(refusal).with("cientista", name).with_links(links)
}

/// Checks a draft against the rules. The catalogue is read again before a scientist or a telescope is called unknown or inactive, and
/// before one of the telescope's own rules is called broken. What a scientist has booked is counted last, unless room for the booking is
/// remembered, and again in the transaction.
pub async fn check(
    app: &App,
    draft: Draft,
    wrong_fields: Vec<FieldError>,
    log: &Logger,
) -> Result<NewBooking, Problem> {
    let mut known = app.catalogue();
    let mut checked = draft.check(&known, app.clock.now());
    if let Err(broken) = &checked
        && broken.iter().any(is_of_catalogue)
    {
        known = catalogue(app, log).await?;
        checked = draft.check(&known, app.clock.now());
    }
    checked = match checked {
        Ok(new) if wrong_fields.is_empty() && counts(&new) && app.takes_room(&new, known.edition()) => return Ok(new),
        checked => checked,
    };
    let mut counted = count(app, checked.as_ref().ok(), None, log).await?;
    // A quota that another scheduler has raised counts here too.
    if counted.as_ref().is_some_and(|counted| counted.edition != known.edition()) {
        known = catalogue(app, log).await?;
        checked = draft.check(&known, app.clock.now());
        counted = count(app, checked.as_ref().ok(), None, log).await?;
    }
    let broken = match checked {
        Ok(new) => match counted.as_ref().and_then(|counted| broken_by(counted, &new, &known, app.clock.now())) {
            None if wrong_fields.is_empty() => {
                if let Some(counted) = counted {
                    app.remember_room(&new, &counted, &known);
                }
                return Ok(new);
            }
            broken => broken.into_iter().collect(),
        },
        Err(broken) => broken,
    };
    Err(wrong_draft(wrong_fields, &broken))
}

/// What `new` breaks of the rules that count: what its scientist has, and its proposal's minutes. The booking `moving` does not count.
pub async fn quota(
    app: &App,
    new: &NewBooking,
    moving: Option<i64>,
    log: &Logger,
) -> Result<Option<Rejection>, Problem> {
    let Some(counted) = count(app, Some(new), moving, log).await? else { return Ok(None) };
    let mut known = app.catalogue();
    if known.edition() != counted.edition {
        known = catalogue(app, log).await?;
    }
    Ok(broken_by(&counted, new, &known, app.clock.now()))
}

/// Whether anything counts against a new booking.
fn counts(new: &NewBooking) -> bool {
    new.telescope.rules.count_bookings() || new.proposal_id.is_some()
}

/// What counts against a new booking; `None` if there is none, or if nothing counts.
async fn count(
    app: &App,
    new: Option<&NewBooking>,
    moving: Option<i64>,
    log: &Logger,
) -> Result<Option<Counted>, Problem> {
    let Some(new) = new.filter(|new| counts(new)) else { return Ok(None) };
    let counted = app.store.counted(new, moving, app.clock.now()).await;
    counted.map(Some).map_err(|error| not_read(log, &error))
}

/// The first rule that `new` breaks by what counts against it.
fn broken_by(counted: &Counted, new: &NewBooking, known: &Catalogue, now: Timestamp) -> Option<Rejection> {
    let held = counted.held.iter().copied();
    if let Err(broken) = new.telescope.rules.check_held(new.slots, &held, now) {
        return Some(Rejection::Rule(broken));
    }
    let proposal = known.proposal(new.proposal_id?)?;
    let checked = proposal.check_minutes(&new.telescope.code, new.slots, counted.used_min);
    checked.err().map(Rejection::Proposal)
}

/// The refusal of fields that cannot be read, and of rules that are broken.
pub fn wrong_draft(wrong_fields: Vec<FieldError>, broken: &[Rejection]) -> Problem {
    let only_unknown = wrong_fields.is_empty() && broken.iter().all(is_unknown);
    let mut errors = wrong_fields;
    errors.extend(broken.iter().map(field_error));
    match broken.first() {
        Some(first) if only_unknown => refused(Refusal::Unknown(first.clone())).with_fields(errors),
        _ => with_opening(Problem::invalid_fields(errors), opening(broken)),
    }
}

/// `GET /agendamentos/{id}`.
pub async fn booking(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let Some(number) = requests::id(id) else {
        return Err(unknown_booking(id));
    };
    let booking = stored(app, id, number, &request.log).await?;
    let catalogue = recent(app, &request.log).await?;
    let view = views::booking(&booking, &catalogue, app.clock.now(), &request.who);
    Ok(tagged(http::json(StatusCode::OK, &view), &booking.version.to_string()))
}

/// `DELETE /agendamentos/{id}`.
pub async fn cancel(app: &Arc<App>, id: &str, request: &mut Request) -> Result<Response, Problem> {
    let origin = Origin::of(request);
    let expected = IfMatch::read(&request.head.headers)?.and_then(IfMatch::numbers);
    let bytes = read_json(request, BODY_MAX).await?;
    let asked = Cancellation { reason: requests::cancellation(&bytes)?, expected, lead: Duration::ZERO };
    let Some(number) = requests::id(id) else {
        return Err(unknown_booking(id));
    };
    if !request.who.may(Permission::ChangeAnyBooking) {
        // A booking never changes its scientist, so this is still true when it is cancelled.
        let booking = stored(app, id, number, &request.log).await?;
        request.who.check_scientist(booking.scientist_id).map_err(|denied| not_yours(denied, request))?;
    }
    let cancelled = to_its_end(&app.tasks, book::cancel(Arc::clone(app), number, asked, origin)).await;
    let booking = cancelled.map_err(|refusal| refused(refusal).with_links_if_none(|| links::to_booking(number)))?;
    Ok(render(app, StatusCode::OK, &booking, &request.who))
}

/// The booking of that number.
pub async fn stored(app: &App, id: &str, number: i64, log: &Logger) -> Result<Booking, Problem> {
    let found = app.store.booking(number).await.map_err(|error| not_read(log, &error))?;
    found.ok_or_else(|| unknown_booking(id))
}

/// The refusal of what a scientist asks for in the name of another one.
pub fn not_yours(why: Denied, request: &Request) -> Problem {
    match (why, request.who.scientist()) {
        (Denied::Role(_), Some(own)) => {
            let detail = format!(
                "Este agendamento é de outro cientista, e o seu token é do cientista {own}: só com o papel operador se agenda, se muda e se cancela \
                 por outros."
            );
            denied(why).with_detail(detail).with("cientista_id", own)
        }
        _ => denied(why),
    }
}

/// `GET /saude`.
pub fn health(app: &App) -> Response {
    let body = json!({
        "status": "vivo",
        "servico": SERVICE,
        "versao": VERSION,
        "ativo_ha_ms": millis(app.started.elapsed()),
        "_links": links::self_and_entry("/saude"),
    });
    http::json(StatusCode::OK, &body)
}

/// `GET /metrics`.
pub async fn measure(app: &App, request: &Request) -> Response {
    let bounds = request.hosting.visit().bounds();
    http::metrics::answer(&app.metrics.registry(&app.now().await, bounds), &request.head.headers)
}

/// `GET /pronto`.
pub async fn ready(app: &App) -> Response {
    let ok_or = |fault: Option<String>| fault.unwrap_or_else(|| "ok".to_owned());
    let database = match tokio::time::timeout(PROBE_TIMEOUT, app.store.probe()).await {
        Ok(probed) => probed.err().map(|error| error.to_string()),
        Err(_) => Some(format!("não respondeu em {} s", PROBE_TIMEOUT.as_secs())),
    };
    let audit = app.audit_fault();
    let not_ready = match app.gate.locking() {
        None => None,
        Some(locking) => locking.client.ready().await.err(),
    };
    let grace_left = not_ready.as_ref().and_then(|fault| fault.grace_left);
    let ready = database.is_none() && audit.is_none() && not_ready.is_none();
    let coordinator = match app.gate.locking() {
        None => NOT_USED.to_owned(),
        Some(_) => ok_or(not_ready.map(|fault| fault.reason)),
    };
    let body = json!({
        "status": if ready { "pronto" } else { "indisponivel" },
        "partes": {
            "banco": ok_or(database),
            "coordenador": coordinator,
            // A trail file that is behind is reported, and does not stop bookings.
            "auditoria": ok_or(audit.or_else(|| app.audit_behind())),
        },
        "avisos": app.store.warnings().into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect::<Map<_, _>>(),
        grace::LEFT: grace_left.map(millis),
        "_links": links::self_and_entry("/pronto"),
    });
    if ready {
        return http::json(StatusCode::OK, &body);
    }
    let mut response = http::json(StatusCode::SERVICE_UNAVAILABLE, &body);
    response.headers_mut().insert(RETRY_AFTER, grace_left.map_or(1, grace::seconds).into());
    response
}

/// An answer with a booking, and its version as the tag.
pub fn render(app: &App, status: StatusCode, booking: &Booking, who: &Who) -> Response {
    let view = views::booking(booking, &app.catalogue(), app.clock.now(), who);
    tagged(http::json(status, &view), &booking.version.to_string())
}
