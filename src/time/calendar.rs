//! The date of a day, reckoned with a few operations: every instant that is written has one. A test compares it with jiff's calendar.

/// The seconds of a day.
pub const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The year, the month and the day of the Gregorian calendar that begins so many days after 1970-01-01. Reckoned as in Howard Hinnant's
/// [`civil_from_days`](https://howardhinnant.github.io/date_algorithms.html): a year begins in March, so that a leap day is its last.
pub const fn date(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let is_next_year = month <= 2;
    (400 * era + year_of_era + is_next_year as u32, month, day)
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use jiff::tz::Offset;

    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn each_day_has_the_date_that_jiff_gives_it() {
        let expect = |day, date: Date| {
            let expected = (
                date.year().cast_unsigned().into(),
                date.month().cast_unsigned().into(),
                date.day().cast_unsigned().into(),
            );
            assert_eq!(super::date(day), expected, "{day}");
        };
        // The calendar repeats itself after 400 years.
        let mut expected = Date::constant(1970, 1, 1);
        for day in 0..=146_097 {
            expect(day, expected);
            expected = expected.tomorrow().unwrap();
        }
        let last = jiff::Timestamp::from_microsecond(Timestamp::MAX.as_micros()).unwrap();
        let days = u32::try_from(last.as_second().cast_unsigned() / DAY_SECONDS).unwrap();
        expect(days, Offset::UTC.to_datetime(last).date());
    }
}
