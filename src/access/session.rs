//! Sessions: how the page is identified after a person has signed in. Pure.
//!
//! A browser keeps the secret of a session in a cookie that no script can read, so the page never has to keep a token. A session has no
//! rights of its own: it refers to the credential with which it began, and ends with it.

use std::fmt;
use std::time::Duration;

use super::token::{Digest, SECRET_BYTES, SECRET_DIGITS, push_base62};
use crate::time::Timestamp;

/// How long a session lives after its last use. An open page uses its session all the time, by its stream of events.
pub const IDLE: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a session lives at the most.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The most sessions of a credential. One more ends the one that was not used for the longest time.
pub const SESSIONS_MAX: u32 = 50;
/// How old the stored instant of the last use may become: a use is not written to the disk each time.
pub const SEEN_EVERY: Duration = Duration::from_secs(10 * 60);

/// The secret of a session, as the cookie has it. No log and no error shows it.
pub struct Secret(String);

impl Secret {
    /// A new secret.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        let mut text = String::with_capacity(SECRET_DIGITS);
        push_base62(&mut text, &secret, SECRET_DIGITS);
        Ok(Self(text))
    }

    /// Reads what should be a secret. `None` if it does not have the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == SECRET_DIGITS && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// The secret itself, for the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A session as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The SHA-256 of its secret.
    pub digest: Digest,
    /// The number of the credential with which it began.
    pub credential: i64,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, as far as that is stored.
    pub seen: Timestamp,
}

impl Session {
    /// When it ends at the latest.
    pub fn end(&self) -> Timestamp {
        self.created.saturating_add(LONGEST)
    }

    /// Whether it is over `now`, where its last use was at `seen`.
    pub fn is_over(&self, seen: Timestamp, now: Timestamp) -> bool {
        now >= self.end() || now >= seen.saturating_add(IDLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_nobody_uses_it_and_after_a_week_in_any_case() {
        let noon = Timestamp::parse_rfc3339("2026-11-26T12:00:00Z").unwrap();
        let after = |wait: Duration| noon.saturating_add(wait);
        let session = Session { digest: Digest::of("x"), credential: 1, created: noon, seen: noon };
        let moment = Duration::from_micros(1);
        assert!(!session.is_over(noon, after(IDLE.saturating_sub(moment))) && session.is_over(noon, after(IDLE)));
        assert!(!session.is_over(after(IDLE.saturating_sub(moment)), after(IDLE)));
        let used = after(LONGEST.saturating_sub(moment));
        assert!(!session.is_over(used, used) && session.is_over(used, after(LONGEST)));
    }

    #[test]
    fn a_secret_is_random_has_one_form_and_is_never_shown() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert!(one.0 != other.0 && !format!("{one:?}").contains(&one.0[..6]));
        assert_eq!(Secret::parse(&one.0).unwrap().digest(), one.digest());
        for text in ["", &one.0[1..], &format!("{}0", one.0), &format!("{} ", &one.0[1..])] {
            assert!(Secret::parse(text).is_none(), "{text:?}");
        }
    }
}
