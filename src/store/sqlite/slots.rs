//! A telescope's slots: the active bookings in a period, and the slots of the period that they take.
//!
//! The table of slots has one row for each slot that was ever booked. So the work is bounded by the period, and does not
//! depend on the number of cancelled bookings in it. The race demonstration claims no slots; in that mode the bookings
//! themselves are read.

use rusqlite::{Connection, named_params};

use super::bookings::{COLUMNS, from_row};
use super::open_error::DatabaseKind;
use crate::agenda::{Booking, DURATION_MIN_MAX, SLOT_MIN, Status};
use crate::time::{Timestamp, minutes_in_micros};

/// The active bookings that overlap [`from`, `until`), in order of start, then number. In the race mode, only the first of
/// the bookings with the same start and end.
pub fn standing(
    connection: &Connection,
    kind: DatabaseKind,
    telescope: &str,
    from: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Vec<Booking>> {
    let which = match kind {
        DatabaseKind::Agenda => {
            "SELECT agendamento_id FROM horarios
             WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = :telescope) AND inicio_us >= :from AND inicio_us < :until AND agendamento_id IS NOT NULL"
        }
        DatabaseKind::Race => {
            "SELECT min(id) FROM agendamentos
             WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = :telescope) AND inicio_us > :from - :longest AND inicio_us < :until AND fim_us > :from
             AND status = :active GROUP BY inicio_us, fim_us"
        }
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id
         WHERE a.id IN ({which}) ORDER BY a.inicio_us, a.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let (from, until) = (from.as_micros(), until.as_micros());
    match kind {
        DatabaseKind::Agenda => statement
            .query_map(named_params! { ":telescope": telescope, ":from": from, ":until": until }, from_row)?
            .collect(),
        DatabaseKind::Race => statement
            .query_map(
                named_params! { ":telescope": telescope, ":from": from, ":until": until,
                ":longest": minutes_in_micros(DURATION_MIN_MAX), ":active": Status::Active.name() },
                from_row,
            )?
            .collect(),
    }
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
        return Ok(standing.iter().map(|booking| (booking.slots.start(), booking.slots.end())).collect());
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
