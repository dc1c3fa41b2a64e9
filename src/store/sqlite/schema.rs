//! Opening the database for writing: checking its kind, and running the migrations.
//!
//! # Compatibility
//!
//! `user_version` counts the migrations that ran. A released migration is never edited; a change is a new migration. All
//! missing migrations run in one transaction, which also sets the new `user_version`.
//!
//! # Concurrent opening
//!
//! Two processes may open one fresh file at the same moment. The kind and version of a database are read in one transaction,
//! and again in the transaction that migrates it. A process that finds the database locked by another process waits.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::connect::{self, explain};
use super::open_error::{DatabaseKind, OpenError};
use super::place::Place;
use super::{pages, recovery};
use crate::audit::chain::ChainHead;
use crate::files::{self, FileId};
use crate::language::io_message;
use rust_i18n::t;

/// The migrations, each with the `user_version` that it leads to.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../../assets/migrations/0001-agenda.sql")),
    (2, include_str!("../../../assets/migrations/0002-historico.sql")),
    (3, include_str!("../../../assets/migrations/0003-limites.sql")),
    (4, include_str!("../../../assets/migrations/0004-autoria.sql")),
    (5, include_str!("../../../assets/migrations/0005-regras.sql")),
    (6, include_str!("../../../assets/migrations/0006-catalogo.sql")),
    (7, include_str!("../../../assets/migrations/0007-manutencao.sql")),
    (8, include_str!("../../../assets/migrations/0008-horas.sql")),
    (9, include_str!("../../../assets/migrations/0009-propostas.sql")),
    (10, include_str!("../../../assets/migrations/0010-alteracao.sql")),
    (12, include_str!("../../../assets/migrations/0012-respostas.sql")),
    (13, include_str!("../../../assets/migrations/0013-espera.sql")),
    (14, include_str!("../../../assets/migrations/0014-esperas-por-telescopio.sql")),
    (15, include_str!("../../../assets/migrations/0015-chaves-de-hora.sql")),
    (16, include_str!("../../../assets/migrations/0016-carimbo.sql")),
    (17, include_str!("../../../assets/migrations/0017-disputado.sql")),
    (18, include_str!("../../../assets/migrations/0018-politica.sql")),
    (19, include_str!("../../../assets/migrations/0019-manutencoes-retiradas.sql")),
    (20, include_str!("../../../assets/migrations/0020-abertura.sql")),
    (21, include_str!("../../../assets/migrations/0021-trilha-e-tokens.sql")),
    (22, include_str!("../../../assets/migrations/0022-indice-do-cientista.sql")),
];
pub(super) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// How long opening is tried again while another process creates, opens, closes or writes to the database. Not every SQLite
/// call waits by itself, and a scheduler that is paused inside a transaction holds its lock until it resumes.
const OPEN_PATIENCE: Duration = Duration::from_secs(20);
/// How long opening is tried again after an access error. Such an error may pass, but mostly it stays.
const FAULT_PATIENCE: Duration = Duration::from_millis(500);
/// The pause between two tries.
const OPEN_PAUSE: Duration = Duration::from_millis(10);

impl DatabaseKind {
    /// SQLite's `application_id`, which distinguishes the two kinds of agenda: "SCTA" and "SCTR".
    const fn application_id(self) -> i64 {
        match self {
            Self::Agenda => 0x5343_5441,
            Self::Race => 0x5343_5452,
        }
    }

    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Agenda => "an sctec agenda",
            Self::Race => "an sctec database of the race demonstration (--no-lock)",
        }
    }
}

/// Opens the writing connection, migrates the database to this version, and notes the identity of its files.
pub fn open_for_writing(path: &Path, kind: DatabaseKind) -> Result<(Connection, Place), OpenError> {
    let begun = Instant::now();
    loop {
        let (error, patience) = match try_to_open(path, kind) {
            Ok(opened) => return Ok(opened),
            Err(error @ OpenError::Locked { .. }) => (error, OPEN_PATIENCE),
            Err(error @ OpenError::Access { .. }) => (error, FAULT_PATIENCE),
            Err(error) => return Err(error),
        };
        if begun.elapsed() >= patience {
            return Err(error);
        }
        std::thread::sleep(OPEN_PAUSE);
    }
}

fn try_to_open(path: &Path, kind: DatabaseKind) -> Result<(Connection, Place), OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let access = |error: std::io::Error| OpenError::Access { path: path.to_owned(), reason: io_message(&error) };
    // The log is checked first: a database that another process is creating has pages before it has a log.
    let had_log = recovery::has_log(path);
    if had_log && std::fs::metadata(path).map_or(0, |metadata| metadata.len()) == 0 {
        // SQLite would delete the log of an empty database.
        return Err(OpenError::LogAlone { path: path.to_owned() });
    }
    let mut connection = connect::open_or_create(path).map_err(explain)?;
    let opened = FileId::at(path).map_err(access)?;
    // The log is kept until it is known to fit the database. Closing would fold the log into the database, and could turn
    // two good files into one damaged file.
    connect::keep_log(&connection, true).map_err(explain)?;
    let checked = check_identity(&mut connection, path, kind).and_then(|()| {
        let found = if had_log { recovery::contradiction(&connection).map_err(explain)? } else { None };
        found.map_or(Ok(()), |reason| Err(OpenError::Damaged { path: path.to_owned(), reason }))
    });
    checked.map_err(|error| match error {
        OpenError::Damaged { path, reason } if had_log => OpenError::Mixed { path, reason },
        error => error,
    })?;
    connect::set_up_writer(&connection).map_err(explain)?;
    migrate(&mut connection, path, kind)?;
    write_ahead(&connection, path)?;
    pages::look_at_ends(&connection).map_err(explain)?;
    connect::keep_log(&connection, false).map_err(explain)?;
    connect::pause_shortly(&mut connection).map_err(explain)?;
    let place = Place::of(path, opened).map_err(access)?;
    // `path` may be a link to another folder; SQLite's files are in that folder.
    std::fs::canonicalize(path).and_then(|real| files::sync_parent(&real)).map_err(access)?;
    Ok((connection, place))
}

/// Refuses a database of another program, of the other mode or of a newer version, before anything is written to it.
fn check_identity(connection: &mut Connection, path: &Path, kind: DatabaseKind) -> Result<(), OpenError> {
    // One transaction: another process may be migrating it.
    let tx = connection.transaction().map_err(|error| explain(path, &error))?;
    identify(&tx, path, kind).map(drop)
}

/// The database's version, if the database is one of ours; 0 means that it is still empty.
pub(super) fn identify(connection: &Connection, path: &Path, kind: DatabaseKind) -> Result<i64, OpenError> {
    let number =
        |sql: &str| connection.query_row(sql, (), |row| row.get::<_, i64>(0)).map_err(|error| explain(path, &error));
    let application_id = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_master")?;
    let is_empty = tables == 0 && version == 0;
    let is_ours = application_id == kind.application_id();
    if is_empty && (is_ours || application_id == 0) {
        return Ok(0);
    }
    if is_ours && version > NEWEST {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, known: NEWEST });
    }
    if is_ours && version >= 1 {
        return Ok(version);
    }
    let ours = number(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('agendamentos', 'horarios', 'trilha')",
    )?;
    // The error for a database of the other mode names that mode.
    if ours == 3 && (is_ours || application_id == 0) {
        return Err(OpenError::Unmarked {
            path: path.to_owned(),
            application_id: kind.application_id(),
            known: NEWEST,
        });
    }
    Err(OpenError::Foreign { path: path.to_owned(), expected: kind.description() })
}

fn migrate(connection: &mut Connection, path: &Path, kind: DatabaseKind) -> Result<(), OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
    let version = identify(&tx, path, kind)?;
    let missing = || MIGRATIONS.iter().filter(|(leads_to, _)| version < *leads_to);
    for (_, migration) in missing() {
        tx.execute_batch(migration).map_err(explain)?;
    }
    if version == 0 {
        tx.pragma_update(None, "application_id", kind.application_id()).map_err(explain)?;
        begin_trail(&tx).map_err(explain)?;
    }
    if missing().next().is_some() {
        tx.pragma_update(None, "user_version", NEWEST).map_err(explain)?;
    }
    tx.commit().map_err(explain)
}

/// Switches to a write-ahead log. SQLite creates the log at the first read after that.
fn write_ahead(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let explain = |error: rusqlite::Error| explain(path, &error);
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(explain)?;
    if mode != "wal" {
        let reason = t!("it cannot have a write-ahead log there (journal_mode is %{mode})", mode = mode).into_owned();
        return Err(OpenError::Access { path: path.to_owned(), reason });
    }
    connection.query_row("SELECT count(*) FROM trilha", (), |_| Ok(())).map_err(explain)
}

/// Gives the trail its random identity, with which its hash chain begins.
fn begin_trail(connection: &Connection) -> rusqlite::Result<()> {
    let identity: String = connection.query_row("SELECT lower(hex(randomblob(16)))", (), |row| row.get(0))?;
    let head = ChainHead::genesis(&identity);
    connection.execute(
        "INSERT INTO trilha (id, identidade, seq, hash, exportado) VALUES (1, ?1, 0, ?2, 0)",
        (identity, head.hash),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

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
            let (connection, _) = open_for_writing(&path, DatabaseKind::Agenda).unwrap();
            let name: String =
                connection.query_row("SELECT nome FROM cientistas WHERE id = 7", (), |row| row.get(0)).unwrap();
            assert_eq!(name, "Marie Curie");
        }
    }

    #[test]
    fn the_race_cannot_open_the_agenda_nor_the_agenda_the_race() {
        for (first, second) in [(DatabaseKind::Agenda, DatabaseKind::Race), (DatabaseKind::Race, DatabaseKind::Agenda)]
        {
            let (_folder, path) = file();
            drop(open_for_writing(&path, first).unwrap());
            assert!(matches!(open_for_writing(&path, second), Err(OpenError::Foreign { .. })));
        }
    }

    #[test]
    fn a_newer_or_foreign_or_damaged_database_is_refused() {
        let (_folder, path) = file();
        let (connection, _) = open_for_writing(&path, DatabaseKind::Agenda).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        drop(connection);
        assert!(matches!(open_for_writing(&path, DatabaseKind::Agenda), Err(OpenError::Newer { found: 999, .. })));

        let (_folder, path) = file();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE outra (x)").unwrap();
        assert!(matches!(open_for_writing(&path, DatabaseKind::Agenda), Err(OpenError::Foreign { .. })));

        let (_folder, path) = file();
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        assert!(matches!(open_for_writing(&path, DatabaseKind::Agenda), Err(OpenError::Damaged { .. })));
    }

    #[test]
    fn an_unfinished_or_dumped_database_of_ours_is_not_called_foreign() {
        // Empty, or with its first page only: a crash during the creation of a database leaves this.
        for first_page_only in [false, true] {
            let (_folder, path) = file();
            std::fs::write(&path, "").unwrap();
            if first_page_only {
                let connection = Connection::open(&path).unwrap();
                connection.pragma_update(None, "journal_mode", "WAL").unwrap();
            }
            open_for_writing(&path, DatabaseKind::Agenda).unwrap();
        }
        // A copy made from the text of `.dump` has our tables, but not our `application_id` and `user_version`.
        let (_folder, path) = file();
        let (connection, _) = open_for_writing(&path, DatabaseKind::Agenda).unwrap();
        connection.execute_batch("PRAGMA application_id = 0; PRAGMA user_version = 0").unwrap();
        drop(connection);
        let error = open_for_writing(&path, DatabaseKind::Agenda).unwrap_err();
        assert!(matches!(error, OpenError::Unmarked { .. }), "{error}");
    }

    #[test]
    fn a_log_without_its_database_is_kept() {
        let (folder, path) = file();
        let (connection, _) = open_for_writing(&path, DatabaseKind::Agenda).unwrap();
        connection.execute("UPDATE trilha SET exportado = 7", ()).unwrap();
        let crashed = folder.path().join("crashed");
        std::fs::create_dir(&crashed).unwrap();
        let (path, log) = (crashed.join("sctec.db"), crashed.join("sctec.db-wal"));
        std::fs::copy(folder.path().join("sctec.db-wal"), &log).unwrap();
        let length = std::fs::metadata(&log).unwrap().len();
        for empty in [false, true] {
            if empty {
                std::fs::write(&path, "").unwrap();
            }
            assert!(matches!(open_for_writing(&path, DatabaseKind::Agenda), Err(OpenError::LogAlone { .. })));
            assert_eq!(std::fs::metadata(&log).unwrap().len(), length);
        }
    }
}
