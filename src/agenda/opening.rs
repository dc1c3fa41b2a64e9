//! When slots that have become free open. Pure.
//!
//! Who hears first clicks first. So slots that become free open a little later: as much later as the farthest client that may click now needs to
//! hear of it, which is the largest credit of all time tokens that live, and as the service needs to tell all listeners. A page shows them at
//! that instant of the true time, and an earlier stamp counts as that instant. Where no token lives, slots open at once.

use std::time::Duration;

use super::maintenance::NewMaintenance;
use crate::time::Timestamp;

/// How long an opening is looked at after its instant, and before it. No stamp is earlier than its request's arrival by more than the largest credit, which is
/// much less.
pub const LOOKED_AT: Duration = Duration::from_secs(1);

/// How long it takes to tell one more listener of an event: what it took with ten thousand (`cargo bench --bench streams`).
const PER_LISTENER: Duration = Duration::from_micros(10);

/// How long before they open slots become free, where a contest takes `window` and `longest` at the most, and so many listen. A contest for
/// them takes this time and a window more, so there may not be time enough for all listeners.
pub fn lead(window: Duration, listeners: usize, longest: Duration) -> Duration {
    if window.is_zero() {
        return Duration::ZERO;
    }
    let deliveries = PER_LISTENER.saturating_mul(u32::try_from(listeners).unwrap_or(u32::MAX));
    window.saturating_add(deliveries).min(longest.saturating_sub(window)).max(window)
}

/// A maintenance that was taken away, and when what it had closed opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reopening {
    /// When it was.
    pub when: NewMaintenance,
    /// When its slots open.
    pub opens_at: Timestamp,
}

/// When slots open that become free at `now`, if not at once.
pub fn after(now: Timestamp, lead: Duration) -> Option<Timestamp> {
    let lead_us = i64::try_from(lead.as_micros()).ok().filter(|us| *us > 0)?;
    Timestamp::from_micros(now.as_micros().checked_add(lead_us)?)
}

/// Whether an opening can make a difference to a request that arrives at `now`. One that is further ahead than slots are ever opened was
/// written before the clock was set back, or by a machine whose clock is wrong: it keeps nobody waiting.
pub fn is_looked_at(opens_at: Timestamp, now: Timestamp) -> bool {
    Duration::from_micros(opens_at.as_micros().abs_diff(now.as_micros())) < LOOKED_AT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn the_lead_lets_all_hear_of_it_and_leaves_time_for_the_contest() {
        let of =
            |window, listeners| lead(Duration::from_millis(window), listeners, Duration::from_millis(300)).as_millis();
        assert_eq!([of(0, 10_000), of(20, 0), of(20, 10_000), of(100, 10_000)], [0, 20, 120, 200]);
        assert_eq!([of(120, 10_000), of(150, 10_000), of(153, 10_000), of(20, usize::MAX)], [180, 150, 153, 280]);
    }

    #[test]
    fn slots_open_after_the_lead_and_without_one_at_once() {
        let now = at("2030-01-01T00:00:00Z");
        assert_eq!(after(now, Duration::ZERO), None);
        assert_eq!(after(now, Duration::from_millis(153)), Some(at("2030-01-01T00:00:00.153Z")));
        assert!(is_looked_at(at("2030-01-01T00:00:00.153Z"), now) && is_looked_at(now, now));
        assert!(is_looked_at(now, at("2030-01-01T00:00:00.999999Z")));
        assert!(!is_looked_at(now, at("2030-01-01T00:00:01Z")));
        assert!(!is_looked_at(at("2030-01-01T01:00:00Z"), now), "the clock was set back by an hour");
    }
}
