//! Connections to a database file, each set up for its use.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::checkpoints::KEPT_BYTES;
use super::open_error::OpenError;
use crate::files::private;
use crate::language::translation;
use rust_i18n::t;

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the writer pauses before it looks again whether another process still writes. SQLite's own pauses grow to 100 ms,
/// and a process that pauses so long rarely finds the moment between two transactions of another that is busy.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// The oldest SQLite that is safe: before it, a log that begins anew while another process copies it may damage the database.
const OLDEST_SQLITE: (i32, &str) = (3_051_003, "3.51.3");
/// Kibibytes of page cache for the writer; negative is SQLite's sign for that unit.
const WRITER_CACHE_KIB: i64 = -65_536;
/// The longest path of a database that SQLite opens: the names of the files beside it are longer.
const PATH_MAX: usize = 504;
/// Prepared statements kept per connection: all that there are.
const STATEMENTS: usize = 64;

/// Opens a database to be written to, and creates the file if there is none. [`set_up_writer`] and [`pause_shortly`] follow,
/// once the database is known to be ours.
pub fn open_or_create(path: &Path) -> rusqlite::Result<Connection> {
    make_private(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(plain_path(path), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Makes the file, empty, if there is none: SQLite would make it readable by everybody, and gives the files beside it the permissions
/// of this one. If that fails, SQLite finds the reason too. A file that is there is not opened: closing it would end this process's
/// locks on it.
fn make_private(path: &Path) {
    if std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        let _ = private().write(true).create(true).truncate(false).open(plain_path(path));
    }
}

/// Sets up the connection that writes.
pub fn set_up_writer(connection: &Connection) -> rusqlite::Result<()> {
    // FULL: an acknowledged booking survives a power failure. NORMAL would lose the last ones.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // Not in a commit: see `checkpoints`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", KEPT_BYTES.cast_signed())?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    keep_statements(connection)
}

/// Keeps statements prepared. A plan must not depend on the values that are bound: SQLite would prepare a statement with a
/// bounded period anew for each period, which costs more than running it.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Has the writer look again every [`BUSY_PAUSE`] whether another process still writes.
pub fn pause_shortly(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(wait_for_writer))
}

/// Whether closing the last connection leaves the log as it is.
pub fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
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

/// Opens the connection that folds the write-ahead log back. It never waits for another connection.
pub fn open_for_checkpoints(path: &Path) -> Result<Connection, OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(plain_path(path), flags).map_err(explain)?;
    connection.busy_timeout(Duration::ZERO).map_err(explain)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(explain)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(plain_path(path), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    keep_statements(&connection)?;
    Ok(connection)
}

/// The path in a form that SQLite cannot take for a URI, as it would a relative one that begins with `file:`.
fn plain_path(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether the path is too long for SQLite, whose own error only says that it cannot open the file.
fn is_too_long(path: &Path) -> bool {
    plain_path(path).as_os_str().len() > PATH_MAX
}

/// SQLite's message, of which the part before a path or a name may be in the catalogues.
fn in_our_language(message: &str) -> String {
    let (said, rest) = message.split_once(": ").map_or((message, None), |(said, rest)| (said, Some(rest)));
    let said = translation(said).unwrap_or(said.into());
    rest.map_or_else(|| said.to_string(), |rest| format!("{said}: {rest}"))
}

/// Why a database could not be opened, from SQLite's error.
pub fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let reason = match error {
        _ if is_too_long(path) => {
            t!("SQLite takes paths of at most %{most} bytes, and this one is longer", most = PATH_MAX).into_owned()
        }
        rusqlite::Error::SqliteFailure(_, Some(message)) => in_our_language(message),
        error => in_our_language(&error.to_string()),
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

    #[test]
    fn a_sqlite_with_the_defect_in_its_log_is_refused() {
        assert!(check_library(rusqlite::version_number(), rusqlite::version()).is_ok());
        assert!(check_library(3_051_003, "3.51.3").is_ok());
        let refused = check_library(3_051_002, "3.51.2").unwrap_err().to_string();
        assert!(refused.contains("3.51.2") && refused.contains("3.51.3"), "{refused}");
        assert!(check_library(3_046_001, "3.46.1").is_err());
    }

    #[test]
    fn sqlite_is_built_as_cargos_configuration_says() {
        // Of what .cargo/config.toml sets this alone can be asked for. Both flags are in one variable.
        let connection = Connection::open_in_memory().unwrap();
        let mut options = connection.prepare("PRAGMA compile_options").unwrap();
        let options: Vec<String> = options.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"), "{options:?}");
    }
}
