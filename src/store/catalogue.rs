//! Scientists and telescopes, as rows.

use rusqlite::{Connection, OptionalExtension};

use crate::agenda::{Catalogue, Scientist, Telescope};

/// The whole catalogue: it is small, and read whole.
pub fn load(connection: &Connection) -> rusqlite::Result<Catalogue> {
    let mut scientists = connection.prepare_cached("SELECT id, nome, instituicao, pais FROM cientistas ORDER BY id")?;
    let scientists = scientists
        .query_map((), |row| {
            Ok(Scientist { id: row.get(0)?, name: row.get(1)?, institution: row.get(2)?, country: row.get(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut telescopes = connection.prepare_cached("SELECT id, codigo, nome, simulado FROM telescopios ORDER BY id")?;
    let telescopes = telescopes
        .query_map((), |row| {
            Ok(Telescope { row: row.get(0)?, code: row.get(1)?, name: row.get(2)?, simulated: row.get(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Catalogue::new(scientists, telescopes))
}

/// The telescope of that row, if it is there.
pub fn telescope(connection: &Connection, row: i64) -> rusqlite::Result<Option<Telescope>> {
    connection
        .prepare_cached("SELECT id, codigo, nome, simulado FROM telescopios WHERE id = ?1")?
        .query_row([row], |row| {
            Ok(Telescope { row: row.get(0)?, code: row.get(1)?, name: row.get(2)?, simulated: row.get(3)? })
        })
        .optional()
}

/// Whether there is that scientist.
pub fn has_scientist(connection: &Connection, id: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM cientistas WHERE id = ?1")?.exists([id])
}
