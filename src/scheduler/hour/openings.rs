//! Slots that became free a moment ago, and when they open: what this scheduler has freed, and what it heard that others have.
//!
//! The database has the same, and a booking that knows of no opening finds it there ([`BookRefused::Opens`](crate::store::BookRefused)). This
//! memory is there so that a contest waits long enough from its first request on, and so that no request has to read the database first.
//!
//! # Bounds
//! An opening is forgotten a second after its instant, and one that is further ahead than that is not believed: everybody who reaches the
//! coordinator can publish an event. So there are as many as slots become free in two seconds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::agenda::opening::{LOOKED_AT, is_looked_at};
use crate::agenda::policy::Policy;
use crate::agenda::{NewBooking, Place, SlotRange};
use crate::time::{Clock, Timestamp};

/// The slots by telescope and start. A std lock around a small map: it is held for a look, or to add and drop a few slots.
pub struct Openings {
    clock: Clock,
    slots: Mutex<HashMap<String, BTreeMap<Timestamp, Timestamp>>>,
}

impl Openings {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, slots: Mutex::default() }
    }

    /// A place has become free, and opens at that instant.
    pub fn note(&self, place: &Place, opens_at: Timestamp) {
        let now = self.clock.now();
        let most_us = i64::try_from(LOOKED_AT.as_micros()).unwrap_or(i64::MAX);
        if opens_at.as_micros() - now.as_micros() > most_us {
            return;
        }
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, of_telescope| {
            of_telescope.retain(|_, at| is_looked_at(*at, now));
            !of_telescope.is_empty()
        });
        let of_telescope = slots.entry(place.telescope.clone()).or_default();
        of_telescope.extend(place.slots.starts().map(|start| (start, opens_at)));
    }

    /// When these slots open, or have opened a moment before `now`.
    pub fn of(&self, telescope: &str, wanted: SlotRange, now: Timestamp) -> Option<Timestamp> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let found = slots.get(telescope)?.range(wanted.start()..wanted.end()).map(|(_, at)| *at);
        found.filter(|at| is_looked_at(*at, now)).max()
    }

    /// When the slots of a booking open, or have opened a moment before `now`, where there are contests: after a cancellation, after a maintenance, or by
    /// the horizon of the rules.
    pub fn for_booking(&self, new: &NewBooking, now: Timestamp) -> Option<Timestamp> {
        if new.telescope.rules.policy == Policy::Arrival {
            return None;
        }
        self.of(&new.telescope.code, new.slots, now).max(new.telescope.opens(new.slots, now))
    }

    /// Waits until the slots of a booking are open. A move does so, which takes no part in a contest.
    pub async fn wait_for(&self, new: &NewBooking) {
        let now = self.clock.now();
        let left_us = self.for_booking(new, now).map_or(0, |at| at.as_micros() - now.as_micros());
        if let Ok(left_us @ 1..) = u64::try_from(left_us) {
            tokio::time::sleep(Duration::from_micros(left_us).min(LOOKED_AT)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_is_known_until_it_is_over_and_none_that_is_far_ahead() {
        let clock = Clock::held_at(Timestamp::parse_rfc3339("2030-01-01T00:00:00Z").unwrap());
        let openings = Openings::new(clock.clone());
        let after = |ms: i64| Timestamp::from_micros(clock.now().as_micros() + ms * 1000).unwrap();
        let slots =
            |minutes| SlotRange::new(Timestamp::parse_rfc3339("2030-02-01T00:00:00Z").unwrap(), minutes).unwrap();
        let place = |code: &str| Place { telescope: code.to_owned(), slots: slots(15) };
        let opens_at = after(153);
        openings.note(&place("X"), opens_at);
        openings.note(&place("Y"), after(1_001));
        assert_eq!(openings.of("X", slots(5), clock.now()), Some(opens_at));
        assert_eq!(openings.of("X", slots(15).rest(slots(10).end()).unwrap(), clock.now()), Some(opens_at));
        let later = SlotRange::new(slots(15).end(), 5).unwrap();
        assert_eq!((openings.of("X", later, clock.now()), openings.of("Y", slots(5), clock.now())), (None, None));
        clock.set(after(1_153));
        assert_eq!(openings.of("X", slots(5), clock.now()), None);
        openings.note(&place("Z"), after(1));
        assert_eq!(openings.slots.lock().unwrap().len(), 1);
    }
}
