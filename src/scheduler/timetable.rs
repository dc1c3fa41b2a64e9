//! A telescope's agenda slot by slot, and the nearest free slots, over HTTP.
//!
//! An agenda may be large: a week of bookings with the longest notes is 19 MB. So there is room for its bytes before its bookings are
//! read, and each booking is written as soon as it is read.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use slog::Logger;

use super::app::App;
use super::handlers::catalogue;
use super::problems::{not_read, unknown_telescope};
use super::{requests, views};
use crate::access::principal::Who;
use crate::agenda::timetable::{Period, Search, Standing};
use crate::agenda::{Booking, Telescope};
use crate::http::Response;
use crate::http::bounds::budget::{Held, PATIENCE};
use crate::http::no_room;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::written::Written;
use crate::http::wrong::FieldCode;
use crate::store::StandingReader;
use crate::time::Timestamp;

/// The most bytes of an agenda: more than a week can have in which each slot is booked once. In the race it may be booked any number of
/// times.
const AGENDA_MAX: usize = 24 << 20;

/// `GET /telescopios/{id}/agenda`.
pub async fn states(app: &App, code: &str, request: &Request) -> Result<Response, Problem> {
    let now = app.clock.now();
    let period = requests::timetable(request.head.uri.query(), now)?;
    let telescope = telescope(app, code, &request.log).await?;
    let visit = request.hosting.visit();
    let mut room = visit.no_answer();
    loop {
        let reading = visit.reading().await.map_err(no_room::for_reading)?;
        let written = Written::of_list(&request.head.headers, &views::SLOTS)?.untagged();
        let copier = Copier {
            telescope: telescope.clone(),
            period,
            now,
            who: request.who.clone(),
            room,
            state: State::New(written),
        };
        let copier = Arc::new(Mutex::new(copier));
        let reader = Box::new(Shared(Arc::clone(&copier)));
        let read = app.store.standing(&telescope.code, period.start(), period.end(), reader).await;
        read.map_err(|error| not_read(&request.log, &error))?;
        drop(reading);
        // The store has dropped its reader.
        let copier = Arc::into_inner(copier).map(|copier| copier.into_inner().unwrap_or_else(PoisonError::into_inner));
        let copier = copier.ok_or_else(|| Problem::internal("a agenda de um período ainda é lida"))?;
        room = copier.room;
        match copier.state {
            State::Copying(written) => {
                return Ok(views::end_timetable(written, &telescope, period).into_response(room));
            }
            State::New(_) => return Err(Problem::internal("a agenda de um período não foi lida")),
            State::Large(bytes) => return Err(too_large(bytes)),
            State::Waiting(bytes) => room.wait_for_share(bytes, PATIENCE).await.map_err(no_room::for_answer)?,
        }
    }
}

/// What has become of an agenda.
enum State {
    /// It was not begun yet.
    New(Written),
    /// Its slots are written, and its bookings follow.
    Copying(Written),
    /// There was no room for so many bytes: nothing was written.
    Waiting(usize),
    /// It has so many bytes, which no answer may have.
    Large(usize),
}

/// Writes an agenda as it is read.
struct Copier {
    telescope: Telescope,
    period: Period,
    now: Timestamp,
    who: Who,
    /// The room for its bytes.
    room: Held,
    state: State,
}

/// The copier, which its request takes back when the store has dropped this.
struct Shared(Arc<Mutex<Copier>>);

impl StandingReader for Shared {
    fn begin(&mut self, standing: Standing) -> ControlFlow<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).begin(&standing)
    }

    fn booking(&mut self, booking: &Booking) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(booking);
    }
}

impl Copier {
    /// Writes what comes before the bookings, if there is room for all of it.
    fn begin(&mut self, standing: &Standing) -> ControlFlow<()> {
        let bytes = views::timetable_bytes(&self.telescope, self.period, standing);
        // It has had to wait for room: then a few bytes more make no difference.
        let has_room = self.room.bytes() > 0 || bytes > AGENDA_MAX || self.room.grow_to_share(bytes).is_ok();
        let state = if has_room { State::Large(bytes) } else { State::Waiting(bytes) };
        match std::mem::replace(&mut self.state, state) {
            State::New(written) if has_room && bytes <= AGENDA_MAX => {
                let of = (&self.telescope, self.period);
                self.state = State::Copying(views::begin_timetable(written, of, standing, self.now, &self.who));
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        }
    }

    fn add(&mut self, booking: &Booking) {
        if let State::Copying(written) = &mut self.state {
            written.item(&views::in_timetable(booking, &self.telescope, self.now, &self.who));
        }
    }
}

/// The refusal of a period with more bookings than an answer can have.
fn too_large(bytes: usize) -> Problem {
    let (mib, most) = (bytes.div_ceil(1 << 20), AGENDA_MAX >> 20);
    let words =
        format!("deve ser antes: os agendamentos deste período têm {mib} MiB, e uma resposta tem até {most} MiB");
    Problem::invalid_parameters(vec![FieldError::new("ate", FieldCode::Length.says(words))])
}

/// `GET /telescopios/{id}/livres`.
pub async fn free(app: &App, code: &str, request: &Request) -> Result<Response, Problem> {
    let now = app.clock.now();
    let written = Written::of_list(&request.head.headers, &views::FREE)?.untagged();
    let asked = requests::free(request.head.uri.query(), now)?;
    let telescope = telescope(app, code, &request.log).await?;
    // The duration was checked when it was read.
    let search = Search::new(asked.near, asked.duration_min, &telescope, now);
    let search = search.map_err(|error| Problem::internal(error.to_string()))?;
    let (from, until) = search.looks_at();
    let taken = app.store.taken(&telescope.code, from, until).await.map_err(|error| not_read(&request.log, &error))?;
    let mut taken = taken;
    taken.extend(telescope.closed_within(from, until));
    let found = search.nearest(&taken, usize::from(asked.limit));
    Ok(views::free(written, code, &asked, found, &request.who).into_counted())
}

/// The telescope of that code. The catalogue is read again before a code is called unknown.
async fn telescope(app: &App, code: &str, log: &Logger) -> Result<Telescope, Problem> {
    let recent = app.recent_catalogue().await.map_err(|error| not_read(log, &error))?;
    if let Some(telescope) = recent.telescope(code) {
        return Ok(telescope.clone());
    }
    catalogue(app, log).await?.telescope(code).cloned().ok_or_else(|| unknown_telescope(code))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderMap;

    use super::*;
    use crate::http::bounds::budget::Budget;

    /// A copier that has begun on an agenda with so many bytes of texts, where there is room for a mebibyte.
    fn begun(text_bytes: u64) -> Copier {
        let now = Timestamp::parse_rfc3339("2031-01-01T00:00:00Z").unwrap();
        let (address, server) = (Arc::new(Budget::new(1 << 20)), Arc::new(Budget::new(1 << 20)));
        let mut copier = Copier {
            telescope: Telescope::new("Hubble-Acad".to_owned(), String::new(), true),
            period: Period::day_of(now),
            now,
            who: Who::default(),
            room: Held::none(&address, &server),
            state: State::New(Written::of_list(&HeaderMap::new(), &views::SLOTS).unwrap()),
        };
        let begins = copier.begin(&Standing { text_bytes, ..Standing::default() }).is_continue();
        assert_eq!(begins, matches!(copier.state, State::Copying(_)));
        copier
    }

    #[test]
    fn an_agenda_is_written_when_there_is_room_for_it_and_refused_when_there_never_can_be() {
        let small = begun(1000);
        assert!(matches!(small.state, State::Copying(_)) && small.room.bytes() > 1000);
        let large = begun(2 << 20);
        assert!(matches!(large.state, State::Copying(_)), "it has all the room of its address");
        assert_eq!(large.room.bytes(), 1 << 20);
        let too_large = begun(25 << 20);
        assert!(matches!(too_large.state, State::Large(_)));
        assert_eq!(too_large.room.bytes(), 0);
    }
}
