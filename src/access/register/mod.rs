//! The register of a service that asks who its callers are: the credentials of `acesso.db`, or of tables that several machines share, in
//! memory.
//!
//! A request is identified in memory alone. A thread looks every [`LOOK_EVERY`] whether another process has changed the file, so a
//! token that is revoked at one scheduler, or on the command line, ends at every one. If the file cannot be read for
//! [`TRUSTED_FOR`], nobody is identified: a revocation could be in it.

mod calendars;
pub mod credential;
mod error;
pub mod file;
mod known;
mod noter;
pub mod records;
mod sessions;
mod shared;
mod subjects;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use slog::{Logger, error, info};
use tokio::sync::watch;

use self::credential::{Credential, NewCredential};
pub use self::error::RegisterError;
use self::known::Known;
pub use self::known::{Found, Key, Unidentified};
use self::noter::Noter;
use self::records::{Folder, Place, Records};
use self::shared::Shared;
use super::Author;
use super::principal::Principal;
use super::session::Secret;
use super::token::{Digest, Token};
use crate::time::{Clock, Timestamp};

/// The pause between two looks at the file. A revocation holds within a second everywhere.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After so many looks between which nobody was asked for, the file is looked at when somebody is: five seconds. It is looked at all the
/// time while somebody waits for [`Register::changes`].
const LOOKS_UNASKED: u32 = 25;
/// One look an hour that is not needed costs nothing.
const REST: Duration = Duration::from_secs(3600);
/// The least pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// How long a caller waits for a look at the file.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);
/// How long the last reading is trusted while the file cannot be read.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The register, shared by everything in the service.
pub struct Register {
    shared: Arc<Shared>,
    place: Arc<dyn Place>,
    clock: Clock,
    watcher: Option<JoinHandle<()>>,
    noter: Option<JoinHandle<()>>,
}

impl Register {
    /// Opens the register of a data folder, and begins to look at it.
    ///
    /// # Errors
    /// When it cannot be opened or read, or no thread can be started.
    pub fn start(data_dir: &Path, clock: Clock, log: &Logger) -> Result<Self, RegisterError> {
        Self::start_at(Arc::new(Folder::new(data_dir)), clock, log)
    }

    /// Opens the register of a place, and begins to look at it.
    ///
    /// # Errors
    /// As [`Register::start`].
    pub fn start_at(place: Arc<dyn Place>, clock: Clock, log: &Logger) -> Result<Self, RegisterError> {
        let file = place.open()?;
        let version = file.version()?;
        let credentials = file.all()?;
        if !credentials.iter().any(|credential| credential.is_valid(clock.now())) {
            info!(log, "Nenhum token é válido ainda: crie o primeiro com sctec token create, nesta máquina");
        }
        let shared = Arc::new(Shared::new(Known::of(credentials, file.sessions()?, file.calendars()?)));
        let watcher = Watcher {
            shared: Arc::clone(&shared),
            place: Arc::clone(&place),
            file: Some((file, version)),
            told: false,
            log: log.clone(),
        };
        let noter = Noter::new(&shared, &place, log);
        let at = Arc::clone(&place);
        let failed = |error: io::Error| at.failed(error.to_string());
        // It is dropped, and so stops what has begun, if the second thread cannot be started.
        let mut register = Self { shared, place, clock, watcher: None, noter: None };
        register.watcher = Some(thread("acesso", move || watcher.watch()).map_err(failed)?);
        register.noter = Some(thread("acesso-usos", move || noter.run()).map_err(failed)?);
        Ok(register)
    }

    /// Identifies the bearer of what should be a token.
    ///
    /// Nothing is compared with a stored secret: what is looked up is a SHA-256, of which a caller cannot choose a part, so the time
    /// that it takes tells nothing of the tokens.
    ///
    /// # Errors
    /// Why it is nobody.
    pub fn identify(&self, text: &str, from: Option<IpAddr>) -> Result<Arc<Principal>, Unidentified> {
        let digest = Digest::of_token(text).map_err(Unidentified::Wrong)?;
        self.find(Key::Token(digest), from).map(|found| found.principal)
    }

    /// Identifies who shows `key`. This counts as a use of it.
    ///
    /// # Errors
    /// Why it is nobody.
    pub fn find(&self, key: Key, from: Option<IpAddr>) -> Result<Found, Unidentified> {
        self.ask();
        if self.shared.age() > TRUSTED_FOR {
            return Err(Unidentified::Unavailable);
        }
        self.shared.read().find(key, from, self.clock.now())
    }

    /// Is told each time that another answer of [`Self::find`] may be right. The passing of time is not told.
    pub fn changes(&self) -> watch::Receiver<()> {
        let changes = self.shared.changed.subscribe();
        // The file is looked at while there is a receiver: a watching thread that rests begins with that now.
        self.ask();
        changes
    }

    /// Somebody is asked for: the watching thread does not rest.
    fn ask(&self) {
        if self.shared.ask()
            && let Some(watcher) = &self.watcher
        {
            watcher.thread().unpark();
        }
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

    /// Makes a token, as [`Records::create`] does, and knows it at once.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn create(&self, new: &NewCredential, by: &Author) -> Result<(Token, Credential), RegisterError> {
        let mut file = self.place.open_again()?;
        let (token, id) = file.create(new, by, self.clock.now())?;
        self.shared.learn(&*file)?;
        let credential = file.one(id)?;
        // It was committed just now; a revocation leaves it there.
        Ok((token, credential.expect("a credential is never deleted")))
    }

    /// Revokes a token, as [`Records::revoke`] does. It identifies nobody any more when this returns.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn revoke(&self, id: i64) -> Result<Option<Credential>, RegisterError> {
        let mut file = self.place.open_again()?;
        let revoked = file.revoke(id, self.clock.now())?;
        self.shared.learn(&*file)?;
        Ok(revoked)
    }

    /// Begins a session of a credential, as [`Records::begin_session`] does, and knows it at once.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn begin_session(&self, credential: i64) -> Result<Secret, RegisterError> {
        let mut file = self.place.open_again()?;
        let secret = file.begin_session(credential, self.clock.now())?;
        self.shared.learn(&*file)?;
        Ok(secret)
    }

    /// Ends a session, as [`Records::end_session`] does. It identifies nobody any more when this returns.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn end_session(&self, session: &Digest) -> Result<bool, RegisterError> {
        let mut file = self.place.open_again()?;
        let ended = file.end_session(session)?;
        self.shared.learn(&*file)?;
        Ok(ended)
    }

    /// Every credential, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read. The call blocks.
    pub fn all(&self) -> Result<Vec<Credential>, RegisterError> {
        self.place.open_again()?.all()
    }

    /// The official time, by which credentials end.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Drop for Register {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in [self.watcher.take(), self.noter.take()].into_iter().flatten() {
            thread.thread().unpark();
            // A panic in it has stopped the service already.
            let _ = thread.join();
        }
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// The thread that looks at the file.
struct Watcher {
    shared: Arc<Shared>,
    place: Arc<dyn Place>,
    /// The open register and the version that was read last.
    file: Option<(Box<dyn Records>, i64)>,
    /// Whether the log says that the file cannot be read.
    told: bool,
    log: Logger,
}

impl Watcher {
    fn watch(mut self) {
        let mut unasked = 0;
        while !self.shared.stop.load(Ordering::Relaxed) {
            // Callers with unknown tokens ask for a look; they share one. So do those who come when the last look is too old.
            std::thread::sleep(LOOK_PAUSE);
            unasked = if self.shared.matters() { 0 } else { unasked + 1 };
            let rests = self.shared.rest(unasked > LOOKS_UNASKED);
            std::thread::park_timeout(if rests { REST } else { LOOK_EVERY });
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
        }
    }

    fn look(&mut self) -> Result<(), RegisterError> {
        if let Some((file, version)) = self.file.as_mut().filter(|(file, _)| file.is_in_place()) {
            let found = file.version()?;
            if found == *version {
                self.shared.looked();
                return Ok(());
            }
            self.shared.learn(&**file)?;
            *version = found;
            return Ok(());
        }
        // The file was moved, removed or replaced: what stands there now counts, and nothing is made in its place.
        self.file = None;
        let file = self.place.open_again()?;
        let version = file.version()?;
        self.shared.learn(&*file)?;
        self.file = Some((file, version));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
