//! Slots that become free and open a little later: what every storage has to do.

use std::time::Duration;

use super::altering::{elsewhere, going};
use super::{Fixture, Opened, after, fence, request};
use crate::agenda::alteration::{Alteration, Destination};
use crate::agenda::maintenance::NewMaintenance;
use crate::agenda::{Booking, Cancellation, NewBooking, SlotRange};
use crate::store::{AlterRefused, BookRefused, Cancelled, Cancelling};
use crate::time::Timestamp;

const LEAD: Duration = Duration::from_millis(100);

impl<F: Fixture> Opened<F> {
    /// The instant that is so many milliseconds later.
    fn later(&self, ms: i64) -> Timestamp {
        Timestamp::from_micros(self.clock.now().as_micros() + ms * 1000).unwrap()
    }

    async fn cancel_with_lead(&self, booking: &Booking, token: u64) -> Cancelled {
        let asked = Cancellation { lead: LEAD, ..Cancellation::default() };
        let answer = self.store.cancel(booking.id, booking.place(), asked, fence(token), request()).await;
        answer.unwrap().unwrap()
    }
}

/// When the slots open for which a booking was refused.
fn opens(booked: Result<Booking, BookRefused>) -> Timestamp {
    match booked {
        Err(BookRefused::Opens(at, _)) => at,
        other => panic!("{other:?}"),
    }
}

pub async fn slots_that_nobody_waited_for_open_after_the_lead<F: Fixture>() {
    let opened = Opened::<F>::new();
    let first = opened.book(opened.new_booking(7, "Hubble-Acad", after(0), 15).await, 1).await.unwrap();
    let opens_at = opened.later(100);
    let cancelled = opened.cancel_with_lead(&first, 2).await.booking;
    assert_eq!(cancelled.opens_at, Some(opens_at));
    // It is told once, and is a property of the slots.
    let stored = opened.store.booking(first.id).await.unwrap().unwrap();
    assert_eq!((stored.opens_at, stored.cancelled_at), (None, cancelled.cancelled_at));
    let (standing, _) = opened.standing("Hubble-Acad", 0, 10).await;
    assert_eq!(standing.opening, [0, 1, 2].map(|nth| (after(nth), opens_at)));
    // Who does not know of it is told, also after the instant; who knows gets the slot.
    let not_knowing = opened.slot(1).await;
    assert_eq!(opens(opened.book(not_knowing.clone(), 3).await), opens_at);
    let move_there = async |booking: &Booking, nth| {
        let asked = Alteration { lead: LEAD, ..going(booking, elsewhere(opened.slot(nth).await)) };
        opened.store.alter(booking.id, asked, Some(fence(4)), request()).await.unwrap()
    };
    let other = opened.book(opened.slot(20).await, 3).await.unwrap();
    assert_eq!(move_there(&other, 0).await, Err(AlterRefused::Opens(opens_at)), "a move waits");
    let knowing = NewBooking { opens_at: Some(opens_at), ..not_knowing.clone() };
    assert_eq!(opens(opened.book(knowing.clone(), 3).await), opens_at, "nobody has it before");
    opened.clock.set(opens_at);
    assert_eq!(opens(opened.book(not_knowing.clone(), 3).await), opens_at);
    let booked = opened.book(knowing, 3).await.unwrap();
    let moved_at = opened.later(100);
    let moved = move_there(&other, 0).await.unwrap().booking;
    assert_eq!(moved.opens_at, Some(moved_at), "its old slot opens");
    let (standing, _) = opened.standing("Hubble-Acad", 0, 30).await;
    assert_eq!(standing.opening, [(after(2), opens_at), (after(20), moved_at)]);
    // A second later it makes no difference any more. And without a lead it never did.
    opened.clock.set(opened.later(1_100));
    opened.book(opened.slot(2).await, 5).await.unwrap();
    assert_eq!(opened.cancel(booked.id, 6).await.unwrap().opens_at, None);
    opened.book(not_knowing, 7).await.unwrap();
    let records = opened.records().await;
    let told = format!(r#""abre_em_utc":"{}""#, opens_at.micros());
    assert_eq!(records.iter().filter(|line| line.contains(&told)).count(), 1, "{records:#?}");
    assert_eq!(records.iter().filter(|line| line.contains("abre_em_utc")).count(), 2, "{records:#?}");
    what_is_shortened_and_what_is_waited_for(&opened).await;
    a_clock_that_was_set_back_keeps_no_slot_closed(&opened).await;
}

/// The instant at which slots open may be far ahead then, and nobody waits for it.
async fn a_clock_that_was_set_back_keeps_no_slot_closed<F: Fixture>(opened: &Opened<F>) {
    let booked = opened.book(opened.slot(60).await, 1).await.unwrap();
    assert_ne!(opened.cancel_with_lead(&booked, 2).await.booking.opens_at, None);
    opened.clock.set(opened.later(-3_600_000));
    opened.book(opened.slot(60).await, 3).await.unwrap();
}

/// Only the rest of a booking that becomes shorter opens; and nothing, if somebody waited for it.
async fn what_is_shortened_and_what_is_waited_for<F: Fixture>(opened: &Opened<F>) {
    let long = opened.book(opened.new_booking(7, "Hubble-Acad", after(40), 15).await, 1).await.unwrap();
    let waiting = opened.new_booking(3, "Hubble-Acad", after(42), 5).await;
    opened.store.enter(waiting, request()).await.unwrap().unwrap();
    let shorten = async |booking: &Booking, minutes, token| {
        let slots = SlotRange::new(after(40), minutes).unwrap();
        let asked = Alteration { lead: LEAD, ..going(booking, Destination::Shorter(slots)) };
        opened.store.alter(booking.id, asked, Some(fence(token)), request()).await.unwrap().unwrap()
    };
    let shorter = shorten(&long, 10, 2).await;
    assert_eq!((shorter.promoted.len(), shorter.booking.opens_at), (1, None));
    let opens_at = opened.later(100);
    let shortest = shorten(&shorter.booking, 5, 3).await.booking;
    assert_eq!(shortest.opens_at, Some(opens_at));
    let (standing, _) = opened.standing("Hubble-Acad", 40, 50).await;
    assert_eq!(standing.opening, [(after(41), opens_at)]);
    let waiting = opened.new_booking(4, "Hubble-Acad", after(40), 5).await;
    opened.store.enter(waiting, request()).await.unwrap().unwrap();
    let cancelled = opened.cancel_with_lead(&shortest, 4).await;
    assert_eq!((cancelled.promoted.len(), cancelled.booking.opens_at), (1, None));
    let (standing, _) = opened.standing("Hubble-Acad", 40, 50).await;
    assert_eq!(standing.opening, [(after(41), opens_at)]);
}

pub async fn a_maintenance_that_is_taken_away_opens_its_slots_after_the_lead<F: Fixture>() {
    let opened = Opened::<F>::new();
    let store = &opened.store;
    let reopened = async |first: i64, lead| {
        let (start, end, reason) = (after(first), after(first + 12), "espelho".to_owned());
        let when = NewMaintenance { start, end, reason, weekly_until: None };
        let closed = store.close("Hubble-Acad".to_owned(), when, Cancelling::Nothing, Duration::ZERO, request()).await;
        let id = closed.unwrap().unwrap().maintenance.id;
        store.reopen("Hubble-Acad".to_owned(), id, lead, request()).await.unwrap().unwrap()
    };
    assert_eq!(reopened(0, Duration::ZERO).await.opens_at, None);
    opened.book(opened.slot(0).await, 1).await.unwrap();
    let opens_at = opened.later(100);
    assert_eq!(reopened(100, LEAD).await.opens_at, Some(opens_at));
    // All who read the catalogue know of it, and who has not read it is told.
    let new = opened.slot(101).await;
    assert_eq!(new.telescope.opens(new.slots, opened.clock.now()), Some(opens_at));
    assert_eq!(opens(opened.book(new.clone(), 1).await), opens_at);
    opened.book(opened.slot(112).await, 1).await.unwrap();
    opened.clock.set(opens_at);
    opened.book(NewBooking { opens_at: Some(opens_at), ..new }, 1).await.unwrap();
    opened.clock.set(opened.later(1_100));
    opened.book(opened.slot(102).await, 2).await.unwrap();
    let records = opened.records().await;
    assert_eq!(records.iter().filter(|line| line.contains("abre_em_utc")).count(), 1, "{records:#?}");
}
