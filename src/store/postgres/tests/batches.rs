//! What gets one transaction, and that all of it does.

use super::*;
use crate::agenda::{ScientistPatch, Telescope};
use crate::store::Cancelling;

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
    let begun = Instant::now();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while database.rows(sql).unwrap()[0][0].as_deref() == Some("0") {
        assert!(begun.elapsed() < Duration::from_secs(3), "the writer waits for the trail's head");
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
    let when = NewMaintenance {
        start: Timestamp::parse_rfc3339("2030-02-01T00:00:00Z").unwrap(),
        end: Timestamp::parse_rfc3339("2030-02-02T00:00:00Z").unwrap(),
        reason: "espelho".to_owned(),
        weekly_until: None,
    };
    let closed = store.close("Hubble-Acad".to_owned(), when.clone(), Cancelling::Nothing, cause()).await.unwrap();
    let closed = closed.unwrap().maintenance;
    let [free, taken] = [slot(&store, 1).await, slot(&store, 0).await];
    let waiting = NewBooking { scientist: known.scientist(5).unwrap().clone(), ..taken };
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
        async { drop(store.close("Webb-Acad".to_owned(), when, Cancelling::Nothing, cause()).await.unwrap().unwrap()) },
        async { drop(store.reopen("Hubble-Acad".to_owned(), closed.id, cause()).await.unwrap().unwrap()) },
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
