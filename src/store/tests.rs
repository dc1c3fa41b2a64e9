//! The store by itself: a held clock, and jobs that share a transaction.

use std::sync::mpsc;
use std::time::Duration;

use slog::{Discard, o};

use super::*;
use crate::agenda::Draft;

struct Opened {
    store: Store,
    clock: Clock,
    _folder: tempfile::TempDir,
}

fn instant(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn open(now: &str) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::held_at(instant(now));
    let store =
        Store::open(&folder.path().join("sctec.db"), Kind::Agenda, clock.clone(), &origin().log, |_| {}).unwrap();
    Opened { store, clock, _folder: folder }
}

fn origin() -> Origin {
    Origin { request_id: "r-1".into(), log: Logger::root(Discard, o!()) }
}

fn fence(token: u64) -> Fence {
    Fence { token, deadline: Instant::now() + Duration::from_secs(60) }
}

impl Opened {
    async fn draft(&self, telescope: &str, start: &str) -> NewBooking {
        let draft = Draft {
            scientist_id: Some(7),
            start: Some(instant(start)),
            telescope: Some(telescope.to_owned()),
            ..Draft::default()
        };
        draft.check(&self.store.catalogue().await.unwrap(), self.clock.now()).unwrap()
    }
}

#[tokio::test]
async fn rows_carry_the_official_time_and_cancelling_ends_at_the_start() {
    let opened = open("2030-01-01T02:59:00Z");
    let new = opened.draft("Webb-Acad", "2030-01-01T03:00:00Z").await;
    let booking = opened.store.book(new, fence(1), origin()).await.unwrap().unwrap();
    assert_eq!(booking.created_at, opened.clock.now());
    opened.clock.set(instant("2030-01-01T03:00:00Z"));
    let refused = opened.store.cancel(booking.id, None, Some(fence(2)), origin()).await.unwrap();
    assert_eq!(refused, Err(CancelRefused::Not(NotCancellable::Started)));
    opened.clock.set(instant("2030-01-01T02:59:59.999999Z"));
    let cancelled = opened.store.cancel(booking.id, None, Some(fence(2)), origin()).await.unwrap().unwrap();
    assert_eq!(cancelled.cancelled_at, Some(opened.clock.now()));
}

#[tokio::test]
async fn a_stale_or_late_write_changes_nothing() {
    let opened = open("2030-01-01T00:00:00Z");
    let start = "2030-01-01T03:00:00Z";
    let new = opened.draft("Hubble-Acad", start).await;
    let booking = opened.store.book(new.clone(), fence(5), origin()).await.unwrap().unwrap();
    let stale = FenceBroken::Stale { start: instant(start), seen: 5 };
    let refused = opened.store.cancel(booking.id, None, Some(fence(4)), origin()).await.unwrap();
    assert_eq!(refused, Err(CancelRefused::Fence(stale)));
    opened.store.cancel(booking.id, None, Some(fence(6)), origin()).await.unwrap().unwrap();
    // The cancellation's token counts too.
    let refused = opened.store.book(new.clone(), fence(5), origin()).await.unwrap();
    assert!(matches!(refused, Err(BookRefused::Fence(FenceBroken::Stale { seen: 6, .. }))));
    let late = Fence { token: 7, deadline: Instant::now() };
    assert_eq!(opened.store.book(new, late, origin()).await.unwrap(), Err(BookRefused::Fence(FenceBroken::Expired)));
    assert_eq!(opened.store.list(Filter::default(), None, 10).await.unwrap().bookings.len(), 1);
}

#[tokio::test]
async fn a_job_that_fails_takes_none_of_its_neighbours_with_it() {
    let opened = open("2030-01-01T00:00:00Z");
    let (first, third) = (
        opened.draft("Hubble-Acad", "2030-01-01T03:00:00Z").await,
        opened.draft("Hubble-Acad", "2030-01-01T03:05:00Z").await,
    );
    // The thread is held by one job while the three behind it become one transaction.
    let (release, held) = mpsc::channel::<()>();
    let writer = &opened.store.writer;
    let holder = writer.run(move |_| {
        // The end of the channel is the release.
        let _ = held.recv();
        Ok(())
    });
    let bad = writer.run(|tx| tx.connection.execute("INSERT INTO cientistas (id) VALUES (7)", ()));
    let (held, first, bad, third, ()) = tokio::join!(
        biased;
        holder,
        opened.store.book(first, fence(1), origin()),
        bad,
        opened.store.book(third, fence(2), origin()),
        async { drop(release) },
    );
    assert!(held.is_ok() && bad.is_err());
    assert_eq!((first.unwrap().unwrap().id, third.unwrap().unwrap().id), (1, 2));
    // A write that failed counts until a record is written.
    assert!(opened.store.probe().await.is_ok());
    let bad = writer.run(|tx| tx.connection.execute("INSERT INTO cientistas (id) VALUES (7)", ())).await;
    assert!(bad.is_err() && opened.store.probe().await.is_err());
    // One record each, in order: what was rolled back left no gap in the chain.
    let outbox = opened.store.outbox().unwrap();
    let mut text = Vec::new();
    let last = crate::audit::export::Source::lines_after(&outbox, 0, 10, &mut text).unwrap();
    assert_eq!((last, String::from_utf8(text).unwrap().lines().count()), (Some(2), 2));
}
