//! Reading a database from outside, to verify a trail. The database may be evidence: no new file may be left beside it.
//!
//! Even a read-only connection creates files next to a database in WAL mode, and needs the permission to do so. So while no
//! service runs, the file is opened as immutable. If a crash left a write-ahead log, the database and the log are opened
//! unchanged, with the log's index in memory and without locks. Neither way creates or changes any file, here or in a
//! temporary folder.
//!
//! SQLite names the log after the file that a symbolic link leads to, so the link is resolved first.
//!
//! # Races
//!
//! A service may start or stop during the read. After the read, the lock and the files' lengths and times show this; then
//! the database is read again.

use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::errors::unavailable;
use super::place::log_of;
use super::{connect, recovery, trail};
use crate::audit::chain::{ChainHead, Link};
use crate::audit::files::CLOSED_MIN_BYTES;
use crate::audit::verify::{Before, DatabaseNow};
use crate::store::StoreError;

/// How often a database that changed during the read is read again, and the pause before that.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);
/// How many records are added up to tell whether they fill a file: more than enough.
const FILLING: u64 = 10_000;
/// The characters that need no escape in a file name in an SQLite URI.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// The beginning and the head of the trail that the database at `path` keeps. `is_in_use` tells whether a service runs.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn trail_ends(path: &Path, is_in_use: impl Fn() -> bool) -> Result<[ChainHead; 2], StoreError> {
    read(path, is_in_use, trail::ends)
}

/// The database's records next to a set of trail files: the record `before`, which precedes the files if they say which one
/// it is, and the record after `last`, with which they end.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn trail_around(
    path: &Path,
    is_in_use: impl Fn() -> bool,
    before: Option<u64>,
    last: u64,
) -> Result<DatabaseNow, StoreError> {
    read(path, is_in_use, |connection| {
        let line = |seq: u64| -> rusqlite::Result<Option<Vec<u8>>> {
            let mut statement = connection.prepare("SELECT linha FROM auditoria WHERE seq = ?1")?;
            statement.query_row([seq.cast_signed()], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec())).optional()
        };
        let before = match before {
            Some(seq) => match line(seq)?.as_deref().and_then(Link::of).filter(|link| link.seq == seq) {
                Some(link) => {
                    let hash = String::from_utf8_lossy(link.hash).into_owned();
                    Some(Before { hash, fills_a_file: fills_a_file(connection, seq)? })
                }
                None => None,
            },
            None => None,
        };
        Ok(DatabaseNow { head: trail::head(connection)?.seq, before, next: line(last.saturating_add(1))? })
    })
}

/// Whether the records up to `seq` and the next one, which no longer fitted, are together large enough for the file to be
/// closed.
fn fills_a_file(connection: &Connection, seq: u64) -> rusqlite::Result<bool> {
    let first = (seq + 1).saturating_sub(FILLING);
    connection.query_row(
        "SELECT coalesce(sum(octet_length(linha) + 1), 0) > ?3 FROM auditoria WHERE seq BETWEEN ?1 AND ?2",
        (first.cast_signed(), (seq + 1).cast_signed(), CLOSED_MIN_BYTES.cast_signed()),
        |row| row.get(0),
    )
}

/// Lengths and times of a database and of its log.
pub(super) type Stamp = [Option<(u64, SystemTime)>; 2];

/// Reads a database for the thorough check, which reports contradictions itself.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub(super) fn read_as_it_is<T>(
    path: &Path,
    is_in_use: impl Fn() -> bool,
    read: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    read_any(path, is_in_use, |connection, _| read(connection).map_err(|error| unavailable(&error)))
}

/// Reads a database that must be sound, because other data is compared with it.
///
/// # Errors
/// [`StoreError`] when it cannot be read, or contradicts itself.
pub(super) fn read<T>(
    path: &Path,
    is_in_use: impl Fn() -> bool,
    read: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    read_any(path, is_in_use, |connection, was_in_use| {
        if was_in_use { read(connection).map_err(|error| unavailable(&error)) } else { read_sound(connection, &read) }
    })
}

/// Reads without leaving a file behind, and reads again if the database changed during the read. `read` is told whether a
/// service runs.
fn read_any<T>(
    path: &Path,
    is_in_use: impl Fn() -> bool,
    read: impl Fn(&Connection, bool) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let path = &path.canonicalize().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let mut tries = 0;
    loop {
        tries += 1;
        let was_in_use = is_in_use();
        let before = stamp(path).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let opened = if was_in_use {
            connect::open_for_reading(path)
        } else if before[1].is_none_or(|(length, _)| length == 0) {
            open_unchanging(path)
        } else {
            open_with_log(path)
        };
        let result = opened.map_err(|error| unavailable(&error)).and_then(|connection| read(&connection, was_in_use));
        let unchanged = || stamp(path).is_ok_and(|now| now == before) && !is_in_use();
        if was_in_use || tries == TRIES || unchanged() {
            return result;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Opens a database that has no log and that no process writes to.
pub(super) fn open_unchanging(path: &Path) -> rusqlite::Result<Connection> {
    open_as(path, "immutable=1")
}

/// Opens a database that no process writes to, with its write-ahead log. Without locks no lock file is needed, and exclusive
/// locking keeps the log's index in memory.
fn open_with_log(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_as(path, "vfs=unix-none")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // This is set before SQLite first reads the log.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(connection)
}

fn open_as(path: &Path, parameter: &str) -> rusqlite::Result<Connection> {
    let name = format!("file:{}?{parameter}", percent_encode(path.as_os_str().as_bytes(), PLAIN));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(name, flags)
}

/// Reads a database that was not checked since its service ended. Somebody may have put an older copy beside a newer log;
/// such a pair proves nothing.
fn read_sound<T>(connection: &Connection, read: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
    if let Some(reason) = recovery::contradiction(connection).map_err(|error| unavailable(&error))? {
        return Err(StoreError::Unavailable(format!("it contradicts itself: {reason}")));
    }
    read(connection).map_err(|error| unavailable(&error))
}

/// Whether a crash may have left the write-ahead log of the database at `path` beside another name of the same file.
pub fn log_may_be_elsewhere(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    let has_names = std::fs::metadata(&path).is_ok_and(|metadata| metadata.nlink() > 1);
    has_names && !log_of(&path).exists()
}

/// Lengths and times of the database and of its write-ahead log, if there is one: any write changes them.
pub(super) fn stamp(path: &Path) -> io::Result<Stamp> {
    let of = |metadata: Metadata| -> io::Result<_> { Ok(Some((metadata.len(), metadata.modified()?))) };
    let log = match std::fs::metadata(log_of(path)) {
        Ok(metadata) => of(metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok([of(std::fs::metadata(path)?)?, log])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::access::Caller;
    use crate::store::sqlite::open_error::DatabaseKind;
    use crate::store::sqlite::schema;

    fn names(folder: &Path) -> BTreeSet<OsString> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_database_is_read_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        // A file name that would have another meaning in a URI.
        let inner = folder.path().join("a?b#c%20 é");
        std::fs::create_dir(&inner).unwrap();
        let path = inner.join("sctec.db");
        let (writer, _) = schema::open_for_writing(&path, DatabaseKind::Agenda).unwrap();
        let mut head = trail::head(&writer).unwrap();
        for seq in 1..=7 {
            let line = head.append("{\"n\":1".to_owned(), None, &Caller::service("x"));
            trail::insert(&writer, seq, &line).unwrap();
        }
        trail::set_head(&writer, &head).unwrap();
        // The state after a crash: all data is in the log, and no service runs.
        let crashed = folder.path().join("crashed");
        std::fs::create_dir(&crashed).unwrap();
        for name in ["sctec.db", "sctec.db-wal"] {
            std::fs::copy(inner.join(name), crashed.join(name)).unwrap();
        }
        drop(writer);
        let bytes = |folder: &Path| {
            names(folder).into_iter().map(|name| std::fs::read(folder.join(name)).unwrap()).collect::<Vec<_>>()
        };
        for folder in [&inner, &crashed] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o555)).unwrap();
            let before = (names(folder), bytes(folder));
            assert_eq!(trail_ends(&folder.join("sctec.db"), || false).unwrap()[1].seq, 7);
            assert_eq!((names(folder), bytes(folder)), before);
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        // A symbolic link has no log beside it: the log is beside the link's target.
        let links = folder.path().join("links");
        std::fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink("../crashed/sctec.db", links.join("sctec.db")).unwrap();
        assert_eq!(trail_ends(&links.join("sctec.db"), || false).unwrap()[1].seq, 7);
    }

    #[test]
    fn it_is_read_again_when_a_service_came_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sctec.db");
        let (writer, _) = schema::open_for_writing(&path, DatabaseKind::Agenda).unwrap();
        writer.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
        let looks = std::cell::Cell::new(0);
        let is_in_use = || {
            looks.set(looks.get() + 1);
            if looks.get() == 2 {
                // No service ran when the reading began.
                writer.execute("UPDATE trilha SET seq = 7", ()).unwrap();
            }
            looks.get() > 1
        };
        assert_eq!(trail_ends(&path, is_in_use).unwrap()[1].seq, 7);
    }
}
