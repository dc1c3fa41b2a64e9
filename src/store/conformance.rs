//! What every storage has to do: one suite, run on each.
//!
//! [`conformance`] makes a test of each function here, for one kind of [`Fixture`].

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{
    AlterRefused, BookRefused, CancelRefused, Fence, FenceBroken, Filter, NotCancelled, NotChanged, NotEntered,
    NotLeft, StandingReader, Store, WaitFilter,
};
use crate::access::Author;
use crate::agenda::alteration::{Alteration, Destination, NotAlterable, Texts};
use crate::agenda::keeping::{KEPT_FOR, Keeping, KeptAnswer, Made};
use crate::agenda::rules::{BrokenRule, Rules};
use crate::agenda::timetable::{SAME_MAX, Standing};
use crate::agenda::{
    Booking, Cancellation, Draft, NewBooking, NotCancellable, Place, Rejection, Scientist, ScientistPatch, SlotRange,
    Status, Telescope, TelescopePatch, WaitStatus,
};
use crate::audit::catalogued::CATALOGUE_CHANGED;
use crate::audit::chain::ChainHead;
use crate::audit::export::{Exported, Extent, Source};
use crate::audit::filter::Wanted;
use crate::audit::record::{
    BOOKING_CHANGED, BOOKING_REFUSED, Cause, Process, SERVICE_STARTED, SERVICE_STOPPED, WAIT_ENTERED, WAIT_LEFT,
    WAIT_PASSED_OVER, WAIT_SERVED, Why,
};
use crate::http::precondition::IfMatch;
use crate::time::{Clock, Timestamp};

/// A store without bookings, with the catalogue of a fresh database and a clock that the test holds.
pub trait Fixture: Sized {
    /// Opens one; for `race`, the kind that is written without leases.
    fn open(race: bool, clock: Clock) -> Self;
    /// The store.
    fn store(&self) -> Arc<dyn Store>;
    /// Removes a scientist from the catalogue, as somebody does with SQL.
    fn remove_scientist(&self, id: i64);
}

/// Keeps what a store says of a period, and wants no bookings of an empty one.
struct Listening(Arc<Mutex<(Standing, Vec<Booking>)>>);

impl StandingReader for Listening {
    fn begin(&mut self, standing: Standing) -> ControlFlow<()> {
        let is_empty = standing.bookings.is_empty();
        self.0.lock().unwrap().0 = standing;
        if is_empty { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn booking(&mut self, booking: &Booking) {
        self.0.lock().unwrap().1.push(booking.clone());
    }
}

/// The suite as tests of the module that it stands in, each with these attributes.
macro_rules! conformance {
    (@one [$(#[$attribute:meta])*] $fixture:ty: $name:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$attribute])*
        async fn $name() {
            crate::store::conformance::$name::<$fixture>().await;
        }
    };
    (@all $attributes:tt $fixture:ty: $($name:ident)*) => {
        $(crate::store::conformance::conformance!(@one $attributes $fixture: $name);)*
    };
    ($(#[$attribute:meta])* $fixture:ty) => {
        crate::store::conformance::conformance!(@all [$(#[$attribute])*] $fixture:
            a_booking_is_read_back_as_it_was_answered
            a_slot_is_taken_until_it_is_cancelled
            a_stale_or_late_write_changes_nothing
            cancelling_ends_at_the_start_and_rows_carry_the_official_time
            a_rule_that_was_kept_when_asked_and_is_not_when_written_is_broken
            a_scientist_who_was_removed_can_not_book_and_their_booking_can_be_cancelled
            a_list_has_every_booking_once_on_pages_of_any_size
            what_stands_and_what_is_taken_agree_in_any_period
            every_change_has_one_record_and_a_refusal_only_the_one_that_is_asked_for
            the_trail_is_read_in_pages_and_by_its_outbox
            the_highest_token_is_kept_also_by_cancellations
            of_many_at_once_one_has_each_slot
            of_many_at_once_one_scientist_gets_the_quota
            a_changed_telescope_binds_at_once_and_has_its_record
            what_the_catalogue_gets_is_there_for_the_next_change
            the_race_saves_what_a_check_before_it_did_not_see
            a_booking_moves_and_shortens_with_its_record_and_never_overlaps
            slots_that_become_free_go_to_the_first_who_waits_and_may_have_them
            nobody_waits_for_what_is_free_and_nobody_is_served_twice
            a_change_is_refused_for_what_has_happened_since_it_was_asked_for
            an_answer_is_kept_with_what_it_answers_and_for_a_day
            a_key_is_held_once_until_it_is_given_back
            a_store_that_is_well_says_so);
    };
}
pub(super) use conformance;

const NOW: &str = "2030-01-01T00:00:00Z";
const SLOT: &str = "2030-01-01T03:00:00Z";

fn instant(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn fence(token: u64) -> Fence {
    Fence { token, deadline: Instant::now() + Duration::from_secs(60) }
}

fn request() -> Cause {
    Cause::of_test("r-1")
}

struct Opened<F> {
    store: Arc<dyn Store>,
    clock: Clock,
    fixture: F,
    /// Where the trail's file would be.
    folder: TempDir,
}

impl<F: Fixture> Opened<F> {
    fn new() -> Self {
        Self::of_kind(false)
    }

    fn of_kind(race: bool) -> Self {
        let clock = Clock::held_at(instant(NOW));
        let fixture = F::open(race, clock.clone());
        Self { store: fixture.store(), clock, fixture, folder: tempfile::tempdir().unwrap() }
    }

    /// The trail's file.
    fn trail(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    async fn new_booking(&self, scientist: i64, telescope: &str, start: Timestamp, duration_min: i64) -> NewBooking {
        let draft = Draft {
            scientist_id: Some(scientist),
            start: Some(start),
            telescope: Some(telescope.to_owned()),
            duration_min: Some(duration_min),
            ..Draft::default()
        };
        draft.check(&self.store.catalogue().await.unwrap(), self.clock.now()).unwrap()
    }

    /// One slot of the simulated telescope, `nth` slots after [`SLOT`].
    async fn slot(&self, nth: i64) -> NewBooking {
        self.new_booking(7, "Hubble-Acad", after(nth), 5).await
    }

    async fn book(&self, new: NewBooking, token: u64) -> Result<Booking, BookRefused> {
        self.store.book(new, fence(token), request()).await.unwrap()
    }

    /// Where a booking is; for one that is not there, anywhere.
    async fn place(&self, id: i64) -> Place {
        let anywhere = Place { telescope: "Hubble-Acad".to_owned(), slots: SlotRange::new(after(0), 5).unwrap() };
        self.store.booking(id).await.unwrap().map_or(anywhere, |booking| booking.place())
    }

    async fn cancel(&self, id: i64, token: u64) -> Result<Booking, CancelRefused> {
        let from = self.place(id).await;
        let cancelled = self.store.cancel(id, from, clouds(), fence(token), request()).await;
        cancelled.unwrap().map(|cancelled| cancelled.booking)
    }

    /// What stands from one slot to before another, as its reader is told first, and then booking by booking.
    async fn standing(&self, telescope: &str, from: i64, until: i64) -> (Standing, Vec<Booking>) {
        let told = Arc::new(Mutex::new((Standing::default(), Vec::new())));
        let reader = Box::new(Listening(Arc::clone(&told)));
        self.store.standing(telescope, after(from), after(until), reader).await.unwrap();
        let (standing, bookings) = std::mem::take(&mut *told.lock().unwrap());
        let outlines: Vec<_> = bookings.iter().map(|booking: &Booking| (booking.id, booking.slots)).collect();
        assert_eq!(outlines, standing.bookings);
        (standing, bookings)
    }

    /// All pages of a list.
    async fn list(&self, filter: &Filter, limit: u16) -> Vec<Booking> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list(filter.clone(), after, limit).await.unwrap();
            assert!(page.bookings.len() <= usize::from(limit));
            all.extend(page.bookings);
            match page.next {
                Some(next) => after = Some(next),
                None => return all,
            }
        }
    }

    /// The lines of all records, which have to be a chain.
    async fn records(&self) -> Vec<String> {
        let outbox = self.store.outbox(&self.trail()).unwrap();
        let (beginning, latest) = (outbox.beginning().unwrap(), self.store.latest_record().await.unwrap());
        let mut text = Vec::new();
        let last = outbox.lines_after(0, 10_000, &mut text).unwrap();
        let lines: Vec<String> = String::from_utf8(text).unwrap().lines().map(str::to_owned).collect();
        let mut head = ChainHead { seq: 0, hash: beginning };
        assert!(lines.iter().all(|line| head.follow(line.as_bytes())), "{lines:#?}");
        assert_eq!((&head, lines.last()), (&latest.head, latest.line.as_ref()));
        assert_eq!((last.unwrap_or(0), outbox.head().unwrap()), (head.seq, head.seq));
        lines
    }
}

/// The start `nth` slots after [`SLOT`].
fn after(nth: i64) -> Timestamp {
    Timestamp::from_micros(instant(SLOT).as_micros() + nth * 300_000_000).unwrap()
}

pub async fn a_booking_is_read_back_as_it_was_answered<F: Fixture>() {
    let opened = Opened::<F>::new();
    let mut new = opened.new_booking(3, "Webb-Acad", after(0), 15).await;
    new.target = Some("M31".to_owned());
    new.notes = Some("duas\nlinhas".to_owned());
    new.clicked_at = Some(instant("2030-01-01T00:00:00.000123Z"));
    let booking = opened.book(new, 5).await.unwrap();
    assert_eq!((booking.id, booking.scientist_id, booking.status), (1, 3, Status::Active));
    assert_eq!((booking.created_at, booking.cancelled_at), (opened.clock.now(), None));
    assert_eq!(opened.store.booking(1).await.unwrap().as_ref(), Some(&booking));
    assert_eq!(opened.store.booking(2).await.unwrap(), None);
    let cancelled = opened.cancel(1, 6).await.unwrap();
    assert_eq!((cancelled.status, cancelled.cancel_reason.as_deref()), (Status::Cancelled, Some("nuvens")));
    assert_eq!(opened.store.booking(1).await.unwrap(), Some(cancelled));
    assert_eq!(opened.cancel(1, 7).await, Err(CancelRefused::Not(NotCancelled::Not(NotCancellable::AlreadyCancelled))));
    assert_eq!(opened.cancel(2, 7).await, Err(CancelRefused::Not(NotCancelled::Unknown)));
}

pub async fn a_slot_is_taken_until_it_is_cancelled<F: Fixture>() {
    let opened = Opened::<F>::new();
    let first = opened.book(opened.new_booking(3, "Hubble-Acad", after(2), 10).await, 1).await.unwrap();
    // The second slot of three is the first that is taken.
    let longer = opened.new_booking(4, "Hubble-Acad", after(1), 15).await;
    let taken = BookRefused::Taken { start: after(2), booking_id: first.id, scientist_id: 3 };
    assert_eq!(opened.book(longer.clone(), 2).await, Err(taken));
    // The other telescope's slots are others, and so are those beside it.
    opened.book(opened.new_booking(4, "Webb-Acad", after(2), 10).await, 2).await.unwrap();
    opened.book(opened.slot(1).await, 2).await.unwrap();
    opened.book(opened.slot(4).await, 2).await.unwrap();
    opened.cancel(first.id, 3).await.unwrap();
    let again = opened.book(opened.new_booking(4, "Hubble-Acad", after(2), 10).await, 4).await.unwrap();
    assert_eq!((again.id, again.scientist_id), (5, 4));
}

pub async fn a_stale_or_late_write_changes_nothing<F: Fixture>() {
    let opened = Opened::<F>::new();
    let booking = opened.book(opened.slot(0).await, 5).await.unwrap();
    let stale = FenceBroken::Stale { start: after(0), seen: 5 };
    assert_eq!(opened.cancel(booking.id, 4).await, Err(CancelRefused::Fence(stale)));
    let late = Fence { token: 7, deadline: Instant::now() };
    let refused =
        opened.store.cancel(booking.id, booking.place(), Cancellation::default(), late, request()).await.unwrap();
    assert_eq!(refused, Err(CancelRefused::Fence(FenceBroken::Expired)));
    opened.cancel(booking.id, 6).await.unwrap();
    // The cancellation's token counts too.
    let stale = FenceBroken::Stale { start: after(0), seen: 6 };
    assert_eq!(opened.book(opened.slot(0).await, 5).await, Err(BookRefused::Fence(stale)));
    let refused = opened.store.book(opened.slot(0).await, late, request()).await.unwrap();
    assert_eq!(refused, Err(BookRefused::Fence(FenceBroken::Expired)));
    assert_eq!((opened.list(&Filter::default(), 10).await.len(), opened.records().await.len()), (1, 2));
    // The same token may write again.
    opened.book(opened.slot(0).await, 6).await.unwrap();
}

pub async fn cancelling_ends_at_the_start_and_rows_carry_the_official_time<F: Fixture>() {
    let opened = Opened::<F>::new();
    let real = opened.book(opened.new_booking(7, "Webb-Acad", after(0), 5).await, 1).await.unwrap();
    let simulated = opened.book(opened.slot(0).await, 1).await.unwrap();
    opened.clock.set(after(0));
    assert_eq!(opened.cancel(real.id, 2).await, Err(CancelRefused::Not(NotCancelled::Not(NotCancellable::Started))));
    assert_eq!(opened.cancel(simulated.id, 2).await.unwrap().cancelled_at, Some(after(0)));
    let just_before = Timestamp::from_micros(after(0).as_micros() - 1).unwrap();
    opened.clock.set(just_before);
    assert_eq!(opened.cancel(real.id, 2).await.unwrap().cancelled_at, Some(just_before));
}

pub async fn a_rule_that_was_kept_when_asked_and_is_not_when_written_is_broken<F: Fixture>() {
    let opened = Opened::<F>::new();
    let (real, simulated) = (opened.new_booking(7, "Webb-Acad", after(0), 5).await, opened.slot(0).await);
    opened.clock.set(instant("2030-01-01T03:00:04Z"));
    let past = Rejection::Past("Webb-Acad".to_owned(), after(1));
    assert_eq!(opened.book(real.clone(), 1).await, Err(BookRefused::Broken(past.clone())));
    assert_eq!(opened.store.book_unguarded(real, request()).await.unwrap(), Err(past));
    opened.book(simulated, 1).await.unwrap();
    assert_eq!(opened.list(&Filter::default(), 10).await.len(), 1);
}

pub async fn a_scientist_who_was_removed_can_not_book_and_their_booking_can_be_cancelled<F: Fixture>() {
    let opened = Opened::<F>::new();
    let booking = opened.book(opened.new_booking(3, "Hubble-Acad", after(0), 5).await, 1).await.unwrap();
    let next = opened.new_booking(3, "Hubble-Acad", after(1), 5).await;
    opened.fixture.remove_scientist(3);
    assert!(opened.store.catalogue().await.unwrap().scientist(3).is_none());
    assert_eq!(opened.book(next, 2).await, Err(BookRefused::Broken(Rejection::UnknownScientist(3))));
    opened.cancel(booking.id, 2).await.unwrap();
    let records = opened.records().await;
    assert!(records[1].contains(r#""cientista_id":3"#) && records[1].contains(r#""cientista_nome":"""#), "{records:?}");
}

pub async fn a_list_has_every_booking_once_on_pages_of_any_size<F: Fixture>() {
    let opened = Opened::<F>::new();
    for nth in 0..12 {
        let telescope = if nth % 3 == 0 { "Webb-Acad" } else { "Hubble-Acad" };
        // Later numbers start earlier.
        let new = opened.new_booking(1 + nth % 2, telescope, after(40 - 3 * nth), 5 * (1 + nth % 3)).await;
        let booking = opened.book(new, 1).await.unwrap();
        if nth % 4 == 0 {
            opened.cancel(booking.id, 2).await.unwrap();
        }
    }
    let mut plain = Vec::new();
    for id in 1..=12 {
        plain.push(opened.store.booking(id).await.unwrap().unwrap());
    }
    plain.sort_by_key(|booking| (booking.slots.start(), booking.id));
    let filters = [
        Filter::default(),
        Filter { telescope: Some("Webb-Acad".to_owned()), ..Filter::default() },
        Filter { telescope: Some("nenhum".to_owned()), ..Filter::default() },
        Filter { scientist_id: Some(2), ..Filter::default() },
        Filter { status: Some(Status::Cancelled), ..Filter::default() },
        Filter { from: Some(after(20)), ..Filter::default() },
        Filter { until: Some(after(20)), status: Some(Status::Active), ..Filter::default() },
        Filter { from: Some(after(15)), until: Some(after(30)), scientist_id: Some(1), ..Filter::default() },
    ];
    for filter in &filters {
        let mut expected = plain.clone();
        expected.retain(|booking| {
            filter.telescope.as_ref().is_none_or(|code| *code == booking.telescope)
                && filter.scientist_id.is_none_or(|id| id == booking.scientist_id)
                && filter.status.is_none_or(|status| status == booking.status)
                && filter.from.is_none_or(|from| booking.slots.end() > from)
                && filter.until.is_none_or(|until| booking.slots.start() < until)
        });
        for limit in [1, 2, 5, 100] {
            assert_eq!(opened.list(filter, limit).await, expected, "{filter:?}, {limit} on a page");
        }
    }
}

pub async fn what_stands_and_what_is_taken_agree_in_any_period<F: Fixture>() {
    let opened = Opened::<F>::new();
    for (nth, minutes) in [(0, 10), (3, 5), (4, 15), (9, 5)] {
        opened.book(opened.new_booking(1, "Hubble-Acad", after(nth), minutes).await, 1).await.unwrap();
    }
    opened.book(opened.new_booking(1, "Webb-Acad", after(1), 30).await, 1).await.unwrap();
    opened.cancel(2, 2).await.unwrap();
    for (from, until, expected) in [(0, 10, vec![1, 3, 4]), (1, 5, vec![1, 3]), (2, 4, vec![]), (6, 7, vec![3])] {
        let (_, standing) = opened.standing("Hubble-Acad", from, until).await;
        assert_eq!(standing.iter().map(|booking| booking.id).collect::<Vec<_>>(), expected, "{from} to {until}");
        let taken = opened.store.taken("Hubble-Acad", after(from), after(until)).await.unwrap();
        for nth in from..until {
            let is_taken = taken.iter().any(|(start, end)| *start <= after(nth) && after(nth) < *end);
            let stands = |booking: &Booking| booking.slots.start() <= after(nth) && after(nth) < booking.slots.end();
            assert_eq!(is_taken, standing.iter().any(stands), "slot {nth} of {from} to {until}");
        }
    }
    assert_eq!(opened.standing("nenhum", 0, 10).await, (Standing::default(), Vec::new()));
    assert!(opened.store.taken("nenhum", after(0), after(10)).await.unwrap().is_empty());
}

pub async fn every_change_has_one_record_and_a_refusal_only_the_one_that_is_asked_for<F: Fixture>() {
    const OF_SERVICE: &str = r#""req":"-","autor":"servico-agendamento","ip":null,"#;
    let opened = Opened::<F>::new();
    let process = Process { version: "1", mode: "com_trava", pid: 7, address: "127.0.0.1:1".to_owned() };
    opened.store.record_start(process.clone()).await.unwrap();
    let booking = opened.book(opened.slot(0).await, 1).await.unwrap();
    assert!(opened.book(opened.slot(0).await, 2).await.is_err());
    let why =
        Why { code: "horario_ocupado", detail: "já agendado".to_owned(), taken_by: Some(booking.id), moving: None };
    opened.store.record_refusal(opened.slot(0).await, why, Cause::of_test("r-9")).await.unwrap();
    opened.cancel(booking.id, 3).await.unwrap();
    opened.store.record_stop(process, 5).await.unwrap();
    let records = opened.records().await;
    let expected = [
        [SERVICE_STARTED, r#""pid":7"#, OF_SERVICE],
        ["AGENDAMENTO_CRIADO", r#""token":1"#, r#""req":"r-1","autor":"anonimo","ip":"192.0.2.10","#],
        [BOOKING_REFUSED, "já agendado", r#""req":"r-9","autor":"anonimo","ip":"192.0.2.10","#],
        ["AGENDAMENTO_CANCELADO", r#""motivo":"nuvens""#, r#""req":"r-1","autor":"anonimo","ip":"192.0.2.10","#],
        [SERVICE_STOPPED, r#""ativo_ha_ms":5"#, OF_SERVICE],
    ];
    assert_eq!(records.len(), expected.len(), "{records:#?}");
    for (record, parts) in records.iter().zip(expected) {
        assert!(parts.iter().all(|part| record.contains(part)), "{parts:?} in {record}");
        assert!(record.contains(r#""timestamp_utc":"2030-01-01T00:00:00.000000Z""#), "{record}");
    }
}

pub async fn the_trail_is_read_in_pages_and_by_its_outbox<F: Fixture>() {
    let opened = Opened::<F>::new();
    assert_eq!(opened.store.latest_record().await.unwrap().line, None);
    for nth in 0..7 {
        opened.book(opened.slot(nth).await, 1).await.unwrap();
    }
    opened.cancel(3, 2).await.unwrap();
    let records = opened.records().await;
    let read = async |wanted: Wanted, limit: u16| {
        let (mut lines, mut after) = (Vec::new(), 0);
        loop {
            let page = opened.store.trail_page(wanted.clone(), after, limit).await.unwrap();
            assert!(page.lines.len() <= usize::from(limit));
            lines.extend(page.lines);
            match page.next {
                Some(next) => after = next,
                None => return lines,
            }
        }
    };
    for limit in [1, 3, 100] {
        assert_eq!(read(Wanted::default(), limit).await, records);
        let of_booking = Wanted { booking: Some(3), ..Wanted::default() };
        assert_eq!(read(of_booking, limit).await, [records[2].clone(), records[7].clone()]);
        let of_slot = Wanted { slot: Some(after(5)), ..Wanted::default() };
        assert_eq!(read(of_slot, limit).await, [records[5].clone()]);
    }
    let outbox = opened.store.outbox(&opened.trail()).unwrap();
    let mut text = Vec::new();
    assert_eq!(outbox.lines_after(2, 3, &mut text), Ok(Some(5)));
    assert_eq!(String::from_utf8(text).unwrap(), records[2..5].join("\n") + "\n");
    assert_eq!(outbox.lines_after(8, 3, &mut Vec::new()), Ok(None));
    assert_eq!((outbox.line(4), outbox.line(9)), (Ok(Some(records[3].clone())), Ok(None)));
    let bytes = records[1..4].iter().map(|line| line.len() as u64 + 1).sum();
    assert_eq!(outbox.bytes_between(2, 4), Ok(bytes));
    assert_eq!(outbox.exported(), Ok(Exported::default()));
    let file = Extent { before: 0, bytes: 1234 };
    // It waits for the writer.
    let noted = tokio::task::spawn_blocking(move || (outbox.note_exported(5, file), outbox.exported())).await.unwrap();
    assert_eq!(noted, (Ok(()), Ok(Exported { seq: 5, file: Some(file) })));
}

pub async fn the_highest_token_is_kept_also_by_cancellations<F: Fixture>() {
    let opened = Opened::<F>::new();
    assert_eq!(opened.store.highest_token().await.unwrap(), 0);
    let booking = opened.book(opened.slot(0).await, 50).await.unwrap();
    opened.book(opened.slot(1).await, 40).await.unwrap();
    assert_eq!(opened.store.highest_token().await.unwrap(), 50);
    opened.cancel(booking.id, 60).await.unwrap();
    assert_eq!(opened.store.highest_token().await.unwrap(), 60);
}

pub async fn of_many_at_once_one_has_each_slot<F: Fixture>() {
    let opened = Opened::<F>::new();
    let mut tasks = tokio::task::JoinSet::new();
    for rival in 0..200_u64 {
        let new = opened.slot((rival % 4).cast_signed()).await;
        let store = Arc::clone(&opened.store);
        tasks.spawn(async move { store.book(new, fence(rival + 1), request()).await.unwrap() });
    }
    let mut won = BTreeSet::new();
    while let Some(booked) = tasks.join_next().await {
        match booked.unwrap() {
            Ok(booking) => assert!(won.insert(booking.slots.start()), "{booking:?} is the second"),
            Err(BookRefused::Taken { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won, (0..4).map(after).collect());
    assert_eq!((opened.list(&Filter::default(), 10).await.len(), opened.records().await.len()), (4, 4));
}

fn clouds() -> Cancellation {
    Cancellation { reason: Some("nuvens".to_owned()), expected: None }
}

/// A change to `destination` by one who has just read the booking.
fn going(booking: &Booking, destination: Destination) -> Alteration {
    Alteration { texts: Texts::default(), destination, from: booking.place(), expected: None }
}

fn elsewhere(new: NewBooking) -> Destination {
    Destination::Elsewhere(Box::new(new))
}

pub async fn a_booking_moves_and_shortens_with_its_record_and_never_overlaps<F: Fixture>() {
    let opened = Opened::<F>::new();
    let alter = async |id, asked, token| opened.store.alter(id, asked, Some(fence(token)), request()).await.unwrap();
    let first = opened.book(opened.new_booking(7, "Hubble-Acad", after(0), 15).await, 1).await.unwrap();
    let rival = opened.book(opened.new_booking(3, "Hubble-Acad", after(4), 5).await, 1).await.unwrap();
    // One slot further: it keeps two of its slots, and gives up the first.
    let further = opened.new_booking(7, "Hubble-Acad", after(1), 15).await;
    let moved = alter(first.id, going(&first, elsewhere(further)), 2).await.unwrap();
    assert!(moved.changed);
    assert_eq!(moved.from, first.place());
    assert_eq!((moved.booking.version, moved.booking.changed_at), (2, Some(opened.clock.now())));
    assert_eq!(opened.store.booking(first.id).await.unwrap(), Some(moved.booking.clone()));
    let (standing, _) = opened.standing("Hubble-Acad", 0, 10).await;
    assert_eq!(standing.bookings, [(first.id, moved.booking.slots), (rival.id, rival.slots)]);
    let taken = opened.new_booking(7, "Hubble-Acad", after(2), 15).await;
    let refused = alter(first.id, going(&moved.booking, elsewhere(taken)), 3).await;
    let by_rival = AlterRefused::Taken { start: after(4), booking_id: rival.id, scientist_id: 3 };
    assert_eq!(refused, Err(by_rival));
    assert_eq!(opened.store.booking(first.id).await.unwrap(), Some(moved.booking.clone()));
    // Shorter: the rest can be booked at once. To another telescope: all of it can.
    let one = SlotRange::new(after(1), 5).unwrap();
    let short = alter(first.id, going(&moved.booking, Destination::Shorter(one)), 4).await.unwrap().booking;
    assert_eq!((short.slots, short.version), (one, 3));
    opened.book(opened.slot(2).await, 5).await.unwrap();
    let webb = opened.new_booking(7, "Webb-Acad", after(1), 5).await;
    let there = alter(first.id, going(&short, elsewhere(webb)), 6).await.unwrap().booking;
    assert_eq!((there.telescope.as_str(), there.slots), ("Webb-Acad", one));
    opened.book(opened.slot(1).await, 7).await.unwrap();
    // The same again changes nothing; a text needs no lease.
    let nothing =
        opened.store.alter(first.id, going(&there, Destination::Here), None, request()).await.unwrap().unwrap();
    assert_eq!((nothing.changed, &nothing.booking), (false, &there));
    let texts = Texts { target: Some(Some("M31".to_owned())), notes: Some(Some("seeing".to_owned())) };
    let asked = Alteration { texts, ..going(&there, Destination::Here) };
    let named = opened.store.alter(first.id, asked, None, request()).await.unwrap().unwrap().booking;
    assert_eq!((named.target.as_deref(), named.notes.as_deref(), named.version), (Some("M31"), Some("seeing"), 5));
    let cancelled = opened.cancel(first.id, 8).await.unwrap();
    assert_eq!((cancelled.version, cancelled.changed_at), (6, named.changed_at));
    let records = opened.records().await;
    let changes: Vec<_> = records.iter().filter(|line| line.contains(BOOKING_CHANGED)).collect();
    assert_eq!(changes.len(), 4, "{records:#?}");
    let antes = r#""versao":2,"antes":{"telescopio":"Hubble-Acad","horario_inicio_utc":"2030-01-01T03:00:00Z","horario_fim_utc":"2030-01-01T03:15:00Z","alvo":null},"depois":{"telescopio":"Hubble-Acad","horario_inicio_utc":"2030-01-01T03:05:00Z""#;
    assert!(changes[0].contains(antes), "{}", changes[0]);
    assert!(changes[3].contains(r#""observacoes_mudaram":true"#) && !changes[3].contains("seeing"), "{}", changes[3]);
}

pub async fn slots_that_become_free_go_to_the_first_who_waits_and_may_have_them<F: Fixture>() {
    let opened = Opened::<F>::new();
    let wants = async |scientist, from, minutes| {
        let new = opened.new_booking(scientist, "Hubble-Acad", after(from), minutes).await;
        let placed = opened.store.enter(new, request()).await.unwrap().unwrap();
        (placed.wait, placed.place)
    };
    let first = opened.book(opened.new_booking(7, "Hubble-Acad", after(0), 15).await, 5).await.unwrap();
    let beside = opened.book(opened.new_booking(8, "Hubble-Acad", after(3), 5).await, 9).await.unwrap();
    // In their order: one who needs the slot beside too, one with as much as a scientist may have, and two who may.
    let [(long, first_place), (full, second_place)] = [wants(1, 2, 10).await, wants(2, 0, 5).await];
    let [(short, third_place), (other, fourth_place)] = [wants(3, 0, 10).await, wants(4, 2, 5).await];
    let place = async |id| opened.store.wait(id, opened.clock.now()).await.unwrap().unwrap().place;
    let read = [place(long.id).await, place(full.id).await, place(short.id).await, place(other.id).await];
    assert_eq!(read, [Some(1), Some(1), Some(2), Some(2)]);
    assert_eq!(read, [first_place, second_place, third_place, fourth_place], "the answers say the same");
    opened.book(opened.new_booking(2, "Hubble-Acad", after(20), 5).await, 1).await.unwrap();
    let rules = TelescopePatch { standing_max: Some(Some(1)), ..TelescopePatch::default() };
    opened.store.change_telescope("Hubble-Acad".to_owned(), rules, None, request()).await.unwrap().unwrap();
    let cancelled = opened
        .store
        .cancel(first.id, first.place(), Cancellation::default(), fence(6), request())
        .await
        .unwrap()
        .unwrap();
    let got: Vec<_> = cancelled.promoted.iter().map(|booking| (booking.scientist_id, booking.slots)).collect();
    assert_eq!(got, [(3, short.slots), (4, other.slots)]);
    let (standing, bookings) = opened.standing("Hubble-Acad", 0, 4).await;
    assert_eq!((standing.bookings.len(), &bookings[..2]), (3, &cancelled.promoted[..]));
    let read = async |id| opened.store.wait(id, opened.clock.now()).await.unwrap().unwrap().wait;
    let (full, short) = (read(full.id).await, read(short.id).await);
    let why = full.passed_over.as_ref().unwrap();
    assert_eq!(
        (full.status, why.code.as_str(), why.at),
        (WaitStatus::Waiting, "regra_cota_ativas", opened.clock.now())
    );
    assert_eq!((short.status, short.booking_id), (WaitStatus::Served, Some(cancelled.promoted[0].id)));
    // Who needs two slots gets them when the second one is free as well, although the other one has seen a newer token than the lease's.
    let freed = opened
        .store
        .cancel(beside.id, beside.place(), Cancellation::default(), fence(10), request())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(freed.promoted, []);
    let fourth = &cancelled.promoted[1];
    let to_webb = elsewhere(opened.new_booking(4, "Webb-Acad", after(40), 5).await);
    let moved =
        opened.store.alter(fourth.id, going(fourth, to_webb), Some(fence(7)), request()).await.unwrap().unwrap();
    assert_eq!(moved.promoted.iter().map(|booking| booking.slots).collect::<Vec<_>>(), [long.slots]);
    a_rest_goes_to_who_waits_for_it(&opened, &cancelled.promoted[0]).await;
    let records = opened.records().await;
    let count =
        |event: &str| records.iter().filter(|line| line.contains(&format!("\"event_type\":\"{event}\""))).count();
    let counts = [WAIT_ENTERED, WAIT_PASSED_OVER, WAIT_SERVED, WAIT_LEFT].map(count);
    assert_eq!(counts, [5, 1, 4, 0], "{records:#?}");
    let is_promotion = |line: &&String| line.contains("AGENDAMENTO_CRIADO") && line.contains("\"espera_id\"");
    assert_eq!(records.iter().filter(is_promotion).count(), 4);
}

/// The booking that has the first two slots gives the second one back.
async fn a_rest_goes_to_who_waits_for_it<F: Fixture>(opened: &Opened<F>, booking: &Booking) {
    let rules = TelescopePatch::without_rules();
    opened.store.change_telescope("Hubble-Acad".to_owned(), rules, None, request()).await.unwrap().unwrap();
    let new = opened.new_booking(5, "Hubble-Acad", after(1), 5).await;
    let wait = opened.store.enter(new, request()).await.unwrap().unwrap().wait;
    let half = Destination::Shorter(SlotRange::new(after(0), 5).unwrap());
    let short =
        opened.store.alter(booking.id, going(booking, half), Some(fence(11)), request()).await.unwrap().unwrap();
    assert_eq!(short.promoted.iter().map(|booking| booking.slots).collect::<Vec<_>>(), [wait.slots]);
}

pub async fn nobody_waits_for_what_is_free_and_nobody_is_served_twice<F: Fixture>() {
    let opened = Opened::<F>::new();
    let enter = async |scientist, nth| {
        let new = opened.new_booking(scientist, "Hubble-Acad", after(nth), 5).await;
        opened.store.enter(new, request()).await.unwrap()
    };
    assert_eq!(enter(3, 0).await, Err(NotEntered::Free));
    for nth in 0..25 {
        opened.book(opened.slot(nth).await, 1).await.unwrap();
    }
    let wait = enter(3, 0).await.unwrap().wait;
    assert_eq!(enter(3, 0).await, Err(NotEntered::Already(wait.id)));
    for nth in 1..20 {
        enter(3, nth).await.unwrap();
    }
    assert_eq!(enter(3, 20).await, Err(NotEntered::ScientistFull));
    let left = opened.store.leave(wait.id, request()).await.unwrap().unwrap();
    assert_eq!((left.status, left.ended_at), (WaitStatus::Left, Some(opened.clock.now())));
    assert_eq!(opened.store.leave(wait.id, request()).await.unwrap(), Err(NotLeft::Over(WaitStatus::Left)));
    assert_eq!(opened.store.leave(99, request()).await.unwrap(), Err(NotLeft::Unknown));
    // Nobody waits for it any more; and who has got a slot does not wait for it a second time.
    let promoted = async |id, token| {
        let from = opened.place(id).await;
        opened.store.cancel(id, from, Cancellation::default(), fence(token), request()).await.unwrap().unwrap().promoted
    };
    assert_eq!(promoted(1, 2).await, []);
    let got = promoted(2, 2).await;
    assert_eq!((got.len(), got[0].scientist_id), (1, 3));
    assert_eq!(promoted(got[0].id, 3).await, []);
    let everything = WaitFilter { scientist_id: None, telescope: None, status: None, now: opened.clock.now() };
    let all = opened.store.waits(everything.clone(), 0, 500).await.unwrap();
    assert_eq!((all.waits.len(), all.next), (20, None));
    let filter = WaitFilter { scientist_id: Some(3), status: Some(WaitStatus::Waiting), ..everything.clone() };
    let (mut after_id, mut waiting) = (0, 0);
    loop {
        let page = opened.store.waits(filter.clone(), after_id, 7).await.unwrap();
        waiting += page.waits.len();
        assert!(page.waits.iter().all(|placed| placed.place == Some(1)), "{page:?}");
        let Some(next) = page.next else { break };
        after_id = next;
    }
    assert_eq!(waiting, 18);
    let nobody = WaitFilter { telescope: Some("Webb-Acad".to_owned()), ..everything };
    assert!(opened.store.waits(nobody, 0, 7).await.unwrap().waits.is_empty());
}

pub async fn a_change_is_refused_for_what_has_happened_since_it_was_asked_for<F: Fixture>() {
    let opened = Opened::<F>::new();
    let alter = async |id, asked, fence| opened.store.alter(id, asked, fence, request()).await.unwrap();
    let booking = opened.book(opened.new_booking(7, "Webb-Acad", after(0), 15).await, 5).await.unwrap();
    let later = async |nth| elsewhere(opened.new_booking(7, "Webb-Acad", after(nth), 15).await);
    // An older lease, and one whose time is over.
    let asked = going(&booking, later(10).await);
    let stale = FenceBroken::Stale { start: after(0), seen: 5 };
    assert_eq!(alter(1, asked.clone(), Some(fence(4))).await, Err(AlterRefused::Fence(stale)));
    let over = Fence { token: 6, deadline: Instant::now() };
    assert_eq!(alter(1, asked.clone(), Some(over)).await, Err(AlterRefused::Fence(FenceBroken::Expired)));
    // Another version, another place, no such booking.
    let expecting = Alteration { expected: Some(vec![2]), ..asked.clone() };
    assert_eq!(alter(1, expecting, Some(fence(6))).await, Err(AlterRefused::Differs { version: 1 }));
    let elsewhere_read =
        Alteration { from: Place { telescope: "Hubble-Acad".to_owned(), slots: booking.slots }, ..asked.clone() };
    assert_eq!(alter(1, elsewhere_read, Some(fence(6))).await, Err(AlterRefused::Moved));
    assert_eq!(alter(9, asked.clone(), Some(fence(6))).await, Err(AlterRefused::Unknown));
    let cancel = opened.store.cancel(
        1,
        Place { telescope: "Hubble-Acad".to_owned(), slots: booking.slots },
        Cancellation::default(),
        fence(6),
        request(),
    );
    assert_eq!(cancel.await.unwrap(), Err(CancelRefused::Moved));
    let other = Cancellation { expected: Some(vec![2, 3]), ..Cancellation::default() };
    let differs = NotCancelled::Differs { version: 1 };
    let cancelled = opened.store.cancel(1, booking.place(), other.clone(), fence(6), request()).await.unwrap();
    assert_eq!(cancelled, Err(CancelRefused::Not(differs)));
    assert_eq!(opened.store.cancel_unguarded(1, other, request()).await.unwrap(), Err(differs));
    // A quota counts the booking that moves once, and another's not at all.
    let rules =
        TelescopePatch { standing_max: Some(Some(1)), day_max_min: Some(Some(15)), ..TelescopePatch::default() };
    opened.store.change_telescope("Webb-Acad".to_owned(), rules, None, request()).await.unwrap().unwrap();
    let moved = alter(1, asked, Some(fence(6))).await.unwrap().booking;
    let hubble = opened.book(opened.slot(0).await, 6).await.unwrap();
    let to_webb = going(&hubble, later(20).await);
    let refused = alter(hubble.id, to_webb, Some(fence(7))).await;
    assert_eq!(refused, Err(AlterRefused::Broken(Rejection::Rule(BrokenRule::Standing(1)))));
    let without = TelescopePatch::without_rules();
    opened.store.change_telescope("Webb-Acad".to_owned(), without, None, request()).await.unwrap().unwrap();
    // While it runs it can give back what has not begun, and does not move; after its end it stays as it was.
    opened.clock.set(after(11));
    let again = going(&moved, later(30).await);
    assert_eq!(alter(1, again, Some(fence(8))).await, Err(AlterRefused::Not(NotAlterable::Started)));
    let shorter = |minutes| going(&moved, Destination::Shorter(SlotRange::new(after(10), minutes).unwrap()));
    opened.clock.set(after(12));
    let past = alter(1, shorter(5), Some(fence(8))).await;
    assert_eq!(past, Err(AlterRefused::Broken(Rejection::EndPast(after(12)))));
    let short = alter(1, shorter(10), Some(fence(8))).await.unwrap().booking;
    assert_eq!(short.slots.duration_min(), 10);
    let ended = going(&short, Destination::Here);
    assert_eq!(alter(1, ended, None).await, Err(AlterRefused::Not(NotAlterable::Ended)));
}

pub async fn of_many_at_once_one_scientist_gets_the_quota<F: Fixture>() {
    let opened = Opened::<F>::new();
    let rules = TelescopePatch { standing_max: Some(Some(3)), ..TelescopePatch::default() };
    opened.store.change_telescope("Hubble-Acad".to_owned(), rules, None, request()).await.unwrap().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for nth in 0..60_i64 {
        let new = opened.new_booking(if nth % 2 == 0 { 7 } else { 3 }, "Hubble-Acad", after(nth), 5).await;
        let store = Arc::clone(&opened.store);
        tasks.spawn(async move { store.book(new, fence(1), request()).await.unwrap() });
    }
    let mut won = Vec::new();
    while let Some(booked) = tasks.join_next().await {
        match booked.unwrap() {
            Ok(booking) => won.push(booking),
            Err(BookRefused::Broken(Rejection::Rule(BrokenRule::Standing(3)))) => {}
            other => panic!("{other:?}"),
        }
    }
    let of = |scientist| won.iter().filter(move |booking| booking.scientist_id == scientist).count();
    assert_eq!((won.len(), of(7), of(3)), (6, 3, 3));
    let new = opened.slot(100).await;
    assert!(opened.book(new.clone(), 2).await.is_err());
    let counted = opened.store.counted(&new, None, opened.clock.now()).await.unwrap();
    assert_eq!(counted.held.iter().filter(|held| held.end() > opened.clock.now()).count(), 3);
    // What was cancelled does not count, nor does what has ended.
    let theirs = won.iter().find(|booking| booking.scientist_id == 7).unwrap();
    opened.cancel(theirs.id, 2).await.unwrap();
    opened.book(new, 2).await.unwrap();
    assert!(opened.book(opened.slot(101).await, 2).await.is_err());
    opened.clock.set(after(60));
    opened.book(opened.slot(101).await, 2).await.unwrap();
    assert_eq!(opened.list(&Filter::default(), 10).await.len(), 8);
}

pub async fn a_changed_telescope_binds_at_once_and_has_its_record<F: Fixture>() {
    let opened = Opened::<F>::new();
    let before = opened.new_booking(7, "Hubble-Acad", after(0), 60).await;
    let change =
        async |patch| opened.store.change_telescope("Hubble-Acad".to_owned(), patch, None, request()).await.unwrap();
    let patch = TelescopePatch {
        name: Some("Hubble II".to_owned()),
        duration_max_min: Some(Some(30)),
        day_max_min: Some(Some(45)),
        cancel_notice_min: Some(Some(60)),
        opens_at_min: Some(Some(750)),
        ..TelescopePatch::default()
    };
    let changed = change(patch.clone()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.rules.duration_max_min), ("Hubble II", Some(30)));
    assert_eq!(opened.store.catalogue().await.unwrap().telescope("Hubble-Acad"), Some(&changed));
    // What was checked before the change is refused by it.
    let refused = opened.book(before.clone(), 1).await;
    assert_eq!(refused, Err(BookRefused::Broken(Rejection::Rule(BrokenRule::Duration(30)))));
    let booked = opened.book(opened.new_booking(7, "Hubble-Acad", after(0), 30).await, 1).await.unwrap();
    let refused = opened.book(opened.new_booking(7, "Hubble-Acad", after(10), 20).await, 1).await;
    assert!(matches!(refused, Err(BookRefused::Broken(Rejection::Rule(BrokenRule::Day { most: 45, used: 30, .. })))));
    opened.clock.set(Timestamp::from_micros(after(0).as_micros() - 59 * 60_000_000).unwrap());
    let late = opened.cancel(booked.id, 2).await;
    assert_eq!(late, Err(CancelRefused::Not(NotCancelled::Not(NotCancellable::TooLate(60)))));
    // The same again changes nothing and has no record, and null takes the rules away.
    assert_eq!(change(patch).await, Ok(changed.clone()));
    let bare = change(TelescopePatch::without_rules()).await.unwrap();
    assert_eq!((bare.name.as_str(), bare.rules), ("Hubble II", Rules::default()));
    opened.cancel(booked.id, 2).await.unwrap();
    opened.book(before, 2).await.unwrap();
    let unknown = opened.store.change_telescope("Nenhum".to_owned(), TelescopePatch::without_rules(), None, request());
    assert_eq!(unknown.await.unwrap(), Err(NotChanged::Unknown));
    let lines = opened.records().await;
    let changes: Vec<_> = lines.iter().filter(|line| line.contains(CATALOGUE_CHANGED)).collect();
    assert_eq!(changes.len(), 2, "{lines:#?}");
    let state = |name: &str, values: [&str; 4]| {
        let [length, cancel, opens, day] = values;
        format!(
            r#"{{"nome":"{name}","simulado":true,"ativo":true,"regras":{{"duracao_max_min":{length},"antecedencia_min_min":null,"cancelamento_min_min":{cancel},"horizonte_dias":null,"abre_as_utc":{opens},"cota_ativas":null,"cota_dia_min":{day},"horas_de_operacao":null,"exige_proposta":false}}}}"#
        )
    };
    let with_rules = state("Hubble II", ["30", "60", r#""12:30""#, "45"]);
    assert!(changes[0].contains(&format!(r#""depois":{with_rules}"#)), "{}", changes[0]);
    let without = state("Hubble II", ["null"; 4]);
    assert!(changes[1].contains(&format!(r#""antes":{with_rules},"depois":{without}"#)), "{}", changes[1]);
}

pub async fn what_the_catalogue_gets_is_there_for_the_next_change<F: Fixture>() {
    let opened = Opened::<F>::new();
    let store = &opened.store;
    let known = store.catalogue().await.unwrap();
    assert!(store.catalogue_unless(known.edition()).await.unwrap().is_none());
    let vera = Scientist {
        id: 0,
        name: "Vera".to_owned(),
        institution: "Carnegie".to_owned(),
        country: "US".to_owned(),
        active: true,
    };
    let numbers = futures_util::future::join_all((0..3).map(|_| store.create_scientist(vera.clone(), request()))).await;
    let mut numbers: Vec<i64> = numbers.into_iter().map(|made| made.unwrap().id).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [11, 12, 13]);
    let telescope = known.telescope("Hubble-Acad").unwrap();
    let taken = store.create_telescope(telescope.clone(), request()).await.unwrap();
    assert_eq!(taken, Err(telescope.clone()));
    let new = Telescope { code: "T".to_owned(), ..telescope.clone() };
    assert_eq!(store.create_telescope(new.clone(), request()).await.unwrap(), Ok(new.clone()));
    let fresh = store.catalogue_unless(known.edition()).await.unwrap().unwrap();
    assert_eq!(fresh.telescope("T"), Some(&new));
    let booked = opened.book(opened.new_booking(12, "T", after(0), 5).await, 1).await.unwrap();
    assert_eq!((booked.telescope.as_str(), booked.scientist_id), ("T", 12));

    // A scientist who may not book any more is refused, although the booking was checked before.
    let asked = opened.new_booking(12, "T", after(1), 5).await;
    let version = fresh.scientist(12).unwrap().version();
    let change = async |version: String| {
        let patch = ScientistPatch { active: Some(false), ..ScientistPatch::default() };
        store.change_scientist(12, patch, Some(IfMatch::Versions(vec![version])), request()).await.unwrap()
    };
    let other = change("x".to_owned()).await;
    assert_eq!(other, Err(NotChanged::OtherVersion(version.clone())));
    assert!(!change(version).await.unwrap().active);
    let refused = opened.book(asked, 1).await;
    assert_eq!(refused, Err(BookRefused::Broken(Rejection::InactiveScientist(12))));
    opened.cancel(booked.id, 2).await.unwrap();
    assert_eq!(opened.records().await.iter().filter(|line| line.contains(CATALOGUE_CHANGED)).count(), 5);
}

pub async fn the_race_saves_what_a_check_before_it_did_not_see<F: Fixture>() {
    let opened = Opened::<F>::of_kind(true);
    let new = opened.slot(0).await;
    assert_eq!(opened.store.find_conflict(&new).await.unwrap(), None);
    let first = opened.store.book_unguarded(new.clone(), request()).await.unwrap().unwrap();
    let second = opened.store.book_unguarded(new.clone(), request()).await.unwrap().unwrap();
    assert_eq!((first.id, second.id, opened.records().await.len()), (1, 2, 2));
    assert_eq!(opened.store.find_conflict(&new).await.unwrap(), Some(first.clone()));
    let (standing, bookings) = opened.standing("Hubble-Acad", 0, 1).await;
    assert_eq!((bookings, standing.beyond), (vec![first, second.clone()], Vec::new()));
    assert_eq!(opened.store.taken("Hubble-Acad", after(0), after(1)).await.unwrap(), [(after(0), after(1))]);
    opened.store.cancel_unguarded(1, Cancellation::default(), request()).await.unwrap().unwrap();
    assert_eq!(opened.store.find_conflict(&new).await.unwrap(), Some(second));
    assert_eq!(opened.store.highest_token().await.unwrap(), 0);
    // Of many with the same start and end the first are given, and the others are counted.
    for _ in 0..u64::from(SAME_MAX) + 3 {
        opened.store.book_unguarded(new.clone(), request()).await.unwrap().unwrap();
    }
    let (standing, bookings) = opened.standing("Hubble-Acad", 0, 1).await;
    let given: Vec<i64> = bookings.iter().map(|booking| booking.id).collect();
    assert_eq!((given, standing.beyond), ((2..2 + i64::from(SAME_MAX)).collect(), vec![(new.slots, 4)]));
}

pub async fn a_store_that_is_well_says_so<F: Fixture>() {
    let opened = Opened::<F>::new();
    opened.store.probe().await.unwrap();
    assert_eq!((opened.store.fault(), opened.records().await.len()), (None, 0));
    let catalogue = opened.store.catalogue().await.unwrap();
    assert_eq!(catalogue.scientist(7).map(|scientist| scientist.name.as_str()), Some("Marie Curie"));
    assert_eq!(catalogue.default_telescope().map(|telescope| telescope.code.as_str()), Some("Hubble-Acad"));
    assert!(catalogue.telescopes().all(|telescope| telescope.simulated == (telescope.code == "Hubble-Acad")));
}

/// A request with a key, whose answer says what was made.
fn keyed(key: u8) -> Cause {
    let render = |made: Made<'_>, now: Timestamp| KeptAnswer {
        status: 201,
        location: None,
        etag: Some("\"1\"".to_owned()),
        body: format!("{made:?} {now:?}").into_bytes(),
    };
    let keeping = Keeping::new(Author::ANONYMOUS, ([key; 32], [key; 32]), Box::new(()), Box::new(render));
    Cause { keeping: Some(Arc::new(keeping)), ..request() }
}

pub async fn an_answer_is_kept_with_what_it_answers_and_for_a_day<F: Fixture>() {
    let opened = Opened::<F>::new();
    let (store, now) = (&opened.store, opened.clock.now());
    let kept = async |key: u8, at: Timestamp| store.kept([key; 32], at).await.unwrap();
    let cause = keyed(1);
    let booking = store.book(opened.slot(0).await, fence(1), cause.clone()).await.unwrap().unwrap();
    let answer = kept(1, now).await.expect("kept");
    assert_eq!(answer.answer.body, format!("{:?} {now:?}", Made::Booking(&booking)).into_bytes());
    assert_eq!((Some(answer.answer), answer.request_id.as_str()), (cause.keeping.unwrap().answer(), "r-1"));
    // A refusal keeps nothing, and so does a request without a key.
    let refused = keyed(2);
    assert!(store.book(opened.slot(0).await, fence(2), refused.clone()).await.unwrap().is_err());
    assert!(kept(2, now).await.is_none() && refused.keeping.unwrap().answer().is_none());
    opened.book(opened.slot(1).await, 3).await.unwrap();
    let telescope = Telescope::new("SALSA".to_owned(), "Onsala".to_owned(), false);
    store.create_telescope(telescope, keyed(3)).await.unwrap().unwrap();
    let scientist = store.catalogue().await.unwrap().scientist(7).unwrap().clone();
    store.create_scientist(scientist, keyed(4)).await.unwrap();
    let until = now.saturating_add(KEPT_FOR);
    let last = Timestamp::from_micros(until.as_micros() - 1).unwrap();
    for key in [1, 3, 4] {
        assert!(kept(key, last).await.is_some() && kept(key, until).await.is_none(), "{key}");
    }
    assert_eq!(store.remove_old_answers(last, 10).await.unwrap(), 0);
    assert_eq!(store.remove_old_answers(until, 2).await.unwrap(), 2);
    assert_eq!(store.remove_old_answers(until, 2).await.unwrap(), 1);
    assert!(kept(1, now).await.is_none());
    let race = Opened::<F>::of_kind(true);
    race.store.book_unguarded(race.slot(0).await, keyed(9)).await.unwrap().unwrap();
    assert!(race.store.kept([9; 32], race.clock.now()).await.unwrap().is_some());
    // The key can be another request's then.
    store.book(opened.slot(2).await, fence(4), keyed(1)).await.unwrap().unwrap();
    assert!(kept(1, now).await.is_some());
}

pub async fn a_key_is_held_once_until_it_is_given_back<F: Fixture>() {
    let opened = Opened::<F>::new();
    let hold = async |key: u8| opened.store.hold([key; 32]).await.unwrap();
    let held = hold(1).await.expect("free");
    assert!(hold(1).await.is_none() && hold(2).await.is_some());
    drop(held);
    assert!(hold(1).await.is_some());
}
