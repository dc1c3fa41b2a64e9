//! The addresses that options take, with the short forms that people type: a port alone, or a host and a port without `http://`.
//!
//! An address without a host is this machine's loopback, for a listener as for a client: nothing is opened to the network that
//! was not named.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::bail;
use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use rust_i18n::t;

use crate::http::client::Url;
use crate::http::guard::{AllowedHost, WrongHost};

/// Parses a service's entry point, below which its paths stand.
///
/// # Errors
/// When it is not a URL that can be asked, or has a query.
pub fn entry_point(url: &str) -> anyhow::Result<Url> {
    if url.contains('?') {
        let url = url.escape_debug();
        bail!("{}", t!("\"%{url}\" has a query; give the service's entry point, as http://127.0.0.1:5000", url = url));
    }
    Ok(Url::parse(url)?)
}

/// Parses an address to listen on.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some(parts) => parts,
        // A port alone.
        None if is_digits(text) => ("", text),
        None => (text, ""),
    };
    let is_loopback = host.is_empty() || host.eq_ignore_ascii_case("localhost");
    let wrong = if text.contains("://") {
        t!("is a URL; leave out what stands before the host")
    } else if is_loopback && let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    } else if is_digits(port) && port.parse::<u16>().is_err() {
        t!("has a port above 65535")
    } else if text.parse::<IpAddr>().is_ok() || text.eq_ignore_ascii_case("localhost") {
        t!("has no port")
    } else if is_digits(port) {
        t!("has a host that is not an address of this machine: give the address itself")
    } else {
        t!("is not an address with a port")
    };
    let said = t!(
        "it %{wrong}; give 8080 or localhost:8080 for this machine alone, or as 0.0.0.0:8080 or [::1]:8080",
        wrong = wrong
    );
    Err(said.into_owned())
}

/// Parses a host by which clients may call a server; an empty one is none.
pub fn parse_allowed_host(text: &str) -> Result<Option<AllowedHost>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let host = text.parse().map_err(|wrong| match wrong {
        WrongHost::Url => t!("is a URL"),
        WrongHost::Port => t!("has a port; a host is allowed with every port"),
        WrongHost::Pattern => t!("is a pattern; give each name in full"),
        WrongHost::NoHost => t!("is neither a name nor an address"),
    });
    host.map(Some).map_err(|wrong| {
        t!("it %{wrong}; give the host alone, as sctec.example.org or 10.0.0.7", wrong = wrong).into_owned()
    })
}

/// The parser of a URL that a command asks: the short forms are written out, anything else is left as it is, for the command to
/// judge.
pub fn url_parser() -> impl TypedValueParser<Value = String> {
    NonEmptyStringValueParser::new().map(|text| in_full(&text, "http"))
}

/// A URL with its scheme and host, if `text` is a short form of one: `5000`, `:5000`, `localhost:5000`, `[::1]:5000/path`.
///
/// A host without a port is no short form: port 80 would be meant rarely, and the port of which service is unknown here.
pub fn in_full(text: &str, scheme: &str) -> String {
    let text = text.trim();
    let authority = text.split('/').next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':').unwrap_or(("", authority));
    if !is_digits(port) {
        return text.to_owned();
    }
    if host.is_empty() {
        return format!("{scheme}://{}:{}", Ipv4Addr::LOCALHOST, text.trim_start_matches(':'));
    }
    format!("{scheme}://{text}")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_may_be_short() {
        for (text, address) in [
            ("8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            ("0", "127.0.0.1:0"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("LocalHost:0", "127.0.0.1:0"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("[::]:8080", "[::]:8080"),
        ] {
            assert_eq!(parse_listen(text), Ok(address.parse().unwrap()), "{text}");
        }
        for (text, said) in [
            ("", "not an address with a port"),
            (":", "not an address with a port"),
            ("nowhere", "not an address with a port"),
            ("localhost", "has no port"),
            ("127.0.0.1", "has no port"),
            ("::1", "has no port"),
            ("localhost:", "not an address with a port"),
            ("localhost:http", "not an address with a port"),
            ("70000", "a port above 65535"),
            ("localhost:99999999999", "a port above 65535"),
            ("127.0.0.1:99999", "a port above 65535"),
            ("[::1]:65536", "a port above 65535"),
            ("-1", "not an address with a port"),
            ("*:8080", "a host that is not an address of this machine"),
            ("example.org:8080", "a host that is not an address of this machine"),
            ("http://127.0.0.1:8080", "is a URL"),
        ] {
            let error = parse_listen(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_host_that_is_allowed_is_given_alone() {
        for fine in ["sctec", "sctec.example.org", "Sctec.Example.Org.", "10.0.0.7", "[fd00::7]", "fd00::7", " sctec "]
        {
            assert!(parse_allowed_host(fine).unwrap().is_some(), "{fine}");
        }
        assert_eq!([parse_allowed_host(""), parse_allowed_host(" ")], [Ok(None), Ok(None)]);
        for (text, said) in [
            ("http://sctec", "is a URL"),
            ("sctec/", "is a URL"),
            ("sctec:5000", "has a port"),
            ("[fd00::7]:5000", "has a port"),
            ("*.example.org", "is a pattern"),
            ("*", "is a pattern"),
            (".", "neither a name nor an address"),
            ("sctec:", "neither a name nor an address"),
            ("a b", "neither a name nor an address"),
            ("u@sctec", "neither a name nor an address"),
            ("[fd00::7", "neither a name nor an address"),
        ] {
            let error = parse_allowed_host(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_url_may_be_short_if_it_has_a_port() {
        for (text, url) in [
            ("5000", "http://127.0.0.1:5000"),
            (":5000", "http://127.0.0.1:5000"),
            (":5000/v1", "http://127.0.0.1:5000/v1"),
            ("localhost:5000", "http://localhost:5000"),
            ("10.0.0.7:5000/", "http://10.0.0.7:5000/"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("telescope.example:80/agenda", "http://telescope.example:80/agenda"),
        ] {
            assert_eq!(in_full(text, "http"), url);
            assert_eq!(in_full(text, "https"), url.replacen("http", "https", 1));
            assert!(Url::parse(url).is_ok(), "{url}");
        }
        for text in
            ["http://h:5000", "https://h", "localhost", "x", "host:", "host:port", "u:p@h", "/time", "http:5000x"]
        {
            assert_eq!(in_full(text, "https"), text);
        }
    }
}
