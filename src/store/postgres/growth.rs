//! When the server has to plan its statements anew: whenever the trail has grown much.
//!
//! PostgreSQL plans a prepared statement by the sizes that the tables have then. It keeps the plan until the tables are analysed again;
//! autovacuum does that at most once a minute, and often later. An empty table that was analysed (by an operator, or by autovacuum after its rows were
//! removed) is read whole, since that is cheap. In one minute an agenda can grow to hundreds of thousands of bookings, and with such a plan each
//! transaction reads all of them, while all other schedulers wait. PostgreSQL 13 and older take an empty table for a table of ten pages.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A trail with fewer records is small: to read such a table whole costs little.
const SMALL: u64 = 64;
/// From so many records on there are new plans after each further so many, and not only when their number has doubled: other tables may be
/// empty in a large agenda, and then grow.
const LARGE: u64 = 65_536;

/// How much the trail has grown, as far as this process has seen it: shared by the connections to one database.
#[derive(Debug, Default)]
pub struct Growth {
    /// The step, and when it was reached.
    ///
    /// A std lock around small values: held to read or to replace them.
    reached: Mutex<(u64, Option<Instant>)>,
}

impl Growth {
    /// Notes how many records the trail has. Each change of the agenda makes at least one.
    pub fn note(&self, records: u64) {
        self.note_at(records, Instant::now());
    }

    fn note_at(&self, records: u64, now: Instant) {
        let step = step(records);
        let mut reached = self.reached();
        if step > reached.0 {
            *reached = (step, Some(now));
        }
    }

    /// The step that it has reached. Each step needs new plans.
    pub fn step(&self) -> u64 {
        self.reached().0
    }

    /// Whether it has reached a step since then.
    pub fn has_grown_since(&self, then: Instant) -> bool {
        self.reached().1.is_some_and(|at| then < at)
    }

    fn reached(&self) -> MutexGuard<'_, (u64, Option<Instant>)> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The step of so many records.
fn step(records: u64) -> u64 {
    let doublings = |records: u64| (records / SMALL).checked_ilog2().map_or(0, |times| u64::from(times) + 1);
    if records < LARGE { doublings(records) } else { doublings(LARGE) + records / LARGE - 1 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_step_is_a_doubling_and_later_a_fixed_number_of_records() {
        let expected = [
            (0, 0),
            (63, 0),
            (64, 1),
            (127, 1),
            (128, 2),
            (65_535, 10),
            (65_536, 11),
            (131_071, 11),
            (131_072, 12),
            (5_000_000, 86),
        ];
        for (records, expected) in expected {
            assert_eq!(step(records), expected, "{records} records");
        }
        assert!(step(u64::MAX) > step(5_000_000));
    }

    #[test]
    fn plans_are_outgrown_when_a_step_is_reached_and_not_before() {
        let (growth, begun) = (Growth::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        growth.note_at(63, at(1));
        assert!(!growth.has_grown_since(at(0)));
        growth.note_at(64, at(2));
        assert!(growth.has_grown_since(at(1)) && !growth.has_grown_since(at(2)));
        growth.note_at(127, at(3));
        // What another scheduler has seen earlier changes nothing.
        growth.note_at(10, at(4));
        assert!(!growth.has_grown_since(at(2)));
        assert_eq!(growth.step(), 1);
        growth.note_at(128, at(5));
        assert!(growth.has_grown_since(at(4)));
    }
}
