//! Proposals, as rows, and the minutes that are charged to them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Row};

use super::bookings::required;
use crate::agenda::Status;
use crate::agenda::proposal::Proposal;
use crate::time::{Timestamp, minutes_in_micros};

/// The columns of a proposal, in the order of [`from_row`].
const COLUMNS: &str = "id, titulo, responsavel_id, inicio_us, fim_us, ativa, membros, alocado_min";

/// All proposals.
pub fn all(connection: &Connection) -> rusqlite::Result<Vec<Proposal>> {
    connection.prepare_cached(&format!("SELECT {COLUMNS} FROM propostas"))?.query_map((), from_row)?.collect()
}

/// One proposal.
pub fn get(connection: &Connection, id: i64) -> rusqlite::Result<Option<Proposal>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM propostas WHERE id = ?1"))?
        .query_row([id], from_row)
        .optional()
}

/// The number of the next proposal. Rows are not deleted.
pub fn next_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM propostas")?.query_row((), |row| row.get(0))
}

/// Adds a proposal, or writes what may be otherwise in it.
pub fn put(connection: &Connection, proposal: &Proposal) -> rusqlite::Result<()> {
    let Proposal { id, title, investigator, members, allocated_min, from, until, active } = proposal;
    // Numbers and maps with text keys: serialising them to memory cannot fail.
    let members = serde_json::to_string(members).expect("members serialise");
    let allocated = serde_json::to_string(allocated_min).expect("minutes serialise");
    connection
        .prepare_cached(
            "INSERT INTO propostas (id, titulo, responsavel_id, inicio_us, fim_us, ativa, membros, alocado_min)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET titulo = ?2, responsavel_id = ?3, inicio_us = ?4, fim_us = ?5, ativa = ?6,
             membros = ?7, alocado_min = ?8",
        )?
        .execute((id, title, investigator, from.as_micros(), until.as_micros(), active, members, allocated))?;
    Ok(())
}

/// The length of the bookings of a proposal at a telescope, of one status.
const USED_AT: &str = "SELECT coalesce(sum(fim_us - inicio_us), 0) FROM agendamentos
     WHERE proposta_id = ?1 AND telescopio_id = ?2 AND status = ?3";

/// The minutes of the active bookings of a proposal at a telescope. An index has all of them.
pub fn used_at(connection: &Connection, id: i64, telescope_row: i64) -> rusqlite::Result<i64> {
    let used_us: i64 =
        connection.prepare_cached(USED_AT)?.query_row((id, telescope_row, Status::Active.name()), |row| row.get(0))?;
    Ok(used_us / minutes_in_micros(1))
}

/// The minutes of the active bookings of a proposal, by telescope.
pub fn used(connection: &Connection, id: i64) -> rusqlite::Result<BTreeMap<String, i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT t.codigo, sum(a.fim_us - a.inicio_us) FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id
         WHERE a.proposta_id = ?1 AND a.status = ?2 GROUP BY a.telescopio_id",
    )?;
    let rows = statement.query_map((id, Status::Active.name()), |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)? / minutes_in_micros(1)))
    })?;
    rows.collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Proposal> {
    let unreadable = |index: usize, error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error))
    };
    let (from, until): (Timestamp, Timestamp) = (required(row, 3)?, required(row, 4)?);
    let (members, allocated): (String, String) = (row.get(6)?, row.get(7)?);
    Ok(Proposal {
        id: row.get(0)?,
        title: row.get(1)?,
        investigator: row.get(2)?,
        from,
        until,
        active: row.get(5)?,
        members: serde_json::from_str::<BTreeSet<i64>>(&members).map_err(|error| unreadable(6, error))?,
        allocated_min: serde_json::from_str(&allocated).map_err(|error| unreadable(7, error))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open_error::DatabaseKind;
    use crate::store::sqlite::schema;

    #[test]
    fn what_is_used_is_a_stretch_of_an_index_that_has_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, _) = schema::open_for_writing(&folder.path().join("sctec.db"), DatabaseKind::Agenda).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {USED_AT}")).unwrap();
        let steps = statement.query_map((1, 1, "AGENDADO"), |row| row.get::<_, String>(3)).unwrap();
        let plan = steps.map(Result::unwrap).collect::<Vec<_>>().join("\n");
        assert!(
            plan.contains(
                "USING COVERING INDEX agendamentos_por_proposta (proposta_id=? AND telescopio_id=? AND status=?)"
            ),
            "{plan}"
        );
    }
}
