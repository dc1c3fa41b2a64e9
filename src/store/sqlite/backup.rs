//! A backup: the agenda's database as it stood at one instant, in one file that needs nothing beside it.
//!
//! SQLite makes it (`VACUUM INTO`) in one read transaction, so a service may write meanwhile. All that a backup should have is then read
//! again from the file.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::deep::deep;
use super::open_error::{DatabaseKind, OpenError};
use super::place::log_of;
use super::{inspect, schema, signing, trail};
use crate::audit::chain::ChainHead;
use crate::audit::fields::{Record, text};
use crate::store::StoreError;

/// What a backup has.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The version of its schema.
    pub schema: i64,
    /// Its bookings, the cancelled ones too.
    pub bookings: u64,
    /// Its audit records.
    pub records: u64,
    /// The last of them.
    pub head: ChainHead,
    /// The instant of the last one, as it says itself.
    pub last_at: Option<String>,
    /// The largest fencing token that a slot has seen.
    pub highest_token: u64,
}

/// Why a file is no whole backup of an agenda.
#[derive(Debug)]
pub enum NotWhole {
    /// It is empty, another program's, another mode's, or of a newer version.
    Other(OpenError),
    /// There is a write-ahead log beside it, so the file alone is not all.
    HasLog,
    /// It contradicts itself: the first contradictions, and how many there are.
    Contradicts(Vec<String>, u64),
    /// It cannot be read.
    Unreadable(String),
}

/// Copies the database at `path`, as it stands now, into `target`, an open and empty file at the path `to`. `is_in_use` tells whether a
/// service runs; `begins` is told the most bytes that the copy can have.
///
/// # Errors
/// [`StoreError`] when the copy was not made.
pub fn copy(
    path: &Path,
    (to, target): (&str, &File),
    is_in_use: impl Fn() -> bool,
    begins: impl Fn(u64),
) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    inspect::read(path, is_in_use, |connection| {
        let number = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, i64>(0));
        begins(number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?).unsigned_abs());
        // The database may have changed during an earlier try.
        target.set_len(0).map_err(failed)?;
        connection.execute("VACUUM INTO ?1", [to])?;
        // A copy goes to other places and stays there. The next scheduler on it makes a new key.
        signing::erase_all(&Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
    })
}

/// The schema of the agenda in the file at `path`, found with a glance.
///
/// # Errors
/// [`NotWhole`].
pub fn glance(path: &Path) -> Result<i64, NotWhole> {
    if std::fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0) {
        return Err(NotWhole::HasLog);
    }
    let identity = |connection: &Connection| Ok(schema::identify(connection, path, DatabaseKind::Agenda));
    match inspect::read_as_it_is(path, || false, identity) {
        Ok(Ok(0)) => Err(NotWhole::Other(OpenError::Foreign {
            path: path.to_owned(),
            expected: DatabaseKind::Agenda.description(),
        })),
        Ok(Ok(version)) => Ok(version),
        Ok(Err(OpenError::Access { reason, .. } | OpenError::Damaged { reason, .. })) => {
            Err(NotWhole::Unreadable(reason))
        }
        Ok(Err(other)) => Err(NotWhole::Other(other)),
        Err(error) => Err(NotWhole::Unreadable(error.to_string())),
    }
}

/// Reads all of the file at `path`: its pages, its bookings with the slots that they claim, and the chain of its records.
///
/// # Errors
/// [`NotWhole`].
pub fn examine(path: &Path) -> Result<Contents, NotWhole> {
    let schema = glance(path)?;
    let unreadable = |error: StoreError| NotWhole::Unreadable(error.to_string());
    let found = deep(path, DatabaseKind::Agenda, || false).map_err(unreadable)?;
    if found.fault_count > 0 {
        return Err(NotWhole::Contradicts(found.faults, found.fault_count));
    }
    inspect::read_as_it_is(
        path,
        || false,
        |connection| {
            let head = trail::head(connection)?;
            let last: Option<String> = connection
                .query_row("SELECT linha FROM auditoria WHERE seq = ?1", [head.seq.cast_signed()], |row| row.get(0))
                .optional()?;
            let last_at = last.as_deref().and_then(instant_of);
            let highest_token: i64 =
                connection.query_row("SELECT coalesce(max(token), 0) FROM horarios", (), |row| row.get(0))?;
            let highest_token = highest_token.cast_unsigned();
            Ok(Contents { schema, bookings: found.bookings, records: found.records, head, last_at, highest_token })
        },
    )
    .map_err(unreadable)
}

/// The instant of a record's line.
fn instant_of(line: &str) -> Option<String> {
    let record: Record<'_> = serde_json::from_str(line).ok()?;
    record.timestamp_utc.map(|_| text(record.timestamp_utc).into_owned())
}
