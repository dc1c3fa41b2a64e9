//! Why a database could not be opened.

use std::path::{Path, PathBuf};

use rust_i18n::t;

use crate::language::translation;
pub use crate::store::kind::DatabaseKind;

/// A database could not be opened. Only a person at the command line reads it, at the start, so it is in the language of the
/// process; it says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder cannot be used.
    #[error("{}", t!("cannot open %{path}: %{reason}; check that the folder exists and that you may write there, or choose another data folder (on the command line: --data-dir)", path = path.display(), reason = reason))]
    Access {
        /// The database.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another process is writing to it and does not end.
    #[error("{}", t!("%{path} is locked by another program, or by a scheduler that is paused; end it or let it go on, then start again", path = path.display()))]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// Not a database, or its pages contradict each other.
    #[error("{}", t!("%{path} is damaged (%{reason}); restore it from a backup, or move it away to start with an empty agenda", path = path.display(), reason = reason))]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// The SQLite in this executable is known to damage databases.
    #[error("{}", t!("this sctec was built with SQLite %{found}, which can damage a database; build it with %{oldest} or newer", found = found, oldest = oldest))]
    OldSqlite {
        /// Its version.
        found: String,
        /// The oldest that is safe.
        oldest: &'static str,
    },
    /// It and the write-ahead log beside it contradict each other. Neither was touched.
    #[error("{}", t!("%{path} and the %{name}-wal beside it contradict each other (%{reason}): an older copy was put back, or the log belongs to another database; move %{name}-wal and %{name}-shm to another folder and keep them, then start again: the copy is used as it was", path = path.display(), name = name_of(path), reason = reason))]
    Mixed {
        /// The database.
        path: PathBuf,
        /// What contradicts the rest.
        reason: String,
    },
    /// There is a write-ahead log, and no database that it belongs to: opening would delete it.
    #[error("{}", t!("%{path} is not there or is empty, and the %{name}-wal beside it has records of one; put the database back, or move %{name}-wal and %{name}-shm to another folder and keep them, then start again", path = path.display(), name = name_of(path)))]
    LogAlone {
        /// The database.
        path: PathBuf,
    },
    /// It has an agenda's tables, but not its two marks.
    #[error("{}", t!("%{path} has an agenda's tables, but not its two marks, like a copy made with .dump; set them with sqlite3: PRAGMA application_id = %{application_id}; PRAGMA user_version = N, where N is the schema it was copied from (up to %{known})", path = path.display(), application_id = application_id, known = known))]
    Unmarked {
        /// The database.
        path: PathBuf,
        /// The first mark.
        application_id: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// Written by a newer sctec.
    #[error("{}", t!("%{path} was written by a newer sctec (schema %{found}, this one knows up to %{known}); use that version", path = path.display(), found = found, known = known))]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// A database of another program, or of the other mode.
    #[error("{}", t!("%{path} is not %{expected}; choose another data folder (on the command line: --data-dir)", path = path.display(), expected = translation(expected).unwrap_or_else(|| (*expected).into())))]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
    },
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().display().to_string()
}
