//! The instants of a stream's lines: they do not go back, and no two are equal.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::time::{Clock, Timestamp};

/// How far the system's clock may be set back before the stamps follow it. A correction by less is made up for: until the clock has
/// caught up, each stamp is a microsecond later than the one before. After a larger one that would hold the stamps for too long.
const HELD: Duration = Duration::from_secs(1);

/// The stamp after `last`, at the instant `now`.
fn next(last: Timestamp, now: Timestamp) -> Timestamp {
    if now > last || now.saturating_add(HELD) < last { now } else { last.saturating_add(Duration::from_micros(1)) }
}

/// Gives one stream's stamps.
pub struct Stamps {
    clock: Clock,
    /// In microseconds. It is read and written only while the stream's queue is locked.
    last: AtomicI64,
}

impl Stamps {
    pub const fn new() -> Self {
        Self { clock: Clock::system(), last: AtomicI64::new(0) }
    }

    /// The stamp of a line that is made now. To be called with the stream's queue locked.
    pub fn take(&self) -> Timestamp {
        let last = Timestamp::from_micros(self.last.load(Ordering::Relaxed)).unwrap_or(Timestamp::MIN);
        let stamp = next(last, self.clock.now());
        self.last.store(stamp.as_micros(), Ordering::Relaxed);
        stamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_later_than_the_one_before_unless_the_clock_was_set_back_far() {
        let at = |micros| Timestamp::from_micros(micros).unwrap();
        assert_eq!(next(at(5_000_000), at(5_000_007)), at(5_000_007));
        assert_eq!(next(at(5_000_000), at(5_000_000)), at(5_000_001));
        assert_eq!(next(at(5_000_000), at(4_000_000)), at(5_000_001));
        assert_eq!(next(at(5_000_000), at(3_999_999)), at(3_999_999));
    }
}
