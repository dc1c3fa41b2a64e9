//! Compares the lists with a slow and simple model of them, and checks their cost.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::store::sqlite::open_error::DatabaseKind;
use crate::store::sqlite::schema;

const DAY_US: i64 = minutes_in_micros(24 * 60);
const SLOT_US: i64 = minutes_in_micros(5);

struct Agenda {
    connection: Connection,
    _folder: tempfile::TempDir,
}

/// An agenda with telescopes `T1`, `T2` … in addition to the two default ones.
fn agenda(more_telescopes: usize) -> Agenda {
    let folder = tempfile::tempdir().unwrap();
    let (connection, _) = schema::open_for_writing(&folder.path().join("sctec.db"), DatabaseKind::Agenda).unwrap();
    for nth in 1..=more_telescopes {
        let code = format!("T{nth}");
        connection.execute("INSERT INTO telescopios (codigo, nome, simulado) VALUES (?1, ?1, 1)", [code]).unwrap();
    }
    Agenda { connection, _folder: folder }
}

impl Agenda {
    fn add(&self, telescope: i64, scientist: i64, start_us: i64, slots: i64, status: Status) {
        let cancelled = (status == Status::Cancelled).then_some(1);
        self.connection
            .prepare_cached(
                "INSERT INTO agendamentos (telescopio_id, cientista_id, inicio_us, fim_us, status, criado_us, cancelado_us,
                 req) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, 'r')",
            )
            .unwrap()
            .execute((telescope, scientist, start_us, start_us + slots * SLOT_US, status.name(), cancelled))
            .unwrap();
    }

    /// All pages of a list, and the number of pages.
    fn all(&self, filter: &Filter, limit: u16) -> (Vec<Booking>, usize) {
        let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = list(&self.connection, filter, after, limit).unwrap();
            assert!(page.bookings.len() <= usize::from(limit));
            assert!(page.next.is_none() || page.next > after, "it goes on");
            all.extend(page.bookings);
            (after, pages) = (page.next, pages + 1);
            if after.is_none() {
                return (all, pages);
            }
        }
    }

    /// The same list, made by reading every booking.
    fn all_plainly(&self, filter: &Filter) -> Vec<Booking> {
        let sql = format!("SELECT {COLUMNS} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id");
        let mut statement = self.connection.prepare(&sql).unwrap();
        let mut all: Vec<Booking> = statement.query_map((), from_row).unwrap().map(Result::unwrap).collect();
        all.retain(|booking| {
            filter.telescope.as_ref().is_none_or(|code| *code == booking.telescope)
                && filter.scientist_id.is_none_or(|id| id == booking.scientist_id)
                && filter.status.is_none_or(|status| status == booking.status)
                && filter.from.is_none_or(|from| booking.slots.end() > from)
                && filter.until.is_none_or(|until| booking.slots.start() < until)
        });
        all.sort_by_key(|booking| (booking.slots.start(), booking.id));
        all
    }
}

fn at(slot: i64) -> Timestamp {
    Timestamp::from_micros(slot * SLOT_US).unwrap()
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Active), Just(Status::Cancelled)]
}

fn filters() -> impl Strategy<Value = Filter> {
    use proptest::option::of;
    let codes = prop_oneof![
        Just("Hubble-Acad".to_owned()),
        Just("T1".to_owned()),
        Just("T60".to_owned()),
        Just("nenhum".to_owned())
    ];
    (of(codes), of(1..4_i64), of(status()), of(0..900_i64), of(0..900_i64)).prop_map(
        |(telescope, scientist_id, status, from, until)| Filter {
            telescope,
            scientist_id,
            status,
            from: from.map(at),
            until: until.map(at),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_list_has_what_it_is_narrowed_to_once_and_in_order(
        bookings in proptest::collection::vec((1..63_i64, 1..4_i64, 0..600_i64, 1..289_i64, status()), 0..150),
        filters in proptest::collection::vec(filters(), 12),
        limit in 1..20_u16,
    ) {
        // More telescopes than the number of ranges that one statement merges.
        let agenda = agenda(60);
        for (telescope, scientist, slot, slots, status) in bookings {
            agenda.add(telescope, scientist, slot * SLOT_US, slots, status);
        }
        for filter in &filters {
            prop_assert_eq!(agenda.all(filter, limit).0, agenda.all_plainly(filter), "{:?}", filter);
            prop_assert_eq!(first(&agenda.connection, filter).unwrap(), agenda.all_plainly(filter).into_iter().next());
        }
    }
}

/// SQLite's query plan for a statement.
pub fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let unbound: Vec<Option<i64>> = vec![None; statement.parameter_count()];
    let steps = statement.query_map(rusqlite::params_from_iter(unbound), |row| row.get::<_, String>(3)).unwrap();
    steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_list_is_a_merge_of_stretches_of_an_index() {
    let agenda = agenda(0);
    for (stretches, of_scientist) in [(1, false), (2, false), (4, false), (64, false), (1, true), (64, true)] {
        for goes_on in [false, true] {
            let plan = plan(&agenda.connection, &sql(stretches, of_scientist, goes_on));
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
            let searches = plan.lines().filter(|line| line.contains("SEARCH a USING INDEX"));
            let searches: BTreeSet<&str> = searches.map(|line| &line[line.find('(').unwrap_or(0)..]).collect();
            // When a page continues another one, the number is part of the search too: any number of bookings may have the
            // same start. The index of scientists names the number, and each index has it.
            let continued = if of_scientist { "inicio_us=? AND id>?)" } else { "inicio_us=? AND rowid>?)" };
            let expected = if goes_on {
                vec![continued, "inicio_us>? AND inicio_us<?)"]
            } else {
                vec!["inicio_us>? AND inicio_us<?)"]
            };
            assert_eq!(searches.len(), expected.len(), "{plan}");
            assert!(searches.iter().zip(&expected).all(|(search, expected)| search.ends_with(expected)), "{plan}");
        }
    }
}

#[test]
fn what_was_cancelled_before_a_period_costs_pages_and_not_one_long_search() {
    let agenda = agenda(0);
    agenda.connection.execute_batch("BEGIN").unwrap();
    let many = i64::from(PASSED_OVER_MAX) * 2 + 200;
    for nth in 0..many {
        agenda.add(1, 1, DAY_US + (nth % 200) * SLOT_US, 1, Status::Cancelled);
    }
    // This booking lasts a whole day, so it reaches into the period.
    agenda.add(1, 1, DAY_US + SLOT_US, 288, Status::Active);
    agenda.connection.execute_batch("COMMIT").unwrap();
    let from = Some(Timestamp::from_micros(2 * DAY_US).unwrap());
    for (filter, pages) in [
        (Filter { from, ..Filter::default() }, 3),
        (Filter { from, telescope: Some("Hubble-Acad".to_owned()), ..Filter::default() }, 3),
        (Filter { from, scientist_id: Some(1), status: Some(Status::Cancelled), ..Filter::default() }, 3),
        (Filter { from, scientist_id: Some(1), status: Some(Status::Active), ..Filter::default() }, 1),
    ] {
        let (all, found_on) = agenda.all(&filter, 50);
        assert_eq!((all, found_on), (agenda.all_plainly(&filter), pages), "{filter:?}");
    }
}

#[test]
fn cancelled_bookings_of_one_start_are_not_read_again_for_each_page() {
    let agenda = agenda(0);
    agenda.connection.execute_batch("BEGIN").unwrap();
    for _ in 0..500 {
        agenda.add(1, 1, DAY_US, 1, Status::Cancelled);
    }
    agenda.connection.execute_batch("COMMIT").unwrap();
    // An early page and a late page each cost the work of three rows.
    let steps = |after_id: i64| {
        let mut statement = agenda.connection.prepare(&sql(2, false, true)).unwrap();
        let (active, cancelled) = (Status::Active.name(), Status::Cancelled.name());
        let values: [&dyn ToSql; 7] = [&DAY_US, &i64::MAX, &after_id, &1, &active, &1, &cancelled];
        assert_eq!(statement.query_map(values, |_| Ok(())).unwrap().take(3).count(), 3);
        statement.get_status(rusqlite::StatementStatus::VmStep)
    };
    let (early, late) = (steps(10), steps(490));
    assert!((late - early).abs() < 100, "{early} {late}");
}
