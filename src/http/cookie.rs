//! The cookie of a session ([RFC 6265](https://www.rfc-editor.org/rfc/rfc6265)).
//!
//! No script can read it (`HttpOnly`), and no page of another site makes a browser send it (`SameSite=Strict`). Under TLS its name begins
//! with `__Host-`, so that a browser accepts it from this host alone and sends it over TLS alone.

use std::time::Duration;

use hyper::header::{COOKIE, HeaderMap, HeaderValue};

use super::prefix::Prefix;

/// The cookie's name without TLS.
const NAME: &str = "sctec_sessao";
/// The cookie's name under TLS.
const SECURE_NAME: &str = "__Host-sctec_sessao";
/// The same below a prefix. A name with `__Host-` would send it to every other service of the host.
const BELOW_NAME: &str = "__Secure-sctec_sessao";

/// The secret that a client sends. None if it sends none, or several: another program on this host has set one of them then, and
/// nobody can tell which.
///
/// Where `tls` is between this service and its clients, only a cookie that came over TLS counts. Without it, there may be a proxy with
/// TLS in front.
pub fn session(headers: &HeaderMap, tls: bool) -> Option<&str> {
    let secure_name = secure_name(&Prefix::current());
    let names: &[&str] = if tls { &[secure_name] } else { &[secure_name, NAME] };
    names.iter().find_map(|name| {
        let mut values = pairs(headers).filter(|(sent, _)| sent == name).map(|(_, value)| value);
        let value = values.next()?;
        values.all(|other| other == value).then_some(value)
    })
}

/// The names and values of a request's cookies.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    // Each by itself: another program on this host may have set one that is no text.
    let all = headers.get_all(COOKIE).iter().flat_map(|list| list.as_bytes().split(|byte| *byte == b';'));
    all.filter_map(|pair| std::str::from_utf8(pair).ok()?.trim().split_once('='))
}

/// The value of `Set-Cookie` that gives a browser the secret of a session. One that lasts for no time is taken away.
pub fn set(secret: &str, secure: bool, lasts: Duration) -> Option<HeaderValue> {
    let prefix = Prefix::current();
    let (name, secure) = if secure { (secure_name(&prefix), "; Secure") } else { (NAME, "") };
    let path = if prefix == Prefix::default() { "/" } else { prefix.as_str() };
    let text = format!("{name}={secret}; Path={path}; Max-Age={}; HttpOnly; SameSite=Strict{secure}", lasts.as_secs());
    let mut value = HeaderValue::try_from(text).ok()?;
    // It is not shown by `Debug`.
    value.set_sensitive(true);
    Some(value)
}

fn secure_name(prefix: &Prefix) -> &'static str {
    if *prefix == Prefix::default() { SECURE_NAME } else { BELOW_NAME }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(lists: &[&str], tls: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(COOKIE, HeaderValue::from_str(list).unwrap());
        }
        session(&headers, tls).map(str::to_owned)
    }

    #[test]
    fn the_one_cookie_of_a_session_is_found_among_others() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(sent(&["a=1; sctec_sessao=x; b=2"], false), some("x"));
        assert_eq!(sent(&["a=1", "sctec_sessao=x"], false), some("x"));
        assert_eq!(sent(&["sctec_sessao=x;sctec_sessao=x"], false), some("x"));
        assert_eq!(sent(&["sctec_sessao=x; __Host-sctec_sessao=y"], false), some("y"));
        for none in ["", "a=1", "xsctec_sessao=x", "SCTEC_SESSAO=x", "sctec_sessao", "sctec_sessao=x; sctec_sessao=y"] {
            assert_eq!(sent(&[none], false), None, "{none}");
        }
    }

    #[test]
    fn under_tls_only_the_cookie_counts_that_came_over_tls() {
        assert_eq!(sent(&["sctec_sessao=x"], true), None);
        assert_eq!(sent(&["sctec_sessao=x; __Host-sctec_sessao=y"], true), Some("y".to_owned()));
    }

    #[test]
    fn the_cookie_is_for_this_host_and_for_no_script() {
        let lasts = Duration::from_secs(60);
        let plain = set("x", false, lasts).unwrap();
        assert_eq!(plain, "sctec_sessao=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict");
        let secure = set("x", true, lasts).unwrap();
        assert_eq!(secure, "__Host-sctec_sessao=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
        assert!(format!("{secure:?}").contains("Sensitive"));
    }
}
