//! Who asks, and what they may do. Audit records name the principal and the address of each request.
//!
//! [`role`], [`principal`], [`grant`], [`subject`] and [`entry`] decide, and are pure; [`token`] makes and recognises tokens, [`session`] the secrets
//! of sessions, and [`token_file`] reads a token from a file; [`register`] is the file `acesso.db`, which stores them; [`secret`] is what a
//! coordinator and its schedulers share.

pub mod calendar;
pub mod entry;
pub mod grant;
pub mod principal;
pub mod register;
pub mod role;
pub mod secret;
pub mod session;
pub mod subject;
pub mod token;
pub mod token_file;

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Whether a service asks its callers who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It does not: everybody who reaches the port may do everything.
    #[default]
    Open,
    /// They send a token, and what they may do depends on their roles.
    Token,
}

/// The most bytes of a principal's name.
pub const AUTHOR_MAX: usize = 64;

/// A principal's name: 1 to [`AUTHOR_MAX`] of the characters that [`is_author_byte`] knows. So it needs no escaping in JSON.
#[derive(Clone, Debug)]
pub struct Author(Name);

/// The text of a name. One that was given is shared: each request of its principal has it.
#[derive(Clone, Debug)]
enum Name {
    Fixed(&'static str),
    Given(Arc<str>),
}

impl Author {
    /// A client that did not say who it is.
    pub const ANONYMOUS: Self = Self(Name::Fixed("anonimo"));

    /// The owner of the data folder, on the command line.
    pub const COMMAND_LINE: Self = Self(Name::Fixed("linha-de-comando"));

    /// A principal's name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, WrongName> {
        if text.is_empty() || text.len() > AUTHOR_MAX || !text.bytes().all(is_author_byte) {
            return Err(WrongName::Form);
        }
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(text)) {
            return Err(WrongName::Reserved);
        }
        Ok(Self(Name::Given(text.into())))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Fixed(name) => name,
            Name::Given(name) => name,
        }
    }
}

impl PartialEq for Author {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Author {}

/// Names that mean something else in records, so that no principal has one.
const RESERVED: [&str; 4] = ["anonimo", "linha-de-comando", "servico-agendamento", "servico-coordenador"];

/// What is wrong with a text that should be a principal's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongName {
    /// It is empty, too long, or has another character than [`is_author_byte`] knows.
    Form,
    /// It means something else in records.
    Reserved,
}

impl Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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

    /// The owner of the data folder, on the command line.
    pub const COMMAND_LINE: Self = Self { author: Author::COMMAND_LINE, ip: None };

    /// The service itself, by its name: it started, or stops.
    pub const fn service(name: &'static str) -> Self {
        Self { author: Author(Name::Fixed(name)), ip: None }
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
