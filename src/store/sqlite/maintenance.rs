//! The maintenances of telescopes, as rows.

use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::bookings::{instant, required};
use crate::agenda::maintenance::{Maintenance, NewMaintenance, STANDING_MAX};
use crate::time::Timestamp;

/// The columns of a maintenance, in the order of [`from_row`].
const COLUMNS: &str = "id, inicio_us, fim_us, semanal_ate_us, motivo";

/// The maintenances of a telescope that were not taken away: those that end last, as many as may stand.
pub fn of_telescope(connection: &Connection, telescope_row: i64) -> rusqlite::Result<Arc<[Maintenance]>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM manutencoes WHERE telescopio_id = ?1 AND removida_us IS NULL
         ORDER BY ultimo_fim_us DESC LIMIT ?2"
    ))?;
    let most = i64::try_from(STANDING_MAX).unwrap_or(i64::MAX);
    let mut found: Vec<_> = statement.query_map((telescope_row, most), from_row)?.collect::<rusqlite::Result<_>>()?;
    found.sort_unstable_by_key(|one: &Maintenance| (one.when.start, one.id));
    Ok(found.into())
}

/// Whether any telescope has a maintenance.
pub fn any(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM manutencoes WHERE removida_us IS NULL LIMIT 1")?.exists(())
}

/// The number of the next maintenance. Rows are not deleted.
pub fn next_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM manutencoes")?.query_row((), |row| row.get(0))
}

/// Adds a maintenance.
pub fn insert(
    connection: &Connection,
    telescope_row: i64,
    Maintenance { id, when }: &Maintenance,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO manutencoes (id, telescopio_id, inicio_us, fim_us, semanal_ate_us, ultimo_fim_us, motivo)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            id,
            telescope_row,
            when.start.as_micros(),
            when.end.as_micros(),
            when.weekly_until.map(Timestamp::as_micros),
            when.ends().as_micros(),
            &when.reason,
        ))?;
    Ok(())
}

/// Takes a maintenance away. Its row stays.
pub fn remove(connection: &Connection, id: i64, at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE manutencoes SET removida_us = ?2 WHERE id = ?1")?
        .execute((id, at.as_micros()))?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Maintenance> {
    let when = NewMaintenance {
        start: required(row, 1)?,
        end: required(row, 2)?,
        weekly_until: instant(row, 3)?,
        reason: row.get(4)?,
    };
    Ok(Maintenance { id: row.get(0)?, when })
}
