//! A slot is five minutes of a telescope; a range is one or more slots in a row.

use crate::time::{Timestamp, minutes_in_micros};

/// A slot's length, in minutes.
pub const SLOT_MIN: i64 = 5;
/// The longest booking, in minutes: a day.
pub const DURATION_MIN_MAX: i64 = 24 * 60;
/// The most slots that the old and the new place of a booking may have together: as many as one lock can have.
pub const MOVE_SLOTS_MAX: usize = 288;

const SLOT_US: i64 = minutes_in_micros(SLOT_MIN);

/// One or more consecutive slots on the five-minute grid, at most a day of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotRange {
    start: Timestamp,
    count: u16,
}

/// Why a start and a duration are not a range of slots. Shown to the client, hence in Portuguese.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotRangeError {
    /// The start lies between two grid points.
    #[error("deve começar em um múltiplo de cinco minutos; os mais próximos são {} e {}", before.seconds(), after.seconds())]
    OffGrid {
        /// The grid point before.
        before: Timestamp,
        /// The grid point after.
        after: Timestamp,
    },
    /// The duration is not a multiple of five from 5 to 1440.
    #[error("deve ser um múltiplo de {SLOT_MIN} entre {SLOT_MIN} e {DURATION_MIN_MAX}")]
    Duration,
    /// The range would end after the year 9998.
    #[error("deve terminar até 9998-12-31T23:55:00Z")]
    TooLate,
}

impl SlotRange {
    /// The slots from `start` on for `duration_min` minutes.
    ///
    /// # Errors
    /// When either is off the grid or out of range.
    pub fn new(start: Timestamp, duration_min: i64) -> Result<Self, SlotRangeError> {
        check_start(start)?;
        let count = check_duration(duration_min)?;
        let range = Self { start, count };
        if Timestamp::from_micros(start.as_micros() + i64::from(count) * SLOT_US).is_none() {
            return Err(SlotRangeError::TooLate);
        }
        Ok(range)
    }

    /// The first instant.
    pub fn start(self) -> Timestamp {
        self.start
    }

    /// The first instant after.
    pub fn end(self) -> Timestamp {
        at(self.start, i64::from(self.count))
    }

    /// Its length, in minutes.
    pub fn duration_min(self) -> i64 {
        i64::from(self.count) * SLOT_MIN
    }

    /// Its slots from `from` on, if it has any.
    pub fn rest(self, from: Timestamp) -> Option<Self> {
        Self::new(from, (self.end().as_micros() - from.as_micros()) / minutes_in_micros(1)).ok()
    }

    /// How many slots it has in common with `other`.
    pub fn shared_with(self, other: Self) -> usize {
        let until = self.end().min(other.end()).as_micros();
        let shared = (until - self.start.max(other.start).as_micros()) / SLOT_US;
        usize::try_from(shared).unwrap_or(0)
    }

    /// The start of every slot, in order.
    pub fn starts(self) -> impl Iterator<Item = Timestamp> {
        (0..i64::from(self.count)).map(move |index| at(self.start, index))
    }
}

/// The instant `index` slots after `start`. The range's end was checked when it was made, so it is never past the maximum.
fn at(start: Timestamp, index: i64) -> Timestamp {
    Timestamp::from_micros(start.as_micros() + index * SLOT_US).unwrap_or(Timestamp::MAX)
}

/// Whether a booking may start at `start`: on the grid.
fn check_start(start: Timestamp) -> Result<(), SlotRangeError> {
    let past = start.as_micros() % SLOT_US;
    if past == 0 {
        return Ok(());
    }
    let before = Timestamp::from_micros(start.as_micros() - past).unwrap_or(Timestamp::MIN);
    Err(SlotRangeError::OffGrid { before, after: at(before, 1) })
}

/// The first slot that starts at `now` or after.
pub fn next_start(now: Timestamp) -> Timestamp {
    match check_start(now) {
        Err(SlotRangeError::OffGrid { after, .. }) => after,
        _ => now,
    }
}

/// Whether a slot that begins at `start` can be booked at `now`, unless a booking takes it.
pub fn is_open(start: Timestamp, simulated: bool, now: Timestamp) -> bool {
    simulated || start >= now
}

/// The number of slots in `duration_min` minutes.
///
/// # Errors
/// [`SlotRangeError::Duration`].
pub fn check_duration(duration_min: i64) -> Result<u16, SlotRangeError> {
    if !(SLOT_MIN..=DURATION_MIN_MAX).contains(&duration_min) || duration_min % SLOT_MIN != 0 {
        return Err(SlotRangeError::Duration);
    }
    u16::try_from(duration_min / SLOT_MIN).map_err(|_| SlotRangeError::Duration)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instant(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_range_has_a_rest_and_shares_slots_with_others() {
        let range = |text, minutes| SlotRange::new(instant(text), minutes).unwrap();
        let half = range("2025-12-01T03:00:00Z", 30);
        assert_eq!(half.rest(instant("2025-12-01T03:20:00Z")), Some(range("2025-12-01T03:20:00Z", 10)));
        assert_eq!(half.rest(half.end()), None);
        for (other, shared) in [("2025-12-01T02:40:00Z", 2), ("2025-12-01T03:20:00Z", 2), ("2025-12-01T02:30:00Z", 0)] {
            assert_eq!(half.shared_with(range(other, 30)), shared, "{other}");
        }
        assert_eq!(half.shared_with(range("2025-12-01T03:05:00Z", 5)), 1);
        assert_eq!(half.shared_with(range("2025-12-02T03:05:00Z", 5)), 0);
    }

    #[test]
    fn a_start_off_the_grid_is_told_the_nearest() {
        let error = SlotRange::new(instant("2025-12-01T03:02:00.5Z"), 5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "deve começar em um múltiplo de cinco minutos; os mais próximos são 2025-12-01T03:00:00Z e 2025-12-01T03:05:00Z"
        );
    }

    #[test]
    fn durations_are_whole_slots_up_to_a_day() {
        let start = instant("2025-12-01T03:00:00Z");
        for wrong in [i64::MIN, -5, 0, 1, 7, 1445, i64::MAX] {
            assert_eq!(SlotRange::new(start, wrong), Err(SlotRangeError::Duration), "{wrong}");
        }
        assert_eq!(SlotRange::new(start, 1440).unwrap().starts().count(), 288);
        assert_eq!(SlotRange::new(instant("9998-12-31T23:55:00Z"), 5), Err(SlotRangeError::TooLate));
    }

    proptest! {
        #[test]
        fn a_range_is_its_slots_side_by_side(slot in 0_i64..800_000_000, count in 1_i64..=288) {
            let start = Timestamp::from_micros(slot * SLOT_US).unwrap();
            let range = SlotRange::new(start, count * SLOT_MIN).unwrap();
            let starts: Vec<_> = range.starts().collect();
            prop_assert_eq!(i64::try_from(starts.len()).unwrap(), count);
            prop_assert_eq!(starts[0], range.start());
            prop_assert!(starts.windows(2).all(|pair| pair[1].as_micros() - pair[0].as_micros() == SLOT_US));
            prop_assert_eq!(range.end().as_micros() - starts[starts.len() - 1].as_micros(), SLOT_US);
        }
    }
}
