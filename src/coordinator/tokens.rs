//! The tokens' limit on disk, so that tokens grow across any crash.
//!
//! A limit is durable before any token up to it is given, in blocks; a start begins at the limit. So no token is given
//! twice whatever happens, and a million tokens cost one fsync. The counter is never seeded from a clock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::protocol::TOKEN_MAX;
use crate::data_dir::DataDirError;

/// Tokens that one write makes available.
pub const BLOCK: u64 = 1 << 20;
/// The file's format, for later versions.
const FORMAT: u32 = 1;

/// The state file, held by this process alone.
pub struct TokenFile {
    path: PathBuf,
    limit: u64,
    /// Says that this process is the folder's coordinator, for as long as it is open.
    _lock: File,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    formato: u32,
    limite_token: u64,
}

impl TokenFile {
    /// Takes the folder and reads the limit; 0 where there is no file yet.
    ///
    /// # Errors
    /// When another coordinator has the folder, or the file cannot be read or is damaged.
    pub fn open(data_dir: &Path) -> Result<Self, DataDirError> {
        let lock_path = data_dir.join("coordenador.lock");
        let access = |path: &Path, error: &io::Error| DataDirError::access(path, error);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| access(&lock_path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse { path: data_dir.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(access(&lock_path, &error)),
        }
        let path = data_dir.join("coordenador.json");
        let limit = match std::fs::read(&path) {
            Ok(bytes) => read_limit(&bytes).map_err(|reason| DataDirError::Damaged { path: path.clone(), reason })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(access(&path, &error)),
        };
        Ok(Self { path, limit, _lock: lock })
    }

    /// The durable limit.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Why a service cannot start when the first reservation failed.
    pub fn start_error(&self, error: &io::Error) -> DataDirError {
        if self.limit + 1 >= TOKEN_MAX {
            return DataDirError::TokensUsedUp { path: self.path.clone() };
        }
        DataDirError::access(&self.path, error)
    }

    /// Makes a limit of at least `needed`, and a block beyond, durable. Gives the new limit.
    ///
    /// # Errors
    /// When it cannot be written, or the tokens are used up.
    pub fn reserve(&mut self, needed: u64) -> io::Result<u64> {
        if needed >= TOKEN_MAX {
            return Err(io::Error::other("the tokens below 2^53 are used up"));
        }
        if needed + BLOCK / 2 <= self.limit {
            return Ok(self.limit);
        }
        let limit = (needed + BLOCK).min(TOKEN_MAX - 1);
        let state = State { formato: FORMAT, limite_token: limit };
        let temporary = self.path.with_extension("json.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(serde_json::to_string(&state)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)?;
        if let Some(folder) = self.path.parent() {
            // An empty parent is the working folder.
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        self.limit = limit;
        Ok(limit)
    }
}

fn read_limit(bytes: &[u8]) -> Result<u64, String> {
    let state: State = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if state.formato != FORMAT {
        return Err(format!("format {} is not {FORMAT}", state.formato));
    }
    if state.limite_token >= TOKEN_MAX {
        return Err(format!("the token limit {} is not below 2^53", state.limite_token));
    }
    Ok(state.limite_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_begins_where_the_last_one_could_have_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut tokens = TokenFile::open(folder.path()).unwrap();
        assert_eq!(tokens.limit(), 0);
        let limit = tokens.reserve(1).unwrap();
        assert_eq!(limit, BLOCK + 1);
        drop(tokens);
        assert_eq!(TokenFile::open(folder.path()).unwrap().limit(), limit);
    }

    #[test]
    fn a_damaged_file_is_refused_and_a_folder_has_one_coordinator() {
        let folder = tempfile::tempdir().unwrap();
        let first = TokenFile::open(folder.path()).unwrap();
        assert!(matches!(TokenFile::open(folder.path()), Err(DataDirError::InUse { .. })));
        drop(first);
        for damage in [
            "",
            "{}",
            "{\"formato\":1,\"limite_token\":-1}",
            "{\"formato\":2,\"limite_token\":1}",
            "{\"formato\":1,\"limi",
        ] {
            std::fs::write(folder.path().join("coordenador.json"), damage).unwrap();
            assert!(matches!(TokenFile::open(folder.path()), Err(DataDirError::Damaged { .. })), "{damage}");
        }
    }
}
