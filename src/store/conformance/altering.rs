//! Changing bookings: what every storage has to do.

use std::time::{Duration, Instant};

use super::{Fixture, Opened, after, fence, request};
use crate::agenda::alteration::{Alteration, Destination, NotAlterable, Texts};
use crate::agenda::rules::BrokenRule;
use crate::agenda::{Booking, Cancellation, NewBooking, Place, Rejection, SlotRange, TelescopePatch};
use crate::audit::record::BOOKING_CHANGED;
use crate::store::{AlterRefused, CancelRefused, Fence, FenceBroken, NotCancelled};

/// A change to `destination` by one who has just read the booking.
pub fn going(booking: &Booking, destination: Destination) -> Alteration {
    Alteration { texts: Texts::default(), destination, from: booking.place(), expected: None, lead: Duration::ZERO }
}

pub fn elsewhere(new: NewBooking) -> Destination {
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
