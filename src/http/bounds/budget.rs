//! Budgets in bytes: how much a server holds of one kind, for all its clients and for one address.
//!
//! A budget is one atomic number. Bytes are taken from it before they are held, and given back when they are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long a large answer waits for its turn, or for room. Clients that do not read are let go in this time.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How many bytes may be held, and how many are.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    held: AtomicUsize,
    /// Told when bytes were given back.
    freed: Notify,
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
        Self { limit, held: AtomicUsize::new(0), freed: Notify::new() }
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

    /// Waits until [`Self::grow_to_share`] succeeds.
    ///
    /// # Errors
    /// When it does not, for so long.
    pub async fn wait_for_share(&mut self, bytes: usize, patience: Duration) -> Result<(), Full> {
        let until = Instant::now() + patience;
        let server = Arc::clone(&self.server);
        loop {
            let freed = server.freed.notified();
            let mut freed = std::pin::pin!(freed);
            freed.as_mut().enable();
            match self.grow_to_share(bytes) {
                Ok(()) => return Ok(()),
                Err(full) if timeout_at(until, freed).await.is_err() => return Err(full),
                Err(_) => {}
            }
        }
    }

    /// Takes as many bytes as are left to the address if it holds nothing else, in place of more than it could ever hold.
    ///
    /// # Errors
    /// When one of the budgets has not so many left.
    pub fn grow_to_share(&mut self, bytes: usize) -> Result<(), Full> {
        self.grow(bytes.min(self.address.limit))
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A part of it, of at most so many bytes.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { address: Arc::clone(&self.address), server: Arc::clone(&self.server), bytes }
    }

    /// Holds exactly so many bytes from now on: an estimate becomes a fact. What is there already is counted even where a budget has
    /// no bytes left.
    pub fn correct(&mut self, bytes: usize) {
        if bytes < self.bytes {
            drop(self.split(self.bytes - bytes));
        } else {
            let more = bytes - self.bytes;
            self.address.held.fetch_add(more, Ordering::Relaxed);
            self.server.held.fetch_add(more, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.address.give_back(self.bytes);
        self.server.give_back(self.bytes);
        // An address's budget has the same waiters.
        self.server.freed.notify_waiters();
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

    #[test]
    fn an_estimate_becomes_a_fact_and_is_given_back_in_parts() {
        let server = Arc::new(Budget::new(100));
        let one = Arc::new(Budget::new(50));
        let mut held = Held::none(&one, &server);
        // More than an address could ever hold: all that it may.
        assert_eq!(held.grow_to_share(80), Ok(()));
        assert_eq!(held.bytes(), 50);
        held.correct(60);
        assert_eq!((one.held(), server.held()), (60, 60));
        held.correct(40);
        let part = held.split(30);
        assert_eq!(held.split(30).bytes(), 10);
        assert_eq!((held.bytes(), server.held()), (0, 30));
        drop(part);
        assert_eq!((one.held(), server.held()), (0, 0));
    }

    #[tokio::test]
    async fn a_large_answer_waits_for_room_and_not_for_ever() {
        let server = Arc::new(Budget::new(100));
        let one = Arc::new(Budget::new(50));
        let (mut first, mut second) = (Held::none(&one, &server), Held::none(&one, &server));
        first.grow(50).unwrap();
        let frees = async { drop(first.split(20)) };
        assert_eq!(tokio::join!(second.wait_for_share(20, PATIENCE), frees).0, Ok(()));
        assert_eq!(second.wait_for_share(20, Duration::from_millis(1)).await, Err(Full::Address));
    }
}
