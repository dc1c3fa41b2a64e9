//! The maintenances of telescopes, as rows.

use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::bookings::{instant, required};
use crate::agenda::maintenance::{Maintenance, NewMaintenance, Removed, STANDING_MAX, Stretch};
use crate::agenda::opening::Reopening;
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

/// The maintenances of a telescope that were taken away and were between two instants, the last one taken away first.
pub fn removed(
    connection: &Connection,
    code: &str,
    (from, until): Stretch,
    limit: usize,
) -> rusqlite::Result<Vec<Removed>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, removida_us FROM manutencoes
         WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = ?1) AND removida_us IS NOT NULL
         AND inicio_us < ?3 AND ultimo_fim_us > ?2 ORDER BY removida_us DESC, id DESC LIMIT ?4"
    ))?;
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let removed = |row: &Row<'_>| Ok(Removed { maintenance: from_row(row)?, at: required(row, 5)? });
    statement.query_map((code, from.as_micros(), until.as_micros(), most), removed)?.collect()
}

/// The maintenances of a telescope that were taken away last, within a moment, and after which slots open.
pub fn reopening(connection: &Connection, telescope_row: i64) -> rusqlite::Result<Arc<[Reopening]>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, abre_us FROM manutencoes WHERE telescopio_id = ?1 AND removida_us >= ?2 + (
             SELECT max(removida_us) FROM manutencoes WHERE telescopio_id = ?1 AND removida_us IS NOT NULL
         ) AND abre_us IS NOT NULL ORDER BY removida_us DESC LIMIT ?3"
    ))?;
    let (recent, most) = (-2 * 1_000_000, i64::try_from(STANDING_MAX).unwrap_or(i64::MAX));
    let one = |row: &Row<'_>| Ok(Reopening { when: from_row(row)?.when, opens_at: required(row, 5)? });
    statement.query_map((telescope_row, recent, most), one)?.collect()
}

/// Whether any telescope has a maintenance, or had one after which slots open.
pub fn any(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM manutencoes WHERE removida_us IS NULL OR abre_us IS NOT NULL LIMIT 1";
    connection.prepare_cached(sql)?.exists(())
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
pub fn remove(connection: &Connection, id: i64, at: Timestamp, opens_at: Option<Timestamp>) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE manutencoes SET removida_us = ?2, abre_us = ?3 WHERE id = ?1")?.execute((
        id,
        at.as_micros(),
        opens_at.map(Timestamp::as_micros),
    ))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::maintenance::CANCELLED_MAX;
    use crate::store::sqlite::open_error::DatabaseKind;
    use crate::store::sqlite::{bookings, schema};

    #[test]
    fn bookings_that_are_over_do_not_hide_one_that_stands() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, _) = schema::open_for_writing(&folder.path().join("sctec.db"), DatabaseKind::Agenda).unwrap();
        // More than a maintenance may cancel, one after the other; and one a year later.
        connection
            .execute_batch(
                "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2100)
                 INSERT INTO agendamentos (telescopio_id, cientista_id, inicio_us, fim_us, status, criado_us, req)
                 SELECT 2, 7, i * 300000000, (i + 1) * 300000000, 'AGENDADO', 0, 'r' FROM n;
                 INSERT INTO agendamentos (telescopio_id, cientista_id, inicio_us, fim_us, status, criado_us, req)
                 VALUES (2, 7, 31500000000000, 31500300000000, 'AGENDADO', 0, 'r')",
            )
            .unwrap();
        let at = |micros| Timestamp::from_micros(micros).unwrap();
        let when = NewMaintenance {
            start: at(0),
            end: at(31_600_000_000_000 / 300_000_000 * 300_000_000),
            reason: "espelho".to_owned(),
            weekly_until: None,
        };
        let met = |after| bookings::met_by(&connection, 2, &when, after, CANCELLED_MAX + 1).unwrap();
        assert_eq!(met(at(30_000_000_000_000)).iter().map(|booking| booking.id).collect::<Vec<_>>(), [2102]);
        assert_eq!(met(Timestamp::MIN).len(), CANCELLED_MAX + 1);
    }
}
