//! Bookings, as rows.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::agenda::maintenance::NewMaintenance;
use crate::agenda::rules::{Rules, days_around};
use crate::agenda::{Booking, DURATION_MIN_MAX, SlotRange, Status};
use crate::store::decide::Held;
use crate::time::{Timestamp, minutes_in_micros};

/// The columns of a booking, in the order of [`from_row`].
pub(super) const COLUMNS: &str = "a.id, t.codigo, a.cientista_id, a.inicio_us, a.fim_us, a.status, a.alvo, a.observacoes, \
     a.clique_us, a.criado_us, a.cancelado_us, a.motivo, a.versao, a.alterado_us, a.proposta_id, a.carimbo_us, a.disputado";

/// One booking.
pub fn get(connection: &Connection, id: i64) -> rusqlite::Result<Option<Booking>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id WHERE a.id = ?1"
        ))?
        .query_row([id], from_row)
        .optional()
}

/// Bookings of a scientist at a telescope that have not ended, as many as are wanted.
const STANDING: &str = "SELECT id, inicio_us, fim_us FROM agendamentos
     WHERE cientista_id = ?1 AND telescopio_id = ?2 AND status = ?3 AND inicio_us > ?4 AND fim_us > ?5 ORDER BY inicio_us LIMIT ?6";
/// Those that have an instant of a period.
const WITHIN: &str = "SELECT id, inicio_us, fim_us FROM agendamentos
     WHERE cientista_id = ?1 AND telescopio_id = ?2 AND status = ?3 AND inicio_us > ?4 AND fim_us > ?5 AND inicio_us < ?6";

/// What a scientist has booked at a telescope, by the bookings' numbers: of the bookings that have not ended one more than the quota has,
/// since one of them may be moving, and those that touch a day of `slots`. The work is bounded by these, and does not depend on how many
/// bookings there are.
pub fn held(
    connection: &Connection,
    telescope_row: i64,
    scientist_id: i64,
    rules: &Rules,
    slots: SlotRange,
    now: Timestamp,
) -> rusqlite::Result<Held> {
    let longest_us = minutes_in_micros(DURATION_MIN_MAX);
    let mut held = Held::new();
    let mut select = |sql: &str, from: Timestamp, bound: i64| {
        let from_us = from.as_micros();
        let asked = (scientist_id, telescope_row, Status::Active.name(), from_us - longest_us, from_us, bound);
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(asked)?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            held.insert(row.get(0)?, slots_of(row, 1)?);
            found += 1;
        }
        Ok::<i64, rusqlite::Error>(found)
    };
    let (day, after) = days_around(slots);
    let mut has_all = false;
    if let Some(most) = rules.standing_max {
        // If the days are still to come, what is booked on them is among all that stands.
        has_all = select(STANDING, now, most + 1)? <= most && now <= day;
    }
    if rules.day_max_min.is_some() && !has_all {
        select(WITHIN, day, after.as_micros())?;
    }
    Ok(held)
}

/// The active bookings that a maintenance of a telescope meets and that end after an instant, in order, at most `limit`.
pub fn met_by(
    connection: &Connection,
    telescope_row: i64,
    when: &NewMaintenance,
    after: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<Booking>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id
         WHERE a.telescopio_id = :telescope AND a.status = :active
         AND a.inicio_us > :from - :longest AND a.inicio_us < :until AND a.fim_us > :from ORDER BY a.inicio_us, a.id LIMIT :most"
    ))?;
    let mut found: Vec<Booking> = Vec::new();
    for (from, until) in when.times() {
        // Those that are over do not use up the limit.
        let from = from.max(after);
        let left = limit.saturating_sub(found.len());
        let most = i64::try_from(left).unwrap_or(i64::MAX);
        if most == 0 {
            break;
        }
        let rows = statement.query_map(
            named_params! {
                ":telescope": telescope_row, ":active": Status::Active.name(), ":from": from.as_micros(),
                ":until": until.as_micros(), ":longest": minutes_in_micros(DURATION_MIN_MAX), ":most": most,
            },
            from_row,
        )?;
        for booking in rows {
            let booking = booking?;
            // One may end in the next time.
            if found.last().is_none_or(|last| last.id != booking.id) {
                found.push(booking);
            }
        }
    }
    Ok(found)
}

/// The largest fencing token that any slot has seen.
pub fn highest_token(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT maior_token FROM resumo", (), |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

/// Notes the largest fencing token of a transaction.
pub fn note_token(connection: &Connection, token: u64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE resumo SET maior_token = ?1 WHERE maior_token < ?1")?;
    statement.execute([token.cast_signed()])?;
    Ok(())
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
        stamped_at: instant(row, 15)?,
        is_contested: row.get(16)?,
        created_at: required(row, 9)?,
        version: row.get(12)?,
        changed_at: instant(row, 13)?,
        cancelled_at: instant(row, 10)?,
        cancel_reason: row.get(11)?,
        receipt: None,
        opens_at: None,
        proposal_id: row.get(14)?,
    })
}

/// The slots of a row whose column `index` is their start, and the next one their end.
pub(super) fn slots_of(row: &Row<'_>, index: usize) -> rusqlite::Result<SlotRange> {
    let (start, end) = (required(row, index)?, required(row, index + 1)?);
    let duration_min = (end.as_micros() - start.as_micros()) / minutes_in_micros(1);
    SlotRange::new(start, duration_min).map_err(|_| unreadable(index + 1, "a range of slots"))
}

pub(super) fn instant(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(index)?;
    micros.map(|micros| Timestamp::from_micros(micros).ok_or_else(|| unreadable(index, "an instant"))).transpose()
}

pub(super) fn required(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    instant(row, index)?.ok_or_else(|| unreadable(index, "an instant"))
}

pub(super) fn unreadable(index: usize, expected: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        index,
        Type::Integer,
        format!("the column does not hold {expected}").into(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::lists::tests::plan;
    use super::*;
    use crate::store::kind::DatabaseKind;
    use crate::store::sqlite::schema;

    #[test]
    fn what_a_scientist_has_booked_is_read_in_the_index_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (connection, _) = schema::open_for_writing(&folder.path().join("sctec.db"), DatabaseKind::Agenda).unwrap();
        for sql in [STANDING, WITHIN] {
            let plan = plan(&connection, sql);
            assert!(plan.starts_with("SEARCH agendamentos USING COVERING INDEX agendamentos_por_cientista"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
