//! The bookings of a telescope or of a scientist as a calendar that other programs subscribe to (iCalendar).
//!
//! Calendar programs send no token. Where the service asks who its callers are, a secret address lets one in ([`feeds`]), and only to the
//! calendar that it was made for.

mod event;
pub mod feeds;

use std::time::Duration;

use hyper::header::{HeaderValue, REFERRER_POLICY};

use self::event::Told;
use super::app::App;
use super::problems::{not_a_scientist, not_read, refused, unknown_telescope};
use super::refusal::Refusal;
use super::{handlers, requests};
use crate::access::calendar::Shows;
use crate::access::register::Unidentified;
use crate::agenda::maintenance::{Maintenance, REMOVED_TOLD_MAX};
use crate::agenda::timetable::Period;
use crate::agenda::{Booking, Catalogue, Rejection, Telescope};
use crate::http::Response;
use crate::http::identity::{KEY_PARAMETER, no_address};
use crate::http::no_room;
use crate::http::parameters::Parameters;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::whole::PAGE;
use crate::http::written::Written;
use crate::http::wrong::FieldCode;
use crate::store::Filter;
use crate::time::Timestamp;

/// The media type.
const CONTENT_TYPE: &str = "text/calendar; charset=utf-8";
/// How far back a calendar goes, if nothing else is asked for.
const BACK: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The most bookings of a calendar. One without an end ends with the last of them: a program that has subscribed to it cannot ask for less.
const BOOKINGS_MAX: usize = 10_000;
/// The room for a booking that is not read yet.
const BOOKING_BYTES: usize = 8 * 1024;

/// `GET /telescopios/{id}/agenda.ics`.
pub async fn of_telescope(app: &App, code: &str, request: &Request) -> Result<Response, Problem> {
    check_address(app, request, &Shows::Telescope(code.to_owned()))?;
    let asked = Asked::read(request.head.uri.query(), app.clock.now())?;
    let catalogue = handlers::catalogue(app, &request.log).await?;
    let telescope = catalogue.telescope(code).ok_or_else(|| unknown_telescope(code))?;
    let begun = with_maintenance(app, telescope, &asked, request).await?;
    let filter = Filter { telescope: Some(telescope.code.clone()), ..asked.filter() };
    answer(app, request, &catalogue, (&begun, filter)).await
}

/// The beginning of a telescope's calendar: its maintenances, also those that were taken away, so that programs take them out.
async fn with_maintenance(
    app: &App,
    telescope: &Telescope,
    asked: &Asked,
    request: &Request,
) -> Result<String, Problem> {
    let removed = app.store.removed_maintenances(&telescope.code, (asked.from, asked.end()), REMOVED_TOLD_MAX).await;
    let removed = removed.map_err(|error| not_read(&request.log, &error))?;
    let is_in_it = |one: &Maintenance| one.when.meets(asked.from, asked.end()).is_some();
    // The catalogue may be a moment older than what was read just now.
    let stands = |one: &Maintenance| removed.iter().all(|gone| gone.maintenance.id != one.id);
    let mut begun = event::head(&telescope.name);
    for maintenance in telescope.maintenance.iter().filter(|one| is_in_it(one) && stands(one)) {
        begun.push_str(&event::of_maintenance(maintenance, &telescope.name, asked.today));
    }
    for gone in removed.iter().filter(|gone| is_in_it(&gone.maintenance)) {
        begun.push_str(&event::of_removed(gone, &telescope.name));
    }
    Ok(begun)
}

/// `GET /cientistas/{id}/agenda.ics`.
pub async fn of_scientist(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let number = requests::id(id).ok_or_else(|| not_a_scientist(id))?;
    check_address(app, request, &Shows::Scientist(number))?;
    let asked = Asked::read(request.head.uri.query(), app.clock.now())?;
    let catalogue = handlers::catalogue(app, &request.log).await?;
    let unknown = || refused(Refusal::Unknown(Rejection::UnknownScientist(number)));
    let scientist = catalogue.scientist(number).ok_or_else(unknown)?;
    let filter = Filter { scientist_id: Some(number), ..asked.filter() };
    answer(app, request, &catalogue, (&event::head(&scientist.name), filter)).await
}

/// Checks that an address with a secret is that of this calendar.
fn check_address(app: &App, request: &Request, shows: &Shows) -> Result<(), Problem> {
    let Some(secret) = request.pass.calendar() else { return Ok(()) };
    let made_for = app.identity.register().and_then(|register| register.shown_at(&secret));
    match made_for {
        Some(calendar) if calendar.shows == *shows => Ok(()),
        _ => Err(no_address(Unidentified::Unknown)),
    }
}

/// Which time of a calendar is asked for.
struct Asked {
    from: Timestamp,
    until: Option<Timestamp>,
    /// The first instant of today.
    today: Timestamp,
}

impl Asked {
    /// Reads the parameters. The secret was looked at when it was found out who calls; a service that asks nobody passes it over.
    fn read(query: Option<&str>, now: Timestamp) -> Result<Self, Problem> {
        let mut parameters = Parameters::parse(query);
        parameters.text(KEY_PARAMETER);
        let (from, until) = (parameters.instant("de"), parameters.instant("ate"));
        let today = Period::day_of(now).start();
        // The same all day long, so that what has not changed has the same bytes.
        let back = i64::try_from(BACK.as_micros()).unwrap_or(i64::MAX);
        let from = from.or_else(|| Timestamp::from_micros(today.as_micros() - back)).unwrap_or(today);
        if until.is_some_and(|until| from >= until) {
            parameters.reject("ate", FieldCode::Contradiction.says("deve ser posterior a de"));
        }
        parameters.finish("chave, de, ate")?;
        Ok(Self { from, until, today })
    }

    fn end(&self) -> Timestamp {
        self.until.unwrap_or(Timestamp::MAX)
    }

    fn filter(&self) -> Filter {
        Filter { from: Some(self.from), until: self.until, ..Filter::default() }
    }
}

/// The calendar that has `begun`, with the bookings of a filter.
async fn answer(
    app: &App,
    request: &Request,
    catalogue: &Catalogue,
    (begun, filter): (&str, Filter),
) -> Result<Response, Problem> {
    let mut written = Written::of_text(&request.head.headers, CONTENT_TYPE);
    written.push(begun);
    let is_own = filter.scientist_id.is_some();
    let visit = request.hosting.visit();
    let (mut room, _reading) = visit.page(PAGE).await.map_err(no_room::for_reading)?;
    let (mut after, mut count) = (None, 0);
    loop {
        let page = app.store.list(filter.clone(), after, PAGE).await;
        let page = page.map_err(|error| not_read(&request.log, &error))?;
        for booking in &page.bookings {
            written.push(&event::of_booking(booking, told(booking, catalogue, is_own, request)));
        }
        count += page.bookings.len();
        after = page.next;
        if count > BOOKINGS_MAX && filter.until.is_some() {
            return Err(too_many());
        }
        if after.is_none() || count >= BOOKINGS_MAX && filter.until.is_none() {
            break;
        }
        let needed = written.bytes_held() + usize::from(PAGE) * BOOKING_BYTES;
        room.grow(needed.saturating_sub(room.bytes())).map_err(no_room::for_answer)?;
    }
    written.push(event::END);
    let mut response = written.into_response(room);
    // The address may be a secret: nobody is told that somebody comes from it.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

fn told<'a>(booking: &'a Booking, catalogue: &'a Catalogue, is_own: bool, request: &Request) -> Told<'a> {
    let telescope = catalogue.telescope(&booking.telescope).map_or(booking.telescope.as_str(), |known| &known.name);
    let scientist = catalogue.scientist(booking.scientist_id);
    Told {
        telescope,
        scientist: scientist.map_or(("", ""), |known| (&known.name, &known.institution)),
        is_own,
        with_notes: request.who.may_read_notes_of(booking.scientist_id),
    }
}

fn too_many() -> Problem {
    let words = format!("deve ser antes: um calendário tem até {BOOKINGS_MAX} agendamentos, e este período tem mais");
    Problem::invalid_parameters(vec![FieldError::new("ate", FieldCode::Length.says(words))])
}
