//! Whether a database is consistent: its pages, its references, and what [`store::deep`](crate::store::deep) compares. The check reads the whole
//! database, which takes about ten seconds for each million bookings. It writes nothing.

use std::path::Path;

use rusqlite::{Connection, Row, Rows};
use rust_i18n::t;

use super::errors::is_damage;
use super::open_error::DatabaseKind;
use super::{inspect, trail};
use crate::agenda::{SLOT_MIN, Status};
use crate::store::StoreError;
use crate::store::deep::{BookingRow, Comparison, Deep, Line, sql};
use crate::time::minutes_in_micros;

/// Bookings that are read at once.
const AT_ONCE: usize = 1000;

/// Reads all of the database at `path`. `is_in_use` tells whether a service runs.
///
/// # Errors
/// [`StoreError`] when it cannot be read at all.
pub fn deep(path: &Path, kind: DatabaseKind, is_in_use: impl Fn() -> bool) -> Result<Deep, StoreError> {
    inspect::read_as_it_is(path, is_in_use, |connection| {
        let mut found = Deep { pages: true, ..Deep::default() };
        match look(connection, kind, &mut found) {
            // Rows that cannot be read cannot be compared.
            Err(error) if is_damage(&error) => found.fault(|| t!("a page cannot be read: %{error}", error = error)),
            looked => looked?,
        }
        Ok(found)
    })
}

fn look(connection: &Connection, kind: DatabaseKind, found: &mut Deep) -> rusqlite::Result<()> {
    // One transaction, because a service may be writing.
    connection.execute_batch("BEGIN")?;
    pages(connection, found)?;
    if found.fault_count == 0 {
        references(connection, found)?;
        match kind {
            DatabaseKind::Agenda => claims(connection, found)?,
            DatabaseKind::Race => found.shared = number(connection, sql::SHARED)?.cast_unsigned(),
        }
        records(connection, found)?;
    }
    connection.execute_batch("COMMIT")
}

fn pages(connection: &Connection, found: &mut Deep) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            found.fault(|| t!("pages: %{line}", line = line));
        }
    }
    Ok(())
}

fn references(connection: &Connection, found: &mut Deep) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (table, id, other): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        found.dangling(&id.map_or_else(|| table.clone(), |id| format!("{table} {id}")), &other);
    }
    Ok(())
}

/// Every claimed slot belongs to an active booking, and every slot of an active booking is claimed by it.
fn claims(connection: &Connection, found: &mut Deep) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql::CLAIMED_BY_OTHERS)?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        found.claimed_by_another(row.get(0)?, &row.get::<_, String>(1)?, row.get(2)?);
    }
    let claimed = number(connection, sql::CLAIMED)?;
    found.claims = claimed.cast_unsigned();
    if number(connection, sql::BOOKED)? != claimed {
        let mut statement = connection.prepare(sql::NOT_ALL_CLAIMED)?;
        let mut rows = statement.query([minutes_in_micros(SLOT_MIN)])?;
        while let Some(row) = rows.next()? {
            found.not_all_claimed(row.get(0)?);
        }
    }
    // A database that this version has not brought up to date yet may have no summary.
    let summaries = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'resumo'";
    if number(connection, summaries)? == 1 && number(connection, sql::TOKEN_NOT_NOTED)? == 1 {
        found.token_not_noted();
    }
    Ok(())
}

/// Every record follows the one before it and agrees with the bookings; every booking and every cancellation has its record.
fn records(connection: &Connection, found: &mut Deep) -> rusqlite::Result<()> {
    let [beginning, last] = trail::ends(connection)?;
    let mut comparison = Comparison::new(beginning);
    // A database that this version has not brought up to date yet has no changed bookings.
    let columns = "SELECT count(*) FROM pragma_table_info('agendamentos') WHERE name = 'alterado_us'";
    let changed = if number(connection, columns)? == 1 { "a.alterado_us IS NOT NULL" } else { "0" };
    let mut bookings = connection.prepare(&format!(
        "SELECT a.id, a.cientista_id, t.codigo, a.inicio_us, a.fim_us, a.status, {changed} FROM agendamentos a
         JOIN telescopios t ON t.id = a.telescopio_id ORDER BY a.id",
    ))?;
    let mut bookings = bookings.query(())?;
    let mut statement = connection.prepare("SELECT seq, linha FROM auditoria ORDER BY seq")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let line = Line::new(row.get(0)?, row.get_ref(1)?.as_bytes()?);
        while comparison.lacks(&line) {
            comparison.add(next(&mut bookings)?, found);
        }
        comparison.take(&line, found);
    }
    comparison.end_of_records(found);
    while comparison.wants_bookings() {
        comparison.add(next(&mut bookings)?, found);
    }
    comparison.end(&last, found);
    Ok(())
}

fn next(rows: &mut Rows<'_>) -> rusqlite::Result<Vec<BookingRow>> {
    let mut bookings = Vec::new();
    while bookings.len() < AT_ONCE
        && let Some(row) = rows.next()?
    {
        bookings.push(booking(row)?);
    }
    Ok(bookings)
}

fn booking(row: &Row<'_>) -> rusqlite::Result<BookingRow> {
    Ok(BookingRow {
        id: row.get(0)?,
        scientist: row.get(1)?,
        telescope: row.get(2)?,
        start_us: row.get(3)?,
        end_us: row.get(4)?,
        is_cancelled: row.get_ref(5)?.as_str()? == Status::Cancelled.name(),
        is_altered: row.get(6)?,
    })
}

/// The one number that a statement gives. If it has a parameter, that is the length of a slot.
fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare(sql)?;
    match statement.parameter_count() {
        0 => statement.query_row((), |row| row.get(0)),
        _ => statement.query_row([minutes_in_micros(SLOT_MIN)], |row| row.get(0)),
    }
}

#[cfg(test)]
mod tests;
