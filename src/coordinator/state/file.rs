//! The durable limits in `coordenador.json`, in the data folder.
//!
//! A block of a million tokens costs one fsync. Leases themselves are in memory, so after a stop of any kind a holder may still act
//! under one. How long that can be is in the file: while the service runs, the longest TTL that may be given; after a clean
//! stop, the longest life that remains of a live lease. The next start counts it from its own beginning, since no clock tells
//! surely how long the stop was.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hold::FolderHold;
use super::{BLOCK, DurableState, Hold, StateError, ttl_step};
use crate::coordinator::protocol::TOKEN_MAX;
use crate::data_dir::DataDirError;
use crate::files::{create_anew, private_no_link, sync_parent};
use crate::language::system_message;
use crate::time::millis;
use rust_i18n::t;

/// The file's format. The first one had neither a TTL nor a sum, and is still read.
const FORMAT: u32 = 2;

/// The file's name in the data folder.
const NAME: &str = "coordenador.json";

/// The state file, held by this process alone.
pub struct StateFile {
    path: PathBuf,
    token_limit: u64,
    longest_ttl: Duration,
    hold: Arc<FolderHold>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    formato: u32,
    limite_token: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_maximo_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soma: Option<String>,
}

impl State {
    fn new(token_limit: u64, longest_ttl: Duration) -> Self {
        let (limite_token, ttl_ms) = (token_limit, millis(longest_ttl));
        let soma = Some(sum(limite_token, ttl_ms));
        Self { formato: FORMAT, limite_token, ttl_maximo_ms: Some(ttl_ms), soma }
    }
}

/// The checksum that tells a damaged file from a whole one.
fn sum(token_limit: u64, ttl_ms: u64) -> String {
    base16ct::lower::encode_string(&Sha256::digest(format!("{FORMAT} {token_limit} {ttl_ms}")))
}

impl StateFile {
    /// Takes the folder and reads the state; zeros where there is no file yet.
    ///
    /// # Errors
    /// When another coordinator has the folder, or the file cannot be read or is damaged.
    pub fn open(data_dir: &Path) -> Result<Self, DataDirError> {
        let path = data_dir.join(NAME);
        let hold = Arc::new(FolderHold::take(data_dir, &path)?);
        let access = |path: &Path, error: &io::Error| DataDirError::access(path, error);
        let (token_limit, longest_ttl) = match read(&path) {
            Ok(bytes) => read_state(&bytes).map_err(|reason| DataDirError::Damaged { path: path.clone(), reason })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (0, Duration::ZERO),
            Err(error) => return Err(access(&path, &error)),
        };
        Ok(Self { path, token_limit, longest_ttl, hold })
    }

    /// Written aside, made durable, and only then put in place: after a crash there is the old state or the new one.
    fn write(&mut self, token_limit: u64, longest_ttl: Duration) -> Result<(), StateError> {
        if let Some(reason) = self.hold.lost() {
            return Err(StateError::NotHeld(reason));
        }
        self.replace(token_limit, longest_ttl).map_err(|error| StateError::NotWritten(error.to_string()))
    }

    fn replace(&mut self, token_limit: u64, longest_ttl: Duration) -> io::Result<()> {
        let state = State::new(token_limit, longest_ttl);
        let temporary = self.path.with_extension("json.tmp");
        let mut file = create_anew(&temporary)?;
        file.write_all(serde_json::to_string(&state)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        self.hold.wrote(&file);
        std::fs::rename(&temporary, &self.path)?;
        // From here on a crash may leave either state: only what both allow may be given.
        self.longest_ttl = self.longest_ttl.min(longest_ttl);
        sync_parent(&self.path)?;
        (self.token_limit, self.longest_ttl) = (token_limit, longest_ttl);
        Ok(())
    }
}

impl DurableState for StateFile {
    fn token_limit(&self) -> u64 {
        self.token_limit
    }

    fn longest_ttl(&self) -> Duration {
        self.longest_ttl
    }

    fn reserve_tokens(&mut self, needed: u64) -> Result<u64, StateError> {
        if needed >= TOKEN_MAX {
            return Err(StateError::TokensUsedUp);
        }
        if needed + BLOCK / 2 > self.token_limit {
            self.write((needed + BLOCK).min(TOKEN_MAX - 1), self.longest_ttl)?;
        }
        Ok(self.token_limit)
    }

    fn reserve_ttl(&mut self, ttl: Duration) -> Result<Duration, StateError> {
        if ttl > self.longest_ttl {
            self.write(self.token_limit, ttl_step(ttl))?;
        }
        Ok(self.longest_ttl)
    }

    /// Rounds up to whole milliseconds: the file has no less.
    fn lower_ttl(&mut self, ttl: Duration) -> Result<(), StateError> {
        let ttl = Duration::from_millis(u64::try_from(ttl.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
        if ttl < self.longest_ttl || !self.hold.has_state() {
            return self.write(self.token_limit, ttl.min(self.longest_ttl));
        }
        Ok(())
    }

    fn put_back(&mut self) -> Result<(), StateError> {
        if self.hold.has_state() { Ok(()) } else { self.write(self.token_limit, self.longest_ttl) }
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

fn read_state(bytes: &[u8]) -> Result<(u64, Duration), String> {
    let state: State = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if state.limite_token >= TOKEN_MAX {
        return Err(t!("the token limit %{limit} is not below 2^53", limit = state.limite_token).into_owned());
    }
    match (state.formato, state.ttl_maximo_ms, state.soma) {
        (1, None, None) => Ok((state.limite_token, Duration::ZERO)),
        (FORMAT, Some(ttl_ms), Some(soma)) => {
            if soma != sum(state.limite_token, ttl_ms) {
                return Err(t!("its sum does not match").into_owned());
            }
            Ok((state.limite_token, Duration::from_millis(ttl_ms)))
        }
        (1 | FORMAT, _, _) => Err(t!("fields are missing, or are not of its format").into_owned()),
        (other, _, _) => {
            Err(t!("format %{other} is none of 1 and %{known}", other = other, known = FORMAT).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_begins_where_the_last_one_could_have_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = StateFile::open(folder.path()).unwrap();
        assert_eq!((state.token_limit(), state.longest_ttl()), (0, Duration::ZERO));
        let limit = state.reserve_tokens(1).unwrap();
        assert_eq!(limit, BLOCK + 1);
        assert_eq!(state.reserve_ttl(Duration::from_millis(2500)).unwrap(), Duration::from_secs(5));
        drop(state);
        let mut state = StateFile::open(folder.path()).unwrap();
        assert_eq!((state.token_limit(), state.longest_ttl()), (limit, Duration::from_secs(5)));
        state.lower_ttl(Duration::ZERO).unwrap();
        drop(state);
        assert_eq!(StateFile::open(folder.path()).unwrap().longest_ttl(), Duration::ZERO);
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
