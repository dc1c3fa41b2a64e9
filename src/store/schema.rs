//! Opening a database: connection set-up, what kind of database it is, and migrations.
//!
//! # Compatibility
//!
//! `user_version` counts the migrations that ran. A migration that was released is never edited, only followed by
//! another; each runs in a transaction of its own together with its new `user_version`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::checkpoints::KEPT_BYTES;
use super::{Kind, OpenError, pages};
use crate::audit::chain::Head;

/// Each with the `user_version` that it leads to.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../assets/migrations/0001-agenda.sql")),
    (2, include_str!("../../assets/migrations/0002-historico.sql")),
    (3, include_str!("../../assets/migrations/0003-limites.sql")),
];
const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the writer pauses before it looks again whether another process still writes. SQLite's own pauses grow to 100 ms,
/// and beside a busy process whoever pauses so long rarely finds the moment between two of its transactions.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// The oldest SQLite that is safe: before it, a log that begins anew while another process copies it may damage the database.
const OLDEST_SQLITE: (i32, &str) = (3_051_003, "3.51.3");
/// Kibibytes of page cache for the writer; negative is SQLite's sign for that unit.
const WRITER_CACHE_KIB: i64 = -65_536;
/// The longest path of a database that SQLite opens, whose own names beside it are longer.
const PATH_MAX: usize = 504;
/// Prepared statements kept per connection: all that there are.
const STATEMENTS: usize = 64;

impl Kind {
    /// SQLite's `application_id`, which tells the two agendas apart: "SCTA" and "SCTR".
    const fn application_id(self) -> i64 {
        match self {
            Self::Agenda => 0x5343_5441,
            Self::Race => 0x5343_5452,
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Agenda => "an sctec agenda",
            Self::Race => "an sctec database of the race demonstration (--no-lock)",
        }
    }
}

/// Opens the connection that writes, and makes the database what this version expects.
pub fn open_for_writing(path: &Path, kind: Kind) -> Result<Connection, OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(plain_path(path), flags).map_err(explain)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
    check_identity(&connection, path, kind)?;
    set_up_writer(&connection).map_err(explain)?;
    migrate(&mut connection, kind).map_err(explain)?;
    pages::look_at_ends(&connection).map_err(explain)?;
    connection.busy_handler(Some(wait_for_writer)).map_err(explain)?;
    Ok(connection)
}

/// Whether to look again whether another process still writes; it did when this was asked `times` times before.
fn wait_for_writer(times: i32) -> bool {
    let waited = BUSY_PAUSE.saturating_mul(times.unsigned_abs());
    if waited < BUSY_TIMEOUT {
        std::thread::sleep(BUSY_PAUSE);
    }
    waited < BUSY_TIMEOUT
}

/// Refuses a SQLite that is known to damage databases.
pub fn check_library(number: i32, version: &str) -> Result<(), OpenError> {
    let (oldest, name) = OLDEST_SQLITE;
    if number >= oldest { Ok(()) } else { Err(OpenError::OldSqlite { found: version.to_owned(), oldest: name }) }
}

/// Opens the connection that folds the write-ahead log back. It never waits for anyone.
pub fn open_for_checkpoints(path: &Path) -> Result<Connection, OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(explain)?;
    connection.busy_timeout(Duration::ZERO).map_err(explain)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(explain)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(plain_path(path), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The path as SQLite takes no part of it for something else: a relative one that begins with `file:` would be a URI to it.
fn plain_path(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn set_up_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: an acknowledged booking survives a power failure. NORMAL would lose the last ones.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // Not in a commit: see `checkpoints`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", KEPT_BYTES.cast_signed())?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Refuses another program's database, the other mode's, and a newer version's, before anything is written to it.
fn check_identity(connection: &Connection, path: &Path, kind: Kind) -> Result<(), OpenError> {
    let pragma = |name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(|error| explain(path, &error))
    };
    let (application_id, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_master", (), |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    let fresh = application_id == 0 && version == 0 && tables == 0;
    if !fresh && application_id != kind.application_id() {
        return Err(OpenError::Foreign { path: path.to_owned(), expected: kind.description() });
    }
    if version > NEWEST {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, known: NEWEST });
    }
    Ok(())
}

fn migrate(connection: &mut Connection, kind: Kind) -> rusqlite::Result<()> {
    // Two processes may start on one fresh file: each step looks again inside its own transaction.
    for (leads_to, migration) in MIGRATIONS {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version < *leads_to {
            tx.execute_batch(migration)?;
            if version == 0 {
                tx.pragma_update(None, "application_id", kind.application_id())?;
                begin_trail(&tx)?;
            }
            tx.pragma_update(None, "user_version", leads_to)?;
        }
        tx.commit()?;
    }
    Ok(())
}

/// Gives the trail its random identity, from which its chain begins.
fn begin_trail(connection: &Connection) -> rusqlite::Result<()> {
    let identity: String = connection.query_row("SELECT lower(hex(randomblob(16)))", (), |row| row.get(0))?;
    let head = Head::genesis(&identity);
    connection.execute(
        "INSERT INTO trilha (id, identidade, seq, hash, exportado) VALUES (1, ?1, 0, ?2, 0)",
        (identity, head.hash),
    )?;
    Ok(())
}

/// Whether the path is too long for SQLite, which says no more than that it cannot open it.
pub fn is_too_long(path: &Path) -> bool {
    plain_path(path).as_os_str().len() > PATH_MAX
}

fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let reason = match error {
        _ if is_too_long(path) => format!("SQLite takes paths of at most {PATH_MAX} bytes, and this one is longer"),
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        error => error.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            OpenError::Damaged { path: path.to_owned(), reason }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path: path.to_owned() },
        _ => OpenError::Access { path: path.to_owned(), reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sctec.db");
        (folder, path)
    }

    #[test]
    fn a_fresh_database_has_the_catalogue_and_opens_again() {
        let (_folder, path) = file();
        for _ in 0..2 {
            let connection = open_for_writing(&path, Kind::Agenda).unwrap();
            let name: String =
                connection.query_row("SELECT nome FROM cientistas WHERE id = 7", (), |row| row.get(0)).unwrap();
            assert_eq!(name, "Marie Curie");
        }
    }

    #[test]
    fn the_race_cannot_open_the_agenda_nor_the_agenda_the_race() {
        for (first, second) in [(Kind::Agenda, Kind::Race), (Kind::Race, Kind::Agenda)] {
            let (_folder, path) = file();
            drop(open_for_writing(&path, first).unwrap());
            assert!(matches!(open_for_writing(&path, second), Err(OpenError::Foreign { .. })));
        }
    }

    #[test]
    fn a_sqlite_with_the_defect_in_its_log_is_refused() {
        assert!(check_library(rusqlite::version_number(), rusqlite::version()).is_ok());
        assert!(check_library(3_051_003, "3.51.3").is_ok());
        let refused = check_library(3_051_002, "3.51.2").unwrap_err().to_string();
        assert!(refused.contains("3.51.2") && refused.contains("3.51.3"), "{refused}");
        assert!(check_library(3_046_001, "3.46.1").is_err());
    }

    #[test]
    fn a_newer_or_foreign_or_damaged_database_is_refused() {
        let (_folder, path) = file();
        let connection = open_for_writing(&path, Kind::Agenda).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        drop(connection);
        assert!(matches!(open_for_writing(&path, Kind::Agenda), Err(OpenError::Newer { found: 999, .. })));

        let (_folder, path) = file();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE outra (x)").unwrap();
        assert!(matches!(open_for_writing(&path, Kind::Agenda), Err(OpenError::Foreign { .. })));

        let (_folder, path) = file();
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        assert!(matches!(open_for_writing(&path, Kind::Agenda), Err(OpenError::Damaged { .. })));
    }
}
