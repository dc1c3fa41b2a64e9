//! Bookings, as rows.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::agenda::{Booking, SlotRange, Status};
use crate::time::{Timestamp, minutes_in_micros};

/// The columns of a booking, in the order of [`from_row`].
pub(super) const COLUMNS: &str = "a.id, t.codigo, a.cientista_id, a.inicio_us, a.fim_us, a.status, a.alvo, a.observacoes, \
     a.clique_us, a.criado_us, a.cancelado_us, a.motivo";

/// One booking.
pub fn get(connection: &Connection, id: i64) -> rusqlite::Result<Option<Booking>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id WHERE a.id = ?1"
        ))?
        .query_row([id], from_row)
        .optional()
}

/// The largest fencing token that any slot has seen.
pub fn highest_token(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT maior_token FROM resumo", (), |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

/// The booking of a row with [`COLUMNS`].
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Booking> {
    let status: String = row.get(5)?;
    Ok(Booking {
        id: row.get(0)?,
        telescope: row.get(1)?,
        scientist_id: row.get(2)?,
        slots: slots_of(row, 3)?,
        status: Status::from_name(&status).ok_or_else(|| unreadable(5, "a status"))?,
        target: row.get(6)?,
        notes: row.get(7)?,
        clicked_at: instant(row, 8)?,
        created_at: required(row, 9)?,
        cancelled_at: instant(row, 10)?,
        cancel_reason: row.get(11)?,
    })
}

/// The slots of a row whose column `index` is their start, and the next one their end.
pub(super) fn slots_of(row: &Row<'_>, index: usize) -> rusqlite::Result<SlotRange> {
    let (start, end) = (required(row, index)?, required(row, index + 1)?);
    let duration_min = (end.as_micros() - start.as_micros()) / minutes_in_micros(1);
    SlotRange::new(start, duration_min).map_err(|_| unreadable(index + 1, "a range of slots"))
}

fn instant(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(index)?;
    micros.map(|micros| Timestamp::from_micros(micros).ok_or_else(|| unreadable(index, "an instant"))).transpose()
}

fn required(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    instant(row, index)?.ok_or_else(|| unreadable(index, "an instant"))
}

fn unreadable(index: usize, expected: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        index,
        Type::Integer,
        format!("the column does not hold {expected}").into(),
    )
}
