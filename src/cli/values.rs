//! Values that options take, and clap has no parser for.

use std::time::Duration;

/// A signed duration, in microseconds: positive is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// Microseconds ahead.
    pub micros: i64,
}

/// The longest duration that is accepted: a thousand days.
const DURATION_MAX_S: f64 = 86_400_000.0;

/// A length of time with its unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "should be a number with a unit, as 5ms, 250us or 0.5s".to_owned();
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
        return Err("should be at most a thousand days".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A length of time with its unit, and a sign.
pub fn parse_skew(text: &str) -> Result<Skew, String> {
    let (sign, length) = match text.strip_prefix('-') {
        Some(length) => (-1, length),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let length = parse_duration(length)?;
    let micros = i64::try_from(length.as_micros()).map_err(|error| error.to_string())?;
    Ok(Skew { micros: sign * micros })
}

/// The most records that can be asked for as the last ones: they wait in memory.
const TAIL_MAX: usize = 100_000;

/// A number of records.
pub fn parse_tail(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= TAIL_MAX);
    number.ok_or_else(|| format!("should be a number of records from 0 to {TAIL_MAX}"))
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
