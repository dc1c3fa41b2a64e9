//! Whose share something is: the client's address, until a request has an identity.
//!
//! An IPv6 client may use any address of its network of 64 bits, so all of these are one.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Budget;
use super::readings::Readings;

/// The bits of an IPv6 address that name a network.
const NETWORK: u128 = !0 << 64;

/// An address as far as shares go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressKey(IpAddr);

impl AddressKey {
    /// The key of a client.
    pub fn of(peer: SocketAddr) -> Self {
        Self::at(peer.ip())
    }

    /// The key of a client at an address.
    pub fn at(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
            address @ IpAddr::V4(_) => address,
        })
    }

    /// Whether it is this machine.
    pub fn is_loopback(self) -> bool {
        // The network of ::1.
        self.0.is_loopback() || self.0 == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }
}

impl Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

/// What the connections of one address have.
#[derive(Debug)]
pub struct Account {
    /// Connections that are open.
    pub connections: AtomicUsize,
    /// Answers that wait or listen.
    pub guests: AtomicUsize,
    /// Bytes of bodies.
    pub bodies: Arc<Budget>,
    /// Bytes of answers.
    pub answers: Arc<Budget>,
    /// Readings that are being made.
    pub readings: Readings,
}

/// The accounts of all addresses with a connection.
#[derive(Debug)]
pub struct Accounts {
    /// Held to open and to close a connection, and never while a request is answered.
    known: Mutex<HashMap<AddressKey, Arc<Account>>>,
    bodies: usize,
    answers: usize,
}

impl Accounts {
    /// No account yet. Each will have so many bytes of bodies and of answers.
    pub fn new(bodies: usize, answers: usize) -> Self {
        Self { known: Mutex::default(), bodies, answers }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<AddressKey, Arc<Account>>> {
        // A panic cannot leave the map half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of an address, with one connection more.
    pub fn open(&self, key: AddressKey) -> Arc<Account> {
        let mut known = self.known();
        let account = known.entry(key).or_insert_with(|| {
            Arc::new(Account {
                connections: AtomicUsize::new(0),
                guests: AtomicUsize::new(0),
                bodies: Arc::new(Budget::new(self.bodies)),
                answers: Arc::new(Budget::new(self.answers)),
                readings: Readings::of_address(),
            })
        });
        account.connections.fetch_add(1, Ordering::Relaxed);
        Arc::clone(account)
    }

    /// One connection less. The account ends with its last one.
    pub fn close(&self, key: AddressKey) {
        let mut known = self.known();
        if let Some(account) = known.get(&key)
            && account.connections.fetch_sub(1, Ordering::Relaxed) == 1
        {
            known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let key = |peer: &str| AddressKey::of(peer.parse().unwrap());
        assert_eq!(key("[2001:db8::1]:1"), key("[2001:db8::ffff:1]:2"));
        assert_ne!(key("[2001:db8::1]:1"), key("[2001:db8:0:1::1]:1"));
        assert_eq!(key("[::ffff:10.0.0.1]:1"), key("10.0.0.1:2"));
        assert_ne!(key("10.0.0.1:1"), key("10.0.0.2:1"));
        assert!(key("127.0.0.1:1").is_loopback() && key("[::1]:1").is_loopback() && !key("10.0.0.1:1").is_loopback());
    }

    #[test]
    fn an_account_ends_with_its_last_connection() {
        let accounts = Accounts::new(1, 1);
        let key = AddressKey::of("10.0.0.1:1".parse().unwrap());
        let (first, second) = (accounts.open(key), accounts.open(key));
        assert!(Arc::ptr_eq(&first, &second));
        accounts.close(key);
        assert_eq!(first.connections.load(Ordering::Relaxed), 1);
        accounts.close(key);
        assert!(accounts.known().is_empty());
    }
}
