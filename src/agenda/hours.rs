//! The hours in which a telescope operates: windows of the week, in UTC, which may cross midnight.

use serde::{Deserialize, Serialize};

use super::slot::{SLOT_MIN, SlotRange};
use crate::time::{Timestamp, minutes_in_micros};

/// The most windows.
pub const WINDOWS_MAX: usize = 50;

const DAY_MIN: i64 = 24 * 60;
const WEEK_MIN: i64 = 7 * DAY_MIN;
const SLOT_US: i64 = minutes_in_micros(SLOT_MIN);
/// The slots of a week, from Monday 00:00.
const WEEK_SLOTS: usize = 2016;
/// 1970 began on a Thursday.
const EPOCH_WEEKDAY: i64 = 3;

/// The days of the week, from Monday on.
pub const DAYS: [&str; 7] = ["seg", "ter", "qua", "qui", "sex", "sab", "dom"];

/// A stretch of the week in which a telescope operates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The day on which it begins: 0 is Monday.
    pub day: u8,
    /// When it begins, in minutes after midnight.
    pub from_min: u16,
    /// When it ends. If that is not after its beginning, it is on the next day.
    pub until_min: u16,
}

impl Window {
    /// Its first minute of the week, and how many minutes it has.
    fn minutes(self) -> (i64, i64) {
        let (from, until) = (i64::from(self.from_min), i64::from(self.until_min));
        let length = if until > from { until - from } else { until + DAY_MIN - from };
        (i64::from(self.day) * DAY_MIN + from, length)
    }
}

/// The hours of a telescope: at least one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    windows: Vec<Window>,
    /// Whether each slot of a week is in one of the windows.
    open: Vec<bool>,
}

impl Hours {
    /// The hours of these windows.
    pub fn new(windows: Vec<Window>) -> Self {
        let mut open = vec![false; WEEK_SLOTS];
        for window in &windows {
            let (from, length) = window.minutes();
            let slots = |minutes: i64| usize::try_from(minutes / SLOT_MIN).unwrap_or(0);
            let (from, until) = (slots(from).min(WEEK_SLOTS), slots(from + length));
            open[from..until.min(WEEK_SLOTS)].fill(true);
            // What goes on in the next week is at the beginning of this one too.
            open[..until.saturating_sub(WEEK_SLOTS)].fill(true);
        }
        Self { windows, open }
    }

    /// Its windows, as they were given.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Whether the telescope operates in the slot that begins at `start`.
    pub fn is_open(&self, start: Timestamp) -> bool {
        let slots = start.as_micros().div_euclid(SLOT_US) + EPOCH_WEEKDAY * DAY_MIN / SLOT_MIN;
        self.open[index(slots.rem_euclid(WEEK_MIN / SLOT_MIN))]
    }

    /// The first slot of these in which it does not operate, and the first one after it in which it does.
    pub fn closed(&self, slots: SlotRange) -> Option<(Timestamp, Timestamp)> {
        let closed = slots.starts().find(|start| !self.is_open(*start))?;
        let after = (1..=WEEK_MIN / SLOT_MIN).map(|nth| slot_after(closed, nth));
        // There is one within a week: it has a window.
        Some((closed, after.into_iter().find(|start| self.is_open(*start)).unwrap_or(Timestamp::MAX)))
    }

    /// The stretches of [`from`, `until`) in which it does not operate. Both are on the grid.
    pub fn closed_within(&self, from: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut stretches: Vec<(Timestamp, Timestamp)> = Vec::new();
        let mut start = from;
        while start < until {
            let end = slot_after(start, 1);
            if !self.is_open(start) {
                match stretches.last_mut() {
                    Some(last) if last.1 == start => last.1 = end,
                    _ => stretches.push((start, end)),
                }
            }
            // The last instant has no slot after it.
            if end <= start {
                break;
            }
            start = end;
        }
        stretches
    }
}

fn index(slot: i64) -> usize {
    usize::try_from(slot).unwrap_or(0).min(WEEK_SLOTS - 1)
}

fn slot_after(start: Timestamp, nth: i64) -> Timestamp {
    Timestamp::from_micros(start.as_micros() + nth * SLOT_US).unwrap_or(Timestamp::MAX)
}

/// A window as answers and records have it.
#[derive(Clone, Debug, Serialize)]
pub struct WindowView {
    dia: &'static str,
    das: String,
    #[serde(rename = "as")]
    until: String,
}

impl WindowView {
    /// Shows this window.
    pub fn of(window: Window) -> Self {
        let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        Self { dia: DAYS[usize::from(window.day) % 7], das: time(window.from_min), until: time(window.until_min) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn hours(windows: &[(u8, u16, u16)]) -> Hours {
        let window = |&(day, from_min, until_min): &(u8, u16, u16)| Window { day, from_min, until_min };
        Hours::new(windows.iter().map(window).collect())
    }

    #[test]
    fn a_window_may_cross_midnight_and_the_week() {
        // 2030-01-01 is a Tuesday. Nights from Monday on, and from Sunday on.
        let nights = hours(&[(0, 22 * 60, 6 * 60), (6, 22 * 60, 6 * 60)]);
        let open = |text: &str| nights.is_open(at(text));
        assert!(open("2029-12-31T22:00:00Z") && open("2030-01-01T05:55:00Z"));
        assert!(!open("2030-01-01T06:00:00Z") && !open("2029-12-31T21:55:00Z") && !open("2030-01-02T00:00:00Z"));
        // The night from Sunday to Monday.
        assert!(open("2029-12-31T03:00:00Z") && open("2029-12-30T23:00:00Z"));
        let closed = |start: &str, minutes| nights.closed(SlotRange::new(at(start), minutes).unwrap());
        assert_eq!(closed("2030-01-01T05:00:00Z", 60), None);
        assert_eq!(closed("2030-01-01T05:00:00Z", 65), Some((at("2030-01-01T06:00:00Z"), at("2030-01-06T22:00:00Z"))));
        // The same beginning and end: a whole day.
        let whole = hours(&[(1, 12 * 60, 12 * 60)]);
        assert!(whole.is_open(at("2030-01-01T12:00:00Z")) && whole.is_open(at("2030-01-02T11:55:00Z")));
        assert!(!whole.is_open(at("2030-01-02T12:00:00Z")));
    }

    proptest! {
        #[test]
        fn the_closed_stretches_are_exactly_the_slots_that_are_not_open(
            windows in prop::collection::vec((0..7_u8, 0..288_u16, 0..288_u16), 1..5), from in 0..10_000_i64, count in 1..3000_i64,
        ) {
            let windows: Vec<_> = windows.into_iter().map(|(day, from, until)| (day, from * 5, until * 5)).collect();
            let hours = hours(&windows);
            let slot = |index: i64| Timestamp::from_micros(index * SLOT_US).unwrap();
            let stretches = hours.closed_within(slot(from), slot(from + count));
            for index in from..from + count {
                let is_closed = stretches.iter().any(|(start, end)| *start <= slot(index) && slot(index) < *end);
                prop_assert_eq!(is_closed, !hours.is_open(slot(index)));
            }
            prop_assert!(stretches.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
