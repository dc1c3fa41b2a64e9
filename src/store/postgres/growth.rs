//! When the server has to plan its statements anew: each time that the agenda has doubled.
//!
//! PostgreSQL plans a prepared statement by the sizes that the tables have then, and keeps the plan of a connection until the tables are
//! analysed again: autovacuum does that once in a minute at the most. An empty table that somebody has analysed is read whole, since that is
//! cheap; and an agenda that has just opened can grow to hundreds of thousands of bookings in that minute. Each of its transactions then reads
//! all that were before it, while all other schedulers wait.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Up to so many records it is small: to read it whole costs little.
const SMALL: u64 = 64;

/// How often the agenda has doubled, as far as this process has seen it: shared by the connections of one database.
#[derive(Debug)]
pub struct Growth {
    doublings: AtomicU32,
    /// When it has doubled last.
    ///
    /// A std lock around a small value: held to read or to replace it.
    doubled_at: Mutex<Instant>,
}

impl Default for Growth {
    fn default() -> Self {
        Self { doublings: AtomicU32::new(0), doubled_at: Mutex::new(Instant::now()) }
    }
}

impl Growth {
    /// Notes how many records the trail has. Each change of the agenda makes one.
    pub fn note(&self, records: u64) {
        let doublings = doublings(records);
        if doublings > self.doublings() {
            *self.doubled_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            self.doublings.store(doublings, Ordering::Release);
        }
    }

    /// How often it has doubled.
    pub fn doublings(&self) -> u32 {
        self.doublings.load(Ordering::Acquire)
    }

    /// Whether a connection that was opened then may have plans for an agenda of half the size, or less.
    pub fn has_outgrown(&self, opened: Instant) -> bool {
        self.doublings() > 0 && opened < *self.doubled_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a small agenda has to double until it has so many records.
fn doublings(records: u64) -> u32 {
    (records / SMALL).checked_ilog2().map_or(0, |times| times + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_outgrown_when_the_agenda_has_doubled_and_not_before() {
        for (records, expected) in [(0, 0), (63, 0), (64, 1), (127, 1), (128, 2), (5_000_000, 17), (u64::MAX, 58)] {
            assert_eq!(doublings(records), expected, "{records} records");
        }
        let growth = Growth::default();
        let opened = Instant::now();
        growth.note(63);
        assert!(!growth.has_outgrown(opened));
        growth.note(64);
        assert!(growth.has_outgrown(opened));
        let again = Instant::now();
        growth.note(127);
        // What another scheduler has seen earlier changes nothing.
        growth.note(10);
        assert!(!growth.has_outgrown(again));
        assert_eq!(growth.doublings(), 1);
        growth.note(128);
        assert!(growth.has_outgrown(again));
    }
}
