//! How much a table takes, in number and in bytes, from everybody and from one client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The memory of a table where nothing else is said, in mebibytes: about 70 000 leases of one resource each.
pub const TABLE_MIB_DEFAULT: usize = 64;
/// The resources that one client may hold, retain or wait for where nothing else is said: two weeks of a telescope's slots.
pub const CLIENT_RESOURCES_DEFAULT: usize = 4096;
/// How many of these it may wait for.
pub const CLIENT_PLACES_DEFAULT: usize = 1024;

/// How much a table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Resources held, retained or waited for. A resource with waiters counts once for each.
    pub resources: usize,
    /// Places in all queues: a waiter has one in the queue of each of its resources.
    pub places: usize,
    /// Waiters for one resource.
    pub waiters_of_one: usize,
    /// The memory of all leases, retentions and waiters together, in bytes.
    pub bytes: usize,
    /// How much of it waiters may take.
    pub queue_bytes: usize,
    /// Resources that one client may hold, retain or wait for.
    pub client_resources: usize,
    /// How many of these it may wait for.
    pub client_places: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self::of_mebibytes(TABLE_MIB_DEFAULT)
    }
}

impl Limits {
    /// The numbers at their defaults, and the bytes of a table of so many mebibytes. Three eighths of it may wait.
    pub const fn of_mebibytes(mebibytes: usize) -> Self {
        let bytes = mebibytes << 20;
        Self {
            resources: 1_000_000,
            places: 100_000,
            waiters_of_one: 10_000,
            bytes,
            queue_bytes: bytes / 8 * 3,
            client_resources: CLIENT_RESOURCES_DEFAULT,
            client_places: CLIENT_PLACES_DEFAULT,
        }
    }
}

/// A client whose leases and waiting requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// A principal, by name.
    Principal(Arc<str>),
    /// A client without a name, by its network address.
    Address(IpAddr),
}

impl Client {
    /// The client at this address. An IPv6 network is one client: who has one address of a /64 has all of them.
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(network)) => write!(f, "{network}/64"),
        }
    }
}

/// In which measure a bound was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// A number of resources or places.
    Count,
    /// Bytes of memory.
    Bytes,
}

/// A bound of the whole table that a request would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The bound's measure.
    pub measure: Measure,
    /// The most that there may be.
    pub most: usize,
}

/// A client's quota that a request would pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverQuota {
    /// The client.
    pub client: Client,
    /// Whether it is the quota of places in queues. Otherwise it is the quota of resources.
    pub places: bool,
    /// What the client has of it.
    pub used: usize,
    /// What the request would add.
    pub wanted: usize,
    /// The quota.
    pub most: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_client_and_an_address_of_ipv4_is_one_on_both_versions() {
        let at = |address: &str| Client::at(address.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:0:0:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        assert_ne!(at("192.0.2.1"), Client::Principal("192.0.2.1".into()));
        assert_eq!(
            [at("2001:db8::1"), at("192.0.2.1")].map(|client| client.to_string()),
            ["2001:db8::/64", "192.0.2.1"]
        );
    }
}
