//! The data folder: making it, and opening the log inside it, with errors that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::logging::{Config, Logs};

/// The agenda's database in the data folder.
pub const DATABASE_FILE: &str = "sctec.db";
/// The same of the race demonstration.
pub const RACE_DATABASE_FILE: &str = "corrida.db";

/// The data folder, or a file of a service's in it, cannot be used. Shown by the command line, hence in English.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system refuses.
    #[error("cannot write {}: {reason}; check the folder's permissions and free space, or choose another with --data-dir", path.display())]
    Access {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another process of the same service has it.
    #[error("{} is in use by another coordinator; stop that one, or choose another folder with --data-dir", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Every number below 2^53 has been given.
    #[error("the fencing tokens of {} are used up; move it away, and start with a new agenda", path.display())]
    TokensUsedUp {
        /// The state file.
        path: PathBuf,
    },
    /// A state file that says nothing sensible.
    #[error("{} is damaged ({reason}); restore it from a backup, or move it away: clients then lift the token counter by token_minimo", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl DataDirError {
    /// The system's refusal of `path`.
    pub fn access(path: &Path, error: &io::Error) -> Self {
        Self::Access { path: path.to_owned(), reason: error.to_string() }
    }
}

/// Makes the folder if it is not there.
///
/// # Errors
/// [`DataDirError::Access`].
pub fn create(path: &Path) -> Result<(), DataDirError> {
    std::fs::create_dir_all(path).map_err(|error| DataDirError::access(path, &error))
}

/// Opens a service's log.
///
/// # Errors
/// [`DataDirError::Access`].
pub fn open_log(service: &'static str, file: &Path, config: &Config) -> Result<Logs, DataDirError> {
    Logs::open(service, file, config).map_err(|error| DataDirError::access(file, &error))
}
