//! The store on a real server, which the first test starts: the suite of every storage, and what only this one has to do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::*;
use crate::access::register::records::Records as _;
use crate::agenda::{self, Cancellation, Draft, Rejection, ScientistPatch, Telescope, TelescopePatch};
use crate::audit::export::Source;
use crate::audit::record::Cause;
use crate::store::{BookRefused, Cancelling, Fence, Store, Unobserved, conformance};

#[path = "../../../tests/it/common/postgres.rs"]
mod server;

use self::server::Database;

/// A database of the conformance suite's.
struct Opened {
    // Closed before its database is removed.
    store: Arc<PostgresStore>,
    database: Database,
}

fn location(database: &Database) -> Location {
    Location::parse(&database.url()).unwrap()
}

fn open_in(database: &Database, kind: DatabaseKind, clock: Clock) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::open(location(database), kind, clock, Unobserved).unwrap())
}

impl conformance::Fixture for Opened {
    fn open(race: bool, clock: Clock) -> Self {
        let database = Database::create();
        let kind = if race { DatabaseKind::Race } else { DatabaseKind::Agenda };
        Self { store: open_in(&database, kind, clock), database }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    fn remove_scientist(&self, id: i64) {
        let sql = format!(
            "SET session_replication_role = replica; DELETE FROM sctec.cientistas WHERE id = {id};
             UPDATE sctec.resumo SET catalogo = catalogo + 1"
        );
        self.database.rows(&sql).unwrap();
    }
}

conformance::conformance!(
    #[ignore = "needs PostgreSQL"]
    Opened
);

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2030-01-01T00:00:00Z").unwrap()
}

fn clock() -> Clock {
    Clock::held_at(now())
}

fn fence(token: u64) -> Fence {
    Fence { token, deadline: Instant::now() + Duration::from_secs(60) }
}

/// A booking of one slot, `nth` slots after three o'clock.
async fn slot(store: &PostgresStore, nth: i64) -> NewBooking {
    let start = Timestamp::parse_rfc3339("2030-01-01T03:00:00Z").unwrap();
    let draft = Draft {
        scientist_id: Some(7),
        start: Timestamp::from_micros(start.as_micros() + nth * 300_000_000),
        ..Draft::default()
    };
    draft.check(&store.catalogue().await.unwrap(), now()).unwrap()
}

async fn book(store: &PostgresStore, nth: i64, token: u64) -> Result<Result<Booking, BookRefused>, StoreError> {
    let new = slot(store, nth).await;
    store.book(new, fence(token), Cause::of_test(&format!("r-{nth}"))).await
}

/// Ends the connections that write: those that have `enable_seqscan` off are not told apart by the server, so all of sctec's that are not
/// the pool's.
fn end_connections(database: &Database) {
    database
        .rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sctec' AND datname = current_database()")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn two_that_open_a_fresh_database_at_once_share_one_agenda() {
    for _ in 0..5 {
        let database = Database::create();
        let open = || {
            let location = location(&database);
            tokio::task::spawn_blocking(move || {
                PostgresStore::open(location, DatabaseKind::Agenda, clock(), Unobserved)
                    .map_err(|error| error.to_string())
            })
        };
        let (one, other, third) = tokio::join!(open(), open(), open());
        let (one, other, _third) = (one.unwrap().unwrap(), other.unwrap().unwrap(), third.unwrap().unwrap());
        let first = book(&one, 0, 1).await.unwrap().unwrap();
        assert!(
            matches!(book(&other, 0, 2).await.unwrap(), Err(BookRefused::Taken { booking_id, .. }) if booking_id == first.id)
        );
        let second = book(&other, 1, 3).await.unwrap().unwrap();
        assert_eq!((first.id, second.id), (1, 2));
        assert_eq!(one.latest_record().await.unwrap().head.seq, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn of_two_schedulers_at_once_one_has_each_slot_and_the_trail_is_one_chain() {
    let database = Database::create();
    let stores = [(); 2].map(|()| open_in(&database, DatabaseKind::Agenda, clock()));
    let mut tasks = Vec::new();
    for round in 0..20 {
        for store in &stores {
            for token in [1, 2] {
                let store = Arc::clone(store);
                tasks.push(tokio::spawn(async move { book(&store, round, token).await.unwrap().is_ok() }));
            }
        }
    }
    let mut booked = 0;
    for task in tasks {
        booked += usize::from(task.await.unwrap());
    }
    assert_eq!(booked, 20);
    let rows = database.rows("SELECT seq, linha FROM sctec.auditoria ORDER BY seq").unwrap();
    assert_eq!(rows.len(), 20);
    let mut prev = stores[0].outbox(Path::new("/nowhere/audit.jsonl")).unwrap().beginning().unwrap();
    for row in rows {
        let record: serde_json::Value = serde_json::from_str(row[1].as_deref().unwrap()).unwrap();
        assert_eq!(record["prev"], prev.as_str());
        prev = record["hash"].as_str().unwrap().to_owned();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn connections_that_are_ended_are_opened_again_and_no_answer_is_wrong() {
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    let mut acknowledged = Vec::new();
    for nth in 0..60 {
        if nth % 3 == 0 {
            end_connections(&database);
        }
        let new = loop {
            // A reading may fail once on each connection of the pool.
            match store.catalogue().await {
                Ok(_) => break slot(&store, nth).await,
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        let booking = store.book(new, fence(1), Cause::of_test("r-1"));
        let (booked, ()) = tokio::join!(booking, async {
            if nth % 2 == 0 {
                end_connections(&database);
            }
        });
        match booked {
            Ok(booked) => acknowledged.push(booked.unwrap().id),
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let rows = database.rows("SELECT id FROM sctec.agendamentos ORDER BY id").unwrap();
    let there: Vec<i64> = rows.iter().map(|row| row[0].as_deref().unwrap().parse().unwrap()).collect();
    assert!(acknowledged.len() >= 20, "{} of 60 were booked", acknowledged.len());
    // What is said not to be written is not: every outcome was found out.
    assert_eq!(there, acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_change_that_the_database_refuses_takes_none_of_its_neighbours_with_it() {
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    book(&store, 100, 1).await.unwrap().unwrap();
    database
        .rows(
            "CREATE FUNCTION sctec.nao() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nao'; END $$;
             CREATE TRIGGER nao BEFORE INSERT ON sctec.agendamentos FOR EACH ROW WHEN (NEW.inicio_us = 1893468300000000)
             EXECUTE FUNCTION sctec.nao()",
        )
        .unwrap();
    // 2030-01-01T03:25:00Z is the fifth slot.
    let tasks: Vec<_> = (0..40)
        .map(|nth| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { book(&store, nth, 1).await })
        })
        .collect();
    for (nth, task) in tasks.into_iter().enumerate() {
        let booked = task.await.unwrap();
        assert_eq!(matches!(booked, Err(StoreError::Refused(_))), nth == 5, "{nth}: {booked:?}");
        assert!(nth == 5 || booked.unwrap().is_ok(), "{nth}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_scheduler_that_stops_inside_a_transaction_does_not_keep_the_others_waiting_for_long() {
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    let stopped = Connector::new(&location(&database), DatabaseKind::Agenda).open(connect::Use::Writing).await.unwrap();
    stopped.client.batch_execute("BEGIN").await.unwrap();
    stopped.client.query(load::HEAD, &[]).await.unwrap();
    let begun = Instant::now();
    // The server ends the silent transaction.
    book(&store, 0, 1).await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(stopped.client.batch_execute("COMMIT").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_server_that_may_lose_what_it_acknowledges_is_refused() {
    let database = Database::create();
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    let open = || {
        PostgresStore::open(location(&database), DatabaseKind::Agenda, clock(), Unobserved)
            .map(|store| store.warnings())
    };
    database.rows(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).unwrap();
    assert!(matches!(open(), Err(OpenError::Unsafe { setting: "synchronous_commit", .. })));
    database.rows(&format!("ALTER DATABASE {name} SET synchronous_commit = on")).unwrap();
    // One server alone: the operator is told.
    assert_eq!(open().unwrap().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["replica"]);
    let store = PostgresStore::open(location(&database), DatabaseKind::Agenda, clock(), Unobserved).unwrap();
    let described = store.described().await.unwrap();
    let names: Vec<_> = described.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["kind", "version", "server", "synchronous"]);
    assert!(database.url().contains(&described[2].1) && described[3].1 == "false", "{described:?}");
    database.rows("UPDATE sctec.esquema SET versao = 999").unwrap();
    assert!(matches!(open(), Err(OpenError::Newer { found: 999, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn the_race_touches_nothing_of_the_agenda() {
    let database = Database::create();
    let (agenda, race) =
        (open_in(&database, DatabaseKind::Agenda, clock()), open_in(&database, DatabaseKind::Race, clock()));
    let new = slot(&race, 0).await;
    for _ in 0..2 {
        race.book_unguarded(new.clone(), Cause::of_test("r-1")).await.unwrap().unwrap();
    }
    assert!(agenda.find_conflict(&new).await.unwrap().is_none());
    assert_eq!((agenda.latest_record().await.unwrap().head.seq, race.latest_record().await.unwrap().head.seq), (0, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_key_of_a_scheduler_that_died_is_free_again_and_of_one_that_lives_is_not() {
    let database = Database::create();
    let (one, other) =
        (open_in(&database, DatabaseKind::Agenda, clock()), open_in(&database, DatabaseKind::Agenda, clock()));
    let held = one.hold([1; 32]).await.unwrap().expect("free");
    assert!(other.hold([1; 32]).await.unwrap().is_none());
    // What a scheduler that died has left: a row that nobody renews.
    database
        .rows(
            "INSERT INTO sctec.chaves (chave, dono, vez, expira_us) VALUES (decode(repeat('02', 32), 'hex'), 'morto', 1,
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + 500000)",
        )
        .unwrap();
    assert!(other.hold([2; 32]).await.unwrap().is_none());
    let begun = Instant::now();
    while other.hold([2; 32]).await.unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the row of a scheduler that died ends");
    }
    drop(held);
    assert!(other.hold([1; 32]).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn every_column_of_a_table_moves() {
    let database = Database::create();
    let _store = open_in(&database, DatabaseKind::Agenda, clock());
    for table in &crate::store::tables::TABLES {
        let sql = format!(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'sctec' AND table_name = '{}'",
            table.name
        );
        let mut there: BTreeSet<String> =
            database.rows(&sql).unwrap().into_iter().filter_map(|mut row| row.remove(0)).collect();
        // A private half stays where it was made.
        assert_eq!(there.remove("semente"), table.name == "chaves_de_hora");
        let moved: BTreeSet<String> = table.columns.iter().map(|column| (*column).to_owned()).collect();
        assert_eq!(moved, there, "{}", table.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn what_one_scheduler_changes_in_the_catalogue_binds_the_others_at_once() {
    let database = Database::create();
    let [one, other] = [(); 2].map(|()| open_in(&database, DatabaseKind::Agenda, clock()));
    let new = slot(&other, 0).await;
    for round in 0..10 {
        // The other one remembers the telescope and the scientist from its last transaction.
        let booked = other.book(new.clone(), fence(2 * round + 1), Cause::of_test("b")).await.unwrap().unwrap();
        let cancelled =
            other.cancel(booked.id, booked.place(), Cancellation::default(), fence(2 * round + 1), Cause::of_test("c"));
        cancelled.await.unwrap().unwrap();
        for active in [false, true] {
            let patch = TelescopePatch { active: Some(active), ..TelescopePatch::default() };
            let changed = one.change_telescope("Hubble-Acad".to_owned(), patch, None, Cause::of_test("t")).await;
            assert!(changed.unwrap().is_ok());
            let booked = other.book(new.clone(), fence(2 * round + 2), Cause::of_test("b")).await.unwrap();
            match booked {
                Ok(booking) if active => {
                    let place = booking.place();
                    let again = other.cancel(
                        booking.id,
                        place,
                        Cancellation::default(),
                        fence(2 * round + 2),
                        Cause::of_test("c"),
                    );
                    again.await.unwrap().unwrap();
                }
                Err(BookRefused::Broken(Rejection::InactiveTelescope(_))) if !active => {}
                other => panic!("{active}: {other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL"]
async fn a_command_reads_again_after_a_pause() {
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    let there = location(&database);
    let read = move || {
        let outside = Outside::new(&there, DatabaseKind::Agenda).unwrap();
        let ends = outside.ends().unwrap();
        // The server ends a connection that leaves a transaction open for longer than 3 s: this is a time, and no condition.
        std::thread::sleep(Duration::from_secs(4));
        outside.around(None, 0).unwrap();
        ends
    };
    let [beginning, head] = tokio::task::spawn_blocking(read).await.unwrap();
    assert_eq!((beginning.seq, head.seq), (0, store.latest_record().await.unwrap().head.seq));
}

/// Somebody who has the trail's head: the writer of a store waits for it.
struct Holder(connect::Opened);

impl Holder {
    async fn of(database: &Database) -> Self {
        let connector = Connector::new(&location(database), DatabaseKind::Agenda);
        let holder = connector.open(connect::Use::Writing).await.unwrap();
        holder.client.batch_execute("BEGIN").await.unwrap();
        holder.client.query(load::HEAD, &[]).await.unwrap();
        Self(holder)
    }

    async fn lets_go(self) {
        self.0.client.batch_execute("ROLLBACK").await.unwrap();
    }
}

/// Waits until a connection waits for a lock.
async fn wait_for_a_lock(database: &Database) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    wait_for("the writer waits for the trail's head", || number(database, sql) > 0).await;
}

/// The one number that a statement gives.
fn number(database: &Database, sql: &str) -> i64 {
    database.rows(sql).unwrap()[0][0].as_deref().unwrap().parse().unwrap()
}

async fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How many transactions have written the records after this one.
fn transactions(database: &Database, after: &str) -> String {
    let sql = format!("SELECT count(DISTINCT xmin::text) FROM sctec.auditoria WHERE seq > {after}");
    database.rows(&sql).unwrap()[0][0].clone().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn all_that_comes_while_the_lock_is_waited_for_gets_its_transaction() {
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    book(&store, 0, 1).await.unwrap().unwrap();
    let holder = Holder::of(&database).await;
    let first = tokio::spawn({
        let store = Arc::clone(&store);
        async move { book(&store, 1, 1).await }
    });
    wait_for_a_lock(&database).await;
    let new = futures_util::future::join_all((2..30).map(|nth| slot(&store, nth))).await;
    let booked = new.into_iter().map(|new| store.book(new, fence(1), Cause::of_test("late")));
    // It is polled last: all are in the queue by then.
    let (booked, ()) = tokio::join!(biased; futures_util::future::join_all(booked), holder.lets_go());
    assert!(booked.into_iter().all(|booked| booked.unwrap().is_ok()) && first.await.unwrap().unwrap().is_ok());
    assert_eq!(transactions(&database, "1"), "1");
    let ids = database.rows("SELECT min(id), max(id), count(*) FROM sctec.agendamentos").unwrap();
    assert_eq!(ids[0].iter().flatten().collect::<Vec<_>>(), ["1", "30", "30"]);
}

/// What was planned for empty tables reads them whole, and it may last a minute until they are analysed again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn statements_are_planned_anew_as_the_agenda_grows() {
    const BOOKINGS: i64 = 2_000;
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    database.rows("VACUUM ANALYZE").unwrap();
    for nth in 0..BOOKINGS {
        let booked = book(&store, nth, 1).await.unwrap().unwrap();
        assert_eq!(store.booking(booked.id).await.unwrap(), Some(booked));
    }
    drop(store);
    // A connection tells what it has read when it ends, at the latest.
    let connections = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    wait_for("the store's connections have ended", || number(&database, connections) == 0).await;
    for table in ["horarios", "agendamentos"] {
        let read = format!(
            "SELECT seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid)
             FROM pg_stat_user_tables t WHERE relid = 'sctec.{table}'::regclass"
        );
        // Each booking and its slot are looked for by their keys.
        wait_for("what was read is known", || number(&database, &read) >= BOOKINGS).await;
        let read = number(&database, &read);
        // A table of a few pages may be read whole. All of the bookings before each one are two millions.
        assert!(read < 150 * BOOKINGS, "{BOOKINGS} bookings have read {read} rows of {table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn who_only_reads_learns_that_the_agenda_has_grown() {
    let database = Database::create();
    let [writing, reading] = [(); 2].map(|()| open_in(&database, DatabaseKind::Agenda, clock()));
    for nth in 0..64 {
        book(&writing, nth, 1).await.unwrap().unwrap();
    }
    assert_eq!((writing.connector.growth().step(), reading.connector.growth().step()), (0, 0));
    let outbox = reading.outbox(Path::new("/nowhere/audit.jsonl")).unwrap();
    assert_eq!(outbox.lines_after(0, 100, &mut Vec::new()).unwrap(), Some(64));
    assert_eq!(reading.connector.growth().step(), 1);
    // A transaction notes what it has found at its beginning.
    book(&writing, 64, 1).await.unwrap().unwrap();
    assert_eq!(writing.connector.growth().step(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_register_that_has_grown_is_planned_anew_too() {
    let database = Database::create();
    let _store = open_in(&database, DatabaseKind::Agenda, clock());
    database.rows("UPDATE sctec.registro SET versao = 64").unwrap();
    let register = SharedRegister::new(&location(&database), Handle::current()).unwrap();
    let read = register.clone();
    let version = tokio::task::spawn_blocking(move || read.version().map_err(|error| error.to_string()));
    assert_eq!(version.await.unwrap(), Ok(64));
    assert_eq!(register.growth().step(), 1);
}

fn a_day_closed() -> NewMaintenance {
    NewMaintenance {
        start: Timestamp::parse_rfc3339("2030-02-01T00:00:00Z").unwrap(),
        end: Timestamp::parse_rfc3339("2030-02-02T00:00:00Z").unwrap(),
        reason: "espelho".to_owned(),
        weekly_until: None,
    }
}

/// COMMIT is sent without waiting for the statements before it: none may come after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn all_that_a_batch_writes_is_written_before_its_commit() {
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    let moving = book(&store, 0, 1).await.unwrap().unwrap();
    let known = store.catalogue().await.unwrap();
    let (telescope, scientist) = (known.telescope("Webb-Acad").unwrap(), known.scientist(3).unwrap());
    let cause = || Cause::of_test("r");
    let when = a_day_closed();
    let closed = store
        .close("Hubble-Acad".to_owned(), when.clone(), Cancelling::Nothing, Duration::ZERO, cause())
        .await
        .unwrap();
    let closed = closed.unwrap().maintenance;
    let [free, taken] = [slot(&store, 1).await, slot(&store, 0).await];
    let waiting = NewBooking { scientist: known.scientist(5).unwrap().clone().into(), ..taken };
    let before = store.latest_record().await.unwrap().head.seq.to_string();

    let holder = Holder::of(&database).await;
    let patch = ScientistPatch { country: Some("PT".to_owned()), ..ScientistPatch::default() };
    let rules = TelescopePatch { name: Some("Outro".to_owned()), ..TelescopePatch::default() };
    let added = Telescope { code: "T".to_owned(), ..telescope.clone() };
    let ((), ..) = tokio::join!(biased;
        async { drop(store.create_scientist(scientist.clone(), cause()).await.unwrap()) },
        async { drop(store.change_scientist(3, patch, None, cause()).await.unwrap().unwrap()) },
        async { drop(store.create_telescope(added, cause()).await.unwrap().unwrap()) },
        async { drop(store.change_telescope("Webb-Acad".to_owned(), rules, None, cause()).await.unwrap().unwrap()) },
        async { drop(store.close("Webb-Acad".to_owned(), when, Cancelling::Nothing, Duration::ZERO, cause()).await.unwrap().unwrap()) },
        async { drop(store.reopen("Hubble-Acad".to_owned(), closed.id, Duration::ZERO, cause()).await.unwrap().unwrap()) },
        async { drop(store.enter(waiting, cause()).await.unwrap().unwrap()) },
        async { drop(store.book(free, fence(2), cause()).await.unwrap().unwrap()) },
        async {
            let cancelled = store.cancel(moving.id, moving.place(), Cancellation::default(), fence(2), cause()).await;
            drop(cancelled.unwrap().unwrap());
        },
        holder.lets_go(),
    );
    // The change of a catalogue has the next job load it again: what was decided before is written, in the same transaction.
    assert_eq!(transactions(&database, &before), "1");
    let newer = |table: &str| {
        let of = format!("SELECT min(age(xmin)) FROM sctec.auditoria WHERE seq > {before}");
        let sql = format!(
            "SELECT count(*) FILTER (WHERE age(xmin) = ({of})), count(*) FILTER (WHERE age(xmin) < ({of})) FROM sctec.{table}"
        );
        let found = database.rows(&sql).unwrap();
        (found[0][0].clone().unwrap() != "0", found[0][1].clone().unwrap())
    };
    let tables = [
        "cientistas",
        "telescopios",
        "manutencoes",
        "esperas",
        "agendamentos",
        "horarios",
        "auditoria",
        "trilha",
        "resumo",
    ];
    for table in tables {
        assert_eq!(newer(table), (true, "0".to_owned()), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_row_that_the_database_leaves_out_undoes_its_change_and_no_other() {
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    book(&store, 100, 1).await.unwrap().unwrap();
    // Without an error, and with a warning, which says nothing of the standby.
    database
        .rows(
            "CREATE FUNCTION sctec.nada() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE WARNING 'nada'; RETURN NULL; END $$;
             CREATE TRIGGER nada BEFORE INSERT ON sctec.horarios FOR EACH ROW WHEN (NEW.inicio_us = 1893468300000000)
             EXECUTE FUNCTION sctec.nada()",
        )
        .unwrap();
    // 2030-01-01T03:25:00Z is the fifth slot.
    let booked = futures_util::future::join_all((0..20).map(|nth| book(&store, nth, 1))).await;
    for (nth, booked) in booked.into_iter().enumerate() {
        match booked {
            Err(StoreError::Refused(why)) if nth == 5 => assert!(why.contains("horarios: 0 linhas"), "{why}"),
            booked => assert!(nth != 5 && booked.unwrap().is_ok(), "{nth}"),
        }
    }
    for (table, rows) in [("agendamentos", "20"), ("horarios", "20"), ("auditoria", "20")] {
        let found = database.rows(&format!("SELECT count(*) FROM sctec.{table}")).unwrap();
        assert_eq!(found[0][0].as_deref(), Some(rows), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_warning_beside_a_commit_has_it_confirmed_and_not_doubted() {
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    database
        .rows(
            "CREATE FUNCTION sctec.avisa() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'veja'; RETURN NEW; END $$;
             CREATE TRIGGER avisa BEFORE INSERT ON sctec.agendamentos FOR EACH ROW EXECUTE FUNCTION sctec.avisa()",
        )
        .unwrap();
    for nth in 0..3 {
        assert_eq!(book(&store, nth, 1).await.unwrap().unwrap().id, nth + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn changes_of_one_batch_see_each_other() {
    let database = Database::create();
    let store = open_in(&database, DatabaseKind::Agenda, clock());
    let first = book(&store, 0, 1).await.unwrap().unwrap();
    for round in 0..30 {
        let standing =
            store.list(Filter { status: Some(agenda::Status::Active), ..Filter::default() }, None, 10).await.unwrap();
        let booking = standing.bookings.first().unwrap_or(&first).clone();
        let new = slot(&store, 0).await;
        let token = 2 + round;
        let cancel =
            || store.cancel(booking.id, booking.place(), Cancellation::default(), fence(token), Cause::of_test("c"));
        let again = || store.book(new.clone(), fence(token), Cause::of_test("b"));
        // While somebody else has the trail's head, a probe occupies the writer: what is asked for then is one batch.
        let holder = Holder::of(&database).await;
        let probing = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.probe().await }
        });
        wait_for_a_lock(&database).await;
        // It is polled last: the four are in the queue by then.
        let (one, two, three, four, ()) = tokio::join!(biased; cancel(), again(), cancel(), again(), holder.lets_go());
        probing.await.unwrap().unwrap();
        let booked = [&two, &four].iter().filter(|booked| matches!(booked, Ok(Ok(_)))).count();
        let cancelled = [&one, &three].iter().filter(|cancelled| matches!(cancelled, Ok(Ok(_)))).count();
        assert_eq!(cancelled, 1);
        assert!(booked <= 1 && [two, four].iter().all(Result::is_ok));
        let claims = database.rows("SELECT count(*) FROM sctec.horarios WHERE agendamento_id IS NOT NULL").unwrap();
        assert_eq!(claims[0][0].as_deref(), Some(if booked == 1 { "1" } else { "0" }));
        if booked == 0 {
            // The next round has a booking to cancel.
            store.book(new.clone(), fence(token), Cause::of_test("b")).await.unwrap().unwrap();
        }
    }
}
