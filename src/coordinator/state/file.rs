//! The durable limits in `coordenador.json`, in the data folder.
//!
//! A block of a million tokens costs one fsync. Leases themselves are in memory, so after a stop of any kind a holder may still act
//! under one. How long that can be is in the file: while the service runs, the longest TTL that may be given; after a clean
//! stop, the longest life that remains of a live lease. The next start counts it from its own beginning, since no clock tells
//! surely how long the stop was.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::hold::FolderHold;
use super::{DurableState, Hold, Limits, StateError, text};
use crate::data_dir::DataDirError;
use crate::files::{create_anew, private_no_link, sync_parent};
use crate::language::system_message;

/// The file's name in the data folder.
const NAME: &str = "coordenador.json";

/// The state file, held by this process alone.
pub struct StateFile {
    path: PathBuf,
    limits: Limits,
    hold: Arc<FolderHold>,
}

impl StateFile {
    /// Takes the folder and reads the state; zeros where there is no file yet.
    ///
    /// # Errors
    /// When another coordinator has the folder, or the file cannot be read or is damaged.
    pub fn open(data_dir: &Path) -> Result<Self, DataDirError> {
        let path = data_dir.join(NAME);
        let hold = Arc::new(FolderHold::take(data_dir, &path)?);
        let limits = match read(&path) {
            Ok(bytes) => text::read(&bytes).map_err(|reason| DataDirError::Damaged { path: path.clone(), reason })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Limits::default(),
            Err(error) => return Err(DataDirError::access(&path, &error)),
        };
        Ok(Self { path, limits, hold })
    }

    /// Written aside, made durable, and only then put in place: after a crash there is the old state or the new one.
    fn replace(&mut self, limits: Limits) -> io::Result<()> {
        let temporary = self.path.with_extension("json.tmp");
        let mut file = create_anew(&temporary)?;
        file.write_all(text::written(limits).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        self.hold.wrote(&file);
        std::fs::rename(&temporary, &self.path)?;
        // From here on a crash may leave either state: only what both allow may be given.
        self.limits.longest_ttl = self.limits.longest_ttl.min(limits.longest_ttl);
        sync_parent(&self.path)?;
        self.limits = limits;
        Ok(())
    }
}

impl DurableState for StateFile {
    fn limits(&self) -> Limits {
        self.limits
    }

    fn write(&mut self, limits: Limits) -> Result<(), StateError> {
        if let Some(reason) = self.hold.lost() {
            return Err(StateError::NotHeld(reason));
        }
        self.replace(limits).map_err(|error| StateError::NotWritten(error.to_string()))
    }

    fn is_recorded(&self) -> bool {
        self.hold.has_state()
    }

    fn hold(&self) -> Arc<dyn Hold> {
        Arc::clone(&self.hold) as Arc<dyn Hold>
    }
}

/// Why a service on the folder cannot start: its first reservation failed.
pub fn start_error(data_dir: &Path, error: &StateError) -> DataDirError {
    let path = data_dir.join(NAME);
    match error {
        StateError::TokensUsedUp => DataDirError::TokensUsedUp { path },
        StateError::NotHeld(reason) | StateError::NotWritten(reason) => {
            DataDirError::Access { path, reason: system_message(reason) }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    private_no_link().read(true).open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::coordinator::state::BLOCK;

    #[test]
    fn a_start_begins_where_the_last_one_could_have_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = StateFile::open(folder.path()).unwrap();
        assert_eq!(state.limits(), Limits::default());
        let limit = state.reserve_tokens(1).unwrap();
        assert_eq!(limit, BLOCK + 1);
        assert_eq!(state.reserve_ttl(Duration::from_millis(2500)).unwrap(), Duration::from_secs(5));
        drop(state);
        let mut state = StateFile::open(folder.path()).unwrap();
        assert_eq!(state.limits(), Limits { token_limit: limit, longest_ttl: Duration::from_secs(5) });
        state.lower_ttl(Duration::ZERO).unwrap();
        drop(state);
        assert_eq!(StateFile::open(folder.path()).unwrap().limits().longest_ttl, Duration::ZERO);
    }

    #[test]
    fn a_folder_has_one_coordinator() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateFile::open(folder.path()).unwrap();
        assert!(matches!(StateFile::open(folder.path()), Err(DataDirError::InUse { .. })));
        drop(first);
        StateFile::open(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_that_was_taken_by_another_is_not_written_to_and_a_state_that_was_deleted_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, lock) = (folder.path().join("coordenador.json"), folder.path().join("coordenador.lock"));
        let mut state = StateFile::open(folder.path()).unwrap();
        state.reserve_tokens(1).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!state.hold().has_state());
        state.put_back().unwrap();
        assert!(state.hold().has_state() && std::fs::read(&path).unwrap() == whole);

        assert_eq!(state.hold().lost(), None);
        std::fs::remove_file(&lock).unwrap();
        assert!(state.hold().lost().is_some());
        let mut other = StateFile::open(folder.path()).unwrap();
        other.reserve_tokens(BLOCK + 2).unwrap();
        let others = std::fs::read(&path).unwrap();
        state.reserve_tokens(10 * BLOCK).unwrap_err();
        state.lower_ttl(Duration::ZERO).unwrap_err();
        assert!(std::fs::read(&path).unwrap() == others);
    }

    #[test]
    fn every_byte_that_is_flipped_and_every_cut_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coordenador.json");
        let mut state = StateFile::open(folder.path()).unwrap();
        state.reserve_tokens(7_000_000).unwrap();
        state.reserve_ttl(Duration::from_secs(10)).unwrap();
        drop(state);
        let whole = std::fs::read(&path).unwrap();
        let line = whole.len() - 1;
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            matches!(StateFile::open(folder.path()), Err(DataDirError::Damaged { .. }))
        };
        for index in 0..line {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[index] ^= 1 << bit;
                assert!(refused(&damaged), "byte {index}, bit {bit}: {}", String::from_utf8_lossy(&damaged));
            }
            assert!(refused(&whole[..index]), "cut at {index}");
        }
        for damage in ["{}", "{\"formato\":1,\"limite_token\":-1}", "{\"formato\":3,\"limite_token\":1}"] {
            assert!(refused(damage.as_bytes()), "{damage}");
        }
        assert!(!refused(b"{\"formato\":1,\"limite_token\":5}"), "what the first version wrote is read");
    }
}
