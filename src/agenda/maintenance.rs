//! The maintenance of a telescope: a period in which nothing can be booked, which may come again each week.

use serde::Serialize;

use super::slot::{SLOT_MIN, SlotRange};
use crate::time::{Timestamp, minutes_in_micros};

/// The most characters of a reason.
pub const REASON_MAX_CHARS: usize = 200;
/// The longest maintenance, in days.
pub const LENGTH_DAYS_MAX: i64 = 366;
/// The longest one that comes again each week, in days: the next begins when it ends, at the latest.
pub const WEEKLY_DAYS_MAX: i64 = 7;
/// How long a maintenance may come again, in days.
pub const REPEATED_DAYS_MAX: i64 = 3660;
/// How many maintenances of one telescope may stand that have not ended. They are read for each decision.
pub const STANDING_MAX: usize = 300;
/// How many maintenances of one telescope that were taken away a calendar tells of: those that were taken away last.
pub const REMOVED_TOLD_MAX: usize = 300;
/// How many bookings one maintenance may cancel: as many as a week of one telescope has slots.
pub const CANCELLED_MAX: usize = 2016;

const DAY_US: i64 = minutes_in_micros(24 * 60);
const WEEK_US: i64 = 7 * DAY_US;

/// A maintenance that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMaintenance {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// It comes again each week, and begins for the last time at this instant at the latest.
    pub weekly_until: Option<Timestamp>,
}

/// A maintenance of a telescope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Its number. Numbers grow and are never used again.
    pub id: i64,
    /// When it is, and why.
    pub when: NewMaintenance,
}

/// A maintenance that was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The maintenance, as it stood.
    pub maintenance: Maintenance,
    /// When it was taken away.
    pub at: Timestamp,
}

/// A period from one instant to before another.
pub type Stretch = (Timestamp, Timestamp);

/// Why the instants of a maintenance are wrong. Shown to the client, hence in Portuguese.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongMaintenance {
    /// An instant lies between two grid points.
    #[error("deve ser um múltiplo de cinco minutos, como 03:05:00")]
    OffGrid(&'static str),
    /// The end is not after the start, or too long after it.
    #[error("deve ser depois de inicio_utc, e até {0} dias depois dele")]
    Length(i64),
    /// It comes again for too long, or ends before it begins.
    #[error("não pode ser antes de inicio_utc, e pode ser até {REPEATED_DAYS_MAX} dias depois dele")]
    Repeated,
}

impl WrongMaintenance {
    /// The field that is wrong.
    pub const fn field(self) -> &'static str {
        match self {
            Self::OffGrid(field) => field,
            Self::Length(_) => "fim_utc",
            Self::Repeated => "semanal_ate_utc",
        }
    }
}

impl NewMaintenance {
    /// What is wrong with its instants.
    pub fn wrong(&self) -> Vec<WrongMaintenance> {
        let mut wrong = Vec::new();
        for (field, at) in [("inicio_utc", self.start), ("fim_utc", self.end)] {
            if at.as_micros() % minutes_in_micros(SLOT_MIN) != 0 {
                wrong.push(WrongMaintenance::OffGrid(field));
            }
        }
        let most = if self.weekly_until.is_some() { WEEKLY_DAYS_MAX } else { LENGTH_DAYS_MAX };
        let length_us = self.end.as_micros() - self.start.as_micros();
        if !(1..=most * DAY_US).contains(&length_us) {
            wrong.push(WrongMaintenance::Length(most));
        }
        let repeated_us = self.weekly_until.map_or(0, |until| until.as_micros() - self.start.as_micros());
        if !(0..=REPEATED_DAYS_MAX * DAY_US).contains(&repeated_us) {
            wrong.push(WrongMaintenance::Repeated);
        }
        wrong
    }

    /// How often it comes again.
    fn repetitions(&self) -> i64 {
        self.weekly_until.map_or(0, |until| ((until.as_micros() - self.start.as_micros()) / WEEK_US).max(0))
    }

    fn nth(&self, nth: i64) -> Stretch {
        (moved(self.start, nth * WEEK_US), moved(self.end, nth * WEEK_US))
    }

    /// Each time that it is, in order.
    pub fn times(&self) -> impl Iterator<Item = Stretch> {
        (0..=self.repetitions()).map(|nth| self.nth(nth))
    }

    /// The first instant after its last time.
    pub fn ends(&self) -> Timestamp {
        self.nth(self.repetitions()).1
    }

    /// The first time that it has an instant of [`from`, `until`).
    pub fn meets(&self, from: Timestamp, until: Timestamp) -> Option<Stretch> {
        let behind_us = from.as_micros() - self.end.as_micros();
        let nth = if behind_us < 0 { 0 } else { behind_us / WEEK_US + 1 };
        let (start, end) = self.nth(nth);
        (nth <= self.repetitions() && start < until).then_some((start, end))
    }
}

fn moved(at: Timestamp, by_us: i64) -> Timestamp {
    Timestamp::from_micros(at.as_micros() + by_us).unwrap_or(Timestamp::MAX)
}

/// The maintenance that keeps a stretch from being booked, if there is one, with its time; of several the one that ends last.
pub fn met(all: &[Maintenance], from: Timestamp, until: Timestamp) -> Option<(&Maintenance, Stretch)> {
    let met = all.iter().filter_map(|one| Some((one, one.when.meets(from, until)?)));
    met.max_by_key(|(one, (_, end))| (*end, one.id))
}

/// The same for slots.
pub fn met_by(all: &[Maintenance], slots: SlotRange) -> Option<(&Maintenance, Stretch)> {
    met(all, slots.start(), slots.end())
}

/// The stretches of [`from`, `until`) in which there is maintenance.
pub fn within(all: &[Maintenance], from: Timestamp, until: Timestamp) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    for one in all {
        let mut begin = from;
        while let Some((start, end)) = one.when.meets(begin, until) {
            stretches.push((start.max(from), end.min(until)));
            begin = end;
        }
    }
    stretches
}

/// A maintenance as answers and records have it.
#[derive(Clone, Debug, Serialize)]
pub struct MaintenanceView<'a> {
    inicio_utc: String,
    fim_utc: String,
    semanal_ate_utc: Option<String>,
    motivo: &'a str,
}

impl<'a> MaintenanceView<'a> {
    /// Shows this maintenance.
    pub fn of(when: &'a NewMaintenance) -> Self {
        Self {
            inicio_utc: when.start.seconds().to_string(),
            fim_utc: when.end.seconds().to_string(),
            semanal_ate_utc: when.weekly_until.map(|until| until.micros().to_string()),
            motivo: &when.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLOT_US: i64 = minutes_in_micros(SLOT_MIN);

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn maintenance(start: &str, end: &str, weekly_until: Option<&str>) -> NewMaintenance {
        NewMaintenance {
            start: at(start),
            end: at(end),
            reason: "espelho".to_owned(),
            weekly_until: weekly_until.map(at),
        }
    }

    #[test]
    fn it_comes_again_each_week_up_to_its_last_day() {
        let weekly = maintenance("2030-01-01T22:00:00Z", "2030-01-02T02:00:00Z", Some("2030-01-15T22:00:00Z"));
        assert_eq!(weekly.times().count(), 3);
        assert_eq!(weekly.ends(), at("2030-01-16T02:00:00Z"));
        let meets = |from: &str, until: &str| weekly.meets(at(from), at(until)).map(|(start, _)| start);
        assert_eq!(meets("2030-01-01T00:00:00Z", "2030-01-01T22:00:00Z"), None);
        assert_eq!(meets("2030-01-01T00:00:00Z", "2030-01-01T22:05:00Z"), Some(at("2030-01-01T22:00:00Z")));
        assert_eq!(meets("2030-01-02T02:00:00Z", "2030-01-08T22:00:00Z"), None);
        assert_eq!(meets("2030-01-09T01:55:00Z", "2030-01-09T02:00:00Z"), Some(at("2030-01-08T22:00:00Z")));
        assert_eq!(meets("2030-01-16T02:00:00Z", "2031-01-01T00:00:00Z"), None);
    }

    #[test]
    fn wrong_instants_are_named_each_at_its_field() {
        let fields = |maintenance: &NewMaintenance| {
            maintenance.wrong().into_iter().map(WrongMaintenance::field).collect::<Vec<_>>()
        };
        assert!(fields(&maintenance("2030-01-01T22:00:00Z", "2030-01-02T02:00:00Z", None)).is_empty());
        assert_eq!(
            fields(&maintenance("2030-01-01T22:01:00Z", "2030-01-01T20:00:01Z", Some("2029-01-01T00:00:00Z"))),
            ["inicio_utc", "fim_utc", "fim_utc", "semanal_ate_utc"]
        );
        assert_eq!(fields(&maintenance("2030-01-01T00:00:00Z", "2031-01-02T00:05:00Z", None)), ["fim_utc"]);
        let long = maintenance("2030-01-01T00:00:00Z", "2030-01-08T00:05:00Z", Some("2030-03-01T00:00:00Z"));
        assert_eq!(fields(&long), ["fim_utc"]);
        let endless = maintenance("2030-01-01T00:00:00Z", "2030-01-01T01:00:00Z", Some("2041-01-01T00:00:00Z"));
        assert_eq!(fields(&endless), ["semanal_ate_utc"]);
    }

    proptest! {
        #[test]
        fn what_it_meets_is_the_first_of_its_times_that_overlaps(
            start in 0..3000_i64, length in 1..2016_i64, weeks in prop::option::of(0..20_i64), from in 0..60_000_i64, slots in 1..3000_i64,
        ) {
            let slot = |index: i64| Timestamp::from_micros(index * SLOT_US).unwrap();
            let when = NewMaintenance {
                start: slot(start),
                end: slot(start + length),
                reason: String::new(),
                weekly_until: weeks.map(|weeks| slot(start + weeks * 2016 + weeks % 7)),
            };
            prop_assert!(when.wrong().is_empty());
            let (from, until) = (slot(from), slot(from + slots));
            let slowly = when.times().find(|(start, end)| *start < until && *end > from);
            prop_assert_eq!(when.meets(from, until), slowly);
            let all = [Maintenance { id: 1, when: when.clone() }];
            let within = within(&all, from, until);
            let overlapping = when.times().filter(|(start, end)| *start < until && *end > from);
            let expected: Vec<_> = overlapping.map(|(start, end)| (start.max(from), end.min(until))).collect();
            prop_assert_eq!(within, expected);
            prop_assert_eq!(when.ends(), when.times().last().unwrap().1);
        }
    }
}
