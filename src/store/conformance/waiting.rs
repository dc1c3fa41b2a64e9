//! Waiting lists: what every storage has to do.

use super::altering::{elsewhere, going};
use super::{Fixture, Opened, after, fence, request};
use crate::agenda::alteration::Destination;
use crate::agenda::{Booking, Cancellation, SlotRange, TelescopePatch, WaitStatus};
use crate::audit::record::{WAIT_ENTERED, WAIT_LEFT, WAIT_PASSED_OVER, WAIT_SERVED};
use crate::store::{NotEntered, NotLeft, WaitFilter};

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
