//! Readings whose answers may be large, and how many of them are made at once.
//!
//! While such an answer is made, its rows and its bytes are in memory, and a thread is busy with it. So only a few are made at once,
//! and one address has not all of these places: a client of another address does not wait behind its requests. The order is that of the
//! requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::budget::Full;

/// How many are made at once: fewer than the database's connections for readers, so that short readings find one.
const ALL: usize = 6;
/// How many of one address.
const OF_ADDRESS: usize = 4;

/// Places for readings, of the server or of one address.
#[derive(Clone, Debug)]
pub struct Readings(Arc<Semaphore>);

/// A place. Dropping it gives it back.
#[derive(Debug)]
pub struct Reading {
    _of_address: OwnedSemaphorePermit,
    _of_server: OwnedSemaphorePermit,
}

impl Readings {
    /// The places of a server.
    pub fn of_server() -> Self {
        Self(Arc::new(Semaphore::new(ALL)))
    }

    /// The places of one address.
    pub fn of_address() -> Self {
        Self(Arc::new(Semaphore::new(OF_ADDRESS)))
    }

    /// A place for one reading, among those of its `address` and of this server.
    ///
    /// # Errors
    /// When there was none for so long.
    pub async fn enter(&self, address: &Self, patience: Duration) -> Result<Reading, Full> {
        let until = Instant::now() + patience;
        let take = async |places: &Self, full| {
            let taken = timeout_at(until, Arc::clone(&places.0).acquire_owned()).await;
            // The semaphore is never closed.
            taken.ok().and_then(Result::ok).ok_or(full)
        };
        let of_address = take(address, Full::Address).await?;
        let of_server = take(self, Full::Server).await?;
        Ok(Reading { _of_address: of_address, _of_server: of_server })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_leaves_places_to_others() {
        let server = Readings::of_server();
        let (one, other, third) = (Readings::of_address(), Readings::of_address(), Readings::of_address());
        let enter = async |address| server.enter(address, Duration::from_millis(1)).await;
        let mut first = Vec::new();
        for _ in 0..OF_ADDRESS {
            first.push(enter(&one).await.unwrap());
        }
        assert_eq!(enter(&one).await.unwrap_err(), Full::Address);
        let second = [enter(&other).await.unwrap(), enter(&other).await.unwrap()];
        assert_eq!(enter(&third).await.unwrap_err(), Full::Server);
        let waits = server.enter(&third, Duration::from_secs(10));
        let (waited, ()) = tokio::join!(waits, async { drop(second) });
        assert!(waited.is_ok() && enter(&other).await.is_ok());
    }
}
