//! A telescope's slots: the active bookings in a period, and the slots of the period that they take.
//!
//! The table of slots has one row for each slot that was ever booked. So the work is bounded by the period, and does not
//! depend on the number of cancelled bookings in it. The race demonstration claims no slots; in that mode the bookings
//! themselves are read.

use rusqlite::{Connection, named_params};

use super::bookings::{COLUMNS, from_row};
use super::open_error::DatabaseKind;
use crate::agenda::timetable::{SAME_MAX, Standing};
use crate::agenda::{Booking, DURATION_MIN_MAX, SLOT_MIN, Status};
use crate::time::{Timestamp, minutes_in_micros};

/// The active bookings that overlap [`from`, `until`).
pub fn standing(
    connection: &Connection,
    kind: DatabaseKind,
    telescope: &str,
    from: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Standing> {
    match kind {
        DatabaseKind::Agenda => {
            claiming(connection, telescope, from, until).map(|bookings| Standing { bookings, beyond: Vec::new() })
        }
        DatabaseKind::Race => racing(connection, telescope, from, until),
    }
}

/// The bookings that have claimed a slot of the period.
fn claiming(
    connection: &Connection,
    telescope: &str,
    from: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Vec<Booking>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id
             WHERE a.id IN (
                 SELECT agendamento_id FROM horarios
                 WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = :telescope)
                 AND inicio_us >= :from AND inicio_us < :until AND agendamento_id IS NOT NULL
             ) ORDER BY a.inicio_us, a.id"
        ))?
        .query_map(
            named_params! { ":telescope": telescope, ":from": from.as_micros(), ":until": until.as_micros() },
            from_row,
        )?
        .collect()
}

/// The bookings of the race, each with its place among those of the same start and end, and with their number.
fn racing(connection: &Connection, telescope: &str, from: Timestamp, until: Timestamp) -> rusqlite::Result<Standing> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, c.place, c.same FROM (
             SELECT id, row_number() OVER (PARTITION BY inicio_us, fim_us ORDER BY id) AS place,
                 count(*) OVER (PARTITION BY inicio_us, fim_us) AS same
             FROM agendamentos
             WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = :telescope)
             AND inicio_us > :from - :longest AND inicio_us < :until AND fim_us > :from AND status = :active
         ) c JOIN agendamentos a ON a.id = c.id JOIN telescopios t ON t.id = a.telescopio_id
         WHERE c.place <= :most ORDER BY a.inicio_us, a.id"
    ))?;
    let mut rows = statement.query(named_params! {
        ":telescope": telescope, ":from": from.as_micros(), ":until": until.as_micros(), ":most": SAME_MAX,
        ":longest": minutes_in_micros(DURATION_MIN_MAX), ":active": Status::Active.name(),
    })?;
    let mut standing = Standing::default();
    while let Some(row) = rows.next()? {
        let booking = from_row(row)?;
        let (place, same): (u16, i64) = (row.get("place")?, row.get("same")?);
        if place == SAME_MAX && same > i64::from(SAME_MAX) {
            standing.beyond.push((booking.slots, (same - i64::from(SAME_MAX)).cast_unsigned()));
        }
        standing.bookings.push(booking);
    }
    Ok(standing)
}

/// The taken parts of [`from`, `until`), as periods.
pub fn taken(
    connection: &Connection,
    kind: DatabaseKind,
    telescope: &str,
    from: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Vec<(Timestamp, Timestamp)>> {
    if kind == DatabaseKind::Race {
        let standing = standing(connection, kind, telescope, from, until)?;
        let mut taken: Vec<_> =
            standing.bookings.iter().map(|booking| (booking.slots.start(), booking.slots.end())).collect();
        taken.dedup();
        return Ok(taken);
    }
    let slot = |row: &rusqlite::Row<'_>| {
        let start_us: i64 = row.get(0)?;
        let at = |micros| Timestamp::from_micros(micros).unwrap_or(Timestamp::MAX);
        Ok((at(start_us), at(start_us + minutes_in_micros(SLOT_MIN))))
    };
    connection
        .prepare_cached(
            "SELECT inicio_us FROM horarios
             WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = ?1) AND inicio_us >= ?2 AND inicio_us < ?3 AND agendamento_id IS NOT NULL",
        )?
        .query_map((telescope, from.as_micros(), until.as_micros()), slot)?
        .collect()
}
