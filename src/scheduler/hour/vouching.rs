//! The keys with which this scheduler signs time tokens and receipts, and checks the tokens of others: read from the store, and renewed there.
//!
//! A new key is made by the first request that needs one. Where that fails, the time is still answered, without a token.
//!
//! # Locking
//! The keyring is replaced as a whole, so no request waits for another one that reads it. One request at a time asks the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use slog::{Logger, warn};

use crate::agenda::receipt::{Brought, Receipt};
use crate::clock::keys::{Keyring, SigningKey};
use crate::clock::token::{Holder, NotValid, TimeToken};
use crate::store::{SIGNING_KEYS, Store};
use crate::time::Timestamp;

/// The pause between two questions to the store: a client that brings tokens of unknown keys does not make it busy.
const PAUSE: Duration = Duration::from_secs(1);

/// What it needs from the service: the store, the present instant, and the log.
pub type Means<'a> = (&'a dyn Store, Timestamp, &'a Logger);

/// What signs and checks time tokens.
pub struct Vouching {
    keys: ArcSwap<Keyring>,
    /// This process, whose clock the instants of its tokens are on.
    process: String,
    /// When the store was last asked. A tokio lock, since it is held while the store is asked.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Vouching {
    /// Reads the keys, and makes one if none signs now.
    pub async fn start(store: &dyn Store, now: Timestamp, log: &Logger) -> Self {
        // Without randomness two processes might have one name. Then a round trip between them might be measured wrongly, and the times of
        // the process make that unlikely.
        let process =
            getrandom::u64().unwrap_or_else(|_| now.as_micros().unsigned_abs() ^ u64::from(std::process::id()));
        let vouching = Self {
            keys: ArcSwap::from_pointee(Keyring::default()),
            process: format!("{process:016x}"),
            asked: tokio::sync::Mutex::new(None),
        };
        vouching.renew(store, now, log).await;
        vouching
    }

    /// The name of this process in its tokens.
    pub fn process(&self) -> &str {
        &self.process
    }

    /// Signs a token; `None` if there is no key.
    pub fn seal(&self, token: &TimeToken) -> Option<String> {
        token.seal(&self.keys.load())
    }

    /// Signs what was received of a request; `None` if there is no key.
    pub fn receipt(&self, brought: &Brought, now: Timestamp) -> Option<String> {
        Receipt::sealed(brought, &self.keys.load(), now)
    }

    /// Reads a token that `holder` brings. Another scheduler may have made its key just now.
    pub async fn open(&self, (store, now, log): Means<'_>, text: &str, holder: &Holder) -> Result<TimeToken, NotValid> {
        let open = || TimeToken::open(text, &self.keys.load(), holder, now);
        let opened = open();
        if opened != Err(NotValid::UnknownKey) {
            return opened;
        }
        let mut asked = self.asked.lock().await;
        if asked.is_none_or(|at| at.elapsed() >= PAUSE) {
            *asked = Some(Instant::now());
            match store.signing_keys(SIGNING_KEYS).await {
                Ok(stored) => self.keys.store(Arc::new(Keyring::new(stored))),
                Err(error) => warn!(log, "Chaves dos tokens de hora não lidas: {}", error),
            }
        }
        drop(asked);
        open()
    }

    /// Has a new key made if the one that signs is a day old.
    pub async fn renew_if_due(&self, (store, now, log): Means<'_>) {
        if !self.keys.load().is_old(now) {
            return;
        }
        // Another request asks already, or has asked a moment ago: the old key still signs.
        let Ok(mut asked) = self.asked.try_lock() else { return };
        if asked.is_none_or(|at| at.elapsed() >= PAUSE) {
            *asked = Some(Instant::now());
            self.renew(store, now, log).await;
        }
    }

    async fn renew(&self, store: &dyn Store, now: Timestamp, log: &Logger) {
        let offered = match SigningKey::random(now) {
            Ok(offered) => offered,
            Err(error) => return warn!(log, "Chave dos tokens de hora não renovada: {}", error),
        };
        match store.offer_signing_key(offered).await {
            Ok(stored) => self.keys.store(Arc::new(Keyring::new(stored))),
            Err(error) => warn!(log, "Chave dos tokens de hora não renovada: {}", error),
        }
    }
}

/// The name of a new series of tokens; `None` if the system has no random bytes to give.
pub fn new_session() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(base16ct::lower::encode_string(&bytes))
}
