//! The data folder: it is made, the log in it is opened, and each error says what to do.

use std::io;
use std::path::{Path, PathBuf};

use rust_i18n::t;

use crate::files::sync_parent;
use crate::language::io_message;
use crate::logging::{Config, Logs};

/// The agenda's database in the data folder.
pub const DATABASE_FILE: &str = "sctec.db";
/// The scheduler's log in the data folder.
pub const SCHEDULER_LOG: &str = "app.log";
/// The coordinator's log in the data folder.
pub const COORDINATOR_LOG: &str = "coordenador.log";
/// The race demonstration's database.
pub const RACE_DATABASE_FILE: &str = "corrida.db";

/// Why the data folder or a file in it cannot be used. Only a person at the command line reads it, at the start of a service, so it is in the language of
/// the process.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system refuses.
    #[error("{}", t!("cannot write %{path}: %{reason}; check the folder's permissions and free space, or choose another data folder (on the command line: --data-dir)", path = path.display(), reason = reason))]
    Access {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A file stands where a folder should be.
    #[error("{}", t!("%{path} is a file, not a folder; choose another data folder (on the command line: --data-dir)", path = path.display()))]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// Another coordinator uses the folder.
    #[error("{}", t!("%{path} is in use by another coordinator; stop that one, or choose another data folder (on the command line: --data-dir)", path = path.display()))]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Every number below 2^53 has been given.
    #[error("{}", t!("the fencing tokens of %{path} are used up; move it away, and start with a new agenda", path = path.display()))]
    TokensUsedUp {
        /// The state file.
        path: PathBuf,
    },
    /// A state file whose content is wrong.
    #[error("{}", t!("%{path} is damaged (%{reason}); restore it from a backup, or move it away: the scheduler then raises the token counter again", path = path.display(), reason = reason))]
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
        Self::Access { path: path.to_owned(), reason: io_message(error) }
    }
}

/// Makes the folder and the missing folders above it. The name of each is durable before this returns.
///
/// # Errors
/// [`DataDirError::Access`], or [`DataDirError::NotAFolder`] when a file is in the way.
pub fn create(path: &Path) -> Result<(), DataDirError> {
    make_folders(path).map_err(|error| {
        let file = path.ancestors().find(|above| above.is_file());
        file.map_or_else(
            || DataDirError::access(path, &error),
            |file| DataDirError::NotAFolder { path: file.to_owned() },
        )
    })
}

/// The same for any folder.
///
/// # Errors
/// The system's.
pub fn make_folders(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !leads_to_a_folder(folder)).collect();
    for folder in missing.into_iter().rev() {
        match std::fs::create_dir(folder) {
            Ok(()) => {}
            // Another process was faster, and may not have made the name durable yet.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => return Err(error),
        }
        sync_parent(folder)?;
    }
    Ok(())
}

/// An empty path is the working folder.
fn leads_to_a_folder(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.is_dir()
}

/// Opens a service's log.
///
/// # Errors
/// [`DataDirError::Access`].
pub fn open_log(service: &'static str, file: &Path, config: &Config) -> Result<Logs, DataDirError> {
    Logs::open(service, file, config).map_err(|error| DataDirError::access(file, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_with_all_that_is_missing_above_them() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        for _ in 0..2 {
            create(&deep).unwrap();
            assert!(deep.is_dir());
        }
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(matches!(create(&folder.path().join("file/x")), Err(DataDirError::NotAFolder { .. })));
        assert!(matches!(create(&folder.path().join("file")), Err(DataDirError::NotAFolder { .. })));
    }

    #[test]
    fn two_that_make_the_same_folders_at_once_both_have_them() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let deep = folder.path().join("a/b/c/d");
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| create(&deep).unwrap());
                }
            });
        }
    }
}
