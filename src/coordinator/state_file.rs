//! What outlives a crash: the tokens' limit and the longest TTL, in `coordenador.json`.
//!
//! A limit is durable before any token up to it is given, in blocks; a start begins at the limit. So no token is given
//! twice whatever happens, and a million tokens cost one fsync. The counter is never seeded from a clock.
//!
//! Leases themselves are in memory. After a stop of any kind someone may still believe in one. For how long is durable:
//! before a TTL is given, that TTL, for a crash; at a clean stop, the longest life that remains of a live lease. The next
//! start counts it from its own beginning, however much time has passed: no clock tells that surely.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hold::Hold;
use super::protocol::{TOKEN_MAX, TTL_MS_MAX};
use crate::data_dir::DataDirError;
use crate::files::sync_parent;
use crate::time::millis;

/// Tokens that one write makes available.
pub const BLOCK: u64 = 1 << 20;
/// The file's format. The first one had neither a TTL nor a sum, and is still read.
const FORMAT: u32 = 2;
/// The TTLs that are written, in seconds: in steps, so that few requests need a write.
const TTL_STEPS_S: [u64; 9] = [1, 2, 5, 10, 20, 30, 60, 120, 300];

/// The state file, held by this process alone.
pub struct StateFile {
    path: PathBuf,
    token_limit: u64,
    longest_ttl: Duration,
    /// Says that this process is the folder's coordinator.
    hold: Arc<Hold>,
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

/// Tells a file that was damaged from one that was written.
fn sum(token_limit: u64, ttl_ms: u64) -> String {
    base16ct::lower::encode_string(&Sha256::digest(format!("{FORMAT} {token_limit} {ttl_ms}")))
}

/// The step that a TTL is covered by.
pub fn ttl_step(ttl: Duration) -> Duration {
    if ttl.is_zero() {
        return ttl;
    }
    let step = TTL_STEPS_S.into_iter().map(Duration::from_secs).find(|step| *step >= ttl);
    step.unwrap_or(Duration::from_millis(TTL_MS_MAX))
}

impl StateFile {
    /// Takes the folder and reads the state; zeros where there is no file yet.
    ///
    /// # Errors
    /// When another coordinator has the folder, or the file cannot be read or is damaged.
    pub fn open(data_dir: &Path) -> Result<Self, DataDirError> {
        let path = data_dir.join("coordenador.json");
        let hold = Arc::new(Hold::take(data_dir, &path)?);
        let access = |path: &Path, error: &io::Error| DataDirError::access(path, error);
        let (token_limit, longest_ttl) = match std::fs::read(&path) {
            Ok(bytes) => read_state(&bytes).map_err(|reason| DataDirError::Damaged { path: path.clone(), reason })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (0, Duration::ZERO),
            Err(error) => return Err(access(&path, &error)),
        };
        Ok(Self { path, token_limit, longest_ttl, hold })
    }

    /// What says that this process is the folder's coordinator.
    pub fn hold(&self) -> Arc<Hold> {
        Arc::clone(&self.hold)
    }

    /// Puts the state file back as it was written, if somebody took it away.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_back(&mut self) -> io::Result<()> {
        if self.hold.has_state() { Ok(()) } else { self.write(self.token_limit, self.longest_ttl) }
    }

    /// The durable limit of the tokens.
    pub fn token_limit(&self) -> u64 {
        self.token_limit
    }

    /// The longest TTL that is durable: how long after this start someone may still believe in a lease of before.
    pub fn longest_ttl(&self) -> Duration {
        self.longest_ttl
    }

    /// Why a service cannot start when the first reservation failed.
    pub fn start_error(&self, error: &io::Error) -> DataDirError {
        if self.token_limit + 1 >= TOKEN_MAX {
            return DataDirError::TokensUsedUp { path: self.path.clone() };
        }
        DataDirError::access(&self.path, error)
    }

    /// Makes a limit of at least `needed`, and a block beyond, durable. Gives the new limit.
    ///
    /// # Errors
    /// When it cannot be written, or the tokens are used up.
    pub fn reserve_tokens(&mut self, needed: u64) -> io::Result<u64> {
        if needed >= TOKEN_MAX {
            return Err(io::Error::other("os tokens abaixo de 2^53 acabaram"));
        }
        if needed + BLOCK / 2 > self.token_limit {
            self.write((needed + BLOCK).min(TOKEN_MAX - 1), self.longest_ttl)?;
        }
        Ok(self.token_limit)
    }

    /// Makes a TTL of at least `ttl` durable. Gives the longest that is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn reserve_ttl(&mut self, ttl: Duration) -> io::Result<Duration> {
        if ttl > self.longest_ttl {
            self.write(self.token_limit, ttl_step(ttl))?;
        }
        Ok(self.longest_ttl)
    }

    /// Notes that no lease lives longer than `ttl` any more, rounded up to what the file can hold.
    ///
    /// # Errors
    /// When it cannot be written: the longer one stays.
    pub fn lower_ttl(&mut self, ttl: Duration) -> io::Result<()> {
        let ttl = Duration::from_millis(u64::try_from(ttl.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
        if ttl < self.longest_ttl || !self.hold.has_state() {
            return self.write(self.token_limit, ttl.min(self.longest_ttl));
        }
        Ok(())
    }

    /// Written aside, made durable, and only then put in place: after a crash there is the old state or the new one.
    fn write(&mut self, token_limit: u64, longest_ttl: Duration) -> io::Result<()> {
        if let Some(reason) = self.hold.lost() {
            return Err(io::Error::other(reason));
        }
        let state = State::new(token_limit, longest_ttl);
        let temporary = self.path.with_extension("json.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(serde_json::to_string(&state)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        self.hold.wrote(&file);
        std::fs::rename(&temporary, &self.path)?;
        // From here on a crash may find either state: what may be given is what both allow.
        self.longest_ttl = self.longest_ttl.min(longest_ttl);
        sync_parent(&self.path)?;
        (self.token_limit, self.longest_ttl) = (token_limit, longest_ttl);
        Ok(())
    }
}

fn read_state(bytes: &[u8]) -> Result<(u64, Duration), String> {
    let state: State = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if state.limite_token >= TOKEN_MAX {
        return Err(format!("the token limit {} is not below 2^53", state.limite_token));
    }
    match (state.formato, state.ttl_maximo_ms, state.soma) {
        (1, None, None) => Ok((state.limite_token, Duration::ZERO)),
        (FORMAT, Some(ttl_ms), Some(soma)) => {
            if soma != sum(state.limite_token, ttl_ms) {
                return Err("its sum does not match".to_owned());
            }
            Ok((state.limite_token, Duration::from_millis(ttl_ms)))
        }
        (1 | FORMAT, _, _) => Err("fields are missing, or are not of its format".to_owned()),
        (other, _, _) => Err(format!("format {other} is none of 1 and {FORMAT}")),
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
    fn ttls_are_covered_by_steps() {
        for (ttl_ms, step_ms) in [(0, 0), (1, 1000), (1000, 1000), (1001, 2000), (299_999, 300_000), (300_000, 300_000)]
        {
            assert_eq!(ttl_step(Duration::from_millis(ttl_ms)), Duration::from_millis(step_ms));
        }
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
