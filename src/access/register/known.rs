//! What a register knows in memory: credentials and sessions, and whom each of them identifies.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::credential::{Credential, State, Usage};
use crate::access::principal::Principal;
use crate::access::session::{SEEN_EVERY, Session};
use crate::access::token::{Digest, WrongToken};
use crate::time::Timestamp;

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

/// What a caller shows of itself, as it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The SHA-256 of a token.
    Token(Digest),
    /// The SHA-256 of a session's secret.
    Session(Digest),
}

/// Whom a [`Key`] identifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The principal.
    pub principal: Arc<Principal>,
    /// The number of the credential.
    pub credential: i64,
    /// When the key stops to identify it, if nothing ends it before.
    pub until: Option<Timestamp>,
}

/// What the file said when it was last read, and what was used since then.
pub(super) struct Known {
    credentials: HashMap<i64, Entry>,
    tokens: HashMap<Digest, i64>,
    sessions: HashMap<Digest, Visit>,
    /// When the file was last found to say the same.
    pub looked: Instant,
}

struct Entry {
    credential: Credential,
    principal: Arc<Principal>,
    /// The last use that is not stored yet.
    used: Mutex<Option<(Timestamp, Option<IpAddr>)>>,
}

struct Visit {
    session: Session,
    /// The last use.
    seen: Mutex<Timestamp>,
}

impl Known {
    pub fn of(credentials: Vec<Credential>, sessions: Vec<Session>) -> Self {
        let tokens = credentials.iter().filter_map(|credential| Some((credential.digest?, credential.id))).collect();
        let entry = |credential: Credential| {
            let principal = Arc::new(credential.principal.clone());
            (credential.id, Entry { credential, principal, used: Mutex::new(None) })
        };
        let visit = |session: Session| (session.digest, Visit { session, seen: Mutex::new(session.seen) });
        Self {
            credentials: credentials.into_iter().map(entry).collect(),
            tokens,
            sessions: sessions.into_iter().map(visit).collect(),
            looked: Instant::now(),
        }
    }

    /// Whom `key` identifies `now`, which counts as a use from the address `from`.
    pub fn find(&self, key: Key, from: Option<IpAddr>, now: Timestamp) -> Result<Found, Unidentified> {
        let (number, session) = match key {
            Key::Token(digest) => (self.tokens.get(&digest), None),
            Key::Session(digest) => {
                let visit = self.sessions.get(&digest);
                (visit.map(|visit| &visit.session.credential), visit)
            }
        };
        let entry = number.and_then(|number| self.credentials.get(number)).ok_or(Unidentified::Unknown)?;
        match entry.credential.state(now) {
            State::Valid => {}
            State::Expired => return Err(Unidentified::Expired),
            State::Revoked => return Err(Unidentified::Revoked),
        }
        if let Some(visit) = session {
            let mut seen = lock(&visit.seen);
            if visit.session.is_over(*seen, now) {
                return Err(Unidentified::Unknown);
            }
            *seen = now.max(*seen);
        }
        *lock(&entry.used) = Some((now, from));
        let until = entry.credential.expires.into_iter().chain(session.map(|visit| visit.session.end())).min();
        Ok(Found { principal: Arc::clone(&entry.principal), credential: entry.credential.id, until })
    }

    /// Takes over from `old` what was used and is not stored yet.
    pub fn keep_uses(&self, old: &Self) {
        for (number, entry) in &self.credentials {
            *lock(&entry.used) = old.credentials.get(number).and_then(|old| *lock(&old.used));
        }
        for (digest, visit) in &self.sessions {
            if let Some(old) = old.sessions.get(digest) {
                let mut seen = lock(&visit.seen);
                *seen = (*seen).max(*lock(&old.seen));
            }
        }
    }

    /// The uses of credentials that the file does not have yet. They are forgotten here.
    pub fn take_usages(&self) -> Vec<(i64, Usage)> {
        let used = self.credentials.values().filter_map(|entry| {
            let (at, ip) = lock(&entry.used).take()?;
            let day = at.seconds().to_string().chars().take("AAAA-MM-DD".len()).collect();
            let usage = Usage { day, ip };
            (entry.credential.last.as_ref() != Some(&usage)).then_some((entry.credential.id, usage))
        });
        used.collect()
    }

    /// The sessions whose stored last use has become too old.
    pub fn visits(&self) -> Vec<(Digest, Timestamp)> {
        let used = self.sessions.values().filter_map(|visit| {
            let seen = *lock(&visit.seen);
            (seen >= visit.session.seen.saturating_add(SEEN_EVERY)).then_some((visit.session.digest, seen))
        });
        used.collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
