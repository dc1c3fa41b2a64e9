//! What the statements of a booking read: only the rows of its own slots, however many the telescope has.

use super::Two;
use crate::common::{Asked, wait_until};

#[test]
#[ignore = "needs PostgreSQL"]
fn a_booking_reads_its_own_slots_and_not_all_of_the_telescope() {
    /// Two or three rows are read for each, and half of all slots if they are all read.
    const ROWS_OF_A_BOOKING_MAX: u64 = 8;
    let two = Two::start();
    let mut booked = 0_u64;
    let mut book = || {
        let (day, slot) = (1 + booked / 200, booked % 200);
        let start = format!("2031-03-{day:02}T{:02}:{:02}:00Z", slot / 12, slot % 12 * 5);
        assert_eq!(two.book(0, &Asked::by(7, &start)).0, 201);
        booked += 1;
        booked
    };
    while book() < 200 {}
    let sql = "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE schemaname = 'sctec' AND indexrelname = 'horarios_pkey'";
    let count = |text: &Option<String>| text.as_ref().unwrap().parse::<u64>().unwrap();
    let (mut looked_up, mut read) = (0, 0);
    // A connection tells what it has read once a second at the most, at the end of a transaction.
    wait_until("the server tells what was read", || {
        let bookings = book();
        let row = two.database.rows(sql).unwrap().remove(0);
        (looked_up, read) = (count(&row[0]), count(&row[1]));
        looked_up >= bookings.min(200)
    });
    assert!(read <= looked_up * ROWS_OF_A_BOOKING_MAX, "{read} rows were read for {looked_up} lookups");
}
