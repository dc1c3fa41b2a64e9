//! Checks of a request's head that hyper leaves to its users: which headers may come once
//! ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112#section-3.2), §3.2). hyper itself checks the headers that say where a body ends.
//!
//! A head that can be read in two ways is refused: a proxy in front may have read it the other way, and let a request pass that
//! it should have stopped.

use hyper::header::{AsHeaderName, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;

use super::kind;
use super::problem::Problem;

/// Headers that may come once: of two different values, neither is known to be the right one.
const ONCE: [HeaderName; 3] = [HOST, TRANSFER_ENCODING, CONTENT_TYPE];

/// Checks a head.
///
/// # Errors
/// 400, after which the connection is closed.
pub fn check(head: &Parts) -> Result<(), Problem> {
    let headers = &head.headers;
    if let Some(name) = ONCE.iter().find(|name| headers.get_all(*name).iter().count() > 1) {
        return Err(malformed(format!("O cabeçalho {} aparece mais de uma vez.", shown(name))));
    }
    Ok(())
}

/// The value of a header that comes exactly once; `None` if it is absent or repeated.
pub fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn shown(name: &HeaderName) -> String {
    // As people write it: Content-Type.
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.as_str().split('-').map(capital).collect::<Vec<_>>().join("-")
}

fn malformed(detail: String) -> Problem {
    Problem::new(kind::MALFORMED_HEAD, detail)
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn checked(headers: &[(&str, &str)]) -> Result<(), String> {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0).map_err(|problem| problem.log_text())
    }

    #[test]
    fn what_means_one_thing_comes_once() {
        for name in ["host", "content-type", "transfer-encoding"] {
            let error = checked(&[("host", "a"), (name, "1"), (name, "1")]).unwrap_err();
            assert!(error.to_lowercase().contains(name), "{name}: {error}");
        }
        assert!(checked(&[("host", "a"), ("accept", "a"), ("accept", "b")]).is_ok());
    }
}
