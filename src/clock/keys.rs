//! The keys that sign time tokens and receipts: when a new one is needed, and which one signs. Pure, but for randomness.
//!
//! Every scheduler of an agenda uses the same keys, which the store keeps. A key signs for a day. Then the next scheduler that needs one makes
//! it, and the private half of the old one is erased; its public half stays.
//!
//! # Times
//! The clocks of schedulers differ a little, and a scheduler may not have seen yet that another one has made a key. So a key may be used an
//! hour before and after its day.

use std::fmt;
use std::time::Duration;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};

use crate::time::Timestamp;

/// The bytes of each half of a key.
pub const KEY_BYTES: usize = 32;
/// How long a key signs. Then a new one is made.
const SIGNS_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before and after that it may still be used.
const SLACK: Duration = Duration::from_secs(60 * 60);
/// The bytes of the hash of a public key that name the key.
const NAME_BYTES: usize = 8;

/// A public key.
pub type PublicKey = [u8; KEY_BYTES];

/// A key as the store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its public half.
    pub public: PublicKey,
    /// What its private half is made of; `None` once it was erased.
    pub seed: Option<[u8; KEY_BYTES]>,
    /// When it was made.
    pub made_at: Timestamp,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { public, seed, made_at } = self;
        let seed = seed.map(|_| "…");
        f.debug_struct("SigningKey").field("public", public).field("seed", &seed).field("made_at", made_at).finish()
    }
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn random(now: Timestamp) -> Result<Self, getrandom::Error> {
        let mut seed = [0; KEY_BYTES];
        getrandom::fill(&mut seed)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("every 32 bytes are a seed of Ed25519");
        let mut public = [0; KEY_BYTES];
        public.copy_from_slice(pair.public_key().as_ref());
        Ok(Self { public, seed: Some(seed), made_at: now })
    }

    /// Whether `at` is in the time in which it may be used.
    fn may_be_used(&self, at: Timestamp) -> bool {
        may_sign(self.made_at, at)
    }

    /// Whether another key should sign from `now` on.
    fn is_old(&self, now: Timestamp) -> bool {
        self.seed.is_none() || !self.may_be_used(now) || now >= self.made_at.saturating_add(SIGNS_FOR)
    }
}

/// Whether a key that was made then may sign at `at`.
pub fn may_sign(made_at: Timestamp, at: Timestamp) -> bool {
    made_at <= at.saturating_add(SLACK) && at < made_at.saturating_add(SIGNS_FOR + SLACK)
}

/// What a store does when a key is offered to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// The offered key is added.
    pub is_added: bool,
    /// The private halves of these are erased.
    pub forgotten: Vec<PublicKey>,
}

/// Decides what a new key, made at `now`, changes: `known` are the store's keys, the newest last.
pub fn renew(known: &[SigningKey], now: Timestamp) -> Renewal {
    let is_added = known.last().is_none_or(|newest| newest.is_old(now));
    let over = known.iter().filter(|key| key.seed.is_some() && !key.may_be_used(now));
    Renewal { is_added, forgotten: over.map(|key| key.public).collect() }
}

/// The keys as a scheduler uses them, the newest last.
#[derive(Default)]
pub struct Keyring(Vec<Key>);

/// A key that is ready to sign, if its private half is there, and to verify.
pub(super) struct Key {
    stored: SigningKey,
    name: String,
    pair: Option<Ed25519KeyPair>,
}

impl Keyring {
    /// The keyring of these keys, the newest last. A key whose halves do not fit does not sign.
    pub fn new(stored: Vec<SigningKey>) -> Self {
        let key = |stored: SigningKey| {
            let name = name_of(&stored.public);
            let pair =
                stored.seed.and_then(|seed| Ed25519KeyPair::from_seed_and_public_key(&seed, &stored.public).ok());
            Key { stored, name, pair }
        };
        Self(stored.into_iter().map(key).collect())
    }

    /// Whether a new key is needed.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.0.last().is_none_or(|newest| newest.pair.is_none() || newest.stored.is_old(now))
    }

    /// The key that signs now: the newest one that may be used.
    pub(super) fn signer(&self, now: Timestamp) -> Option<&Key> {
        self.0.iter().rev().find(|key| key.pair.is_some() && key.stored.may_be_used(now))
    }

    /// The key of that name, if it might sign at `at`.
    pub(super) fn find(&self, name: &str, at: Timestamp) -> Option<&Key> {
        self.named(name).filter(|key| key.stored.may_be_used(at))
    }

    /// The key of that name.
    pub(super) fn named(&self, name: &str) -> Option<&Key> {
        self.0.iter().rev().find(|key| key.name == name)
    }
}

impl Key {
    /// Its name in what it signs: 16 hexadecimal digits.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Signs; `None` if its private half is not there.
    pub(super) fn sign(&self, message: &[u8]) -> Option<impl AsRef<[u8]>> {
        self.pair.as_ref().map(|pair| pair.sign(message))
    }

    /// Its public half.
    pub(super) fn public(&self) -> &PublicKey {
        &self.stored.public
    }
}

/// The name of a key in what it signs.
pub(super) fn name_of(public: &PublicKey) -> String {
    base16ct::lower::encode_string(&Sha256::digest(public)[..NAME_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::micros;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn before(at: Timestamp, by: Duration) -> Timestamp {
        Timestamp::from_micros(at.as_micros().saturating_sub_unsigned(micros(by))).unwrap()
    }

    #[test]
    fn a_key_signs_for_a_day_and_then_a_new_one_is_needed() {
        let made = at("2025-12-01T03:00:00Z");
        let key = SigningKey::random(made).unwrap();
        assert_eq!(renew(&[], made), Renewal { is_added: true, forgotten: Vec::new() });
        let day = made.saturating_add(SIGNS_FOR);
        let shortly_before = before(day, Duration::from_micros(1));
        for now in [before(made, HOUR), made, shortly_before] {
            assert_eq!(renew(std::slice::from_ref(&key), now), Renewal::default(), "{}", now.micros());
            assert!(!Keyring::new(vec![key.clone()]).is_old(now));
        }
        assert_eq!(renew(std::slice::from_ref(&key), day), Renewal { is_added: true, forgotten: Vec::new() });
        let ring = Keyring::new(vec![key.clone()]);
        assert!(ring.is_old(day) && ring.signer(day).is_some(), "it signs until the new one is there");
        // Both halves are there for another hour. Then the private one goes, once.
        let over = day.saturating_add(HOUR);
        assert!(ring.signer(over).is_none());
        let new = SigningKey::random(day).unwrap();
        let renewal = renew(&[key.clone(), new.clone()], over);
        assert_eq!(renewal, Renewal { is_added: false, forgotten: vec![key.public] });
        let erased = SigningKey { seed: None, ..key };
        assert_eq!(renew(&[erased, new], over), Renewal::default());
    }

    #[test]
    fn a_key_of_the_future_does_not_sign_until_the_clock_is_there() {
        // The clock was set back by a year.
        let key = SigningKey::random(at("2026-12-01T03:00:00Z")).unwrap();
        let now = at("2025-12-01T03:00:00Z");
        assert!(Keyring::new(vec![key.clone()]).is_old(now));
        assert_eq!(renew(std::slice::from_ref(&key), now), Renewal { is_added: true, forgotten: vec![key.public] });
    }

    #[test]
    fn a_key_whose_halves_do_not_fit_does_not_sign() {
        let now = at("2025-12-01T03:00:00Z");
        let (one, other) = (SigningKey::random(now).unwrap(), SigningKey::random(now).unwrap());
        let mixed = SigningKey { public: one.public, ..other };
        let ring = Keyring::new(vec![mixed]);
        assert!(ring.signer(now).is_none() && ring.is_old(now));
    }

    #[test]
    fn a_seed_is_not_shown() {
        let key = SigningKey::random(at("2025-12-01T03:00:00Z")).unwrap();
        let seed = format!("{:?}", key.seed.unwrap());
        assert!(!format!("{key:?}").contains(&seed[1..20]));
    }
}
