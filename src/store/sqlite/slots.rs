//! A telescope's slots: the active bookings in a period, and the slots of the period that they take.
//!
//! The table of slots has one row for each slot that was ever booked. So the work is bounded by the period, and does not
//! depend on the number of cancelled bookings in it. The race demonstration claims no slots; in that mode the bookings
//! themselves are read.

use rusqlite::{Connection, Row, named_params};

use super::bookings::{COLUMNS, from_row, required, slots_of};
use super::open_error::DatabaseKind;
use crate::agenda::timetable::{SAME_MAX, Standing};
use crate::agenda::{DURATION_MIN_MAX, SLOT_MIN, Status};
use crate::store::StandingReader;
use crate::time::{Timestamp, minutes_in_micros};

/// A telescope's code, and the period from one instant to before another.
type Stretch<'a> = (&'a str, Timestamp, Timestamp);

/// The bookings of the agenda that have claimed a slot of a stretch.
const CLAIMING: &str = "FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id
     WHERE a.id IN (
         SELECT agendamento_id FROM horarios
         WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = :telescope)
         AND inicio_us >= :from AND inicio_us < :until AND agendamento_id IS NOT NULL
     ) ORDER BY a.inicio_us, a.id";
/// The bookings of the race, each with its place among those of the same start and end, and with their number.
const RACING: &str = "FROM (
         SELECT id, row_number() OVER (PARTITION BY inicio_us, fim_us ORDER BY id) AS place,
             count(*) OVER (PARTITION BY inicio_us, fim_us) AS same
         FROM agendamentos
         WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = :telescope)
         AND inicio_us > :from - :longest AND inicio_us < :until AND fim_us > :from AND status = :active
     ) c JOIN agendamentos a ON a.id = c.id JOIN telescopios t ON t.id = a.telescopio_id
     WHERE c.place <= :most ORDER BY a.inicio_us, a.id";
/// The free slots of a stretch that did not open at once.
const OPENING: &str = "SELECT inicio_us, abre_us FROM horarios
     WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = ?1) AND inicio_us >= ?2 AND inicio_us < ?3
     AND abre_us IS NOT NULL AND agendamento_id IS NULL";
/// What a [`Standing`] has of a booking. SQLite knows the length of a text without reading it.
const OUTLINE: &str =
    "a.id, a.inicio_us, a.fim_us, ifnull(octet_length(a.alvo), 0) + ifnull(octet_length(a.observacoes), 0)";

/// Reads the active bookings that overlap a stretch, in one transaction.
pub fn standing(
    connection: &Connection,
    kind: DatabaseKind,
    stretch: Stretch<'_>,
    reader: &mut dyn StandingReader,
) -> rusqlite::Result<()> {
    let _transaction = connection.unchecked_transaction()?;
    if reader.begin(outline(connection, kind, stretch)?).is_break() {
        return Ok(());
    }
    let from = if kind == DatabaseKind::Race { RACING } else { CLAIMING };
    each(connection, kind, stretch, &format!("{COLUMNS} {from}"), |row| {
        reader.booking(&from_row(row)?);
        Ok(())
    })
}

/// Which bookings overlap a stretch.
fn outline(connection: &Connection, kind: DatabaseKind, stretch: Stretch<'_>) -> rusqlite::Result<Standing> {
    let mut standing = Standing::default();
    let columns = match kind {
        DatabaseKind::Agenda => format!("{OUTLINE} {CLAIMING}"),
        DatabaseKind::Race => format!("{OUTLINE}, c.place, c.same {RACING}"),
    };
    each(connection, kind, stretch, &columns, |row| {
        let (id, slots) = (row.get(0)?, slots_of(row, 1)?);
        standing.bookings.push((id, slots));
        standing.text_bytes += row.get::<_, i64>(3)?.cast_unsigned();
        if kind == DatabaseKind::Race {
            let (place, same): (u16, i64) = (row.get(4)?, row.get(5)?);
            if place == SAME_MAX && same > i64::from(SAME_MAX) {
                standing.beyond.push((slots, (same - i64::from(SAME_MAX)).cast_unsigned()));
            }
        }
        Ok(())
    })?;
    if kind == DatabaseKind::Agenda {
        standing.opening = opening(connection, stretch)?;
    }
    Ok(standing)
}

/// The free slots of a stretch that open, or have opened, some time after they became free.
fn opening(
    connection: &Connection,
    (telescope, from, until): Stretch<'_>,
) -> rusqlite::Result<Vec<(Timestamp, Timestamp)>> {
    let mut statement = connection.prepare_cached(OPENING)?;
    let slot = |row: &Row<'_>| Ok((required(row, 0)?, required(row, 1)?));
    statement.query_map((telescope, from.as_micros(), until.as_micros()), slot)?.collect()
}

/// Selects `columns` of the active bookings that overlap a stretch, row by row.
fn each(
    connection: &Connection,
    kind: DatabaseKind,
    (telescope, from, until): Stretch<'_>,
    columns: &str,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!("SELECT {columns}"))?;
    let (from, until) = (from.as_micros(), until.as_micros());
    let mut rows = match kind {
        DatabaseKind::Agenda => {
            statement.query(named_params! { ":telescope": telescope, ":from": from, ":until": until })?
        }
        DatabaseKind::Race => statement.query(named_params! {
            ":telescope": telescope, ":from": from, ":until": until, ":most": SAME_MAX,
            ":longest": minutes_in_micros(DURATION_MIN_MAX), ":active": Status::Active.name(),
        })?,
    };
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
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
        let standing = outline(connection, kind, (telescope, from, until))?;
        let mut taken: Vec<_> = standing.bookings.iter().map(|(_, slots)| (slots.start(), slots.end())).collect();
        taken.dedup();
        return Ok(taken);
    }
    let slot = |row: &Row<'_>| {
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
