//! Instants, and the clock that gives the present one.
//!
//! [`Timestamp`] is the only type for an instant, so an instant cannot be confused with a duration or another unit. Functions that
//! decide take the present instant as an argument. Only the callers at the edge read a [`Clock`]. A test can use a clock that
//! stands still.

mod calendar;
mod rfc3339;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

pub use self::rfc3339::ParseTimestampError;
use self::rfc3339::{LONGEST, Parsed};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// An instant in UTC, in microseconds since 1970-01-01T00:00:00Z.
///
/// It lies between [`Timestamp::MIN`] and [`Timestamp::MAX`], the years 1970 to 9998. So its RFC 3339 form has a four-digit year in
/// every zone, and adding a day cannot overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// 9998-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_370_764_799_999_999);

    /// The instant `micros` microseconds after 1970, or `None` outside the years 1970 to 9998.
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros < Self::MIN.0 || micros > Self::MAX.0 {
            return None;
        }
        Some(Self(micros))
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// `self + duration`, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(micros(duration)).min(Self::MAX.0))
    }

    /// Parses a `date-time` of [RFC 3339 §5.6](https://www.rfc-editor.org/rfc/rfc3339#section-5.6), in any zone and with any
    /// number of fraction digits. Digits after the microsecond are cut. A leap second (§5.7) becomes the last microsecond of
    /// second 59: so it sorts after second 59 and before the next minute, and it is never on the grid of slots.
    ///
    /// # Errors
    /// Says whether the form, the calendar, the zone or the range is wrong.
    pub fn parse_rfc3339(text: &str) -> Result<Self, ParseTimestampError> {
        Self::of_parsed(&rfc3339::parse(text)?)
    }

    /// Like [`Timestamp::parse_rfc3339`], but refuses digits that would be cut: a slot begins exactly on the grid.
    ///
    /// # Errors
    /// As [`Timestamp::parse_rfc3339`], and [`ParseTimestampError::TooFine`].
    pub fn parse_exact(text: &str) -> Result<Self, ParseTimestampError> {
        let parsed = rfc3339::parse(text)?;
        Self::of_parsed(&parsed).and_then(|at| if parsed.exact { Ok(at) } else { Err(ParseTimestampError::TooFine) })
    }

    fn of_parsed(parsed: &Parsed) -> Result<Self, ParseTimestampError> {
        Self::from_micros(parsed.micros).ok_or(ParseTimestampError::OutOfRange)
    }

    /// Displays whole seconds, the form of slots: `2025-12-01T03:00:00Z`.
    pub const fn seconds(self) -> Rfc3339 {
        Rfc3339 { at: self, fraction_digits: 0 }
    }

    /// Displays milliseconds, the form of log lines: `2025-10-26T18:00:04.500Z`.
    pub const fn millis(self) -> Rfc3339 {
        Rfc3339 { at: self, fraction_digits: 3 }
    }

    /// Gives its text up to the millisecond, `2025-10-26T18:00:04.500`, and its three further digits: a line of the log has them apart.
    pub fn in_two<T>(self, give: impl FnOnce(&str, &str) -> T) -> T {
        let mut room = [0; LONGEST];
        let (millis, rest) = rfc3339::write(self.0, 6, &mut room).split_at(LONGEST - "123Z".len());
        give(millis, &rest[..rest.len() - 1])
    }

    /// Displays microseconds, the form of all other instants: `2025-10-26T18:00:04.500123Z`.
    pub const fn micros(self) -> Rfc3339 {
        Rfc3339 { at: self, fraction_digits: 6 }
    }
}

/// A [`Timestamp`] and the number of fraction digits to show.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339 {
    at: Timestamp,
    fraction_digits: usize,
}

impl Rfc3339 {
    /// Gives its text, without the general machinery of formatting.
    pub fn give<T>(self, give: impl FnOnce(&str) -> T) -> T {
        give(rfc3339::write(self.at.0, self.fraction_digits, &mut [0; LONGEST]))
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.give(|text| f.write_str(text))
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.give(|text| serializer.serialize_str(text))
    }
}

/// The source of the present instant: the system's clock, or a test's clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// `None` for the system's clock.
    held: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self { held: None }
    }

    /// A clock that stands at `at` until [`Clock::set`] moves it.
    pub fn held_at(at: Timestamp) -> Self {
        Self { held: Some(Arc::new(AtomicI64::new(at.0))) }
    }

    /// Sets a clock that stands still. It does not change the system's clock.
    pub fn set(&self, at: Timestamp) {
        if let Some(held) = &self.held {
            held.store(at.0, Ordering::Relaxed);
        }
    }

    /// The present instant. If the system's clock is outside the years 1970 to 9998, it is the nearer end of the range.
    pub fn now(&self) -> Timestamp {
        let micros = match &self.held {
            Some(held) => held.load(Ordering::Relaxed),
            None => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => 0_i64.saturating_add_unsigned(micros(since)),
                Err(_) => 0,
            },
        };
        Timestamp(micros.clamp(Timestamp::MIN.0, Timestamp::MAX.0))
    }
}

/// A duration in whole microseconds, at most [`u64::MAX`].
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A duration in whole milliseconds, at most [`u64::MAX`].
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How long ago the machine was started, the time that it slept included: on a clock that nobody can set, and that goes on while a process
/// is paused.
pub fn since_boot() -> Duration {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    // The kernel gives neither a negative time nor a fraction beyond a second.
    Duration::new(u64::try_from(since.tv_sec).unwrap_or_default(), u32::try_from(since.tv_nsec).unwrap_or_default())
}

/// Minutes in microseconds, for arithmetic with [`Timestamp::as_micros`].
pub const fn minutes_in_micros(minutes: i64) -> i64 {
    minutes * 60 * MICROS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_instant_is_shown_with_the_given_number_of_digits() {
        let at = Timestamp::parse_rfc3339("2025-10-26T18:00:04.500123Z").unwrap();
        assert_eq!(at.seconds().to_string(), "2025-10-26T18:00:04Z");
        assert_eq!(at.millis().to_string(), "2025-10-26T18:00:04.500Z");
        assert_eq!(at.micros().to_string(), "2025-10-26T18:00:04.500123Z");
    }

    proptest! {
        #[test]
        fn a_shown_instant_is_parsed_to_the_same_instant(micros in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let at = Timestamp(micros);
            prop_assert_eq!(Timestamp::parse_rfc3339(&at.micros().to_string()), Ok(at));
        }
    }
}
