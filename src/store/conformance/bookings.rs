//! Booking and cancelling: what every storage has to do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::{Fixture, Opened, after, fence, instant, request};
use crate::agenda::rules::BrokenRule;
use crate::agenda::timetable::SAME_MAX;
use crate::agenda::{Cancellation, NotCancellable, Rejection, Status, TelescopePatch};
use crate::store::{BookRefused, CancelRefused, Fence, FenceBroken, Filter, NotCancelled};
use crate::time::Timestamp;

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
