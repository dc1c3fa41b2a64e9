//! What could be booked, without doing it: the first free start that fits, and everything that is wrong with a booking.

use std::collections::HashMap;

use hyper::StatusCode;
use serde_json::json;
use slog::Logger;

use super::app::App;
use super::handlers::{BODY_MAX, catalogue, not_yours, quota, wrong_draft};
use super::problems::{field_error, not_read, refused};
use super::refusal::Refusal;
use super::{links, requests, views};
use crate::agenda::rules::days_around;
use crate::agenda::timetable::Search;
use crate::agenda::{NewBooking, Rejection, SLOT_MIN, Scientist, SlotRange, Telescope};
use crate::http::fields::Fields;
use crate::http::identity::read_json;
use crate::http::no_room;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::wrong::FieldCode;
use crate::http::{self, Response};
use crate::time::Timestamp;

/// How many weeks a search goes on: a year.
const WEEKS_MAX: u32 = 53;

/// `POST /agendamentos/validar`.
pub async fn validate(app: &App, request: &mut Request) -> Result<Response, Problem> {
    let bytes = read_json(request, BODY_MAX).await?;
    let (draft, wrong_fields) = requests::booking(Fields::parse(&bytes)?);
    if let Some(scientist) = draft.scientist_id {
        request.who.check_scientist(scientist).map_err(|denied| not_yours(denied, request))?;
    }
    let catalogue = catalogue(app, &request.log).await?;
    let (now, asked) = (app.clock.now(), draft.clone());
    let mut wrong = wrong_fields;
    match draft.check(&catalogue, now) {
        Err(broken) => wrong.extend(broken.iter().map(field_error)),
        Ok(new) => {
            let broken = quota(app, &new, None, &request.log).await?;
            wrong.extend(broken.as_ref().map(field_error));
        }
    }
    // The slots are looked at whatever else is wrong, as far as there are any.
    let telescope = match &asked.telescope {
        Some(code) => catalogue.telescope(code),
        None => catalogue.default_telescope(),
    };
    let mut taken = None;
    if let (Some(telescope), Ok(slots)) = (telescope, asked.slots())
        && let Some(start) = first_taken(app, telescope, slots, &request.log).await?
    {
        let words = format!("o horário {} de {} já está agendado", start.seconds(), telescope.code);
        wrong.push(FieldError::new("horario_inicio_utc", FieldCode::Taken.says(words)));
        taken = Some((telescope.code.as_str(), slots, start));
    }
    let links = links::after_validation(wrong.is_empty(), taken, &request.who);
    let body = json!({ "valido": wrong.is_empty(), "erros": wrong, "_links": links });
    Ok(http::json(StatusCode::OK, &body))
}

/// The first of these slots that has a booking.
async fn first_taken(
    app: &App,
    telescope: &Telescope,
    slots: SlotRange,
    log: &Logger,
) -> Result<Option<Timestamp>, Problem> {
    let taken = app.store.taken(&telescope.code, slots.start(), slots.end()).await;
    let taken = taken.map_err(|error| not_read(log, &error))?;
    Ok(taken.into_iter().map(|(start, _)| start.max(slots.start())).min())
}

/// `POST /agendamentos/proximo`.
pub async fn next(app: &App, request: &mut Request) -> Result<Response, Problem> {
    let bytes = read_json(request, BODY_MAX).await?;
    let now = app.clock.now();
    let (asked, mut wrong) = requests::next(Fields::parse(&bytes)?);
    let visit = request.hosting.visit();
    let _reading = visit.reading().await.map_err(no_room::for_reading)?;
    let catalogue = catalogue(app, &request.log).await?;
    let mut broken = Vec::new();
    let telescope = match &asked.telescope {
        None => catalogue.default_telescope().ok_or(Rejection::NoTelescope),
        Some(code) => catalogue.telescope(code).ok_or_else(|| Rejection::UnknownTelescope(code.clone())),
    };
    let telescope = telescope.map_err(|rejection| broken.push(rejection)).ok();
    let scientist = asked.scientist_id.and_then(|id| {
        let known = catalogue.scientist(id);
        if known.is_none() {
            broken.push(Rejection::UnknownScientist(id));
        }
        known
    });
    let duration_min = asked.duration_min.unwrap_or(SLOT_MIN);
    let from = asked.from.unwrap_or(now);
    let search = telescope.map(|telescope| Search::following(from, duration_min, telescope, now));
    if let Some(Err(error)) = search {
        broken.push(Rejection::Slots(error));
    }
    if !broken.is_empty() || !wrong.is_empty() {
        return Err(wrong_draft(std::mem::take(&mut wrong), &broken));
    }
    let (Some(telescope), Some(Ok(search))) = (telescope, search) else {
        return Err(Problem::internal("uma busca sem erro e sem telescópio"));
    };
    let finder = Finder { app, telescope, scientist, duration_min, now, log: &request.log, held: HashMap::new() };
    let found = finder.first(search).await?;
    let shown = views::NextView::of(telescope, scientist.map(|one| one.id), from, found, &request.who);
    Ok(http::json(StatusCode::OK, &shown))
}

/// Looks for the first start, week by week.
struct Finder<'a> {
    app: &'a App,
    telescope: &'a Telescope,
    scientist: Option<&'a Scientist>,
    duration_min: i64,
    now: Timestamp,
    log: &'a Logger,
    /// What the scientist has booked, as far as it counts for the days that begin and end so.
    held: HashMap<(Timestamp, Timestamp), Vec<SlotRange>>,
}

impl Finder<'_> {
    async fn first(mut self, mut search: Search) -> Result<SlotRange, Problem> {
        let mut until = search.looks_at().1;
        for _ in 0..WEEKS_MAX {
            let (from, end) = search.looks_at();
            until = until.max(end);
            let taken = self.app.store.taken(&self.telescope.code, from, end).await;
            let mut taken = taken.map_err(|error| not_read(self.log, &error))?;
            taken.extend(self.telescope.closed_within(from, end));
            for slots in search.nearest(&taken, usize::MAX) {
                if self.fits(slots).await? {
                    return Ok(slots);
                }
            }
            let Some(on) = search.goes_on() else { break };
            let next = Search::following(on, self.duration_min, self.telescope, self.now);
            search = next.map_err(|error| wrong_draft(Vec::new(), &[Rejection::Slots(error)]))?;
        }
        Err(refused(Refusal::NoneFree { telescope: self.telescope.code.clone(), until }))
    }

    /// Whether the rules allow these slots, with what the scientist has booked. A quota of bookings is the same for all slots: one that
    /// is used up ends the search.
    async fn fits(&mut self, slots: SlotRange) -> Result<bool, Problem> {
        if self.telescope.rules.broken(slots, self.now).next().is_some() {
            return Ok(false);
        }
        let Some(scientist) = self.scientist.filter(|_| self.telescope.rules.count_bookings()) else { return Ok(true) };
        let days = days_around(slots);
        if !self.held.contains_key(&days) {
            let new = NewBooking {
                telescope: self.telescope.clone(),
                scientist: scientist.clone(),
                proposal_id: None,
                slots,
                target: None,
                notes: None,
                clicked_at: None,
            };
            let held = self.app.store.held(&new, None, self.now).await;
            self.held.insert(days, held.map_err(|error| not_read(self.log, &error))?);
        }
        let held = self.held.get(&days).map(Vec::as_slice).unwrap_or_default();
        match self.telescope.rules.check_held(slots, &held.iter().copied(), self.now) {
            Ok(()) => Ok(true),
            Err(broken) if broken.is_of_all_slots() => Err(wrong_draft(Vec::new(), &[Rejection::Rule(broken)])),
            Err(_) => Ok(false),
        }
    }
}
