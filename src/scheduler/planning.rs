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
use crate::agenda::proposal::{BrokenProposal, Proposal};
use crate::agenda::rules::days_around;
use crate::agenda::timetable::Search;
use crate::agenda::{Catalogue, Draft, NewBooking, Rejection, SLOT_MIN, Scientist, SlotRange, Telescope};
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
    let mut wrong = wrong_fields;
    match draft.check(&catalogue, app.clock.now()) {
        Err(broken) => wrong.extend(broken.iter().map(field_error)),
        Ok(new) => {
            let broken = quota(app, &new, None, &request.log).await?;
            wrong.extend(broken.as_ref().map(field_error));
        }
    }
    // The slots are looked at too when other fields are wrong, as far as there are any.
    let telescope = telescope_of(draft.telescope.as_deref(), &catalogue);
    let mut taken = None;
    if let (Some(telescope), Ok(slots)) = (telescope, draft.slots())
        && let Some(start) = first_taken(app, telescope, slots, &request.log).await?
    {
        let words = format!("o horário {} de {} já está agendado", start.seconds(), telescope.code);
        wrong.push(FieldError::new("horario_inicio_utc", FieldCode::Taken.says(words)));
        taken = Some((telescope.code.as_str(), slots, start));
    }
    let links = links::after_validation(wrong.is_empty(), taken, app.gate.locking().is_some(), &request.who);
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
    let (asked, wrong) = requests::next(Fields::parse(&bytes)?);
    let visit = request.hosting.visit();
    let _reading = visit.reading().await.map_err(no_room::for_reading)?;
    let catalogue = catalogue(app, &request.log).await?;
    let (duration_min, from) = (asked.duration_min.unwrap_or(SLOT_MIN), asked.from.unwrap_or(now));
    let mut broken = broken_by(&asked, &catalogue, now);
    let telescope = telescope_of(asked.telescope.as_deref(), &catalogue);
    let search = telescope.map(|telescope| Search::following(from, duration_min, telescope, now));
    if let Some(Err(error)) = search
        && !broken.contains(&Rejection::Slots(error))
    {
        broken.push(Rejection::Slots(error));
    }
    if !broken.is_empty() || !wrong.is_empty() {
        return Err(wrong_draft(wrong, &broken));
    }
    let (Some(telescope), Some(Ok(search))) = (telescope, search) else {
        return Err(Problem::internal("uma busca sem erro e sem telescópio"));
    };
    let scientist = asked.scientist_id.and_then(|id| catalogue.scientist(id));
    let mut charge = None;
    if let Some(proposal) = asked.proposal_id.and_then(|id| catalogue.proposal(id)) {
        let used = app.store.used_min(proposal.id).await.map_err(|error| not_read(&request.log, &error))?;
        charge = Some((proposal, used.get(&telescope.code).copied().unwrap_or(0)));
    }
    let log = &request.log;
    let finder = Finder { app, telescope, scientist, charge, duration_min, now, log, held: HashMap::new() };
    let found = finder.first(search).await?;
    Ok(http::json(StatusCode::OK, &views::NextView::of(&telescope.code, &asked, from, found, &request.who)))
}

/// What is wrong with a search for any slots alike: the scientist, the telescope, the duration, the proposal.
fn broken_by(asked: &requests::NextRequest, catalogue: &Catalogue, now: Timestamp) -> Vec<Rejection> {
    let draft = Draft {
        scientist_id: asked.scientist_id,
        telescope: asked.telescope.clone(),
        duration_min: asked.duration_min,
        ..Draft::default()
    };
    // It has no start, so it is never a booking.
    let mut broken = draft.check(catalogue, now).err().unwrap_or_default();
    let needs_one = telescope_of(asked.telescope.as_deref(), catalogue).is_some_and(|known| known.needs_proposal);
    broken.extend(match asked.proposal_id {
        Some(id) if catalogue.proposal(id).is_none() => Some(Rejection::Proposal(BrokenProposal::Unknown(id))),
        None if needs_one && asked.scientist_id.is_some() => Some(Rejection::Proposal(BrokenProposal::Required)),
        _ => None,
    });
    broken
}

/// The telescope that a request names, or the default.
fn telescope_of<'a>(code: Option<&str>, catalogue: &'a Catalogue) -> Option<&'a Telescope> {
    code.map_or_else(|| catalogue.default_telescope(), |code| catalogue.telescope(code))
}

/// Looks for the first start, week by week.
struct Finder<'a> {
    app: &'a App,
    telescope: &'a Telescope,
    scientist: Option<&'a Scientist>,
    /// The proposal that would pay, and the minutes of this telescope that it has used.
    charge: Option<(&'a Proposal, i64)>,
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

    /// Whether the proposal pays these slots. One that is not active, not the scientist's, or without so many minutes pays none: it ends
    /// the search.
    fn is_paid(&self, slots: SlotRange) -> Result<bool, Problem> {
        let Some((proposal, used)) = self.charge else { return Ok(true) };
        let scientist = self.scientist.map_or(proposal.investigator, |scientist| scientist.id);
        let checked = proposal.check(scientist, slots);
        match checked.and_then(|()| proposal.check_minutes(&self.telescope.code, slots, used)) {
            Ok(()) => Ok(true),
            Err(BrokenProposal::Period { .. }) => Ok(false),
            Err(broken) => Err(wrong_draft(Vec::new(), &[Rejection::Proposal(broken)])),
        }
    }

    /// Whether the rules allow these slots, with what the scientist has booked. A quota of bookings is the same for all slots: one that
    /// is used up ends the search.
    async fn fits(&mut self, slots: SlotRange) -> Result<bool, Problem> {
        if self.telescope.rules.broken(slots, self.now).next().is_some() || !self.is_paid(slots)? {
            return Ok(false);
        }
        let Some(scientist) = self.scientist.filter(|_| self.telescope.rules.count_bookings()) else { return Ok(true) };
        let days = days_around(slots);
        if !self.held.contains_key(&days) {
            let new = NewBooking {
                telescope: self.telescope.clone().into(),
                scientist: scientist.clone().into(),
                proposal_id: None,
                slots,
                target: None,
                notes: None,
                clicked_at: None,
                stamp: None,
                contest: None,
                opens_at: None,
            };
            let counted = self.app.store.counted(&new, None, self.now).await;
            self.held.insert(days, counted.map_err(|error| not_read(self.log, &error))?.held);
        }
        let held = self.held.get(&days).map(Vec::as_slice).unwrap_or_default();
        match self.telescope.rules.check_held(slots, &held.iter().copied(), self.now) {
            Ok(()) => Ok(true),
            Err(broken) if broken.is_of_all_slots() => Err(wrong_draft(Vec::new(), &[Rejection::Rule(broken)])),
            Err(_) => Ok(false),
        }
    }
}
