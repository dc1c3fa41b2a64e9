//! A day, as a person types it. Days are in UTC.

use rust_i18n::t;

use super::super::moments;
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
}
