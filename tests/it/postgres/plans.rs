//! What the statements of a booking read: only the rows of its own slots and of its own scientist, however many the telescope has.

use serde_json::json;

use super::Two;
use crate::common::{Asked, http, wait_until};

/// How often an index was looked in, and how many of its rows were read.
fn used(two: &Two, index: &str) -> [u64; 2] {
    let sql = format!(
        "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE schemaname = 'sctec' AND indexrelname = '{index}'"
    );
    let row = two.database.rows(&sql).unwrap().remove(0);
    [0, 1].map(|nth| row[nth].as_ref().unwrap().parse().unwrap())
}

/// Books the slot of this number, by one scientist of ten after the other.
fn book(two: &Two, nth: u64) {
    let (day, slot) = (1 + nth / 200, nth % 200);
    let start = format!("2031-03-{day:02}T{:02}:{:02}:00Z", slot / 12, slot % 12 * 5);
    let scientist = 1 + i64::try_from(nth % 10).unwrap();
    assert_eq!(two.book(0, &Asked::by(scientist, &start)).0, 201);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_booking_reads_its_own_slots_and_not_all_of_the_telescope() {
    /// Two or three rows are read for each, and half of all slots if they are all read.
    const ROWS_OF_A_BOOKING_MAX: u64 = 8;
    let two = Two::start();
    (0..200).for_each(|nth| book(&two, nth));
    let (mut more, mut looked_up, mut read) = (200.., 0, 0);
    // A connection tells what it has read once a second at the most, at the end of a transaction.
    wait_until("the server tells what was read", || {
        book(&two, more.next().unwrap());
        [looked_up, read] = used(&two, "horarios_pkey");
        looked_up >= 200
    });
    assert!(read <= looked_up * ROWS_OF_A_BOOKING_MAX, "{read} rows were read for {looked_up} lookups");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn what_counts_against_a_booking_is_read_by_its_scientist_and_not_in_all_of_the_telescope() {
    let two = Two::start();
    let rules = json!({"regras": {"cota_ativas": 400, "cota_dia_min": 1440}}).to_string();
    let telescope = format!("{}/telescopios/Hubble-Acad", two.schedulers[0].url());
    assert_eq!(http("PATCH", &telescope, Some(("application/merge-patch+json", &rules))).status, 200);
    (0..200).for_each(|nth| book(&two, nth));
    let mut more = 200..;
    wait_until("the server tells that the index by scientist was used", || {
        book(&two, more.next().unwrap());
        used(&two, "agendamentos_por_cientista")[0] >= 200
    });
    // All bookings of the telescope read for each booking would be tens of thousands of rows.
    let [_, read] = used(&two, "agendamentos_por_telescopio");
    assert!(read <= more.start, "{read} rows of the telescope's index were read for {} bookings", more.start);
}
