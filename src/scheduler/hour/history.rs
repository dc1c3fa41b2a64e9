//! The shortest round trip that this scheduler has seen to each principal at its address, for a day.
//!
//! A client that waits before it answers seems to be farther away. If it was seen nearer in an earlier series of time tokens, that counts.
//!
//! # Bounds
//! The memory of one process, for so many clients; then the half that was seen longest ago is forgotten. A client that is not known here
//! is judged by its token alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::token::Holder;
use crate::time::Timestamp;

/// How long a round trip counts.
const COUNTS_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// The most clients.
const CLIENTS_MAX: usize = 20_000;

/// A round trip, and when it was seen.
#[derive(Clone, Copy)]
struct Shortest {
    micros: u32,
    at: Timestamp,
}

/// The round trips. A std lock around a map: it is held to look up or to replace one entry.
#[derive(Default)]
pub struct History(Mutex<HashMap<Holder, Shortest>>);

impl History {
    /// Notes a round trip of `holder`, unless a shorter one counts at `now`.
    pub fn note(&self, holder: &Holder, micros: u32, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = known.get(holder)
            && before.micros <= micros
            && counts(*before, now)
        {
            return;
        }
        if known.len() >= CLIENTS_MAX && !known.contains_key(holder) {
            forget_half(&mut known);
        }
        known.insert(holder.clone(), Shortest { micros, at: now });
    }

    /// The shortest round trip of `holder` that counts at `now`.
    pub fn shortest(&self, holder: &Holder, now: Timestamp) -> Option<u32> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(holder).filter(|shortest| counts(**shortest, now)).map(|shortest| shortest.micros)
    }
}

fn counts(shortest: Shortest, now: Timestamp) -> bool {
    now < shortest.at.saturating_add(COUNTS_FOR)
}

fn forget_half(known: &mut HashMap<Holder, Shortest>) {
    let mut seen: Vec<Timestamp> = known.values().map(|shortest| shortest.at).collect();
    let middle = seen.len() / 2;
    let (_, middle, _) = seen.select_nth_unstable(middle);
    let middle = *middle;
    known.retain(|_, shortest| shortest.at > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    #[test]
    fn the_shortest_counts_for_a_day() {
        const DAY: i64 = 24 * 3600 * 1_000_000;
        let (history, ana) = (History::default(), Holder::of("ana", "192.0.2.1"));
        assert_eq!(history.shortest(&ana, at(0)), None);
        for micros in [40_000, 20_000, 80_000] {
            history.note(&ana, micros, at(i64::from(micros)));
        }
        assert_eq!(history.shortest(&ana, at(DAY)), Some(20_000));
        assert_eq!(history.shortest(&ana, at(DAY + 20_000)), None);
        history.note(&ana, 90_000, at(DAY + 20_000));
        assert_eq!(history.shortest(&ana, at(DAY + 20_000)), Some(90_000));
        assert_eq!(history.shortest(&Holder::of("rui", "192.0.2.1"), at(DAY)), None);
    }

    #[test]
    fn of_too_many_clients_those_seen_longest_ago_are_forgotten() {
        let history = History::default();
        let client = |nth: usize| Holder::of("anonimo", &nth.to_string());
        for nth in 0..=CLIENTS_MAX {
            history.note(&client(nth), 1, at(i64::try_from(nth).unwrap()));
        }
        let known = |nth: usize| history.shortest(&client(nth), at(1_000_000)).is_some();
        assert!(!known(0) && !known(CLIENTS_MAX / 2) && known(CLIENTS_MAX / 2 + 1) && known(CLIENTS_MAX));
        assert!(history.0.lock().unwrap().len() <= CLIENTS_MAX);
        // All at one instant: room is made all the same.
        let history = History::default();
        for nth in 0..=CLIENTS_MAX {
            history.note(&client(nth), 1, at(7));
        }
        assert!(history.shortest(&client(CLIENTS_MAX), at(7)).is_some());
    }
}
