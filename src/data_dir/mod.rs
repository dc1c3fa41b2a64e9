//! The data folder: it is made, or found to be its user's alone; the log in it is opened; and each error says what to do.

mod error;
mod privacy;

use std::io;
use std::path::Path;

pub use self::error::DataDirError;
pub use self::privacy::Found;
use crate::files::{create_folder, sync_parent};
use crate::logging::{Config, Logs};

/// The agenda's database in the data folder.
pub const DATABASE_FILE: &str = "sctec.db";
/// The register of tokens in the data folder.
pub const REGISTER_FILE: &str = "acesso.db";
/// The scheduler's log in the data folder.
pub const SCHEDULER_LOG: &str = "app.log";
/// The coordinator's log in the data folder.
pub const COORDINATOR_LOG: &str = "coordenador.log";
/// The race demonstration's database.
pub const RACE_DATABASE_FILE: &str = "corrida.db";

/// Makes the folder and the missing folders above it, each for this user alone, and checks that nobody else can write to it. The name
/// of each is durable before this returns.
///
/// # Errors
/// When it cannot be used, or is not this user's alone.
pub fn prepare(path: &Path) -> Result<Found, DataDirError> {
    create(path)?;
    privacy::check(path)
}

fn create(path: &Path) -> Result<(), DataDirError> {
    make_folders(path).map_err(|error| {
        let file = path.ancestors().find(|above| above.is_file());
        file.map_or_else(
            || DataDirError::access(path, &error),
            |file| DataDirError::NotAFolder { path: file.to_owned() },
        )
    })
}

fn make_folders(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !leads_to_a_folder(folder)).collect();
    for folder in missing.into_iter().rev() {
        match create_folder(folder) {
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
