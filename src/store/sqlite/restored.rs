//! A backup that becomes the agenda again: it is brought up to date and says in its trail that it was restored, and its trail's file is
//! written anew. What has happened in the agenda that it replaces is counted.

use std::io::{self, Write};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::connect::explain;
use super::open_error::{DatabaseKind, OpenError};
use super::{inspect, schema, trail};
use crate::access::Caller;
use crate::audit::chain::{ChainHead, Link};
use crate::audit::record::{BOOKING_CANCELLED, BOOKING_CHANGED, BOOKING_CREATED, Event, Restoration};
use crate::store::StoreError;
use crate::time::Timestamp;

/// The agenda that a backup replaces.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The last record of its trail.
    pub head: ChainHead,
    /// What it has after the end of the backup; `None` if the backup is not an earlier state of it.
    pub since: Option<Since>,
}

/// What an agenda has after the end of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Bookings that were made.
    pub booked: u64,
    /// Changes of bookings.
    pub changed: u64,
    /// Bookings that were cancelled.
    pub cancelled: u64,
}

/// Compares the agenda at `path`, on which no service runs, with a backup whose trail ends with `end`.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn replaced(path: &Path, end: &ChainHead) -> Result<Replaced, StoreError> {
    inspect::read_as_it_is(
        path,
        || false,
        |connection| {
            let [beginning, head] = trail::ends(connection)?;
            let continues = if end.seq == 0 { beginning == *end } else { has_record(connection, end)? };
            let since = if continues { Some(since(connection, end.seq)?) } else { None };
            Ok(Replaced { head, since })
        },
    )
}

fn has_record(connection: &Connection, end: &ChainHead) -> rusqlite::Result<bool> {
    let line: Option<String> = connection
        .query_row("SELECT linha FROM auditoria WHERE seq = ?1", [end.seq.cast_signed()], |row| row.get(0))
        .optional()?;
    let link = line.as_deref().and_then(|line| Link::of(line.as_bytes()));
    Ok(link.is_some_and(|link| link.hash == end.hash.as_bytes()))
}

fn since(connection: &Connection, seq: u64) -> rusqlite::Result<Since> {
    let count = |event: &str| {
        // `details` comes after the event, so no client's text stands before it.
        let form = format!("{{\"timestamp_utc\":\"*\",\"level\":\"AUDIT\",\"event_type\":\"{event}\",*");
        connection
            .query_row(
                "SELECT count(*) FROM auditoria WHERE seq > ?1 AND linha GLOB ?2",
                (seq.cast_signed(), form.as_str()),
                |row| row.get::<_, i64>(0),
            )
            .map(i64::cast_unsigned)
    };
    Ok(Since {
        booked: count(BOOKING_CREATED)?,
        changed: count(BOOKING_CHANGED)?,
        cancelled: count(BOOKING_CANCELLED)?,
    })
}

/// Brings the copy of a backup at `path` up to date, and adds the record of its restoration. All of it is in the one file afterwards.
///
/// # Errors
/// [`OpenError`].
pub fn complete(path: &Path, restoration: &Restoration, now: Timestamp) -> Result<(), OpenError> {
    let (mut connection, _) = schema::open_for_writing(path, DatabaseKind::Agenda)?;
    add_record(&mut connection, restoration, now).map_err(|error| explain(path, &error))?;
    connection.close().map_err(|(_, error)| explain(path, &error))
}

fn add_record(connection: &mut Connection, restoration: &Restoration, now: Timestamp) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut head = trail::head(&tx)?;
    let line = head.append(Event::AgendaRestored(restoration).open_json(now), None, &Caller::COMMAND_LINE);
    trail::insert(&tx, head.seq, &line)?;
    trail::set_head(&tx, &head)?;
    tx.commit()
}

/// Writes all records of the database at `path`, as the trail's file has them.
///
/// # Errors
/// The output's error, or that the database cannot be read.
pub fn write_trail(path: &Path, out: &mut impl Write) -> io::Result<()> {
    let connection = inspect::open_unchanging(path).map_err(io::Error::other)?;
    let mut statement = connection.prepare("SELECT linha FROM auditoria ORDER BY seq").map_err(io::Error::other)?;
    let mut rows = statement.query(()).map_err(io::Error::other)?;
    while let Some(row) = rows.next().map_err(io::Error::other)? {
        let line = row.get_ref(0).map_err(io::Error::other)?;
        out.write_all(line.as_bytes().map_err(io::Error::other)?)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
