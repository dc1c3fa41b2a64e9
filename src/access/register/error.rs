//! Why the register cannot be used. A person at the command line reads it, or an operator in the log.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rust_i18n::t;

use super::credential::Credential;

/// Why the register cannot be used, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegisterError {
    /// The system or SQLite refuses.
    #[error("{}", t!("cannot use %{path}: %{reason}; check its owner, its permissions and the free space", path = path.display(), reason = reason))]
    Access {
        /// The file.
        path: PathBuf,
        /// What is said.
        reason: String,
    },
    /// The tables that schedulers share cannot be used.
    #[error("{}", t!("cannot use the register of tokens in %{at}: %{reason}", at = at, reason = reason))]
    Shared {
        /// The database.
        at: String,
        /// What is said.
        reason: String,
    },
    /// Another process writes to it, and has not stopped in time.
    #[error("{}", t!("%{path} is being written by another process; try again", path = path.display()))]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It is another database.
    #[error("{}", t!("%{path} is not a register of tokens; move it away", path = path.display()))]
    OtherFile {
        /// The file.
        path: PathBuf,
    },
    /// A newer version made it.
    #[error("{}", t!("%{path} was made by a newer version of sctec; use that version", path = path.display()))]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// Its content is damaged.
    #[error("{}", t!("%{path} is damaged (%{reason}); restore it from a backup, or move it away and make new tokens", path = path.display(), reason = reason))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The name belongs to a principal with other roles.
    #[error("{}", t!("%{name} is a principal with other rights (%{roles}), and has a valid token; give the same ones, choose another name, or revoke its tokens first", name = name, roles = roles))]
    OtherPrincipal {
        /// The name.
        name: String,
        /// The roles that it has.
        roles: String,
    },
    /// The system gives no random bytes.
    #[error("{}", t!("the system gives no random bytes: %{reason}", reason = reason))]
    Random {
        /// What it says.
        reason: String,
    },
}

impl RegisterError {
    /// The name is that of another principal.
    pub fn other_principal(other: &Credential) -> Self {
        Self::OtherPrincipal { name: other.principal.name.to_string(), roles: other.principal.roles.to_string() }
    }

    /// SQLite's error about the file at `path`.
    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let damaged = matches!(error, rusqlite::Error::FromSqlConversionFailure(..));
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::NotADatabase) => Self::OtherFile { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, reason: error.to_string() },
            _ if damaged => Self::Damaged { path, reason: error.to_string() },
            _ => Self::Access { path, reason: error.to_string() },
        }
    }
}
