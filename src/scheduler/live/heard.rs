//! When an event last told that a telescope was changed: what is cached of the catalogue from before that is not used any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The instant of the last such event. Every booking reads it, so it is a number and no lock.
pub struct Heard {
    /// What the number counts from.
    begun: Instant,
    /// Microseconds; 0 if there was none.
    at_us: AtomicU64,
}

impl Heard {
    /// No event yet.
    pub fn new() -> Self {
        Self { begun: Instant::now(), at_us: AtomicU64::new(0) }
    }

    /// An event has come.
    pub fn note(&self) {
        self.at_us.fetch_max(self.us(Instant::now()).max(1), Ordering::SeqCst);
    }

    /// Whether one has come at `instant` or later.
    pub fn since(&self, instant: Instant) -> bool {
        let at_us = self.at_us.load(Ordering::SeqCst);
        at_us > 0 && at_us >= self.us(instant)
    }

    fn us(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.begun).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_event_makes_older_what_was_read_before_it() {
        let heard = Heard::new();
        let before = Instant::now();
        assert!(!heard.since(before));
        heard.note();
        assert!(heard.since(before));
        assert!(!heard.since(Instant::now() + Duration::from_secs(1)));
    }
}
