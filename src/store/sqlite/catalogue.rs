//! Scientists and telescopes, as rows.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::open_error::OpenError;
use super::{connect, maintenance, proposals};
use crate::agenda::hours::Hours;
use crate::agenda::policy::Policy;
use crate::agenda::rules::Rules;
use crate::agenda::{Catalogue, Scientist, Telescope};

/// The whole catalogue: some thousands of rows, of one moment.
pub fn load(connection: &Connection) -> rusqlite::Result<Catalogue> {
    let _transaction = connection.unchecked_transaction()?;
    load_whole(connection, edition(connection)?)
}

/// The same, unless its edition is the known one.
pub fn load_unless(connection: &Connection, known: i64) -> rusqlite::Result<Option<Catalogue>> {
    let _transaction = connection.unchecked_transaction()?;
    let edition = edition(connection)?;
    if edition == known { Ok(None) } else { load_whole(connection, edition).map(Some) }
}

/// The catalogue's edition, which triggers count.
pub fn edition(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT catalogo FROM resumo WHERE id = 1")?.query_row((), |row| row.get(0))
}

fn load_whole(connection: &Connection, edition: i64) -> rusqlite::Result<Catalogue> {
    let mut scientists = connection.prepare_cached(&format!("SELECT {SCIENTIST} FROM cientistas ORDER BY id"))?;
    let scientists = scientists.query_map((), scientist_of_row)?.collect::<rusqlite::Result<_>>()?;
    let mut telescopes = connection.prepare_cached(&format!("SELECT {TELESCOPE} FROM telescopios ORDER BY id"))?;
    let telescopes = telescopes.query_map((), telescope_of_row)?;
    let any = maintenance::any(connection)?;
    let whole = |found: rusqlite::Result<(i64, Telescope)>| {
        let (row, telescope) = found?;
        if any { with_maintenance(connection, row, telescope) } else { Ok(telescope) }
    };
    let telescopes = telescopes.map(whole).collect::<rusqlite::Result<_>>()?;
    let proposals = proposals::all(connection)?;
    Ok(Catalogue::new(scientists, telescopes).with_proposals(proposals).of_edition(edition))
}

/// The telescope of that code with its row's number, if it is there.
pub fn telescope(connection: &Connection, code: &str) -> rusqlite::Result<Option<(i64, Telescope)>> {
    let found = connection
        .prepare_cached(&format!("SELECT {TELESCOPE} FROM telescopios WHERE codigo = ?1"))?
        .query_row([code], telescope_of_row)
        .optional()?;
    found.map(|(row, telescope)| Ok((row, with_maintenance(connection, row, telescope)?))).transpose()
}

/// The row of a telescope.
pub fn row_of(connection: &Connection, code: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM telescopios WHERE codigo = ?1")?;
    statement.query_row([code], |row| row.get(0)).optional()
}

fn with_maintenance(connection: &Connection, row: i64, telescope: Telescope) -> rusqlite::Result<Telescope> {
    let (maintenance, reopening) =
        (maintenance::of_telescope(connection, row)?, maintenance::reopening(connection, row)?);
    Ok(Telescope { maintenance, reopening, ..telescope })
}

/// The columns of a telescope, in the order of [`telescope_of_row`].
const TELESCOPE: &str = "id, codigo, nome, simulado, duracao_max_min, antecedencia_min_min, cancelamento_min_min, \
     horizonte_dias, abre_as_min, cota_ativas, cota_dia_min, ativo, horas, exige_proposta, disputa";

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
        policy: policy(&row.get::<_, String>(14)?)?,
    };
    let telescope = Telescope::new(row.get(1)?, row.get(2)?, row.get(3)?);
    let windows: Option<String> = row.get(12)?;
    let hours = windows.map(|windows| hours(&windows)).transpose()?;
    Ok((row.get(0)?, Telescope { rules, hours, active: row.get(11)?, needs_proposal: row.get(13)?, ..telescope }))
}

fn policy(name: &str) -> rusqlite::Result<Policy> {
    Policy::from_name(name).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(14, rusqlite::types::Type::Text, "a policy of contests".into())
    })
}

/// The hours of operation, which are stored as a list of windows.
fn hours(windows: &str) -> rusqlite::Result<Arc<Hours>> {
    let unreadable = |error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(12, rusqlite::types::Type::Text, Box::new(error))
    };
    serde_json::from_str(windows).map(|windows| Arc::new(Hours::new(windows))).map_err(unreadable)
}

/// Adds a telescope.
pub fn insert_telescope(connection: &Connection, telescope: &Telescope) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO telescopios (codigo, nome, simulado) VALUES (?1, ?2, ?3)")?.execute((
        &telescope.code,
        &telescope.name,
        telescope.simulated,
    ))?;
    update_telescope(connection, connection.last_insert_rowid(), telescope)
}

/// Writes a telescope's name and rules, and whether it is active.
pub fn update_telescope(connection: &Connection, row: i64, telescope: &Telescope) -> rusqlite::Result<()> {
    let Telescope { name, rules, hours, active, needs_proposal, .. } = telescope;
    // Numbers alone: serialising them to memory cannot fail.
    let windows = hours.as_ref().map(|hours| serde_json::to_string(hours.windows()).expect("windows serialise"));
    connection
        .prepare_cached(
            "UPDATE telescopios SET nome = ?2, duracao_max_min = ?3, antecedencia_min_min = ?4, cancelamento_min_min = ?5,
             horizonte_dias = ?6, abre_as_min = ?7, cota_ativas = ?8, cota_dia_min = ?9, ativo = ?10, horas = ?11, exige_proposta = ?12,
             disputa = ?13 WHERE id = ?1",
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
            active,
            windows,
            needs_proposal,
            rules.policy.name(),
        ))?;
    Ok(())
}

/// Whether the database at `path` has that scientist.
///
/// # Errors
/// When it cannot be read.
pub fn has_scientist(path: &Path, id: i64) -> Result<bool, OpenError> {
    // The database may be one of an older version, which has fewer columns.
    let found = connect::open_for_reading(path).and_then(|connection| {
        let mut statement = connection.prepare("SELECT 1 FROM cientistas WHERE id = ?1")?;
        statement.exists([id])
    });
    found.map_err(|error| connect::explain(path, &error))
}

/// The columns of a scientist, in the order of [`scientist_of_row`].
const SCIENTIST: &str = "id, nome, instituicao, pais, ativo";

fn scientist_of_row(row: &Row<'_>) -> rusqlite::Result<Scientist> {
    Ok(Scientist {
        id: row.get(0)?,
        name: row.get(1)?,
        institution: row.get(2)?,
        country: row.get(3)?,
        active: row.get(4)?,
    })
}

/// That scientist, if there is one.
pub fn scientist(connection: &Connection, id: i64) -> rusqlite::Result<Option<Scientist>> {
    connection
        .prepare_cached(&format!("SELECT {SCIENTIST} FROM cientistas WHERE id = ?1"))?
        .query_row([id], scientist_of_row)
        .optional()
}

/// Adds a scientist.
pub fn insert_scientist(connection: &Connection, scientist: &Scientist) -> rusqlite::Result<()> {
    let Scientist { id, name, institution, country, active } = scientist;
    connection
        .prepare_cached("INSERT INTO cientistas (id, nome, instituicao, pais, ativo) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((id, name, institution, country, active))?;
    Ok(())
}

/// Writes what may be otherwise in a scientist.
pub fn update_scientist(connection: &Connection, scientist: &Scientist) -> rusqlite::Result<()> {
    let Scientist { id, name, institution, country, active } = scientist;
    connection
        .prepare_cached("UPDATE cientistas SET nome = ?2, instituicao = ?3, pais = ?4, ativo = ?5 WHERE id = ?1")?
        .execute((id, name, institution, country, active))?;
    Ok(())
}
