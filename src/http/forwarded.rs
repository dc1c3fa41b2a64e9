//! Which client a request is from: the other end of its connection, or who a trusted proxy says it is.
//!
//! A proxy says for whom it asks in `Forwarded` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)) or in `X-Forwarded-For`. Each proxy adds an address
//! at the end, and what stands before that is what it was told. So the addresses are read from the end, and the first one counts that is not a
//! trusted proxy's. A proxy that knows only one of the two headers passes the other one on as the client has sent it. So where
//! both name somebody, and not the same, nobody is named.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::header::{FORWARDED, HeaderMap, HeaderName, VIA};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// From whom a request is, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// From the other end of the connection: nothing tells of a proxy.
    Peer,
    /// From the client at this address, by the word of a trusted proxy. One that names nobody is the client itself.
    Behind(IpAddr),
    /// From somebody behind a proxy that is not trusted, or that does not say clearly who it is.
    Unknown,
}

/// Whom a header names.
#[derive(Clone, Copy)]
enum Named {
    /// The header is not there.
    Absent,
    /// An element names no address.
    Nobody,
    Client(IpAddr),
}

/// The proxies that are trusted.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl From<Vec<IpNet>> for Proxies {
    fn from(networks: Vec<IpNet>) -> Self {
        Self(networks.into())
    }
}

impl Proxies {
    /// Whether that address is a trusted proxy's.
    pub fn trust(&self, address: IpAddr) -> bool {
        !self.0.is_empty() && self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// From whom a request is that came from `peer` with these headers.
    pub fn sender(&self, headers: &HeaderMap, peer: SocketAddr) -> Sender {
        let peer = peer.ip().to_canonical();
        if !self.trust(peer) {
            let tells_of_a_proxy = [FORWARDED, X_FORWARDED_FOR, VIA].iter().any(|name| headers.contains_key(name));
            return if tells_of_a_proxy { Sender::Unknown } else { Sender::Peer };
        }
        let named = (self.named(headers, &FORWARDED, for_parameter), self.named(headers, &X_FORWARDED_FOR, address));
        match named {
            (Named::Absent, Named::Absent) => Sender::Behind(peer),
            (Named::Client(client), Named::Absent) | (Named::Absent, Named::Client(client)) => Sender::Behind(client),
            (Named::Client(one), Named::Client(other)) if one == other => Sender::Behind(one),
            _ => Sender::Unknown,
        }
    }

    /// The last one of a header's elements that is not a trusted proxy; or the first of all, if all are.
    fn named(&self, headers: &HeaderMap, name: &HeaderName, read: impl Fn(&str) -> Option<IpAddr>) -> Named {
        let mut client = Named::Absent;
        // From the last to the first.
        for value in headers.get_all(name).iter().collect::<Vec<_>>().into_iter().rev() {
            let Ok(text) = value.to_str() else { return Named::Nobody };
            for element in text.rsplit(',') {
                let Some(address) = read(element) else { return Named::Nobody };
                client = Named::Client(address);
                if !self.trust(address) {
                    return client;
                }
            }
        }
        client
    }
}

/// An address as `X-Forwarded-For` has it: some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()));
    address.map(|address| address.to_canonical())
}

/// The address of the parameter `for` in an element of `Forwarded`. An IPv6 address and a port stand in quotes. A name that hides the
/// address (`unknown`, `_hidden`) is none; and so is a text with a comma in quotes, which no address has.
fn for_parameter(element: &str) -> Option<IpAddr> {
    let is_for = |name: &str| name.trim().eq_ignore_ascii_case("for");
    let mut values = element.split(';').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| is_for(name));
    let (_, value) = values.next().filter(|_| values.next().is_none())?;
    let value = value.trim();
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        // Without its brackets the end of an IPv6 address could be a port.
        Some(text) => address(text).filter(|address| address.is_ipv4() || text.starts_with('[')),
        None => value.parse().ok().filter(IpAddr::is_ipv4),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.7:1";

    fn sender(peer: &str, headers: &[(HeaderName, &'static str)]) -> Sender {
        let proxies = Proxies::from(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        proxies.sender(&map, peer.parse().unwrap())
    }

    fn behind(address: &str) -> Sender {
        Sender::Behind(address.parse().unwrap())
    }

    #[test]
    fn without_a_proxy_the_client_is_the_other_end_and_a_header_makes_it_nobody() {
        assert_eq!(sender("192.0.2.1:1", &[]), Sender::Peer);
        for header in [FORWARDED, X_FORWARDED_FOR, VIA] {
            assert_eq!(sender("192.0.2.1:1", &[(header.clone(), "for=10.0.0.1")]), Sender::Unknown, "{header}");
        }
        assert_eq!(Proxies::default().sender(&HeaderMap::new(), PROXY.parse().unwrap()), Sender::Peer);
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        for (text, client) in [
            ("203.0.113.9", "203.0.113.9"),
            (" 203.0.113.9:4711 ", "203.0.113.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            // What the client says stands before what the proxies have added.
            ("198.51.100.1, 203.0.113.9, 10.0.0.3", "203.0.113.9"),
            ("evil, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.4, 10.0.0.3", "10.0.0.4"),
        ] {
            assert_eq!(sender(PROXY, &[(X_FORWARDED_FOR, text)]), behind(client), "{text}");
        }
        for (text, client) in [
            ("for=203.0.113.9;proto=https", "203.0.113.9"),
            ("proto=https; For=\"203.0.113.9:4711\"", "203.0.113.9"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=\"[2001:db8::1]\";by=10.0.0.7", "2001:db8::1"),
            ("for=198.51.100.1, for=203.0.113.9, for=10.0.0.3", "203.0.113.9"),
        ] {
            assert_eq!(sender(PROXY, &[(FORWARDED, text)]), behind(client), "{text}");
        }
        let several = [(X_FORWARDED_FOR, "203.0.113.9"), (X_FORWARDED_FOR, "10.0.0.3")];
        assert_eq!(sender("[fd00::1]:1", &several), behind("203.0.113.9"));
        assert_eq!(sender("[::ffff:10.0.0.7]:1", &[]), behind("10.0.0.7"), "the proxy itself asks");
    }

    #[test]
    fn what_is_not_clear_names_nobody() {
        for text in ["", "unknown", "203.0.113.9, _x", "203.0.113.9 198.51.100.1", "10.0.0.3,"] {
            assert_eq!(sender(PROXY, &[(X_FORWARDED_FOR, text)]), Sender::Unknown, "{text}");
        }
        for text in [
            "for=unknown",
            "for=_hidden",
            "proto=https",
            "for=2001:db8::1",
            "for=\"2001:db8::1\"",
            "for=203.0.113.9;for=198.51.100.1",
            "for=\"203.0.113.9",
            "for=\"a, for=10.0.0.3",
        ] {
            assert_eq!(sender(PROXY, &[(FORWARDED, text)]), Sender::Unknown, "{text}");
        }
        let both = |other| [(FORWARDED, "for=203.0.113.9"), (X_FORWARDED_FOR, other)];
        assert_eq!(sender(PROXY, &both("203.0.113.9")), behind("203.0.113.9"));
        assert_eq!(sender(PROXY, &both("198.51.100.1")), Sender::Unknown);
        assert_eq!(sender(PROXY, &both("unknown")), Sender::Unknown);
    }
}
