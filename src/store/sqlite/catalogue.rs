//! Scientists and telescopes, as rows.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row};

use super::connect;
use super::open_error::OpenError;
use crate::agenda::rules::Rules;
use crate::agenda::{Catalogue, Scientist, Telescope};

/// The whole catalogue: it is small, and read whole.
pub fn load(connection: &Connection) -> rusqlite::Result<Catalogue> {
    let mut scientists = connection.prepare_cached("SELECT id, nome, instituicao, pais FROM cientistas ORDER BY id")?;
    let scientists = scientists
        .query_map((), |row| {
            Ok(Scientist { id: row.get(0)?, name: row.get(1)?, institution: row.get(2)?, country: row.get(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut telescopes = connection.prepare_cached(&format!("SELECT {TELESCOPE} FROM telescopios ORDER BY id"))?;
    let telescopes = telescopes.query_map((), |row| Ok(telescope_of_row(row)?.1))?.collect::<rusqlite::Result<_>>()?;
    Ok(Catalogue::new(scientists, telescopes))
}

/// The telescope of that code with its row's number, if it is there.
pub fn telescope(connection: &Connection, code: &str) -> rusqlite::Result<Option<(i64, Telescope)>> {
    connection
        .prepare_cached(&format!("SELECT {TELESCOPE} FROM telescopios WHERE codigo = ?1"))?
        .query_row([code], telescope_of_row)
        .optional()
}

/// The columns of a telescope, in the order of [`telescope_of_row`].
const TELESCOPE: &str = "id, codigo, nome, simulado, duracao_max_min, antecedencia_min_min, cancelamento_min_min, \
     horizonte_dias, abre_as_min, cota_ativas, cota_dia_min";

/// The telescope of a row with [`TELESCOPE`], with its row's number.
fn telescope_of_row(row: &Row<'_>) -> rusqlite::Result<(i64, Telescope)> {
    let rules = Rules {
        duration_max_min: row.get(4)?,
        notice_min: row.get(5)?,
        cancel_notice_min: row.get(6)?,
        horizon_days: row.get(7)?,
        opens_at_min: row.get(8)?,
        standing_max: row.get(9)?,
        day_max_min: row.get(10)?,
    };
    Ok((row.get(0)?, Telescope { code: row.get(1)?, name: row.get(2)?, simulated: row.get(3)?, rules }))
}

/// Writes a telescope's name and rules.
pub fn update_telescope(connection: &Connection, row: i64, telescope: &Telescope) -> rusqlite::Result<()> {
    let Telescope { name, rules, .. } = telescope;
    connection
        .prepare_cached(
            "UPDATE telescopios SET nome = ?2, duracao_max_min = ?3, antecedencia_min_min = ?4, cancelamento_min_min = ?5,
             horizonte_dias = ?6, abre_as_min = ?7, cota_ativas = ?8, cota_dia_min = ?9 WHERE id = ?1",
        )?
        .execute((
            row,
            name,
            rules.duration_max_min,
            rules.notice_min,
            rules.cancel_notice_min,
            rules.horizon_days,
            rules.opens_at_min,
            rules.standing_max,
            rules.day_max_min,
        ))?;
    Ok(())
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
