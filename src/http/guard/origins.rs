//! Pages of other origins that an operator allows: how such an origin is written, and the headers by which a browser lets them read
//! ([CORS](https://fetch.spec.whatwg.org/#http-cors-protocol)).
//!
//! Such a page says who it is with a token. It gets no credentials that the browser keeps: it is not told that it may send them, and the
//! server ignores a cookie that comes with it.

use std::str::FromStr;

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, HeaderMap,
    HeaderValue, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::authority::{Authority, Host};

/// The headers that such a page may send, beside those that every page may.
const SENT: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, X-Request-Id, traceparent, tracestate",
);
/// The headers that it may read, beside those that every page may.
const READ: HeaderValue = HeaderValue::from_static(
    "Allow, ETag, Idempotent-Replayed, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, Server-Timing, WWW-Authenticate, \
     X-Client-Request-Id, X-Request-Id",
);
/// For how long a browser need not ask again, in seconds.
const REMEMBERED_S: HeaderValue = HeaderValue::from_static("600");

/// An origin whose pages an operator lets in, as a browser writes it: `https://app.example` or `http://localhost:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin(Box<str>);

/// What is wrong with a text that should be an [`AllowedOrigin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongOrigin {
    /// It has no scheme, or another than `http` and `https`.
    Scheme,
    /// Something follows the host and the port.
    Path,
    /// It is a pattern.
    Pattern,
    /// Its host or port cannot be read.
    NoHost,
    /// A browser never writes it so: in capitals, or with the port that its scheme has anyway.
    Form,
}

impl FromStr for AllowedOrigin {
    type Err = WrongOrigin;

    fn from_str(text: &str) -> Result<Self, WrongOrigin> {
        let (default_port, rest) = match text.split_once("://") {
            Some(("http", rest)) => (80, rest),
            Some(("https", rest)) => (443, rest),
            _ => return Err(WrongOrigin::Scheme),
        };
        if rest.contains('*') {
            return Err(WrongOrigin::Pattern);
        }
        if rest.contains(['/', '?', '#', '@']) {
            return Err(WrongOrigin::Path);
        }
        let Some(Authority { host, port }) = Authority::parse(rest) else { return Err(WrongOrigin::NoHost) };
        let is_empty = matches!(host, Host::Name(""));
        if is_empty {
            return Err(WrongOrigin::NoHost);
        }
        if port == Some(default_port) || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(WrongOrigin::Form);
        }
        Ok(Self(text.into()))
    }
}

/// Which of these origins a request comes from, if it is one of them.
pub fn among<'a>(allowed: &'a [AllowedOrigin], origin: Option<&HeaderValue>) -> Option<&'a AllowedOrigin> {
    let origin = origin?;
    allowed.iter().find(|AllowedOrigin(known)| known.as_bytes() == origin.as_bytes())
}

impl AllowedOrigin {
    /// Lets a page of this origin read the answer to its request, or go on with the request about which its browser asks first.
    pub fn admit(&self, head: &Parts, status: StatusCode, headers: &mut HeaderMap) {
        // It was read as an origin, and so it is ASCII.
        let Ok(origin) = HeaderValue::from_str(&self.0) else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let asks_first = head.method == Method::OPTIONS && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks_first {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
        } else if status == StatusCode::NO_CONTENT
            && let Some(allow) = headers.get(ALLOW).cloned()
        {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
            headers.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED_S);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for fine in ["https://app.example", "http://localhost:8080", "http://127.0.0.1:5", "https://[::1]:8443"] {
            let allowed = [fine.parse::<AllowedOrigin>().unwrap()];
            assert!(among(&allowed, Some(&HeaderValue::from_str(fine).unwrap())).is_some(), "{fine}");
            for other in ["null", "https://app.example.evil", "http://app.example", "https://App.example", ""] {
                assert!(among(&allowed, Some(&HeaderValue::from_str(other).unwrap())).is_none(), "{other}");
            }
            assert!(among(&allowed, None).is_none());
        }
        for (text, wrong) in [
            ("app.example", WrongOrigin::Scheme),
            ("null", WrongOrigin::Scheme),
            ("ftp://app.example", WrongOrigin::Scheme),
            ("https://app.example/", WrongOrigin::Path),
            ("https://app.example/x", WrongOrigin::Path),
            ("https://a@app.example", WrongOrigin::Path),
            ("https://*.example", WrongOrigin::Pattern),
            ("https://", WrongOrigin::NoHost),
            ("https://a:b", WrongOrigin::NoHost),
            ("https://app.example:443", WrongOrigin::Form),
            ("http://app.example:80", WrongOrigin::Form),
            ("https://App.example", WrongOrigin::Form),
        ] {
            assert_eq!(text.parse::<AllowedOrigin>(), Err(wrong), "{text}");
        }
    }
}
