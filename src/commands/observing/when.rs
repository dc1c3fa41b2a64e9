//! A day, the start of an observation, and its duration, as a person types them. Days and times of day are in UTC.

use rust_i18n::t;

use super::super::moments;
use crate::agenda::SLOT_MIN;
use crate::time::Timestamp;

/// The words for a day beside a date.
const DAYS: [&str; 6] = ["today", "hoje", "tomorrow", "amanhã", "yesterday", "ontem"];

/// The midnight with which a day begins; `now` is the official time.
///
/// # Errors
/// What is wrong with the text and what would be right, to follow the option and the text.
pub fn day(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    if !is_day(text) {
        return Err(t!("is not a day; give 2026-11-25, today, tomorrow or yesterday (in UTC)").into_owned());
    }
    moments::parse(text, now)
}

fn is_day(text: &str) -> bool {
    DAYS.contains(&text) || (text.len() == "2026-11-25".len() && text.starts_with(|c: char| c.is_ascii_digit()))
}

/// When an observation starts: `03:00` is today, `tomorrow 03:00`, `2026-12-01 03:00`, or RFC 3339. A day without a time of day
/// is refused: midnight is rarely meant.
///
/// # Errors
/// As [`day`].
pub fn start(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    let wrong = || {
        t!("is not a start; give 03:00 (today), \"tomorrow 03:00\", \"2026-12-01 03:00\" (all UTC) or 2026-12-01T03:00:00Z")
            .into_owned()
    };
    let is_time = |text: &str| text.len() <= "03:00:00".len() && text.contains(':');
    let mut of_days = DAYS.iter().filter_map(|word| Some((word, text.strip_prefix(word)?.strip_prefix(' ')?.trim())));
    if let Some((word, time)) = of_days.find(|(_, time)| is_time(time)) {
        let midnight = moments::parse(word, now)?.seconds().to_string();
        let date = midnight.split('T').next().unwrap_or_default();
        return moments::parse(&format!("{date} {time}"), now);
    }
    match text.split_once([' ', 'T', 't']) {
        None if is_time(text) => moments::parse(text, now),
        Some((date, time)) if is_day(date) && is_time(time) => moments::parse(text, now),
        // A fraction that is cut off could turn an instant off the grid into one on it.
        Some((date, _)) if is_day(date) => Timestamp::parse_exact(text).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// Whole minutes, as `30m`, `30min`, `1h` or `1h30m`.
///
/// # Errors
/// What would be right.
pub fn minutes(text: &str) -> Result<u32, String> {
    let wrong = || {
        t!("should be hours and minutes, as 30m, 1h or 1h30m: a multiple of %{slot} minutes", slot = SLOT_MIN)
            .into_owned()
    };
    let (hours, rest) = match text.split_once('h') {
        Some((hours, rest)) => (number(hours).ok_or_else(wrong)?, rest),
        None => (0, text),
    };
    let minutes = match rest.strip_suffix("min").or_else(|| rest.strip_suffix('m')) {
        Some(minutes) => number(minutes).ok_or_else(wrong)?,
        None if rest.is_empty() && !text.is_empty() => 0,
        None => return Err(wrong()),
    };
    hours.checked_mul(60).and_then(|hours| hours.checked_add(minutes)).filter(|minutes| *minutes > 0).ok_or_else(wrong)
}

fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-26T23:30:15.250000Z").unwrap()
    }

    #[test]
    fn a_day_is_a_date_or_a_word() {
        for (text, begins) in [
            ("2026-02-01", "2026-02-01"),
            ("today", "2026-11-26"),
            ("hoje", "2026-11-26"),
            ("tomorrow", "2026-11-27"),
            ("amanhã", "2026-11-27"),
            ("yesterday", "2026-11-25"),
        ] {
            assert_eq!(day(text, now()).unwrap().seconds().to_string(), format!("{begins}T00:00:00Z"), "{text}");
        }
        for wrong in ["", "now", "-1d", "03:00", "26/11/2026", "2026-13-01", "2026-11-25T03:00", "2026-02-3x"] {
            assert!(day(wrong, now()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_start_has_a_time_of_day() {
        for (text, at) in [
            ("03:00", "2026-11-26T03:00:00Z"),
            ("tomorrow 03:00", "2026-11-27T03:00:00Z"),
            ("amanhã 03:00", "2026-11-27T03:00:00Z"),
            ("today 23:55", "2026-11-26T23:55:00Z"),
            ("2026-12-01 03:00", "2026-12-01T03:00:00Z"),
            ("2026-12-01T03:00", "2026-12-01T03:00:00Z"),
            ("2026-12-01T03:00:00Z", "2026-12-01T03:00:00Z"),
            ("2026-12-01T00:00:00-03:00", "2026-12-01T03:00:00Z"),
            // The scheduler says that it is off the grid.
            ("03:01", "2026-11-26T03:01:00Z"),
        ] {
            assert_eq!(start(text, now()).unwrap_or_else(|wrong| panic!("{text} {wrong}")).seconds().to_string(), at);
        }
        for (text, said) in [
            ("", "is not a start"),
            ("now", "is not a start"),
            ("3", "is not a start"),
            ("-1h", "is not a start"),
            ("2026-12-01", "is not a start"),
            ("tomorrow", "is not a start"),
            ("next tuesday 03:00", "is not a start"),
            ("2026-12-01T03:00:00", ""),
            ("2026-12-01T03:00:00.0000001Z", "is not a start"),
            ("25:00", "does not exist"),
            ("2026-02-30 03:00", "does not exist"),
        ] {
            if said.is_empty() {
                assert!(start(text, now()).is_ok(), "{text}");
            } else {
                assert!(start(text, now()).unwrap_err().contains(said), "{text}");
            }
        }
    }

    #[test]
    fn a_duration_has_a_unit() {
        for (text, expected) in [("30m", 30), ("30min", 30), ("1h", 60), ("1h30m", 90), ("24h", 1440), ("7m", 7)] {
            assert_eq!(minutes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "30", "m", "h", "0m", "-5m", "1.5h", "1h30", "30s", "1d", "99999999999h", "4000000000h"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
