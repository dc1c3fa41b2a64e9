//! Who asks: the principal in whose name a request is made, and the address that it comes from. Audit records have both.
//!
//! Nothing here asks for an identity yet, so every request is made by [`Author::ANONYMOUS`]. A service that identifies its
//! clients puts the principal's name into the [`Caller`], and nothing after that has to change.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};

/// The most bytes of a principal's name.
pub const AUTHOR_MAX: usize = 64;

/// A principal's name: 1 to [`AUTHOR_MAX`] of the characters that [`is_author_byte`] knows. So it needs no escaping in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author(Cow<'static, str>);

impl Author {
    /// A client that did not say who it is.
    pub const ANONYMOUS: Self = Self(Cow::Borrowed("anonimo"));
}

impl Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a principal's name may have this character. It has those of an e-mail address as most people have one.
pub fn is_author_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'@')
}

/// Who causes something, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The principal.
    pub author: Author,
    /// The other end of the connection; `None` if no request is the cause.
    pub ip: Option<IpAddr>,
}

impl Caller {
    /// A client that did not say who it is.
    pub fn anonymous(peer: SocketAddr) -> Self {
        Self { author: Author::ANONYMOUS, ip: Some(ip_of(peer)) }
    }

    /// The service itself, by its name: it started, or stops.
    pub const fn service(name: &'static str) -> Self {
        Self { author: Author(Cow::Borrowed(name)), ip: None }
    }
}

/// The address of the other end. An IPv4 client of a socket that serves both versions has an IPv6 form of its address; it is the
/// same client.
pub fn ip_of(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_anonymous_and_has_one_address_on_both_versions() {
        for (peer, ip) in [
            ("192.0.2.10:4711", "192.0.2.10"),
            ("[::ffff:192.0.2.10]:4711", "192.0.2.10"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
        ] {
            let caller = Caller::anonymous(peer.parse().unwrap());
            assert_eq!(caller.author.to_string(), "anonimo");
            assert_eq!(caller.ip.unwrap().to_string(), ip);
        }
    }

    #[test]
    fn the_names_that_services_use_are_names() {
        for caller in [Caller::anonymous("[::1]:1".parse().unwrap()), Caller::service("servico-agendamento")] {
            let name = caller.author.to_string();
            assert!((1..=AUTHOR_MAX).contains(&name.len()) && name.bytes().all(is_author_byte), "{name}");
        }
    }
}
