//! Scientists and telescopes, as rows.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::connect;
use super::open_error::OpenError;
use crate::agenda::{Catalogue, Scientist, Telescope};

/// The whole catalogue: it is small, and read whole.
pub fn load(connection: &Connection) -> rusqlite::Result<Catalogue> {
    let mut scientists = connection.prepare_cached("SELECT id, nome, instituicao, pais FROM cientistas ORDER BY id")?;
    let scientists = scientists
        .query_map((), |row| {
            Ok(Scientist { id: row.get(0)?, name: row.get(1)?, institution: row.get(2)?, country: row.get(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut telescopes = connection.prepare_cached("SELECT codigo, nome, simulado FROM telescopios ORDER BY id")?;
    let telescopes = telescopes
        .query_map((), |row| Ok(Telescope { code: row.get(0)?, name: row.get(1)?, simulated: row.get(2)? }))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Catalogue::new(scientists, telescopes))
}

/// The telescope of that code with its row's number, if it is there.
pub fn telescope(connection: &Connection, code: &str) -> rusqlite::Result<Option<(i64, Telescope)>> {
    connection
        .prepare_cached("SELECT id, codigo, nome, simulado FROM telescopios WHERE codigo = ?1")?
        .query_row([code], |row| {
            Ok((row.get(0)?, Telescope { code: row.get(1)?, name: row.get(2)?, simulated: row.get(3)? }))
        })
        .optional()
}

/// Whether the database at `path` has that scientist.
///
/// # Errors
/// When it cannot be read.
pub fn has_scientist(path: &Path, id: i64) -> Result<bool, OpenError> {
    let found = connect::open_for_reading(path).and_then(|connection| scientist_name(&connection, id));
    Ok(found.map_err(|error| connect::explain(path, &error))?.is_some())
}

/// The name of that scientist, if there is one.
pub fn scientist_name(connection: &Connection, id: i64) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("SELECT nome FROM cientistas WHERE id = ?1")?.query_row([id], |row| row.get(0)).optional()
}
