//! One attempt to sign in, between `GET /entrar` and the return from the provider. Pure.
//!
//! The browser keeps a random secret in a cookie. Everything that the provider sees of the attempt is derived from that secret: the
//! `state` by which the return is known as this browser's, the `nonce` by which the ID token is known as the answer to
//! this attempt, and the PKCE verifier without which nobody can use the code. So nothing is kept here, the return
//! may come to another scheduler, and nobody fills a memory with attempts that are never finished.
//!
//! The cookie also names the session that the browser has, by its digest. The session's own cookie does not come with a return from another
//! site (`SameSite=Strict`), and that session ends when another one begins in its place.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::header::{HeaderMap, HeaderValue};
use openidconnect::{Nonce, PkceCodeVerifier};

use crate::access::token::Digest;
use crate::http::cookie;
use crate::time::Timestamp;

/// How long a person may take at the provider.
pub const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// The cookie.
const NAME: &str = "sctec_entrada";
/// The same where the connection is encrypted: a browser takes one of this name from this host alone, and over TLS.
const NAME_SECURE: &str = "__Host-sctec_entrada";
/// The random bytes of the secret.
const SECRET_BYTES: usize = 32;

/// An attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The cookie's value: the secret, the second in which the attempt ends, and the session before it, if there is one.
    value: String,
    /// The session that the browser had when the attempt began.
    before: Option<Digest>,
}

impl Attempt {
    /// A new attempt, of a browser with the session `before`.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn begin(now: Timestamp, before: Option<Digest>) -> Result<Self, getrandom::Error> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        let until = now.saturating_add(PATIENCE).as_micros() / 1_000_000;
        let mut value = format!("{}.{until}", BASE64_URL_SAFE_NO_PAD.encode(secret));
        if let Some(before) = before {
            value = format!("{value}.{}", BASE64_URL_SAFE_NO_PAD.encode(before.as_bytes()));
        }
        Ok(Self { value, before })
    }

    /// The attempt in a request's cookies. `None` if there is none, or it has ended.
    pub fn of(headers: &HeaderMap, secure: bool, now: Timestamp) -> Option<Self> {
        let mut ours = cookie::pairs(headers).filter(|(name, _)| *name == cookie_name(secure)).map(|(_, value)| value);
        // Of two, neither is known to be this service's.
        let value = ours.next().filter(|_| ours.next().is_none())?;
        let (secret, rest) = value.split_once('.')?;
        let (until, before) = rest.split_once('.').map_or((rest, None), |(until, before)| (until, Some(before)));
        let before = match before {
            Some(text) => Some(Digest::from_bytes(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?)),
            None => None,
        };
        let until: i64 = until.parse().ok().filter(|_| until.bytes().all(|byte| byte.is_ascii_digit()))?;
        let fits = BASE64_URL_SAFE_NO_PAD.decode(secret).is_ok_and(|bytes| bytes.len() == SECRET_BYTES);
        (fits && now.as_micros() / 1_000_000 < until).then(|| Self { value: value.to_owned(), before })
    }

    /// Whether `state` is this attempt's.
    pub fn has_state(&self, state: &str) -> bool {
        // Digests are compared, so that the time tells nothing of the state.
        Digest::of(state) == Digest::of(&self.state())
    }

    /// The session that the browser had when the attempt began.
    pub fn before(&self) -> Option<Digest> {
        self.before
    }

    /// The state, for the provider.
    pub fn state(&self) -> String {
        self.derived("state")
    }

    /// The nonce, for the provider.
    pub fn nonce(&self) -> Nonce {
        Nonce::new(self.derived("nonce"))
    }

    /// The PKCE verifier, of which the provider gets the SHA-256 first.
    pub fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.derived("pkce"))
    }

    /// 43 characters of base64url. The end is part of what they come from, so a browser cannot prolong an attempt.
    fn derived(&self, what: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Digest::of(&format!("{what} {}", self.value)).as_bytes())
    }

    /// The cookie. `Lax`: it is sent when the provider leads the browser back here, and with nothing that another page sends.
    pub fn cookie(&self, secure: bool) -> Option<HeaderValue> {
        set(&self.value, PATIENCE.as_secs(), secure)
    }
}

/// The cookie that removes an attempt's.
pub fn no_cookie(secure: bool) -> Option<HeaderValue> {
    set("", 0, secure)
}

fn set(value: &str, max_age_s: u64, secure: bool) -> Option<HeaderValue> {
    let (name, mark) = (cookie_name(secure), if secure { "; Secure" } else { "" });
    let text = format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{mark}");
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

const fn cookie_name(secure: bool) -> &'static str {
    if secure { NAME_SECURE } else { NAME }
}

#[cfg(test)]
mod tests {
    use hyper::header::COOKIE;

    use super::*;

    fn noon() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-26T12:00:00Z").unwrap()
    }

    fn found(cookies: &[&str], now: Timestamp) -> Option<Attempt> {
        let headers = cookies.iter().map(|cookie| (COOKIE, HeaderValue::from_str(cookie).unwrap()));
        Attempt::of(&headers.collect(), false, now)
    }

    #[test]
    fn an_attempt_is_its_browsers_alone_and_ends() {
        let (one, other) = (Attempt::begin(noon(), None).unwrap(), Attempt::begin(noon(), None).unwrap());
        let sent = format!("a=b; {NAME}={}; c=d", one.value);
        let again = found(&[&sent], noon()).unwrap();
        assert!(again.has_state(&one.state()) && !again.has_state(&other.state()) && !again.has_state(""));
        assert_eq!(again.nonce().secret(), one.nonce().secret());
        assert_eq!(again.verifier().secret().len(), 43);
        let all = [one.state(), one.nonce().secret().clone(), one.verifier().secret().clone()];
        assert!(all.iter().all(|text| !one.value.contains(text.as_str())) && all[0] != all[1] && all[1] != all[2]);
        let late = noon().saturating_add(PATIENCE);
        assert!(found(&[&sent], late).is_none());
        // A browser that prolongs it has another attempt, whose state nobody has.
        let (secret, until) = one.value.split_once('.').unwrap();
        let longer = format!("{NAME}={secret}.{}", until.parse::<i64>().unwrap() + 3600);
        assert!(!found(&[&longer], late).unwrap().has_state(&one.state()));
    }

    #[test]
    fn an_attempt_knows_the_session_of_its_browser_and_cannot_be_given_another() {
        let (before, other) = (Digest::of("a"), Digest::of("b"));
        let attempt = Attempt::begin(noon(), Some(before)).unwrap();
        let sent = format!("{NAME}={}", attempt.value);
        let again = found(&[&sent], noon()).unwrap();
        assert!(again.before() == Some(before) && again.has_state(&attempt.state()));
        let (start, _) = sent.rsplit_once('.').unwrap();
        let changed = format!("{start}.{}", BASE64_URL_SAFE_NO_PAD.encode(other.as_bytes()));
        for changed in [start, &changed] {
            assert!(!found(&[changed], noon()).unwrap().has_state(&attempt.state()), "{changed}");
        }
        for wrong in [format!("{start}."), format!("{sent}A"), format!("{sent}.x")] {
            assert!(found(&[&wrong], noon()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_attempt_is_none() {
        let attempt = Attempt::begin(noon(), None).unwrap();
        let good = format!("{NAME}={}", attempt.value);
        assert!(found(&[&good], noon()).is_some());
        assert!(found(&[&good, &good], noon()).is_none());
        let secure = format!("__Host-{good}");
        for wrong in ["", NAME, "sctec_entrada=", "sctec_entrada=x.1", &secure, &good[..50], &format!("{good}x")] {
            assert!(found(&[wrong], noon()).is_none(), "{wrong}");
        }
        let set = attempt.cookie(true).unwrap();
        assert!(set.is_sensitive() && set.to_str().unwrap().ends_with("; HttpOnly; SameSite=Lax; Secure"));
    }
}
