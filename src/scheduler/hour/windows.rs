//! How long a contest waits for clicks that are still on their way: as long as the farthest client that may click now needs.
//!
//! A client with a time token that lives may click at any moment, and its request may be on its way for as long as its credit
//! ([`credit_us`]). So a window is the largest credit of all tokens that live. Where no token lives, nobody is waited for.
//!
//! # Bounds
//! A token that expires sooner than one with as large a credit does not count any more, so there is at most one for each millisecond of credit.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::agenda::stamp::credit_us;
use crate::time::Timestamp;

/// A credit in whole milliseconds, rounded up, and until when its token lives.
#[derive(Clone, Copy)]
struct Living {
    credit_ms: u64,
    until: Timestamp,
}

/// The tokens that this scheduler has given and that live, as far as they count: later ones have smaller credits. A std lock around a
/// short list: it is held to add one, or to drop those that are over.
#[derive(Default)]
pub struct Windows(Mutex<VecDeque<Living>>);

impl Windows {
    /// A token with this round trip was given, which lives until then.
    pub fn given(&self, round_trip_us: Option<u32>, until: Timestamp) {
        let credit_ms = credit_us(round_trip_us).unsigned_abs().div_ceil(1000);
        let mut living = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while living.back().is_some_and(|last| last.credit_ms <= credit_ms && last.until <= until) {
            living.pop_back();
        }
        living.push_back(Living { credit_ms, until });
    }

    /// How long a contest waits that begins at `now`.
    pub fn window(&self, now: Timestamp) -> Duration {
        let mut living = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        living.retain(|one| one.until > now);
        Duration::from_millis(living.iter().map(|one| one.credit_ms).max().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000).unwrap()
    }

    #[test]
    fn a_window_is_the_largest_credit_that_lives() {
        let windows = Windows::default();
        let ms = |second: i64| windows.window(at(second)).as_millis();
        assert_eq!(ms(0), 0);
        windows.given(Some(280_000), at(100));
        windows.given(Some(2_000), at(110));
        windows.given(None, at(120));
        windows.given(Some(100_001), at(115));
        assert_eq!([99, 100, 114, 115, 120].map(ms), [143, 53, 53, 3, 0]);
        windows.given(Some(u32::MAX), at(200));
        assert_eq!(ms(199), 153);
    }

    #[test]
    fn many_tokens_take_little_room() {
        let windows = Windows::default();
        for second in 0..100_000_u32 {
            windows.given(Some(second * 7 % 300_000), at(i64::from(second) + 300));
        }
        assert!(windows.0.lock().unwrap().len() <= 160);
    }
}
