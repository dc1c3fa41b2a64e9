//! The authority of a URI, `host [":" port]`, read without an allocation: a service reads one with every request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host with its port, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    pub host: Host<'a>,
    pub port: Option<u16>,
}

/// A host.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// A name, as it was written.
    Name(&'a str),
    /// An address. Only the usual form counts: `127.1` and `2130706433` are names.
    Address(IpAddr),
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(other)) => one.eq_ignore_ascii_case(other),
            (Self::Address(one), Self::Address(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

impl<'a> Authority<'a> {
    /// Reads an authority. A user (`user@host`) is none of its parts. `None` if it is malformed.
    pub fn parse(text: &'a str) -> Option<Self> {
        let end = match text.strip_prefix('[') {
            Some(inside) => inside.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at(end);
        Some(Self { host: Host::parse(host)?, port: port(rest)? })
    }
}

impl<'a> Host<'a> {
    /// Reads a host: a name, an IPv4 address, or an IPv6 address in brackets. The zone of an address (`[fe80::1%25eth0]`) names an
    /// interface of the client's machine, and is left out.
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            let (address, zone) = inside.strip_suffix(']')?.split_once('%').unzip();
            let address = address.unwrap_or(&inside[..inside.len() - 1]);
            let fits = zone.is_none_or(|zone| !zone.is_empty() && zone.bytes().all(is_of_name));
            return address.parse::<Ipv6Addr>().ok().filter(|_| fits).map(|address| Self::Address(address.into()));
        }
        if text.starts_with(|first: char| first.is_ascii_digit())
            && let Ok(address) = text.parse::<Ipv4Addr>()
        {
            return Some(Self::Address(address.into()));
        }
        (!text.is_empty() && text.bytes().all(is_of_name)).then_some(Self::Name(text))
    }
}

/// What follows the host: nothing, or a colon and a port, which may be empty. `Some(None)` is no port.
#[expect(clippy::option_option, reason = "an authority may have no port, and may be malformed")]
fn port(text: &str) -> Option<Option<u16>> {
    let digits = text.strip_prefix(':').unwrap_or(text);
    if digits.is_empty() {
        return Some(None);
    }
    // Digits alone: `parse` would accept a sign.
    let fits = text.starts_with(':') && digits.bytes().all(|byte| byte.is_ascii_digit());
    if fits { digits.parse().ok().map(Some) } else { None }
}

/// Whether a byte may be in a `reg-name` of RFC 3986.
const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}
