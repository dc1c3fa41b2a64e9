//! What a register knows in memory: credentials, sessions and the addresses of calendars, and whom each of them identifies.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::credential::{Credential, State, Usage};
use crate::access::calendar::Calendar;
use crate::access::principal::Principal;
use crate::access::role::{Permission, Role};
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
    /// The SHA-256 of the secret in the address of a calendar.
    Calendar(Digest),
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
    credentials: HashMap<i64, Arc<Entry>>,
    tokens: HashMap<Digest, Arc<Entry>, ByDigest>,
    sessions: HashMap<Digest, Visit, ByDigest>,
    calendars: HashMap<Digest, Arc<Calendar>, ByDigest>,
}

/// A SHA-256 is as good as a random number, so its first bytes are its hash. What is stored is not for strangers to choose.
#[derive(Default)]
struct ByDigest;

impl BuildHasher for ByDigest {
    type Hasher = FirstBytes;

    fn build_hasher(&self) -> FirstBytes {
        FirstBytes(0)
    }
}

struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 ^= u64::from_ne_bytes(*first);
        }
    }

    /// An array says first how many bytes it has.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

struct Entry {
    credential: Credential,
    principal: Arc<Principal>,
    /// The last use that is not stored yet.
    used: Mutex<Option<(Timestamp, Option<IpAddr>)>>,
    /// Tells that use from others: [`mark`]. A use with the same mark is not noted again, so that a credential in constant use is no
    /// memory to which all processors write.
    noted: AtomicU64,
}

/// The second and the address of a use. IPv6 addresses may share a mark; then one of two uses in a second is noted.
fn mark(at: Timestamp, from: Option<IpAddr>) -> u64 {
    let address = match from {
        None => 0,
        Some(IpAddr::V4(address)) => u64::from(address.to_bits()),
        Some(IpAddr::V6(address)) => {
            let [high, low] = [address.to_bits() >> 64, address.to_bits() & u128::from(u64::MAX)];
            u64::try_from(high ^ low).unwrap_or_default()
        }
    };
    // Never zero: no clock shows 1970.
    (at.as_micros() / 1_000_000).cast_unsigned() << 32 ^ address
}

struct Visit {
    session: Session,
    /// The last use.
    seen: Mutex<Timestamp>,
}

impl Known {
    pub fn of(credentials: Vec<Credential>, sessions: Vec<Session>, calendars: Vec<Calendar>) -> Self {
        let entry = |credential: Credential| {
            let principal = Arc::new(credential.principal.clone());
            let entry = Entry { credential, principal, used: Mutex::new(None), noted: AtomicU64::new(0) };
            (entry.credential.id, Arc::new(entry))
        };
        let credentials: HashMap<_, _> = credentials.into_iter().map(entry).collect();
        let of_token = |entry: &Arc<Entry>| Some((entry.credential.digest?, Arc::clone(entry)));
        let visit = |session: Session| (session.digest, Visit { session, seen: Mutex::new(session.seen) });
        Self {
            tokens: credentials.values().filter_map(of_token).collect(),
            credentials,
            sessions: sessions.into_iter().map(visit).collect(),
            calendars: calendars.into_iter().map(|calendar| (calendar.digest, Arc::new(calendar))).collect(),
        }
    }

    /// What the address with this secret shows.
    pub fn calendar(&self, secret: &Digest) -> Option<Arc<Calendar>> {
        self.calendars.get(secret).cloned()
    }

    /// Whom the address of a calendar identifies `now`: its owner, as somebody who may read the agenda and do nothing else. It ends when its
    /// owner may not read the agenda any more.
    fn reader(&self, secret: &Digest, now: Timestamp) -> Result<Found, Unidentified> {
        let calendar = self.calendars.get(secret).ok_or(Unidentified::Unknown)?;
        let may_read = |entry: &&Arc<Entry>| {
            let Credential { principal, .. } = &entry.credential;
            principal.name == calendar.owner
                && principal.roles.allow(Permission::ReadAgenda)
                && entry.credential.is_valid(now)
        };
        // Few ask for a calendar, so nothing keeps the credentials by their names.
        let owner = self.credentials.values().filter(|_| calendar.revoked.is_none()).find(may_read);
        let owner = owner.ok_or(Unidentified::Revoked)?;
        let principal = Principal {
            name: calendar.owner.clone(),
            roles: [Role::Reader].into_iter().collect(),
            scientist: None,
            prefixes: Vec::new(),
        };
        let until = owner.credential.expires;
        Ok(Found { principal: Arc::new(principal), credential: owner.credential.id, until })
    }

    /// Whom `key` identifies `now`, which counts as a use from the address `from`.
    pub fn find(&self, key: Key, from: Option<IpAddr>, now: Timestamp) -> Result<Found, Unidentified> {
        let (entry, session) = match key {
            Key::Token(digest) => (self.tokens.get(&digest), None),
            Key::Session(digest) => {
                let visit = self.sessions.get(&digest);
                (visit.and_then(|visit| self.credentials.get(&visit.session.credential)), visit)
            }
            Key::Calendar(digest) => return self.reader(&digest, now),
        };
        let entry = entry.ok_or(Unidentified::Unknown)?;
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
        let mark = mark(now, from);
        if entry.noted.load(Ordering::Relaxed) != mark {
            *lock(&entry.used) = Some((now, from));
            entry.noted.store(mark, Ordering::Relaxed);
        }
        let until = entry.credential.expires.into_iter().chain(session.map(|visit| visit.session.end())).min();
        Ok(Found { principal: Arc::clone(&entry.principal), credential: entry.credential.id, until })
    }

    /// Takes over from `old` what was used and is not stored yet.
    pub fn keep_uses(&self, old: &Self) {
        for (number, entry) in &self.credentials {
            let used = old.credentials.get(number).and_then(|old| *lock(&old.used));
            let mut known = lock(&entry.used);
            *known = (*known).max(used);
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
