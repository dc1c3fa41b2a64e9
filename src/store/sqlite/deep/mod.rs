//! Whether a database is consistent: its pages, its references, its bookings with the slots that they claim, and both with
//! the records of the trail. The check reads the whole database, which takes about ten seconds for each million bookings. It
//! writes nothing.

mod altered;

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use rusqlite::{Connection, Row, Rows};
use rust_i18n::t;

use self::altered::{Altered, Known};
use super::errors::is_damage;
use super::open_error::DatabaseKind;
use super::{inspect, trail};
use crate::agenda::{SLOT_MIN, Status};
use crate::audit::fields::{Details, Record, number, text};
use crate::audit::record::{BOOKING_CANCELLED, BOOKING_CHANGED, BOOKING_CREATED};
use crate::store::StoreError;
use crate::time::{Timestamp, minutes_in_micros};

/// How many faults are described; further faults are only counted.
const NAMED: usize = 20;

/// The result of the check.
#[derive(Clone, Debug, Default)]
pub struct Deep {
    /// Bookings that were read.
    pub bookings: u64,
    /// Slots that bookings have claimed.
    pub claims: u64,
    /// Slots with more than one active booking. Only a race without locks can leave them.
    pub shared: u64,
    /// Records that were read.
    pub records: u64,
    /// The first contradictions, described in the language of the process.
    pub faults: Vec<String>,
    /// How many contradictions there are.
    pub fault_count: u64,
}

impl Deep {
    fn fault(&mut self, what: impl FnOnce() -> Cow<'static, str>) {
        if self.faults.len() < NAMED {
            self.faults.push(what().into_owned());
        }
        self.fault_count += 1;
    }
}

/// Reads all of the database at `path`. `is_in_use` tells whether a service runs.
///
/// # Errors
/// [`StoreError`] when it cannot be read at all.
pub fn deep(path: &Path, kind: DatabaseKind, is_in_use: impl Fn() -> bool) -> Result<Deep, StoreError> {
    inspect::read_as_it_is(path, is_in_use, |connection| {
        let mut found = Deep::default();
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
            DatabaseKind::Race => found.shared = shared(connection)?,
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
        let row = id.map_or_else(|| table.clone(), |id| format!("{table} {id}"));
        found.fault(|| t!("%{row} refers to something in %{table} that is not there", row = row, table = other));
    }
    Ok(())
}

/// Every claimed slot belongs to an active booking, and every slot of an active booking is claimed by it.
fn claims(connection: &Connection, found: &mut Deep) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT h.inicio_us, t.codigo, h.agendamento_id FROM horarios h LEFT JOIN agendamentos a ON a.id = h.agendamento_id
         LEFT JOIN telescopios t ON t.id = h.telescopio_id
         WHERE h.agendamento_id IS NOT NULL AND (a.id IS NULL OR a.status <> 'AGENDADO' OR a.telescopio_id <> h.telescopio_id
         OR h.inicio_us < a.inicio_us OR h.inicio_us >= a.fim_us)",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (start, telescope, booking) = (instant(row, 0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?);
        found.fault(|| {
            t!(
                "slot %{start} of %{telescope} is claimed by booking %{booking}, which does not have this slot",
                start = start,
                telescope = telescope,
                booking = booking
            )
        });
    }
    let number = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, i64>(0));
    let claimed = number("SELECT count(agendamento_id) FROM horarios")?;
    found.claims = claimed.cast_unsigned();
    let slot_us = minutes_in_micros(SLOT_MIN);
    let of_bookings = "SELECT coalesce(sum(fim_us - inicio_us), 0) FROM agendamentos WHERE status = 'AGENDADO'";
    if number(of_bookings)? / slot_us != claimed {
        let mut statement = connection.prepare(
            "SELECT a.id FROM agendamentos a WHERE a.status = 'AGENDADO' AND (a.fim_us - a.inicio_us) / ?1 <>
             (SELECT count(*) FROM horarios h WHERE h.telescopio_id = a.telescopio_id AND h.inicio_us >= a.inicio_us
              AND h.inicio_us < a.fim_us AND h.agendamento_id = a.id)",
        )?;
        let mut rows = statement.query([slot_us])?;
        while let Some(row) = rows.next()? {
            let booking: i64 = row.get(0)?;
            found.fault(|| t!("booking %{booking} is active, but has not claimed all of its slots", booking = booking));
        }
    }
    // A database that this version has not brought up to date yet may have no summary.
    let has_summary = number("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'resumo'")? == 1;
    if has_summary
        && number("SELECT coalesce(max(token), 0) FROM horarios")? > number("SELECT maior_token FROM resumo")?
    {
        found.fault(|| t!("a slot has a larger token than the largest that the database notes"));
    }
    Ok(())
}

/// How many slots have more than one active booking.
fn shared(connection: &Connection) -> rusqlite::Result<u64> {
    let slots = "WITH RECURSIVE slots(telescope, start, end) AS (
         SELECT telescopio_id, inicio_us, fim_us FROM agendamentos WHERE status = 'AGENDADO'
         UNION ALL SELECT telescope, start + ?1, end FROM slots WHERE start + ?1 < end)
         SELECT count(*) FROM (SELECT 1 FROM slots GROUP BY telescope, start HAVING count(*) > 1)";
    let count: i64 = connection.query_row(slots, [minutes_in_micros(SLOT_MIN)], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// Every record follows the one before it and agrees with the bookings; every booking and every cancellation has its record.
fn records(connection: &Connection, found: &mut Deep) -> rusqlite::Result<()> {
    let [mut head, last] = trail::ends(connection)?;
    // A database that this version has not brought up to date yet has no changed bookings.
    let columns = "SELECT count(*) FROM pragma_table_info('agendamentos') WHERE name = 'alterado_us'";
    let has_changes = connection.query_row(columns, (), |row| row.get::<_, i64>(0))? == 1;
    let changed = if has_changes { "a.alterado_us IS NOT NULL" } else { "0" };
    let mut bookings = connection.prepare(&format!(
        "SELECT a.id, a.cientista_id, t.codigo, a.inicio_us, a.fim_us, a.status, {changed} FROM agendamentos a
         JOIN telescopios t ON t.id = a.telescopio_id ORDER BY a.id",
    ))?;
    let mut bookings = Bookings::new(bookings.query(())?, found)?;
    let mut cancelled_by_records = HashSet::new();
    let mut statement = connection.prepare("SELECT seq, linha FROM auditoria ORDER BY seq")?;
    let mut rows = statement.query(())?;
    let mut follows = true;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let line = row.get_ref(1)?.as_bytes()?;
        found.records += 1;
        // After the first record that does not follow, no later record can follow.
        if follows && !(head.follow(line) && head.seq == seq.cast_unsigned()) {
            follows = false;
            found.fault(|| t!("record %{seq} does not follow the record before", seq = seq));
        }
        let Ok(record) = serde_json::from_slice::<Record<'_>>(line) else { continue };
        let event = text(record.event_type);
        let Ok(details) = record.details() else { continue };
        let Some(id) = number(details.agendamento_id) else { continue };
        if event == BOOKING_CREATED {
            bookings.hold(id, &details, seq, found)?;
        } else if event == BOOKING_CHANGED {
            if let Some(wrong) = bookings.altered.follow(id, &details, seq) {
                found.fault(|| wrong);
            }
        } else if event == BOOKING_CANCELLED && !cancelled_by_records.insert(id) {
            found.fault(|| t!("record %{seq} cancels booking %{booking} a second time", seq = seq, booking = id));
        }
    }
    bookings.rest(found)?;
    if follows && head != last {
        found.fault(|| {
            t!("the trail's head is record %{head}, and its last record is %{last}", head = last.seq, last = head.seq)
        });
    }
    let mut differing: Vec<&i64> = bookings.cancelled.symmetric_difference(&cancelled_by_records).collect();
    differing.sort_unstable();
    for id in differing {
        let by_record = cancelled_by_records.contains(id);
        found.fault(|| {
            if by_record {
                t!("booking %{booking} is active, but a record says that it is cancelled", booking = id)
            } else {
                t!("booking %{booking} is cancelled, but no record says so", booking = id)
            }
        });
    }
    Ok(())
}

/// The bookings in order of their numbers, which is also the order of their records.
struct Bookings<'a> {
    rows: Rows<'a>,
    /// The next booking.
    next: Option<Known>,
    /// Whether that was changed after it was made.
    next_is_altered: bool,
    /// The cancelled bookings.
    cancelled: HashSet<i64>,
    altered: Altered,
}

impl<'a> Bookings<'a> {
    fn new(rows: Rows<'a>, found: &mut Deep) -> rusqlite::Result<Self> {
        let mut bookings =
            Self { rows, next: None, next_is_altered: false, cancelled: HashSet::new(), altered: Altered::default() };
        bookings.advance(found)?;
        Ok(bookings)
    }

    fn advance(&mut self, found: &mut Deep) -> rusqlite::Result<()> {
        let Some(row) = self.rows.next()? else {
            self.next = None;
            return Ok(());
        };
        found.bookings += 1;
        let id = row.get(0)?;
        if row.get_ref(5)?.as_str()? == Status::Cancelled.name() {
            self.cancelled.insert(id);
        }
        self.next_is_altered = row.get(6)?;
        let (start, end) = (instant(row, 3)?, instant(row, 4)?);
        self.next = Some(Known { id, scientist: row.get(1)?, telescope: row.get(2)?, start, end });
        Ok(())
    }

    /// Compares booking `id` with the record of its creation.
    fn hold(&mut self, id: i64, details: &Details<'_>, seq: i64, found: &mut Deep) -> rusqlite::Result<()> {
        while let Some(next) = self.next.as_ref().filter(|next| next.id < id) {
            let without = next.id;
            found.fault(|| t!("booking %{booking} has no record", booking = without));
            self.advance(found)?;
        }
        let Some(known) = self.next.as_ref().filter(|next| next.id == id) else {
            found.fault(|| {
                t!(
                    "record %{seq} makes booking %{booking}, which is not there or has its record already",
                    seq = seq,
                    booking = id
                )
            });
            return Ok(());
        };
        let recorded = Known::by(id, details);
        if self.next_is_altered {
            self.altered.add(known.clone(), recorded);
        } else if recorded != *known {
            found.fault(|| {
                t!(
                    "booking %{booking} is not what record %{seq} says: scientist, telescope or time differ",
                    booking = id,
                    seq = seq
                )
            });
        }
        self.advance(found)
    }

    /// Called after the last record: the bookings that are left have no record.
    fn rest(&mut self, found: &mut Deep) -> rusqlite::Result<()> {
        while let Some(without) = self.next.as_ref().map(|next| next.id) {
            found.fault(|| t!("booking %{booking} has no record", booking = without));
            self.advance(found)?;
        }
        for wrong in self.altered.rest() {
            found.fault(|| wrong);
        }
        Ok(())
    }
}

fn instant(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    let micros: i64 = row.get(index)?;
    Ok(Timestamp::from_micros(micros).map_or_else(|| micros.to_string(), |at| at.seconds().to_string()))
}

#[cfg(test)]
mod tests;
