//! What every storage has to do: one suite, run on each.
//!
//! [`conformance`] makes a test of each function here, for one kind of [`Fixture`].

mod altering;
mod bookings;
mod catalogue;
mod keeping;
mod opening;
mod reading;
mod waiting;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use self::altering::{
    a_booking_moves_and_shortens_with_its_record_and_never_overlaps,
    a_change_is_refused_for_what_has_happened_since_it_was_asked_for,
};
pub use self::bookings::{
    a_booking_is_read_back_as_it_was_answered, a_rule_that_was_kept_when_asked_and_is_not_when_written_is_broken,
    a_scientist_who_was_removed_can_not_book_and_their_booking_can_be_cancelled, a_slot_is_taken_until_it_is_cancelled,
    a_stale_or_late_write_changes_nothing, cancelling_ends_at_the_start_and_rows_carry_the_official_time,
    of_many_at_once_one_has_each_slot, of_many_at_once_one_scientist_gets_the_quota,
    the_highest_token_is_kept_also_by_cancellations, the_race_saves_what_a_check_before_it_did_not_see,
};
pub use self::catalogue::{
    a_changed_telescope_binds_at_once_and_has_its_record, a_maintenance_that_was_taken_away_is_still_known,
    what_the_catalogue_gets_is_there_for_the_next_change,
};
pub use self::keeping::{
    a_key_is_held_once_until_it_is_given_back, a_new_signing_key_is_taken_once_a_day_and_an_old_one_is_erased,
    an_answer_is_kept_with_what_it_answers_and_for_a_day,
};
pub use self::opening::{
    a_maintenance_that_is_taken_away_opens_its_slots_after_the_lead, slots_that_nobody_waited_for_open_after_the_lead,
};
pub use self::reading::{
    a_list_has_every_booking_once_on_pages_of_any_size, a_store_that_is_well_says_so,
    every_change_has_one_record_and_a_refusal_only_the_one_that_is_asked_for,
    the_trail_is_read_in_pages_and_by_its_outbox, what_stands_and_what_is_taken_agree_in_any_period,
};
pub use self::waiting::{
    nobody_waits_for_what_is_free_and_nobody_is_served_twice,
    slots_that_become_free_go_to_the_first_who_waits_and_may_have_them,
};
use super::{BookRefused, CancelRefused, Fence, Filter, StandingReader, Store};
use crate::agenda::timetable::Standing;
use crate::agenda::{Booking, Cancellation, Draft, NewBooking, Place, SlotRange};
use crate::audit::chain::ChainHead;
use crate::audit::export::Source;
use crate::audit::record::Cause;
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
            a_maintenance_that_was_taken_away_is_still_known
            the_race_saves_what_a_check_before_it_did_not_see
            a_booking_moves_and_shortens_with_its_record_and_never_overlaps
            slots_that_become_free_go_to_the_first_who_waits_and_may_have_them
            nobody_waits_for_what_is_free_and_nobody_is_served_twice
            a_change_is_refused_for_what_has_happened_since_it_was_asked_for
            an_answer_is_kept_with_what_it_answers_and_for_a_day
            a_new_signing_key_is_taken_once_a_day_and_an_old_one_is_erased
            a_key_is_held_once_until_it_is_given_back
            slots_that_nobody_waited_for_open_after_the_lead
            a_maintenance_that_is_taken_away_opens_its_slots_after_the_lead
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

fn clouds() -> Cancellation {
    Cancellation { reason: Some("nuvens".to_owned()), ..Cancellation::default() }
}
