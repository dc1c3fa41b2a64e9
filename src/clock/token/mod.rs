//! Time tokens: what a scheduler vouches for of one exchange of the official time. Pure.
//!
//! A token says when a request for the time arrived (t2) and when its answer was made (t3), for which caller. It is signed, so the caller can
//! bring it back to any scheduler of the agenda: to a booking, as the proof of when the caller last compared clocks; and to the next request for
//! the time. The answer to that one can be no earlier than the arrival of the token at the caller. So the time from t3 to the next t2 is a round
//! trip that the *server* has measured: a caller can make it longer, and not shorter.
//!
//! # Form
//! A JSON Web Signature ([`super::jws`]).
//!
//! # What a token does not prove
//! It may be used several times while it lives: it says how clocks compare, and gives no right to anything. A repeated token makes no round
//! trip longer than the shortest that was seen in its series.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::jws::{Signed, seal};
use super::keys::Keyring;
use crate::time::Timestamp;

/// How long a token counts.
pub const LIFE: Duration = Duration::from_secs(5 * 60);
/// The longest round trip that counts, in microseconds.
pub const ROUND_TRIP_US_MAX: u32 = 300_000;
/// The most bytes of a token.
pub const BYTES_MAX: usize = 1024;
/// The most characters of a nonce.
pub const NONCE_CHARS_MAX: usize = 64;
/// What answers and records say of a token that counts.
pub const ACCEPTED: &str = "aceito";
/// How far the clock of the scheduler that made a token may be ahead.
const AHEAD_MAX: Duration = Duration::from_secs(1);
const TYPE: &str = "sctec-hora+jws";
/// The bytes of the hash that names a holder.
const HOLDER_BYTES: usize = 16;

/// What one exchange of the time was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeToken {
    /// The series of exchanges: 32 hexadecimal digits.
    #[serde(rename = "sessao")]
    pub session: String,
    /// Its number in the series, from 1.
    #[serde(rename = "n")]
    pub number: u32,
    /// What the caller sent, so that it knows the answer for fresh.
    pub nonce: String,
    /// When the request arrived (t2), in microseconds since 1970.
    pub t2_us: i64,
    /// When the answer was made (t3), before it was signed.
    pub t3_us: i64,
    /// The SHA-256 of the token before it in the series.
    #[serde(rename = "anterior", skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The shortest round trip that the server has seen in the series, in microseconds.
    #[serde(rename = "ida_volta_us", skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u32>,
    /// The scheduler's process, on whose clock t2 and t3 are.
    #[serde(rename = "processo")]
    pub process: String,
    /// Whose token it is.
    #[serde(rename = "portador")]
    pub holder: Holder,
}

/// Who may use a token: a hash of who asked for the time, and from which address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder(String);

impl Holder {
    /// The holder of that name, at that address.
    pub fn of(author: &str, address: &str) -> Self {
        let hash = Sha256::digest(format!("sctec: portador de um token de hora\n{author}\n{address}"));
        Self(base16ct::lower::encode_string(&hash[..HOLDER_BYTES]))
    }
}

/// An exchange of the time, as the scheduler sees it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What the caller sent.
    pub nonce: String,
    /// When the request arrived.
    pub received: Timestamp,
    /// When the answer is made.
    pub sent: Timestamp,
    /// Whose exchange it is.
    pub holder: Holder,
    /// The scheduler's process.
    pub process: String,
}

impl TimeToken {
    /// The first token of a series.
    pub fn first(exchange: Exchange, session: String) -> Self {
        let Exchange { nonce, received, sent, holder, process } = exchange;
        let (t2_us, t3_us) = (received.as_micros(), sent.as_micros());
        Self { session, number: 1, nonce, t2_us, t3_us, previous: None, round_trip_us: None, process, holder }
    }

    /// The token that follows this one, whose text is `text`. What is known of the round trip goes on.
    ///
    /// The clocks of two processes differ, so only what one of them has seen is a round trip.
    pub fn following(&self, text: &str, exchange: Exchange) -> Self {
        let is_measured = self.process == exchange.process && exchange.received.as_micros() > self.t3_us;
        let measured = is_measured.then(|| self.until(exchange.received).min(ROUND_TRIP_US_MAX));
        let round_trip_us = [self.round_trip_us, measured].into_iter().flatten().min();
        Self {
            number: self.number.saturating_add(1),
            previous: Some(hash(text)),
            round_trip_us,
            ..Self::first(exchange, self.session.clone())
        }
    }

    /// The microseconds from t3 until `at`; 0 if `at` is earlier.
    fn until(&self, at: Timestamp) -> u32 {
        u32::try_from(at.as_micros().saturating_sub(self.t3_us).max(0)).unwrap_or(u32::MAX)
    }

    /// Until when it counts.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_micros(self.t3_us).unwrap_or(Timestamp::MIN).saturating_add(LIFE)
    }

    /// Its text, signed; `None` if no key can sign.
    pub fn seal(&self, keys: &Keyring) -> Option<String> {
        seal(TYPE, self, keys, Timestamp::from_micros(self.t3_us)?)
    }

    /// Reads a token that `holder` brings.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn open(text: &str, keys: &Keyring, holder: &Holder, now: Timestamp) -> Result<Self, NotValid> {
        if text.len() > BYTES_MAX {
            return Err(NotValid::Form);
        }
        let signed = Signed::read(text, TYPE).ok_or(NotValid::Form)?;
        let key = keys.named(signed.key()).ok_or(NotValid::UnknownKey)?;
        if !signed.is_by(key.public()) {
            return Err(NotValid::Altered);
        }
        let token: Self = signed.claims().ok_or(NotValid::Form)?;
        let sent = Timestamp::from_micros(token.t3_us).ok_or(NotValid::Form)?;
        // Who steals an old key cannot sign tokens of today with it.
        if keys.find(signed.key(), sent).is_none() {
            return Err(NotValid::UnknownKey);
        }
        if token.holder != *holder {
            return Err(NotValid::Foreign);
        }
        if sent > now.saturating_add(AHEAD_MAX) {
            return Err(NotValid::Early);
        }
        if now >= token.expires_at() {
            return Err(NotValid::Expired);
        }
        Ok(token)
    }
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotValid {
    /// It is no time token.
    Form,
    /// No key that is known here has signed it, or the key was not in use then.
    UnknownKey,
    /// It was changed after it was signed.
    Altered,
    /// It is another caller's.
    Foreign,
    /// It is of an instant that has not come yet.
    Early,
    /// It is too old.
    Expired,
    /// It came through a proxy that is not trusted: what is measured is the way to the proxy and to its client together.
    Proxied,
}

impl NotValid {
    /// Its name in answers and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Form => "malformado",
            Self::UnknownKey => "chave_desconhecida",
            Self::Altered => "alterado",
            Self::Foreign => "de_outro",
            Self::Early => "do_futuro",
            Self::Expired => "vencido",
            Self::Proxied => "por_intermediario",
        }
    }
}

/// What names a token where its text would be too long: its SHA-256.
pub fn hash(text: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(text))
}

/// Whether a text can be a nonce.
pub fn is_nonce(text: &str) -> bool {
    let fits = (1..=NONCE_CHARS_MAX).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

#[cfg(test)]
mod tests;
