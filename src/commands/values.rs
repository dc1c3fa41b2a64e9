//! Parsers of the options' values for which clap has none, and what is wrong with a value.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::builder::{StringValueParser, TypedValueParser};
use rust_i18n::t;

use crate::time::{ParseTimestampError, Timestamp, micros};

/// A signed duration, in microseconds: positive is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// Microseconds ahead.
    pub micros: i64,
}

/// The longest duration that is accepted: a thousand days.
const DURATION_MAX_S: f64 = 86_400_000.0;

/// The parser of a whole number in a range. clap's own says "invalid digit found in string", and of what range only outside of it.
pub fn whole_number<N>(range: RangeInclusive<u64>) -> impl TypedValueParser<Value = N>
where
    N: TryFrom<u64> + Clone + Send + Sync + 'static,
{
    StringValueParser::new().try_map(move |text| {
        let number = text.parse::<u64>().ok().filter(|number| range.contains(number));
        number.and_then(|number| N::try_from(number).ok()).ok_or_else(|| {
            t!("should be a whole number from %{least} to %{most}", least = range.start(), most = range.end())
                .into_owned()
        })
    })
}

/// A duration: one number and its unit.
///
/// jiff's own parser is not used here. It also takes `5m` for minutes, a sign, spaces, several units and ISO 8601; in an option
/// of milliseconds `5m` is more likely a mistyped `5ms`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || t!("should be a number with a unit, as 5ms, 250us or 0.5s").into_owned();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(expected()),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(expected());
    }
    let seconds = number.parse::<f64>().map_err(|_| expected())? * scale;
    if seconds > DURATION_MAX_S {
        return Err(t!("should be at most a thousand days").into_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A duration with a sign: `+2s` is ahead.
pub fn parse_skew(text: &str) -> Result<Skew, String> {
    let (sign, length) = match text.strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let length = parse_duration(length)?;
    // The longest duration fits by far.
    Ok(Skew { micros: sign * micros(length).cast_signed() })
}

/// What is wrong with an instant, with an example of one that is right. The errors of [`Timestamp`] are the API's, always in Portuguese; these are in the language of the process.
pub fn wrong_instant(error: ParseTimestampError, example: &str) -> String {
    match error {
        ParseTimestampError::Shape => {
            t!("should be an RFC 3339 instant with a zone, as %{example}", example = example).into_owned()
        }
        ParseTimestampError::NoSuchInstant => {
            t!("does not exist on the calendar or the clock; use an instant like %{example}", example = example)
                .into_owned()
        }
        ParseTimestampError::NoSuchOffset => {
            t!("has an offset that does not exist; they go from -23:59 to +23:59, as in 2025-10-26T15:00:00-03:00")
                .into_owned()
        }
        ParseTimestampError::NoLeapSecond => {
            t!("has a second 60, which can only be at 23:59:60Z of 30 June or 31 December").into_owned()
        }
        ParseTimestampError::OutOfRange => {
            t!("should be from %{first} to %{last}", first = Timestamp::MIN.seconds(), last = Timestamp::MAX.seconds())
                .into_owned()
        }
        ParseTimestampError::TooFine => {
            t!("should be exact to the microsecond, without a second 60 or further digits").into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_skews_a_sign() {
        assert_eq!(parse_duration("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(parse_duration("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_skew("+2s"), Ok(Skew { micros: 2_000_000 }));
        assert_eq!(parse_skew("-1s"), Ok(Skew { micros: -1_000_000 }));
        for wrong in ["", "5", "ms", "-5ms", "5 ms", "5m", "nan s", "infs", "1e9s", "1..5s", "99999999999h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
