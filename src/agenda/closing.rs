//! When a telescope's slots cannot be booked, and when they open.

use super::catalogue::Telescope;
use super::maintenance::{Maintenance, Stretch, within};
use super::opening::{Reopening, is_looked_at};
use super::slot::SlotRange;
use crate::time::Timestamp;

impl Telescope {
    /// The stretches of [`from`, `until`) in which it cannot be booked for maintenance or because it does not operate.
    pub fn closed_within(&self, from: Timestamp, until: Timestamp) -> Vec<Stretch> {
        let mut stretches = within(&self.maintenance, from, until);
        stretches.extend(self.hours.iter().flat_map(|hours| hours.closed_within(from, until)));
        stretches
    }

    /// The telescope with these maintenances.
    #[must_use]
    pub fn with_maintenance(self, mut all: Vec<Maintenance>) -> Self {
        all.sort_unstable_by_key(|one| (one.when.start, one.id));
        Self { maintenance: all.into(), ..self }
    }

    /// When these slots open, or have opened a moment before `now`, after a maintenance that was taken away.
    pub fn reopens(&self, slots: SlotRange, now: Timestamp) -> Option<Timestamp> {
        let meets = |one: &&Reopening| one.when.meets(slots.start(), slots.end()).is_some();
        let all = self.reopening.iter().filter(meets).map(|one| one.opens_at);
        all.filter(|at| is_looked_at(*at, now)).max()
    }

    /// The same, also after the instant at which the rules open the day.
    pub fn opens(&self, slots: SlotRange, now: Timestamp) -> Option<Timestamp> {
        let of_day = self.rules.horizon().map(|horizon| horizon.opens(slots));
        self.reopens(slots, now).max(of_day.filter(|at| is_looked_at(*at, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::maintenance::NewMaintenance;
    use crate::agenda::rules::Rules;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn of_several_openings_the_last_one_counts() {
        let slots = SlotRange::new(at("2030-01-10T03:00:00Z"), 5).unwrap();
        let mut telescope = Telescope::new("T".to_owned(), "T".to_owned(), false);
        assert_eq!(telescope.opens(slots, at("2030-01-05T01:00:00Z")), None);
        telescope.rules = Rules { horizon_days: Some(5), opens_at_min: Some(60), ..Rules::default() };
        let of_day = at("2030-01-05T01:00:00Z");
        assert_eq!(telescope.opens(slots, of_day), Some(of_day));
        assert_eq!(telescope.opens(slots, at("2030-01-05T01:00:01Z")), None);
        let reopening = |start: &str, end: &str, opens_at: &str| {
            let (start, end, opens_at) = (at(start), at(end), at(opens_at));
            Reopening {
                when: NewMaintenance { start, end, reason: "espelho".to_owned(), weekly_until: None },
                opens_at,
            }
        };
        telescope.reopening = [
            reopening("2030-01-10T00:00:00Z", "2030-01-10T03:00:00Z", "2030-01-07T00:00:03Z"),
            reopening("2030-01-10T03:00:00Z", "2030-01-10T04:00:00Z", "2030-01-07T00:00:01Z"),
            reopening("2030-01-10T00:00:00Z", "2030-01-11T00:00:00Z", "2030-01-07T00:00:02Z"),
        ]
        .into();
        let now = at("2030-01-07T00:00:01.5Z");
        assert_eq!(telescope.opens(slots, now), Some(at("2030-01-07T00:00:02Z")));
        assert_eq!(telescope.reopens(slots, now), telescope.opens(slots, now));
        assert_eq!(telescope.reopens(slots, at("2030-01-06T23:00:00Z")), None, "the clock was set back");
    }
}
