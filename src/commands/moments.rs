//! An instant as a person types it: `-1h`, `yesterday`, `2026-11-25`, `10:00`, or RFC 3339. The forms are those of `journalctl`.
//!
//! Days and times of day are in UTC, as everything in sctec.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::friendly::SpanParser;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use rust_i18n::t;

use super::values::wrong_instant;
use crate::time::{ParseTimestampError, Timestamp};

/// An instant as an example of one that is right.
const EXAMPLE: &str = "2025-10-26T18:00:00Z";

/// The parser of spans such as `1h 30min` and `2 hours ago`.
static SPANS: SpanParser = SpanParser::new();

/// Parses an instant; `now` is the present one.
///
/// # Errors
/// What is wrong with the text and what would be right, to follow the option and the text.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    let present = zoned(now).ok_or_else(out_of_range)?;
    let at = match text {
        "now" | "agora" => Some(Ok(present)),
        "today" | "hoje" => Some(day(present.date(), 0)),
        "yesterday" | "ontem" => Some(day(present.date(), -1)),
        "tomorrow" | "amanhã" => Some(day(present.date(), 1)),
        _ => time_of_day(text)
            .map(|time| time.and_then(|time| utc(present.date().to_datetime(time))))
            .or_else(|| civil(text).map(|at| at.and_then(utc)))
            .or_else(|| SPANS.parse_span(text).ok().map(|span| ago(&present, span))),
    };
    match at {
        Some(at) => timestamp(&at?),
        None => match Timestamp::parse_rfc3339(text) {
            Err(ParseTimestampError::Shape) => Err(t!(
                "is not an instant; give -1h, \"2h ago\", now, today, yesterday, tomorrow, 2026-11-25, 2026-11-25T10:00, 10:00 (all UTC) or \
                 2026-11-25T10:00:00Z"
            )
            .into_owned()),
            parsed => parsed.map_err(|error| wrong_instant(error, EXAMPLE)),
        },
    }
}

/// `10:00` or `10:00:30`.
fn time_of_day(text: &str) -> Option<Result<Time, String>> {
    let is_time = has_form(text, "dd:dd") || has_form(text, "dd:dd:dd");
    is_time.then(|| text.parse().map_err(|_| no_such()))
}

/// `2026-11-25`, or with a time of day after `T` or a space. Without one it is the beginning of the day.
fn civil(text: &str) -> Option<Result<DateTime, String>> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time_of_day(time)?),
        None => (text, Ok(Time::midnight())),
    };
    let is_date = has_form(date, "dddd-dd-dd");
    is_date.then(|| Ok(date.parse::<Date>().map_err(|_| no_such())?.to_datetime(time?)))
}

/// Whether the text has this form, in which each `d` is a digit.
fn has_form(text: &str, form: &str) -> bool {
    let is_right = |(byte, form): (u8, u8)| if form == b'd' { byte.is_ascii_digit() } else { byte == form };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(is_right)
}

/// A span before the present.
fn ago(present: &Zoned, span: Span) -> Result<Zoned, String> {
    if span.is_positive() {
        return Err(t!("is in the future; put - before it, as in -1h, or give \"1h ago\"").into_owned());
    }
    present.checked_add(span).map_err(|_| out_of_range())
}

fn day(today: Date, days: i64) -> Result<Zoned, String> {
    let date = today.checked_add(Span::new().days(days)).map_err(|_| out_of_range())?;
    utc(date.to_datetime(Time::midnight()))
}

fn utc(at: DateTime) -> Result<Zoned, String> {
    at.to_zoned(TimeZone::UTC).map_err(|_| out_of_range())
}

fn zoned(at: Timestamp) -> Option<Zoned> {
    jiff::Timestamp::from_microsecond(at.as_micros()).ok().map(|at| at.to_zoned(TimeZone::UTC))
}

fn timestamp(at: &Zoned) -> Result<Timestamp, String> {
    Timestamp::from_micros(at.timestamp().as_microsecond()).ok_or_else(out_of_range)
}

fn no_such() -> String {
    wrong_instant(ParseTimestampError::NoSuchInstant, EXAMPLE)
}

fn out_of_range() -> String {
    wrong_instant(ParseTimestampError::OutOfRange, EXAMPLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Thursday.
    const NOW: &str = "2026-11-26T09:30:15.250000Z";

    fn parsed(text: &str) -> Result<String, String> {
        parse(text, Timestamp::parse_rfc3339(NOW).unwrap()).map(|at| at.micros().to_string())
    }

    #[test]
    fn each_documented_form_is_an_instant() {
        for (text, at) in [
            ("now", NOW),
            ("agora", NOW),
            ("today", "2026-11-26T00:00:00.000000Z"),
            ("hoje", "2026-11-26T00:00:00.000000Z"),
            ("yesterday", "2026-11-25T00:00:00.000000Z"),
            ("ontem", "2026-11-25T00:00:00.000000Z"),
            ("tomorrow", "2026-11-27T00:00:00.000000Z"),
            ("amanhã", "2026-11-27T00:00:00.000000Z"),
            ("2026-11-25", "2026-11-25T00:00:00.000000Z"),
            ("2026-11-25T10:00", "2026-11-25T10:00:00.000000Z"),
            ("2026-11-25 10:00:30", "2026-11-25T10:00:30.000000Z"),
            ("10:00", "2026-11-26T10:00:00.000000Z"),
            ("10:00:30", "2026-11-26T10:00:30.000000Z"),
            ("-1h", "2026-11-26T08:30:15.250000Z"),
            ("-30min", "2026-11-26T09:00:15.250000Z"),
            ("-1h30min", "2026-11-26T08:00:15.250000Z"),
            ("-90s", "2026-11-26T09:28:45.250000Z"),
            ("-2d", "2026-11-24T09:30:15.250000Z"),
            ("-1w", "2026-11-19T09:30:15.250000Z"),
            ("-1mo", "2026-10-26T09:30:15.250000Z"),
            ("2h ago", "2026-11-26T07:30:15.250000Z"),
            ("2 hours ago", "2026-11-26T07:30:15.250000Z"),
            ("1 day 2 hours ago", "2026-11-25T07:30:15.250000Z"),
            ("2026-11-25T10:00:00Z", "2026-11-25T10:00:00.000000Z"),
            ("2026-11-25T10:00:00.123456-03:00", "2026-11-25T13:00:00.123456Z"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(at), "{text}");
        }
    }

    #[test]
    fn a_wrong_text_is_refused_with_what_would_be_right() {
        for (text, said) in [
            ("", "is not an instant"),
            ("-", "is not an instant"),
            ("last week", "is not an instant"),
            ("2026-11", "is not an instant"),
            ("25/11/2026", "is not an instant"),
            ("--until", "is not an instant"),
            ("1h", "put - before it"),
            ("2026-02-30", "does not exist on the calendar"),
            ("2026-02-01T24:30", "does not exist on the calendar"),
            ("25:00", "does not exist on the calendar"),
            ("2026-02-30T00:00:00Z", "does not exist on the calendar"),
            ("-100y", "should be from 1970"),
            ("-9999999h", "should be from 1970"),
            ("1969-12-31", "should be from 1970"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
