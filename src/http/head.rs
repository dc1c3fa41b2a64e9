//! Checks of a request's head that hyper leaves to its users: [RFC 9112](https://www.rfc-editor.org/rfc/rfc9112#section-3.2),
//! §3.2. hyper itself checks the headers that say where a body ends.
//!
//! A head that can be read in two ways is refused: a proxy in front may have read it the other way, and let a request pass that
//! it should have stopped.

use hyper::Version;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

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
    match headers.get(HOST) {
        Some(host) if is_host(host) => Ok(()),
        Some(_) => {
            let detail = "O cabeçalho Host deve ser um nome ou endereço, com porta ou sem, como 127.0.0.1:5000.";
            Err(malformed(detail.to_owned()))
        }
        // HTTP/1.0 does not need it.
        None if head.version < Version::HTTP_11 => Ok(()),
        None => Err(malformed("Falta o cabeçalho Host, obrigatório em HTTP/1.1.".to_owned())),
    }
}

/// The value of a header that comes exactly once; `None` if it is absent or repeated.
pub fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// `uri-host [ ":" port ]`, which may be empty where the target names no host.
fn is_host(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    if value.is_empty() {
        return true;
    }
    let Ok(authority) = Authority::try_from(value) else { return false };
    let (text, host) = (authority.as_str(), authority.host());
    // Only a port may follow, which may be empty.
    let port = text.strip_prefix(host).map(|rest| rest.strip_prefix(':').unwrap_or(rest));
    // Digits alone: `parse` would accept a sign.
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let port_fits = port.is_some_and(|port| port.is_empty() || is_number(port));
    !host.is_empty() && !text.contains('@') && port_fits
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

    fn checked(version: Version, headers: &[(&str, &str)]) -> Result<(), String> {
        let mut request = Request::builder().version(version).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0).map_err(|problem| problem.log_text())
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_a_port_or_without() {
        for fine in ["", "a", "a:80", "a:", "sctec.example.org:5000", "127.0.0.1:5000", "[::1]", "[::1]:5000", "a_b"] {
            assert!(checked(Version::HTTP_11, &[("host", fine)]).is_ok(), "{fine}");
        }
        for wrong in
            ["a b", "a:99999", "a:-1", "a:+1", "a:x", "a:1:2", "u@a", "u:p@a", ":80", "a/b", "a?b", "http://a", "[::1"]
        {
            assert!(checked(Version::HTTP_11, &[("host", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn http_1_1_needs_a_host_and_1_0_does_not() {
        assert!(checked(Version::HTTP_11, &[]).unwrap_err().contains("Falta o cabeçalho Host"));
        assert!(checked(Version::HTTP_10, &[]).is_ok());
        assert!(checked(Version::HTTP_10, &[("host", "a b")]).is_err());
    }

    #[test]
    fn what_means_one_thing_comes_once() {
        for name in ["host", "content-type", "transfer-encoding"] {
            let error = checked(Version::HTTP_11, &[("host", "a"), (name, "1"), (name, "1")]).unwrap_err();
            assert!(error.to_lowercase().contains(name), "{name}: {error}");
        }
        assert!(checked(Version::HTTP_11, &[("host", "a"), ("accept", "a"), ("accept", "b")]).is_ok());
    }
}
