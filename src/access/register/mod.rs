//! The register of a service that asks who its callers are: the credentials of `acesso.db`, in memory.
//!
//! A request is identified in memory alone. A thread looks every [`LOOK_EVERY`] whether another process has changed the file, so a
//! token that is revoked at one scheduler, or on the command line, ends at every one. If the file cannot be read for
//! [`TRUSTED_FOR`], nobody is identified: a revocation could be in it.

pub mod credential;
mod error;
pub mod file;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};
use tokio::sync::watch;

use self::credential::{Credential, NewCredential, State, Usage};
pub use self::error::RegisterError;
use self::file::RegisterFile;
use super::Author;
use super::principal::Principal;
use super::token::{Digest, Token, WrongToken};
use crate::data_dir::REGISTER_FILE;
use crate::time::{Clock, Timestamp};

/// The pause between two looks at the file. A revocation holds within a second everywhere.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a caller waits for a look at the file.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);
/// How long the last reading is trusted while the file cannot be read.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// The pause between two times that uses of credentials are stored.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// Why a caller that says who it is cannot be identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unidentified {
    /// What it sends is no token.
    Wrong(WrongToken),
    /// The token is none of this service's.
    Unknown,
    /// Its end has come.
    Expired,
    /// It was revoked.
    Revoked,
    /// The register cannot be read now.
    Unavailable,
}

/// The register, shared by everything in the service.
pub struct Register {
    shared: Arc<Shared>,
    data_dir: PathBuf,
    clock: Clock,
    watcher: Option<JoinHandle<()>>,
}

struct Shared {
    known: RwLock<Known>,
    /// Held from reading the file until it is known, so that what is older never replaces what is newer.
    learning: Mutex<()>,
    stop: AtomicBool,
    /// How many looks at the file have begun.
    begun: AtomicU64,
    /// How many have ended.
    ended: watch::Sender<u64>,
}

struct Known {
    credentials: HashMap<Digest, Entry>,
    /// When the file was last found to say the same.
    looked: Instant,
}

struct Entry {
    credential: Credential,
    principal: Arc<Principal>,
    /// The last use that is not stored yet.
    used: Mutex<Option<(Timestamp, Option<IpAddr>)>>,
}

impl Register {
    /// Opens the register of a data folder, and begins to look at it.
    ///
    /// # Errors
    /// When it cannot be opened or read, or no thread can be started.
    pub fn start(data_dir: &Path, clock: Clock, log: &Logger) -> Result<Self, RegisterError> {
        let file = RegisterFile::open(data_dir)?;
        let version = file.version()?;
        let credentials = file.all()?;
        if !credentials.iter().any(|credential| credential.is_valid(clock.now())) {
            info!(log, "Nenhum token é válido ainda: crie o primeiro com sctec token create, nesta máquina");
        }
        let known = Known { credentials: entries(credentials), looked: Instant::now() };
        let shared = Arc::new(Shared {
            known: RwLock::new(known),
            learning: Mutex::new(()),
            stop: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(0),
        });
        let watcher = Watcher {
            shared: Arc::clone(&shared),
            data_dir: data_dir.to_owned(),
            file: Some((file, version)),
            noted: Instant::now(),
            told: false,
            log: log.clone(),
        };
        let thread = std::thread::Builder::new().name("acesso".to_owned()).spawn(move || watcher.watch());
        let watcher = thread
            .map_err(|error| RegisterError::Access { path: data_dir.join(REGISTER_FILE), reason: error.to_string() })?;
        Ok(Self { shared, data_dir: data_dir.to_owned(), clock, watcher: Some(watcher) })
    }

    /// Identifies the bearer of what should be a token.
    ///
    /// Nothing is compared with a stored secret: what is looked up is a SHA-256, of which a caller cannot choose a part, so the time
    /// that it takes tells nothing of the tokens.
    ///
    /// # Errors
    /// Why it is nobody.
    pub fn identify(&self, text: &str, from: Option<IpAddr>) -> Result<Arc<Principal>, Unidentified> {
        let token = Token::parse(text).map_err(Unidentified::Wrong)?;
        let now = self.clock.now();
        let known = self.shared.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.looked.elapsed() > TRUSTED_FOR {
            return Err(Unidentified::Unavailable);
        }
        let entry = known.credentials.get(&token.digest()).ok_or(Unidentified::Unknown)?;
        match entry.credential.state(now) {
            State::Valid => {}
            State::Expired => return Err(Unidentified::Expired),
            State::Revoked => return Err(Unidentified::Revoked),
        }
        *entry.used.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, from));
        Ok(Arc::clone(&entry.principal))
    }

    /// Waits until the file has been looked at once more, from now on: a token that is not known may have been made just now, and after
    /// a pause of the process the last reading is too old. It does not wait longer than [`LOOK_PATIENCE`].
    pub async fn look(&self) {
        let Some(watcher) = &self.watcher else { return };
        let mut ended = self.shared.ended.subscribe();
        let wanted = self.shared.begun.load(Ordering::SeqCst) + 1;
        watcher.thread().unpark();
        // Whether it came in time or not: the caller looks at what is known then.
        let _ = tokio::time::timeout(LOOK_PATIENCE, ended.wait_for(|ended| *ended >= wanted)).await;
    }

    /// Makes a token, as [`RegisterFile::create`] does, and knows it at once.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn create(&self, new: &NewCredential, by: &Author) -> Result<(Token, Credential), RegisterError> {
        let mut file = RegisterFile::open(&self.data_dir)?;
        let (token, id) = file.create(new, by, self.clock.now())?;
        self.shared.learn(&file)?;
        let credential = file.one(id)?;
        // It was committed just now; a revocation leaves it there.
        Ok((token, credential.expect("a credential is never deleted")))
    }

    /// Revokes a token, as [`RegisterFile::revoke`] does. It identifies nobody any more when this returns.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn revoke(&self, id: i64) -> Result<Option<Credential>, RegisterError> {
        let mut file = RegisterFile::open(&self.data_dir)?;
        let revoked = file.revoke(id, self.clock.now())?;
        self.shared.learn(&file)?;
        Ok(revoked)
    }

    /// Every credential, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read. The call blocks.
    pub fn all(&self) -> Result<Vec<Credential>, RegisterError> {
        RegisterFile::open(&self.data_dir)?.all()
    }

    /// The official time, by which credentials end.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Drop for Register {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            // A panic in it has stopped the service already.
            let _ = watcher.join();
        }
    }
}

impl Shared {
    /// Replaces what is known by what the file says.
    fn learn(&self, file: &RegisterFile) -> Result<(), RegisterError> {
        let _learning = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = entries(file.all()?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (digest, entry) in &fresh {
            let before =
                known.credentials.get(digest).map(|old| *old.used.lock().unwrap_or_else(PoisonError::into_inner));
            *entry.used.lock().unwrap_or_else(PoisonError::into_inner) = before.flatten();
        }
        *known = Known { credentials: fresh, looked: Instant::now() };
        Ok(())
    }

    /// The uses that the file does not have yet.
    fn usages(&self) -> Vec<(i64, Usage)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let used = known.credentials.values().filter_map(|entry| {
            let (at, ip) = entry.used.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            let day = at.seconds().to_string().chars().take("AAAA-MM-DD".len()).collect();
            let usage = Usage { day, ip };
            (entry.credential.last.as_ref() != Some(&usage)).then_some((entry.credential.id, usage))
        });
        used.collect()
    }
}

fn entries(credentials: Vec<Credential>) -> HashMap<Digest, Entry> {
    let known = credentials.into_iter().filter_map(|credential| {
        let principal = Arc::new(credential.principal.clone());
        Some((credential.digest?, Entry { credential, principal, used: Mutex::new(None) }))
    });
    known.collect()
}

/// The thread that looks at the file.
struct Watcher {
    shared: Arc<Shared>,
    data_dir: PathBuf,
    /// The open file and the version that was read last.
    file: Option<(RegisterFile, i64)>,
    noted: Instant,
    /// Whether the log says that the file cannot be read.
    told: bool,
    log: Logger,
}

impl Watcher {
    fn watch(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(LOOK_EVERY);
            let number = self.shared.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let looked = self.look();
            self.shared.ended.send_replace(number);
            match looked {
                Ok(()) if self.told => {
                    self.told = false;
                    info!(self.log, "O registro de tokens pode ser lido de novo");
                }
                Err(failed) if !self.told => {
                    self.told = true;
                    error!(self.log, "O registro de tokens não pode ser lido, e ninguém é identificado: {}", failed);
                }
                _ => {}
            }
            if self.noted.elapsed() >= NOTE_EVERY {
                self.note();
            }
        }
        self.note();
    }

    fn look(&mut self) -> Result<(), RegisterError> {
        if let Some((file, version)) = self.file.as_mut().filter(|(file, _)| file.is_in_place()) {
            let found = file.version()?;
            if found == *version {
                self.shared.known.write().unwrap_or_else(PoisonError::into_inner).looked = Instant::now();
                return Ok(());
            }
            self.shared.learn(file)?;
            *version = found;
            return Ok(());
        }
        // The file was moved, removed or replaced: what stands there now counts, and nothing is made in its place.
        self.file = None;
        let path = self.data_dir.join(REGISTER_FILE);
        if !path.exists() {
            return Err(RegisterError::Access { path, reason: "arquivo não encontrado".to_owned() });
        }
        let file = RegisterFile::open(&self.data_dir)?;
        let version = file.version()?;
        self.shared.learn(&file)?;
        self.file = Some((file, version));
        Ok(())
    }

    /// Stores the uses. A use that cannot be stored is only a convenience lost.
    fn note(&mut self) {
        self.noted = Instant::now();
        let usages = self.shared.usages();
        let Some((file, _)) = self.file.as_mut().filter(|_| !usages.is_empty()) else { return };
        if let Err(failed) = file.note_usages(&usages).and_then(|()| self.shared.learn(file)) {
            warn!(self.log, "O último uso de um token não foi anotado: {}", failed);
        }
    }
}

#[cfg(test)]
mod tests;
