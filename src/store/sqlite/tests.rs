//! The store by itself: a held clock, and jobs that share a transaction.

use std::collections::BTreeSet;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rusqlite::StatementStatus;
use slog::{Discard, o};

use super::*;
use crate::agenda::rules::BrokenRule;
use crate::agenda::{Cancellation, Draft, Rejection, TelescopePatch};
use crate::audit::record::Cause;
use crate::http::request_id::RequestId;
use crate::store::decide::Book;
use crate::store::{BookRefused, Fence, Saving, Store, Unobserved, conformance};

struct Opened {
    store: SqliteStore,
    clock: Clock,
    folder: tempfile::TempDir,
}

fn instant(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn open(now: &str) -> Opened {
    open_with(now, Unobserved)
}

fn open_with(now: &str, observer: impl Observer + 'static) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::held_at(instant(now));
    let store =
        SqliteStore::open(&folder.path().join("sctec.db"), DatabaseKind::Agenda, clock.clone(), &log(), observer)
            .unwrap();
    Opened { store, clock, folder }
}

fn request() -> Cause {
    Cause::of_test("r-1")
}

fn log() -> Logger {
    Logger::root(Discard, o!())
}

fn fence(token: u64) -> Fence {
    Fence { token, deadline: Instant::now() + Duration::from_secs(60) }
}

/// Needs more pages than the database may have from then on; a small write still fits.
const FULL: &str =
    "PRAGMA max_page_count = 1; INSERT INTO auditoria (seq, linha) VALUES (1000, zeroblob(1) || hex(zeroblob(100000)))";

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
        opened.store.book(first, fence(1), request()),
        bad,
        opened.store.book(third, fence(2), request()),
        async { drop(release) },
    );
    assert!(held.is_ok() && bad.is_err());
    assert_eq!((first.unwrap().unwrap().id, third.unwrap().unwrap().id), (1, 2));
    // What one job may not do is not the database's fault; what no job can do is, until a record is written.
    assert!(matches!(bad, Err(StoreError::Refused(_))), "{bad:?}");
    assert!(opened.store.probe().await.is_ok());
    let full = writer.run(|tx| tx.connection.execute_batch(FULL)).await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    assert!(opened.store.probe().await.is_err());
    // One record each, in order: what was rolled back left no gap in the chain.
    let outbox = opened.store.outbox(Path::new("audit.jsonl")).unwrap();
    let mut text = Vec::new();
    let last = crate::audit::export::Source::lines_after(&outbox, 0, 10, &mut text).unwrap();
    assert_eq!((last, String::from_utf8(text).unwrap().lines().count()), (Some(2), 2));
}

#[tokio::test]
async fn what_sql_changes_in_the_catalogue_holds_in_the_next_transaction() {
    let opened = open("2030-01-01T00:00:00Z");
    let new = [0, 5, 10].map(|minute| format!("2030-01-01T03:{minute:02}:00Z"));
    let new = join_all(new.iter().map(|start| opened.draft("Hubble-Acad", start))).await;
    let book = async |nth: usize| opened.store.book(new[nth].clone(), fence(1), request()).await.unwrap();
    assert!(book(0).await.is_ok());
    // The writer knows the scientist by now.
    let other = rusqlite::Connection::open(opened.folder.path().join("sctec.db")).unwrap();
    let set_active = |active: bool| other.execute("UPDATE cientistas SET ativo = ?1 WHERE id = 7", [active]).unwrap();
    set_active(false);
    let refused = book(1).await;
    assert!(matches!(refused, Err(BookRefused::Broken(Rejection::InactiveScientist(7)))), "{refused:?}");
    set_active(true);
    assert!(book(1).await.is_ok());
    // So does what the service itself changes, and what it began to change and rolled back does not.
    let undone = opened.store.writer.run(|tx| {
        tx.connection.execute("UPDATE cientistas SET ativo = 0 WHERE id = 7", ())?;
        tx.connection.execute("INSERT INTO cientistas (id) VALUES (7)", ())
    });
    assert!(undone.await.is_err());
    assert!(book(2).await.is_ok());
}

#[tokio::test]
async fn a_booking_counts_once_though_it_stands_and_is_of_the_day() {
    let opened = open("2030-01-01T12:00:00Z");
    let rules =
        TelescopePatch { standing_max: Some(Some(9)), day_max_min: Some(Some(15)), ..TelescopePatch::default() };
    opened.store.change_telescope("Hubble-Acad".to_owned(), rules, None, request()).await.unwrap().unwrap();
    // One that has ended counts on its day; a day that is still to come has minutes of its own.
    for start in ["2030-01-01T03:00:00Z", "2030-01-01T13:00:00Z", "2030-01-02T13:00:00Z", "2030-01-01T13:05:00Z"] {
        let booked = opened.store.book(opened.draft("Hubble-Acad", start).await, fence(1), request()).await.unwrap();
        assert!(booked.is_ok(), "{start} {booked:?}");
    }
    let new = opened.draft("Hubble-Acad", "2030-01-01T13:10:00Z").await;
    let counted = opened.store.counted(&new, None, opened.clock.now()).await.unwrap();
    assert_eq!(counted.held.len(), 4, "{counted:?}");
    let refused = opened.store.book(new, fence(1), request()).await.unwrap();
    assert!(
        matches!(refused, Err(BookRefused::Broken(Rejection::Rule(BrokenRule::Day { used: 15, .. })))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_statement_about_a_period_is_prepared_once_for_all_periods() {
    let opened = open("2030-01-01T00:00:00Z");
    for (token, minute) in (1..).zip([0, 5, 10, 15]) {
        let new = opened.draft("Hubble-Acad", &format!("2030-01-01T03:{minute:02}:00Z")).await;
        opened.store.book(new, fence(token), request()).await.unwrap().unwrap();
    }
    let prepared_anew = opened.store.writer.run(|tx| {
        let statement = tx.connection.prepare_cached(load::CLAIMS)?;
        Ok((statement.get_status(StatementStatus::Run), statement.get_status(StatementStatus::RePrepare)))
    });
    assert_eq!(prepared_anew.await.unwrap(), (4, 0));
}

#[tokio::test]
async fn a_code_that_was_given_another_row_books_for_that_row() {
    const SWAP: &str = "UPDATE telescopios SET codigo = 'x' WHERE id = 1;
        UPDATE telescopios SET codigo = 'Hubble-Acad' WHERE id = 2; UPDATE telescopios SET codigo = 'Webb-Acad' WHERE id = 1";
    let opened = open("2030-01-01T00:00:00Z");
    for (token, minute) in [(1, "00"), (2, "05")] {
        let new = opened.draft("Hubble-Acad", &format!("2030-01-01T03:{minute}:00Z")).await;
        opened.store.book(new, fence(token), request()).await.unwrap().unwrap();
        opened.store.writer.run(|tx| tx.connection.execute_batch(SWAP)).await.unwrap();
    }
    let written = opened.store.writer.run(|tx| {
        let mut statement = tx.connection.prepare("SELECT telescopio_id FROM agendamentos ORDER BY id")?;
        statement.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()
    });
    assert_eq!(written.await.unwrap(), [1, 2]);
}

/// Notes what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Observer for Notes {
    fn saving(&mut self, change: Saving, request_id: &RequestId) {
        self.0.lock().unwrap().push(format!("{change:?} {request_id}"));
    }

    fn committed(&mut self, lines: &[String]) {
        self.0.lock().unwrap().push(format!("{} committed", lines.len()));
    }
}

#[tokio::test]
async fn each_change_is_told_once_before_its_commit_however_often_the_transaction_begins_anew() {
    let notes = Notes::default();
    let opened = open_with("2030-01-01T00:00:00Z", notes.clone());
    let slot = async |start: &str| opened.draft("Hubble-Acad", start).await;
    let (first, rival) = (slot("2030-01-01T03:00:00Z").await, slot("2030-01-01T03:00:00Z").await);
    let second = slot("2030-01-01T03:05:00Z").await;
    let from = first.place();
    let (release, held) = mpsc::channel::<()>();
    let (begins, begun) = mpsc::channel();
    let writer = &opened.store.writer;
    let holder = writer.run(move |_| {
        begins.send(()).unwrap();
        let _ = held.recv();
        Ok(())
    });
    // The failed job has the transaction begun anew, with a savepoint for each job.
    let bad = writer.run(|tx| tx.connection.execute("INSERT INTO cientistas (id) VALUES (7)", ()));
    let (_, (), first, bad, rival, cancelled, second, ()) = tokio::join!(
        biased;
        holder,
        // Alone in its transaction: the others come after it has begun, and become the next one.
        async { begun.recv().unwrap() },
        opened.store.book(first, fence(1), Cause::of_test("first")),
        bad,
        opened.store.book(rival, fence(2), Cause::of_test("rival")),
        opened.store.cancel(1, from, Cancellation::default(), fence(3), Cause::of_test("third")),
        opened.store.book(second, fence(4), Cause::of_test("second")),
        async { drop(release) },
    );
    // After the savepoint of the failed job, the changes behind it still see what the one before it wrote.
    assert!(first.unwrap().is_ok() && bad.is_err());
    assert!(matches!(rival.unwrap(), Err(BookRefused::Taken { booking_id: 1, .. })));
    assert_eq!((cancelled.unwrap().unwrap().booking.id, second.unwrap().unwrap().id), (1, 2));
    let told = notes.0.lock().unwrap().clone();
    assert_eq!(told, ["Booking first", "Cancellation third", "Booking second", "3 committed"]);
}

/// Jobs that become one transaction, with the answers of all.
async fn together(store: &SqliteStore, news: Vec<NewBooking>) -> Vec<Result<Result<Booking, BookRefused>, StoreError>> {
    let (release, held) = mpsc::channel::<()>();
    let (begins, begun) = mpsc::channel();
    let holder = store.writer.run(move |_| {
        begins.send(()).unwrap();
        // The end of the channel is the release.
        let _ = held.recv();
        Ok(())
    });
    let mut tasks = tokio::task::JoinSet::new();
    let mut answers: Vec<_> = news.iter().map(|_| None).collect();
    for (index, new) in news.into_iter().enumerate() {
        let writer = store.writer.clone();
        let change = Book { new, fence: fence(1), cause: request() };
        tasks.spawn(async move {
            let booked = writer.run(move |tx| tx.carry_out(&change)).await;
            (index, booked)
        });
    }
    let release = async {
        // The holder is alone in its transaction.
        begun.recv().unwrap();
        // Each has sent its job when it was polled once.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        drop(release);
    };
    let (held, ()) = tokio::join!(biased; holder, release);
    held.unwrap();
    while let Some(done) = tasks.join_next().await {
        let (index, answer) = done.unwrap();
        answers[index] = Some(answer);
    }
    answers.into_iter().map(Option::unwrap).collect()
}

impl Opened {
    async fn drafts(&self, count: u32) -> Vec<NewBooking> {
        let mut drafts = Vec::new();
        for index in 0..count {
            drafts.push(self.draft("Hubble-Acad", &format!("2030-01-01T03:{:02}:00Z", index * 5)).await);
        }
        drafts
    }

    async fn sql(&self, sql: &'static str) {
        self.store.writer.run(move |tx| tx.connection.execute_batch(sql)).await.unwrap();
    }
}

#[tokio::test]
async fn a_removed_scientist_or_telescope_is_named_and_the_transaction_stays_one() {
    let opened = open("2030-01-01T00:00:00Z");
    let mut drafts = opened.drafts(6).await;
    Arc::make_mut(&mut drafts[1].scientist).id = 3;
    Arc::make_mut(&mut drafts[4].telescope).code = "Webb-Acad".to_owned();
    opened.sql("DELETE FROM cientistas WHERE id = 3; DELETE FROM telescopios WHERE id = 2").await;
    let answers = together(&opened.store, drafts).await;
    let created: BTreeSet<Timestamp> =
        answers.iter().filter_map(|answer| answer.as_ref().unwrap().as_ref().ok()).map(|b| b.created_at).collect();
    assert_eq!(created.len(), 1, "one transaction: {answers:?}");
    for (index, answer) in answers.iter().enumerate() {
        let refused = answer.as_ref().unwrap().as_ref().err();
        match index {
            1 => assert_eq!(refused, Some(&BookRefused::Broken(Rejection::UnknownScientist(3)))),
            4 => assert!(matches!(refused, Some(BookRefused::Broken(Rejection::UnknownTelescope(_))))),
            _ => assert_eq!(refused, None),
        }
    }
}

#[tokio::test]
async fn a_write_that_the_database_refuses_is_refused_to_its_caller_alone() {
    for (reaction, then) in
        [("ABORT, 'fechado'", "fechado"), ("ROLLBACK, 'fechado'", "fechado"), ("FAIL, 'fechado'", "fechado")]
    {
        let opened = open("2030-01-01T00:00:00Z");
        let mut drafts = opened.drafts(6).await;
        for nth in [1, 4] {
            Arc::make_mut(&mut drafts[nth].scientist).id = 3;
        }
        let trigger = format!(
            "CREATE TRIGGER nao AFTER INSERT ON agendamentos WHEN new.cientista_id = 3
             BEGIN SELECT raise({reaction}); END"
        );
        let made = opened.store.writer.run(move |tx| tx.connection.execute_batch(&trigger)).await;
        made.unwrap();
        let answers = together(&opened.store, drafts).await;
        let mut created = BTreeSet::new();
        for (index, answer) in answers.iter().enumerate() {
            match (index, answer) {
                (1 | 4, Err(StoreError::Refused(reason))) => assert!(reason.contains(then), "{reason}"),
                (1 | 4, other) => panic!("{other:?}"),
                (_, booked) => _ = created.insert(booked.as_ref().unwrap().as_ref().unwrap().created_at),
            }
        }
        assert_eq!(created.len(), 1, "one transaction: {answers:?}");
        assert!(opened.store.probe().await.is_ok(), "the database is well");
        // The chain has no gap and no record of what was undone.
        let mut text = Vec::new();
        let outbox = opened.store.outbox(Path::new("audit.jsonl")).unwrap();
        crate::audit::export::Source::lines_after(&outbox, 0, 10, &mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap().lines().count(), 4);
        assert_eq!(opened.store.latest_record().await.unwrap().head.seq, 4);
    }
}

#[tokio::test]
async fn a_panic_in_one_job_is_its_own() {
    let opened = open("2030-01-01T00:00:00Z");
    let panicked: Result<(), _> = opened.store.writer.run(|_| panic!("of this job")).await;
    assert!(matches!(panicked, Err(StoreError::Refused(_))), "{panicked:?}");
    let new = opened.draft("Hubble-Acad", "2030-01-01T03:00:00Z").await;
    opened.store.book(new, fence(1), request()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_commit_that_cannot_be_looked_for_is_of_unknown_outcome_and_one_that_can_is_not() {
    // A deferred constraint fails at COMMIT and at no other moment; then nothing was written, and that can be seen.
    let opened = open("2030-01-01T00:00:00Z");
    let failed = opened
        .store
        .writer
        .run(|tx| {
            tx.connection.execute_batch(
                "PRAGMA defer_foreign_keys = 1;
                 INSERT INTO horarios (telescopio_id, inicio_us, token) VALUES (99, 0, 0)",
            )
        })
        .await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    let new = opened.draft("Hubble-Acad", "2030-01-01T03:00:00Z").await;
    opened.store.book(new, fence(1), request()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_telescope_that_is_not_simulated_any_more_refuses_the_past() {
    let opened = open("2030-01-01T02:59:58Z");
    let simulated = opened.draft("Hubble-Acad", "2030-01-01T03:00:00Z").await;
    opened.clock.set(instant("2030-01-01T03:00:04Z"));
    opened.store.book(simulated.clone(), fence(1), request()).await.unwrap().unwrap();
    opened.sql("UPDATE telescopios SET simulado = 0").await;
    let refused = opened.store.book(simulated, fence(2), request()).await.unwrap();
    assert!(matches!(refused, Err(BookRefused::Broken(Rejection::Past(..)))), "{refused:?}");
    assert_eq!(opened.store.list(Filter::default(), None, 10).await.unwrap().bookings.len(), 1);
}

#[tokio::test]
async fn better_sqlite3_1237_the_database_deleted_or_replaced_takes_nothing_and_gives_nothing_until_it_is_back() {
    let opened = open("2030-01-01T00:00:00Z");
    let mut starts = (0..12).map(|index| format!("2030-01-01T03:{:02}:00Z", index * 5));
    let mut draft = async || opened.draft("Hubble-Acad", &starts.next().unwrap()).await;
    let (first, second, third) = (draft().await, draft().await, draft().await);
    opened.store.book(first, fence(1), request()).await.unwrap().unwrap();
    let outbox = opened.store.outbox(Path::new("audit.jsonl")).unwrap();
    for name in ["sctec.db", "sctec.db-wal", "sctec.db-shm"] {
        let (path, away) = (opened.folder.path().join(name), opened.folder.path().join("away"));
        std::fs::rename(&path, &away).unwrap();
        for replaced in [false, true] {
            if replaced {
                std::fs::write(&path, "").unwrap();
            }
            let booked = opened.store.book(second.clone(), fence(1), request()).await;
            assert!(matches!(&booked, Err(StoreError::Unavailable(reason)) if reason.contains(name)), "{booked:?}");
            assert!(opened.store.booking(1).await.is_err());
            assert!(opened.store.probe().await.is_err());
            assert!(crate::audit::export::Source::head(&outbox).is_err());
        }
        std::fs::rename(&away, &path).unwrap();
        assert!(opened.store.booking(1).await.unwrap().is_some());
        assert!(opened.store.probe().await.is_ok());
    }
    opened.store.book(third, fence(1), request()).await.unwrap().unwrap();
    assert_eq!(opened.store.list(Filter::default(), None, 10).await.unwrap().bookings.len(), 2);
}

#[tokio::test]
async fn a_file_that_took_the_database_is_not_touched_by_the_end_of_the_one_before() {
    let opened = open("2030-01-01T00:00:00Z");
    let new = opened.draft("Hubble-Acad", "2030-01-01T03:00:00Z").await;
    opened.store.book(new.clone(), fence(1), request()).await.unwrap().unwrap();
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(opened.folder.path().join(format!("sctec.db{suffix}"))).unwrap();
    }
    let next = SqliteStore::open(
        &opened.folder.path().join("sctec.db"),
        DatabaseKind::Agenda,
        opened.clock.clone(),
        &log(),
        Unobserved,
    )
    .unwrap();
    next.book(new, fence(1), request()).await.unwrap().unwrap();
    drop(opened.store);
    assert!(next.probe().await.is_ok(), "its log is still there");
    assert_eq!(next.list(Filter::default(), None, 10).await.unwrap().bookings.len(), 1);
}

#[tokio::test]
async fn acknowledged_bookings_outlive_the_deletion_of_the_log() {
    let opened = open("2030-01-01T00:00:00Z");
    let new = opened.draft("Hubble-Acad", "2030-01-01T03:00:00Z").await;
    opened.store.book(new, fence(1), request()).await.unwrap().unwrap();
    for suffix in ["-wal", "-shm"] {
        std::fs::remove_file(opened.folder.path().join(format!("sctec.db{suffix}"))).unwrap();
    }
    // As a restart after a crash finds it: nothing is left to the end of the process. Another checkpoint may keep the log's
    // content from being copied at the first attempt to write; the next attempt copies it.
    let deadline = Instant::now() + Duration::from_secs(10);
    for attempt in 0.. {
        assert!(opened.store.probe().await.is_err());
        let copy = opened.folder.path().join(format!("copy-{attempt}.db"));
        std::fs::copy(opened.folder.path().join("sctec.db"), &copy).unwrap();
        let next = SqliteStore::open(&copy, DatabaseKind::Agenda, opened.clock.clone(), &log(), Unobserved).unwrap();
        if next.list(Filter::default(), None, 10).await.unwrap().bookings.len() == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "the booking is in no copy");
    }
}

/// A database of `before` records with a log of `after` more, over which a copy of when there were `kept` is put.
async fn mixed(kept: u32, before: u32, after: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sctec.db");
    let copy = folder.path().join("copy.db");
    let clock = Clock::held_at(instant("2030-01-01T00:00:00Z"));
    let mut index = 0;
    let mut book_until = async |store: &SqliteStore, until: u32| {
        while index < until {
            let start = instant("2030-02-01T00:00:00Z").as_micros() + i64::from(index) * 300_000_000;
            let draft = Draft {
                scientist_id: Some(7),
                start: Timestamp::from_micros(start),
                telescope: Some("Hubble-Acad".to_owned()),
                ..Draft::default()
            };
            let new = draft.check(&store.catalogue().await.unwrap(), clock.now()).unwrap();
            store.book(new, fence(u64::from(index) + 1), request()).await.unwrap().unwrap();
            index += 1;
        }
    };
    for until in [kept, before] {
        let store = SqliteStore::open(&path, DatabaseKind::Agenda, clock.clone(), &log(), Unobserved).unwrap();
        book_until(&store, until).await;
        drop(store);
        if until == kept && !copy.exists() {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
    let store = SqliteStore::open(&path, DatabaseKind::Agenda, clock.clone(), &log(), Unobserved).unwrap();
    book_until(&store, after).await;
    // As a crash leaves it.
    let crashed = folder.path().join("crashed.db");
    std::fs::copy(&copy, &crashed).unwrap();
    std::fs::copy(folder.path().join("sctec.db-wal"), folder.path().join("crashed.db-wal")).unwrap();
    drop(store);
    (folder, crashed)
}

#[tokio::test]
async fn an_older_copy_beside_a_newer_log_is_named_and_the_advice_works() {
    for (kept, before, after) in [(3, 300, 310), (100, 160, 165), (30, 400, 401)] {
        let (_folder, path) = mixed(kept, before, after).await;
        let bytes = || std::fs::read(&path).unwrap();
        let copy = bytes();
        // Again and again, since nothing is made of the two.
        for _ in 0..2 {
            let clock = Clock::held_at(instant("2030-01-01T00:00:00Z"));
            let error =
                SqliteStore::open(&path, DatabaseKind::Agenda, clock, &log(), Unobserved).err().expect("it is refused");
            let OpenError::Mixed { reason, .. } = &error else { panic!("{error}") };
            assert!(!reason.starts_with("***"), "{reason}");
            assert!(error.to_string().contains("crashed.db-wal"), "{error}");
            assert!(bytes() == copy, "it was not touched");
        }
        assert!(trail_ends(&path, || false).is_err(), "nor is it whole to the verification");
        for suffix in ["-wal", "-shm"] {
            let beside = place::beside(&path, suffix);
            if beside.exists() {
                std::fs::rename(&beside, beside.with_extension("away")).unwrap();
            }
        }
        let clock = Clock::held_at(instant("2030-01-01T00:00:00Z"));
        let store = SqliteStore::open(&path, DatabaseKind::Agenda, clock, &log(), Unobserved).unwrap();
        assert_eq!(store.list(Filter::default(), None, 500).await.unwrap().bookings.len(), kept as usize);
    }
}

/// A database of the conformance suite's.
struct Database {
    store: Arc<dyn Store>,
    folder: tempfile::TempDir,
}

impl conformance::Fixture for Database {
    fn open(race: bool, clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kind = if race { DatabaseKind::Race } else { DatabaseKind::Agenda };
        let store = SqliteStore::open(&folder.path().join("sctec.db"), kind, clock, &log(), Unobserved).unwrap();
        Self { store: Arc::new(store), folder }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    fn remove_scientist(&self, id: i64) {
        let other = rusqlite::Connection::open(self.folder.path().join("sctec.db")).unwrap();
        other.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        other.execute("DELETE FROM cientistas WHERE id = ?1", [id]).unwrap();
    }
}

conformance::conformance!(Database);
