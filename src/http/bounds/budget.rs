//! Budgets in bytes: how much a server holds of one kind, for all its clients and for one address.
//!
//! A budget is one atomic number. Bytes are taken from it before they are held, and given back when they are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes may be held, and how many are.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    held: AtomicUsize,
}

/// Why bytes were not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The client's address has its share already.
    Address,
    /// All clients together hold as much as the server gives.
    Server,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0) }
    }

    /// How many bytes are held now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether more than half is held.
    pub fn is_tight(&self) -> bool {
        self.held() > self.limit / 2
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.limit);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes taken from an address's budget and from the server's. Dropping it gives them back.
#[derive(Debug)]
pub struct Held {
    address: Arc<Budget>,
    server: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Nothing yet.
    pub fn none(address: &Arc<Budget>, server: &Arc<Budget>) -> Self {
        Self { address: Arc::clone(address), server: Arc::clone(server), bytes: 0 }
    }

    /// Takes more bytes from both budgets, or from none.
    ///
    /// # Errors
    /// When one of them has not so many left.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if !self.address.take(bytes) {
            return Err(Full::Address);
        }
        if !self.server.take(bytes) {
            self.address.give_back(bytes);
            return Err(Full::Server);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.address.give_back(self.bytes);
        self.server.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_given_within_both_budgets_and_come_back() {
        let server = Arc::new(Budget::new(100));
        let (one, other) = (Arc::new(Budget::new(60)), Arc::new(Budget::new(60)));
        let mut first = Held::none(&one, &server);
        assert_eq!(first.grow(50), Ok(()));
        assert_eq!(first.grow(11), Err(Full::Address));
        let mut second = Held::none(&other, &server);
        assert_eq!(second.grow(51), Err(Full::Server));
        assert_eq!(other.held(), 0);
        assert!(!server.is_tight());
        assert_eq!(second.grow(50), Ok(()));
        assert!(server.is_tight());
        assert_eq!(second.grow(usize::MAX), Err(Full::Address));
        drop(first);
        assert_eq!((one.held(), server.held()), (0, 50));
        drop(second);
        assert_eq!((other.held(), server.held()), (0, 0));
    }
}
