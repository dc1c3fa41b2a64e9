//! Entries of waiting lists, as rows.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::bookings::{instant, required, slots_of, unreadable};
use crate::agenda::maintenance::Stretch;
use crate::agenda::waiting::PassedOver;
use crate::agenda::{DURATION_MIN_MAX, SlotRange, Wait, WaitStatus};
use crate::store::waits::{Placed, WaitFilter, WaitPage};
use crate::time::{Timestamp, minutes_in_micros};

/// The columns of an entry, in the order of [`from_row`].
const COLUMNS: &str = "e.id, t.codigo, e.cientista_id, e.inicio_us, e.fim_us, e.status, e.alvo, e.observacoes, e.criada_us, \
     e.encerrada_us, e.agendamento_id, e.preterida_us, e.preterida_codigo, e.preterida_motivo, e.proposta_id";
const FROM: &str = "FROM esperas e JOIN telescopios t ON t.id = e.telescopio_id";

/// One entry.
pub fn get(connection: &Connection, id: i64) -> rusqlite::Result<Option<Wait>> {
    connection.prepare_cached(&format!("SELECT {COLUMNS} {FROM} WHERE e.id = ?1"))?.query_row([id], from_row).optional()
}

/// All that wait for a slot of these stretches of a telescope, the first ones first.
pub fn of_stretches(connection: &Connection, telescope_row: i64, stretches: &[Stretch]) -> rusqlite::Result<Vec<Wait>> {
    // No entry is longer than a day.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} {FROM} WHERE e.telescopio_id = :telescope AND e.status = 'AGUARDANDO'
         AND e.inicio_us > :from - :longest AND e.inicio_us < :until AND e.fim_us > :from"
    ))?;
    let mut found: BTreeMap<i64, Wait> = BTreeMap::new();
    for (from, until) in stretches {
        let rows = statement.query_map(
            named_params! {
                ":telescope": telescope_row, ":from": from.as_micros(), ":until": until.as_micros(),
                ":longest": minutes_in_micros(DURATION_MIN_MAX),
            },
            from_row,
        )?;
        for wait in rows {
            let wait = wait?;
            found.insert(wait.id, wait);
        }
    }
    Ok(found.into_values().collect())
}

/// All that wait for one of these slots, and all with which a scientist waits at the telescope.
pub fn beside(
    connection: &Connection,
    telescope_row: i64,
    slots: SlotRange,
    scientist_id: i64,
) -> rusqlite::Result<Vec<Wait>> {
    let mut found = of_stretches(connection, telescope_row, &[(slots.start(), slots.end())])?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} {FROM} WHERE e.cientista_id = ?1 AND e.telescopio_id = ?2 AND e.status = 'AGUARDANDO'"
    ))?;
    for wait in statement.query_map((scientist_id, telescope_row), from_row)? {
        found.push(wait?);
    }
    Ok(found)
}

/// The number of the next entry. Rows are never deleted, so no number is used again.
pub fn next_id(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM esperas")?.query_row((), |row| row.get(0))
}

/// Whether an entry that waits is not over yet at `:now`.
const IN_TIME: &str = "(t.simulado OR e.inicio_us >= :now)";

/// One entry with its place at `now`.
pub fn placed(connection: &Connection, id: i64, now: Timestamp) -> rusqlite::Result<Option<Placed>> {
    let _transaction = connection.unchecked_transaction()?;
    get(connection, id)?.map(|wait| with_place(connection, wait, now)).transpose()
}

/// A page of entries by number, after `after`.
pub fn list(connection: &Connection, filter: &WaitFilter, after: i64, limit: u16) -> rusqlite::Result<WaitPage> {
    let _transaction = connection.unchecked_transaction()?;
    let (status, is_in_time) = match filter.status {
        None => (None, None),
        Some(WaitStatus::Waiting) => (Some(WaitStatus::Waiting), Some(true)),
        Some(WaitStatus::Expired) => (Some(WaitStatus::Waiting), Some(false)),
        Some(status) => (Some(status), None),
    };
    let mut statement = connection.prepare_cached(&list_sql(filter))?;
    let rows = statement.query_map(
        named_params! {
            ":after": after, ":scientist": filter.scientist_id, ":telescope": filter.telescope,
            ":status": status.map(WaitStatus::name), ":in_time": is_in_time, ":now": filter.now.as_micros(),
            ":most": i64::from(limit) + 1,
        },
        from_row,
    )?;
    let mut waits: Vec<Wait> = rows.collect::<rusqlite::Result<_>>()?;
    let has_more = waits.len() > usize::from(limit);
    waits.truncate(usize::from(limit));
    let next = waits.last().filter(|_| has_more).map(|wait| wait.id);
    let placed = waits.into_iter().map(|wait| with_place(connection, wait, filter.now));
    Ok(WaitPage { waits: placed.collect::<rusqlite::Result<_>>()?, next })
}

/// The statement of [`list`]. What the filter leaves open has a condition that is true and that no index needs.
fn list_sql(filter: &WaitFilter) -> String {
    let scientist = filter.scientist_id.map_or(":scientist IS NULL", |_| "e.cientista_id = :scientist");
    let of_telescope = "e.telescopio_id = (SELECT id FROM telescopios WHERE codigo = :telescope)";
    let telescope = filter.telescope.as_ref().map_or(":telescope IS NULL", |_| of_telescope);
    let status = filter.status.map_or(":status IS NULL", |_| "e.status = :status");
    let index = match filter {
        WaitFilter { scientist_id: Some(_), .. } => "INDEXED BY esperas_por_cientista",
        WaitFilter { telescope: Some(_), .. } => "INDEXED BY esperas_por_telescopio",
        WaitFilter { status: Some(_), .. } => "INDEXED BY esperas_por_status",
        WaitFilter { .. } => "NOT INDEXED",
    };
    format!(
        "SELECT {COLUMNS} FROM esperas e {index} CROSS JOIN telescopios t ON t.id = e.telescopio_id
         WHERE e.id > :after AND {scientist} AND {telescope} AND {status}
         AND (:in_time IS NULL OR :in_time = {IN_TIME}) ORDER BY e.id LIMIT :most"
    )
}

/// An entry as it stands at `now`, with its place among those that wait.
fn with_place(connection: &Connection, wait: Wait, now: Timestamp) -> rusqlite::Result<Placed> {
    let is_simulated: bool = connection
        .prepare_cached("SELECT simulado FROM telescopios WHERE codigo = ?1")?
        .query_row([&wait.telescope], |row| row.get(0))?;
    let wait = Wait { status: wait.status_at(is_simulated, now), ..wait };
    if wait.status != WaitStatus::Waiting {
        return Ok(Placed { wait, place: None });
    }
    let place: i64 = connection
        .prepare_cached(&format!(
            "SELECT 1 + count(*) {FROM} WHERE t.codigo = :telescope AND e.status = 'AGUARDANDO' AND {IN_TIME}
             AND e.inicio_us > :start - :longest AND e.inicio_us < :end AND e.fim_us > :start AND e.id < :id"
        ))?
        .query_row(
            named_params! {
                ":telescope": wait.telescope, ":start": wait.slots.start().as_micros(), ":now": now.as_micros(),
                ":end": wait.slots.end().as_micros(), ":longest": minutes_in_micros(DURATION_MIN_MAX), ":id": wait.id,
            },
            |row| row.get(0),
        )?;
    Ok(Placed { place: Some(place.cast_unsigned()), wait })
}

/// Writes a new entry.
pub fn insert(connection: &Connection, telescope_row: i64, wait: &Wait, request_id: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO esperas (id, telescopio_id, cientista_id, inicio_us, fim_us, status, alvo, observacoes, criada_us, req, proposta_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute((
            wait.id,
            telescope_row,
            wait.scientist_id,
            wait.slots.start().as_micros(),
            wait.slots.end().as_micros(),
            wait.status.name(),
            &wait.target,
            &wait.notes,
            wait.created_at.as_micros(),
            request_id,
            wait.proposal_id,
        ))?;
    Ok(())
}

/// Writes what has become of an entry.
pub fn update(connection: &Connection, wait: &Wait) -> rusqlite::Result<()> {
    let passed = wait.passed_over.as_ref();
    let changed = connection
        .prepare_cached(
            "UPDATE esperas SET status = ?2, encerrada_us = ?3, agendamento_id = ?4, preterida_us = ?5, preterida_codigo = ?6,
             preterida_motivo = ?7 WHERE id = ?1 AND status = 'AGUARDANDO'",
        )?
        .execute((
            wait.id,
            wait.status.name(),
            wait.ended_at.map(Timestamp::as_micros),
            wait.booking_id,
            passed.map(|passed| passed.at.as_micros()),
            passed.map(|passed| &passed.code),
            passed.map(|passed| &passed.words),
        ))?;
    // The decision saw it waiting in this very transaction. If it does not, the whole transaction must be undone.
    if changed == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(changed)) }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Wait> {
    let status: String = row.get(5)?;
    let passed_over = match instant(row, 11)? {
        Some(at) => Some(PassedOver { at, code: row.get(12)?, words: row.get(13)? }),
        None => None,
    };
    Ok(Wait {
        id: row.get(0)?,
        telescope: row.get(1)?,
        scientist_id: row.get(2)?,
        slots: slots_of(row, 3)?,
        status: WaitStatus::from_name(&status).ok_or_else(|| unreadable(5, "a status"))?,
        target: row.get(6)?,
        notes: row.get(7)?,
        created_at: required(row, 8)?,
        ended_at: instant(row, 9)?,
        booking_id: row.get(10)?,
        passed_over,
        proposal_id: row.get(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::lists::tests::plan;
    use crate::store::sqlite::open_error::DatabaseKind;
    use crate::store::sqlite::schema;

    #[test]
    fn a_list_reads_only_entries_of_what_it_is_narrowed_to_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, _) = schema::open_for_writing(&folder.path().join("sctec.db"), DatabaseKind::Agenda).unwrap();
        let now = Timestamp::from_micros(0).unwrap();
        let all = WaitFilter { scientist_id: None, telescope: None, status: None, now };
        let (scientist_id, telescope) = (Some(7), Some("Hubble-Acad".to_owned()));
        let status = Some(WaitStatus::Waiting);
        let narrowed = [
            (WaitFilter { scientist_id, ..all.clone() }, "esperas_por_cientista (cientista_id=? AND id>?)"),
            (
                WaitFilter { telescope: telescope.clone(), ..all.clone() },
                "esperas_por_telescopio (telescopio_id=? AND id>?)",
            ),
            (WaitFilter { telescope, status, ..all.clone() }, "esperas_por_telescopio (telescopio_id=? AND id>?)"),
            (WaitFilter { status, ..all.clone() }, "esperas_por_status (status=? AND id>?)"),
            (all, "INTEGER PRIMARY KEY (rowid>?)"),
        ];
        for (filter, searched) in narrowed {
            let plan = plan(&connection, &list_sql(&filter));
            assert!(plan.contains(searched) && !plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        }
    }
}
