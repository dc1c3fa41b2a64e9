//! Parses and writes an instant in the exact form of [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6).
//!
//! The grammar of §5.6 and the restrictions of §5.7 are implemented here; the calendar of what is read is jiff's. jiff has a parser too,
//! but it accepts more than RFC 3339 (week dates, offsets of more than a day, second 60 at any time), and at most nine fraction digits. And
//! it has a printer, for any zone and any year, which takes many times as long: a booking has some forty instants in its answer, its record,
//! its event and its lines of the log. So the date of what is written is reckoned by `calendar`.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use super::calendar::{DAY_SECONDS, date};

/// Why a text is not a [`Timestamp`](super::Timestamp). Shown to the client, hence in Portuguese.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTimestampError {
    /// Not the form of an RFC 3339 date and time with a zone.
    #[error("deve ser um instante RFC 3339 com fuso, como 2025-12-01T03:00:00Z")]
    Shape,
    /// The right form, but no such date or time of day.
    #[error("não existe no calendário ou no relógio; use um instante como 2025-12-01T03:00:00Z")]
    NoSuchInstant,
    /// An offset of a day or more, or with minutes past 59.
    #[error("tem um fuso que não existe; vai de -23:59 a +23:59, como em 2025-12-01T00:00:00-03:00")]
    NoSuchOffset,
    /// A second 60 at an instant that cannot be a leap second.
    #[error("tem um segundo 60, que só existe às 23:59:60Z de 30 de junho ou de 31 de dezembro")]
    NoLeapSecond,
    /// Outside the years 1970 to 9998.
    #[error("deve estar entre 1970-01-01T00:00:00Z e 9998-12-31T23:59:59Z")]
    OutOfRange,
    /// Digits after the microsecond, or a leap second, in an instant that has to be exact.
    #[error("deve ser exato até o microssegundo, sem um segundo 60 nem mais algarismos de fração")]
    TooFine,
}

/// Digits of a fraction that a [`Timestamp`](super::Timestamp) keeps.
const FRACTION_DIGITS: usize = 6;

/// A parsed instant.
pub struct Parsed {
    /// The instant, in microseconds since 1970. It may be outside the range of a [`Timestamp`](super::Timestamp).
    pub micros: i64,
    /// Whether it equals the text: no digit other than zero was cut, and it is not a leap second.
    pub exact: bool,
}

/// The length of an instant with all digits.
pub const LONGEST: usize = SHAPE.len();
const SHAPE: &[u8] = b"2025-10-26T18:00:04.500123Z";
/// Where its pairs of digits begin.
const PLACES: [usize; 10] = [0, 2, 5, 8, 11, 14, 17, 20, 22, 24];
/// The two digits of each number below a hundred.
static PAIRS: [[u8; 2]; 100] = {
    let (mut pairs, mut number) = ([[0; 2]; 100], 0);
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

/// Writes the instant `micros` microseconds after 1970, in a year of four digits, with up to six digits of its fraction. Further digits are cut.
pub fn write(micros: i64, fraction_digits: usize, text: &mut [u8; LONGEST]) -> &str {
    text.copy_from_slice(SHAPE);
    // No instant that is written is before 1970, and none has more than these days.
    let micros = micros.cast_unsigned();
    let (seconds, fraction) = (micros / 1_000_000, (micros % 1_000_000) as u32);
    let (days, of_day) = (u32::try_from(seconds / DAY_SECONDS), (seconds % DAY_SECONDS) as u32);
    let (year, month, day) = date(days.unwrap_or_default());
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let fractions = (fraction / 10_000, fraction / 100 % 100, fraction % 100);
    let numbers = [year / 100, year % 100, month, day, hour, minute, second, fractions.0, fractions.1, fractions.2];
    for (at, number) in PLACES.into_iter().zip(numbers) {
        text[at..at + 2].copy_from_slice(&PAIRS[number as usize]);
    }
    let end = if fraction_digits == 0 { 19 } else { 20 + fraction_digits };
    text[end] = b'Z';
    std::str::from_utf8(&text[..=end]).expect("digits and signs of ASCII")
}

/// Parses `date-time`. `T` and `Z` may be lower-case (§5.6, first note). A space instead of `T` (second note) is refused: the note
/// allows it for readability, not for programs.
pub fn parse(text: &str) -> Result<Parsed, ParseTimestampError> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    sign(&mut rest, b'-')?;
    let month = digits(&mut rest, 2)?;
    sign(&mut rest, b'-')?;
    let day = digits(&mut rest, 2)?;
    sign(&mut rest, b'T')?;
    let hour = digits(&mut rest, 2)?;
    sign(&mut rest, b':')?;
    let minute = digits(&mut rest, 2)?;
    sign(&mut rest, b':')?;
    let second = digits(&mut rest, 2)?;
    let (micros, cut) = fraction(&mut rest)?;
    let offset = offset(rest)?;

    let is_leap = second == 60;
    let date = civil(year, month, day)?;
    let time = clock(hour, minute, if is_leap { 59 } else { second })?;
    // The end of the year 9999 is after jiff's last instant.
    let at = offset?.to_timestamp(date.to_datetime(time)).map_err(|_| ParseTimestampError::OutOfRange)?;
    if is_leap && !can_be_leap(at) {
        return Err(ParseTimestampError::NoLeapSecond);
    }
    let micros = if is_leap { 999_999 } else { micros };
    Ok(Parsed { micros: at.as_microsecond() + micros, exact: !cut && !is_leap })
}

/// Takes the next `count` digits, which must be ASCII.
fn digits(rest: &mut &[u8], count: usize) -> Result<i16, ParseTimestampError> {
    let (head, tail) = rest.split_at_checked(count).ok_or(ParseTimestampError::Shape)?;
    *rest = tail;
    head.iter().try_fold(0, |number: i16, byte| {
        let digit = byte.is_ascii_digit().then(|| i16::from(byte - b'0')).ok_or(ParseTimestampError::Shape)?;
        // At most four digits, so this cannot overflow.
        Ok(number * 10 + digit)
    })
}

/// Takes the wanted character, which must be the next one. A letter may be lower-case.
fn sign(rest: &mut &[u8], wanted: u8) -> Result<(), ParseTimestampError> {
    match rest.split_first() {
        Some((byte, tail)) if byte.eq_ignore_ascii_case(&wanted) => {
            *rest = tail;
            Ok(())
        }
        _ => Err(ParseTimestampError::Shape),
    }
}

/// Takes a fraction, if there is one: its microseconds, and whether digits other than zero were cut.
fn fraction(rest: &mut &[u8]) -> Result<(i64, bool), ParseTimestampError> {
    let Some(after) = rest.strip_prefix(b".") else { return Ok((0, false)) };
    let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return Err(ParseTimestampError::Shape);
    }
    let (fraction, tail) = after.split_at(count);
    *rest = tail;
    let digit = |place: usize| fraction.get(place).map_or(0, |byte| i64::from(byte - b'0'));
    let micros = (0..FRACTION_DIGITS).fold(0, |micros, place| micros * 10 + digit(place));
    Ok((micros, fraction.iter().skip(FRACTION_DIGITS).any(|&byte| byte != b'0')))
}

/// Parses the rest, which must be `Z` or `±HH:MM`. The outer error is a wrong form. The inner error is an offset that does not
/// exist: the caller reports it only if the date is valid.
fn offset(mut rest: &[u8]) -> Result<Result<Offset, ParseTimestampError>, ParseTimestampError> {
    if rest.eq_ignore_ascii_case(b"Z") {
        return Ok(Ok(Offset::UTC));
    }
    let (&direction, tail) = rest.split_first().ok_or(ParseTimestampError::Shape)?;
    if !matches!(direction, b'+' | b'-') {
        return Err(ParseTimestampError::Shape);
    }
    rest = tail;
    let hours = digits(&mut rest, 2)?;
    sign(&mut rest, b':')?;
    let minutes = digits(&mut rest, 2)?;
    if !rest.is_empty() {
        return Err(ParseTimestampError::Shape);
    }
    if hours > 23 || minutes > 59 {
        return Ok(Err(ParseTimestampError::NoSuchOffset));
    }
    let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
    // `-00:00` means that the local zone is not known; the instant is in UTC (§4.3).
    let seconds = if direction == b'-' { -seconds } else { seconds };
    Ok(Offset::from_seconds(seconds).map_err(|_| ParseTimestampError::NoSuchOffset))
}

fn civil(year: i16, month: i16, day: i16) -> Result<Date, ParseTimestampError> {
    let (month, day) = small(month, day)?;
    Date::new(year, month, day).map_err(|_| ParseTimestampError::NoSuchInstant)
}

fn clock(hour: i16, minute: i16, second: i16) -> Result<Time, ParseTimestampError> {
    let ((hour, minute), (second, nanos)) = (small(hour, minute)?, small(second, 0)?);
    Time::new(hour, minute, second, i32::from(nanos)).map_err(|_| ParseTimestampError::NoSuchInstant)
}

/// Converts two numbers of two digits.
fn small(one: i16, other: i16) -> Result<(i8, i8), ParseTimestampError> {
    let small = |number| i8::try_from(number).map_err(|_| ParseTimestampError::NoSuchInstant);
    Ok((small(one)?, small(other)?))
}

/// Whether a leap second may follow `at`, which is a whole second. Leap seconds are inserted at the end of June or of December,
/// in UTC. The years with a leap second are announced half a year before, so this program does not know them.
fn can_be_leap(at: jiff::Timestamp) -> bool {
    let utc = Offset::UTC.to_datetime(at);
    matches!((utc.month(), utc.day()), (6, 30) | (12, 31)) && (utc.hour(), utc.minute(), utc.second()) == (23, 59, 59)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Timestamp;

    fn read(text: &str) -> Result<String, ParseTimestampError> {
        Timestamp::parse_rfc3339(text).map(|at| at.micros().to_string())
    }

    #[test]
    fn other_zones_are_converted() {
        for text in [
            "2025-12-01T00:00:00-03:00",
            "2025-12-01T12:00:00+09:00",
            "2025-12-01t03:00:00z",
            "2025-12-01T03:00:00-00:00",
            "2025-12-01T03:00:00+00:00",
            "2025-12-02T02:59:00+23:59",
            "2025-11-30T03:01:00-23:59",
        ] {
            assert_eq!(read(text).as_deref(), Ok("2025-12-01T03:00:00.000000Z"), "{text}");
        }
    }

    #[test]
    fn a_fraction_has_any_number_of_digits_from_one_on() {
        let hundred = format!("2025-12-01T03:00:00.1234567{}Z", "0".repeat(93));
        for (text, at, exact) in [
            ("2025-12-01T03:00:00.1Z", "2025-12-01T03:00:00.100000Z", true),
            ("2025-12-01T03:00:00.123456000000Z", "2025-12-01T03:00:00.123456Z", true),
            ("2025-12-01T03:00:00.1234567891Z", "2025-12-01T03:00:00.123456Z", false),
            ("2025-12-01T03:00:00.0000000001Z", "2025-12-01T03:00:00.000000Z", false),
            ("2025-12-01T02:59:59.9999999999-00:00", "2025-12-01T02:59:59.999999Z", false),
            (hundred.as_str(), "2025-12-01T03:00:00.123456Z", false),
        ] {
            assert_eq!(read(text).as_deref(), Ok(at), "{text}");
            let error = Timestamp::parse_exact(text).err();
            assert_eq!(error, (!exact).then_some(ParseTimestampError::TooFine), "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_accepted_only_where_one_can_be_and_keeps_its_order() {
        for (text, at) in [
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
            ("2015-06-30T23:59:60.5Z", "2015-06-30T23:59:59.999999Z"),
            ("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59.999999Z"),
            ("2017-01-01T08:59:60+09:00", "2016-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(at), "{text}");
            assert!(Timestamp::parse_exact(text).is_err(), "{text}");
        }
        for text in [
            "2025-12-01T12:30:60Z",
            "2025-12-31T23:58:60Z",
            "2025-03-31T23:59:60Z",
            "2025-12-30T23:59:60Z",
            "2025-12-31T23:59:60-08:00",
            "2016-12-31T22:59:60Z",
        ] {
            assert_eq!(read(text), Err(ParseTimestampError::NoLeapSecond), "{text}");
        }
        assert_eq!(read("2016-12-31T23:59:61Z"), Err(ParseTimestampError::NoSuchInstant));
    }

    #[test]
    fn each_kind_of_error_is_distinguished() {
        for text in [
            "",
            "2025-12-01",
            "2025-12-01T03:00:00",
            "20251201T030000Z",
            "2025-12-01 03:00:00Z",
            "2025-12-01T03:00:00 03:00",
            "ontem",
            "2025-12-01T03:00:00.Z",
            "2025-12-01T03:00:00,5Z",
            "2025-12-01T03:00:00Z[UTC]",
            "2025-12-01T03:00:00ZZ",
            "2025-12-01T03:00:00Z ",
            " 2025-12-01T03:00:00Z",
            "2025-12-01T03:00:00+0300",
            "2025-12-01T03:00:00+03",
            "2025-12-01T03:00:00+3:00",
            "2025-12-01T03:00:00+03:00:00",
            "2025-12-01T03:00:00+-3:00",
            "2025-12-01T03:00:00\u{2212}03:00",
            "2025-12-01T03:00Z",
            "+2025-12-01T03:00:00Z",
            "-025-12-01T03:00:00Z",
            "12025-12-01T03:00:00Z",
            "2025-W49-1T03:00:00Z",
            "２025-12-01T03:00:00Z",
            "2025-12-01T0٣:00:00Z",
            "2025-12-01T03:00:00.٣Z",
        ] {
            assert_eq!(read(text), Err(ParseTimestampError::Shape), "{text}");
        }
        for text in [
            "2025-02-29T03:00:00Z",
            "2100-02-29T03:00:00Z",
            "2025-04-31T03:00:00Z",
            "2025-13-01T03:00:00Z",
            "2025-00-01T03:00:00Z",
            "2025-12-00T03:00:00Z",
            "2025-12-01T24:00:00Z",
            "2025-12-01T03:60:00Z",
        ] {
            assert_eq!(read(text), Err(ParseTimestampError::NoSuchInstant), "{text}");
        }
        // JSON-Schema-Test-Suite `date-time`: offsets of a day.
        for offset in ["+24:00", "-24:00", "+25:59", "+23:60", "+99:99"] {
            let text = format!("2025-12-01T03:00:00{offset}");
            assert_eq!(read(&text), Err(ParseTimestampError::NoSuchOffset), "{text}");
        }
        for text in [
            "1969-12-31T23:59:59Z",
            "1969-12-31T23:59:59.9999999Z",
            "1970-01-01T00:00:00+00:01",
            "0000-02-29T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59-23:59",
            "9998-12-31T23:59:59-23:59",
        ] {
            assert_eq!(read(text), Err(ParseTimestampError::OutOfRange), "{text}");
        }
        assert_eq!(Timestamp::parse_rfc3339(&Timestamp::MAX.micros().to_string()), Ok(Timestamp::MAX));
        assert!(read("2024-02-29T00:00:00Z").is_ok() && read("2000-02-29T00:00:00Z").is_ok());
    }

    /// Texts of the grammar's form, also with dates and times that do not exist.
    fn shaped() -> impl Strategy<Value = String> {
        let (date, time) = ("(19[67]|20[0-9]|99[89])[0-9]-[01][0-9]-[0-3][0-9]", "[0-2][0-9]:[0-6][0-9]:[0-6][0-9]");
        let zone = "(Z|z|[+-][0-2][0-9]:[0-6][0-9])";
        (date, "[Tt]", time, r"(\.[0-9]{1,12})?", zone).prop_map(|(d, t, c, f, z)| format!("{d}{t}{c}{f}{z}"))
    }

    proptest! {
        #[test]
        fn jiff_writes_the_same_text(micros in Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros(), digits in 0..=FRACTION_DIGITS) {
            let at = jiff::Timestamp::from_microsecond(micros).unwrap();
            let mut text = [0; LONGEST];
            prop_assert_eq!(write(micros, digits, &mut text), format!("{at:.digits$}"));
        }

        /// Texts that both parsers accept give the same instant.
        #[test]
        fn jiff_parses_the_same_instant(text in shaped()) {
            if let (Ok(ours), Ok(theirs)) = (Timestamp::parse_rfc3339(&text), text.parse::<jiff::Timestamp>())
                && !text.contains(":60")
            {
                prop_assert_eq!(ours.as_micros(), theirs.as_microsecond());
            }
        }

        /// Except for long fractions, texts that jiff refuses are refused. Texts that jiff accepts are accepted if RFC 3339 has them.
        #[test]
        fn jiff_refuses_the_same_texts(text in shaped()) {
            let theirs = text.parse::<jiff::Timestamp>();
            match Timestamp::parse_rfc3339(&text) {
                Ok(_) => {
                    let fraction = text.split_once('.').map_or(0, |(_, rest)| rest.len());
                    prop_assert!(theirs.is_ok() || fraction > 9, "{}", text);
                }
                Err(ParseTimestampError::NoSuchInstant) => prop_assert!(theirs.is_err(), "{}", text),
                Err(ParseTimestampError::Shape) => prop_assert!(false, "{} has the shape", text),
                Err(_) => {}
            }
        }

        #[test]
        fn a_longer_fraction_never_comes_earlier(micros in 0..1_000_000_u32, more in "[0-9]{1,80}") {
            let (short, next) = (format!("{micros:06}"), micros + 1);
            let text = |fraction: &str| format!("2025-12-01T03:00:00.{fraction}Z");
            let (exact, longer) = (Timestamp::parse_exact(&text(&short)), Timestamp::parse_rfc3339(&text(&(short + &more))));
            prop_assert_eq!(exact, longer);
            prop_assert!(longer.unwrap().as_micros() % 1_000_000 < i64::from(next));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Timestamp::parse_rfc3339(&text);
        }

        #[test]
        fn no_text_like_an_instant_panics(text in "[0-9TtZz:.+ -]{0,40}") {
            let _ = Timestamp::parse_rfc3339(&text);
        }
    }
}
