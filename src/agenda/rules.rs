//! The rules of a telescope: how long, how soon, how far ahead and how much one scientist may book. A telescope without rules takes
//! what the assignment takes.
//!
//! A rule binds everybody, operators too: an operator who needs an exception changes the rule, and the trail has that.

use std::collections::HashMap;

use serde::Serialize;

use super::hours::{Hours, WindowView};
use super::policy::Policy;
use super::slot::{SLOT_MIN, SlotRange};
use crate::http::wrong::FieldCode;
use crate::time::{Timestamp, minutes_in_micros};

/// The minutes of a day.
const DAY_MIN: i64 = 24 * 60;
const DAY_US: i64 = minutes_in_micros(DAY_MIN);
/// The longest notice, in minutes: a year.
pub const NOTICE_MIN_MAX: i64 = 366 * DAY_MIN;
/// The furthest horizon, in days: ten years.
pub const HORIZON_DAYS_MAX: i64 = 3660;
/// The largest quota of bookings. They are read for each decision.
pub const STANDING_MAX: i64 = 500;

/// A telescope's rules. The default has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The longest booking, in minutes.
    pub duration_max_min: Option<i64>,
    /// How long before its start a booking must be made, in minutes.
    pub notice_min: Option<i64>,
    /// How long before its start a booking must be cancelled, in minutes.
    pub cancel_notice_min: Option<i64>,
    /// How many days after today are open.
    pub horizon_days: Option<i64>,
    /// When the last of these days is opened, in minutes after midnight UTC; `None` is midnight.
    pub opens_at_min: Option<i64>,
    /// How many bookings that have not ended one scientist may have.
    pub standing_max: Option<i64>,
    /// How many minutes of one day (UTC) one scientist may have.
    pub day_max_min: Option<i64>,
    /// Who gets a slot for which several ask at once.
    pub policy: Policy,
}

/// Room for so much more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bookings.
    pub bookings: i64,
    /// Minutes, on any day.
    pub minutes: i64,
}

/// How far ahead one may book: whole days (UTC), of which one more is opened each day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// Today and so many days after it are open.
    pub days: i64,
    /// When today's last day is opened, in minutes after midnight UTC. Until then it is one day less.
    pub opens_at_min: i64,
}

/// The rules as answers and records have them. `null` is no rule.
#[derive(Clone, Debug, Serialize)]
pub struct RulesView {
    duracao_max_min: Option<i64>,
    antecedencia_min_min: Option<i64>,
    cancelamento_min_min: Option<i64>,
    horizonte_dias: Option<i64>,
    abre_as_utc: Option<String>,
    cota_ativas: Option<i64>,
    cota_dia_min: Option<i64>,
    horas_de_operacao: Option<Vec<WindowView>>,
    exige_proposta: bool,
    disputa: &'static str,
}

impl RulesView {
    /// Shows these rules.
    pub fn of(rules: &Rules, hours: Option<&Hours>, needs_proposal: bool) -> Self {
        Self {
            duracao_max_min: rules.duration_max_min,
            antecedencia_min_min: rules.notice_min,
            cancelamento_min_min: rules.cancel_notice_min,
            horizonte_dias: rules.horizon_days,
            abre_as_utc: rules.opens_at_min.map(|minutes| format!("{:02}:{:02}", minutes / 60, minutes % 60)),
            cota_ativas: rules.standing_max,
            cota_dia_min: rules.day_max_min,
            horas_de_operacao: hours.map(|hours| hours.windows().iter().copied().map(WindowView::of).collect()),
            exige_proposta: needs_proposal,
            disputa: rules.policy.name(),
        }
    }
}

/// A rule that a booking breaks. Shown to the client, hence in Portuguese.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// It is longer than this many minutes.
    #[error("este telescópio aceita até {0} minutos por agendamento")]
    Duration(i64),
    /// It begins too soon: after this many minutes' notice the first possible start is this.
    #[error("deve começar pelo menos {0} minutos depois de agora; o primeiro horário possível é {first}", first = .1.seconds())]
    Notice(i64, Timestamp),
    /// Its day is not open yet: it opens at this instant.
    #[error("o dia ainda não abriu: ele pode ser agendado a partir de {open}", open = .0.seconds())]
    NotOpen(Timestamp),
    /// The telescope does not operate in the first of these slots. It does again in the second.
    #[error("o telescópio não funciona em {}; ele funciona outra vez a partir de {}", .0.seconds(), .1.seconds())]
    Hours(Timestamp, Timestamp),
    /// The scientist has as many bookings as one may have.
    #[error(
        "este cientista já atingiu o limite deste telescópio para os seus agendamentos que ainda não terminaram, que é {0}"
    )]
    Standing(i64),
    /// The scientist would have more than this many minutes on this day, and has so many now.
    #[error("o limite deste telescópio é de {most} minutos por cientista no dia {day}, e este cientista já tem {used}", day = day_name(*.day))]
    Day {
        /// The limit.
        most: i64,
        /// What the scientist has.
        used: i64,
        /// Midnight of the day.
        day: Timestamp,
    },
}

fn day_name(day: Timestamp) -> String {
    day.seconds().to_string().chars().take(10).collect()
}

/// The midnight (UTC) that an instant's day begins with, in microseconds.
const fn midnight(at_us: i64) -> i64 {
    at_us - at_us.rem_euclid(DAY_US)
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

impl Horizon {
    /// When the day of `slots` is opened: the day of its last slot, if it has two.
    pub fn opens(self, slots: SlotRange) -> Timestamp {
        let last_day_us = midnight(slots.end().as_micros() - 1);
        instant(last_day_us - self.days * DAY_US + minutes_in_micros(self.opens_at_min))
    }

    /// The first instant that is not open at `now`.
    pub fn end(self, now: Timestamp) -> Timestamp {
        let begun_us = midnight(now.as_micros() - minutes_in_micros(self.opens_at_min));
        instant(begun_us + (self.days + 1) * DAY_US)
    }
}

impl BrokenRule {
    /// The code of the wrong field.
    pub const fn code(&self) -> FieldCode {
        match self {
            Self::Duration(_) => FieldCode::RuleDuration,
            Self::Notice(..) => FieldCode::RuleNotice,
            Self::NotOpen(_) => FieldCode::RuleHorizon,
            Self::Hours(..) => FieldCode::RuleHours,
            Self::Standing(_) => FieldCode::RuleStanding,
            Self::Day { .. } => FieldCode::RuleDay,
        }
    }

    /// Whether it is broken for all slots alike.
    pub const fn is_of_all_slots(&self) -> bool {
        matches!(self, Self::Standing(_))
    }

    /// The field of the booking that breaks it.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Duration(_) => "duracao_min",
            Self::Notice(..) | Self::NotOpen(_) | Self::Hours(..) => "horario_inicio_utc",
            Self::Standing(_) | Self::Day { .. } => "cientista_id",
        }
    }
}

impl Room {
    /// Whether there is room for one more booking, of so many minutes.
    pub const fn has_room_for(self, minutes: i64) -> bool {
        self.bookings > 0 && self.minutes >= minutes
    }

    /// What is left beside such a booking.
    pub const fn without(self, minutes: i64) -> Self {
        Self { bookings: self.bookings.saturating_sub(1), minutes: self.minutes.saturating_sub(minutes) }
    }
}

impl Rules {
    /// How far ahead one may book, if that is bounded.
    pub fn horizon(&self) -> Option<Horizon> {
        self.horizon_days.map(|days| Horizon { days, opens_at_min: self.opens_at_min.unwrap_or(0) })
    }

    /// Whether a free slot of this start is refused at `now`, because it is too near or not open yet.
    pub fn closes(&self, start: Timestamp, now: Timestamp) -> bool {
        let end_us = start.as_micros() + minutes_in_micros(SLOT_MIN);
        self.first_start(now).is_some_and(|first| start < first)
            || self.horizon().is_some_and(|horizon| end_us > horizon.end(now).as_micros())
    }

    /// Whether what a scientist has booked counts.
    pub const fn count_bookings(&self) -> bool {
        self.standing_max.is_some() || self.day_max_min.is_some()
    }

    /// The rules of a booking by itself that are broken at `now`, each with the field that it concerns.
    pub fn broken(&self, slots: SlotRange, now: Timestamp) -> impl Iterator<Item = BrokenRule> {
        let too_long = self.duration_max_min.filter(|most| slots.duration_min() > *most).map(BrokenRule::Duration);
        let too_soon = self.notice_min.and_then(|notice_min| {
            let first = self.first_start(now)?;
            (slots.start() < first).then_some(BrokenRule::Notice(notice_min, first))
        });
        let not_open =
            self.horizon().map(|horizon| horizon.opens(slots)).filter(|open| *open > now).map(BrokenRule::NotOpen);
        [too_long, too_soon, not_open].into_iter().flatten()
    }

    /// The first start that the notice allows.
    pub fn first_start(&self, now: Timestamp) -> Option<Timestamp> {
        const SLOT_US: i64 = minutes_in_micros(SLOT_MIN);
        let earliest_us = now.as_micros() + minutes_in_micros(self.notice_min?);
        Some(instant((earliest_us + SLOT_US - 1).div_euclid(SLOT_US) * SLOT_US))
    }

    /// The rules that count what a scientist has, with `slots` more at `now`. `held` are the scientist's active bookings of this telescope:
    /// at least those that have not ended, as many as the quota has (without one that moves), and those that touch a day of `slots`. The error is the first
    /// broken rule.
    ///
    /// # Errors
    /// [`BrokenRule::Standing`], [`BrokenRule::Day`].
    pub fn check_held(
        &self,
        slots: SlotRange,
        held: &(impl Iterator<Item = SlotRange> + Clone),
        now: Timestamp,
    ) -> Result<(), BrokenRule> {
        if let Some(most) = self.standing_max {
            let standing = held.clone().filter(|held| held.end() > now).count();
            // A booking of the past, on a simulated telescope, does not stand.
            if slots.end() > now && i64::try_from(standing).is_ok_and(|standing| standing >= most) {
                return Err(BrokenRule::Standing(most));
            }
        }
        if let Some(most) = self.day_max_min {
            for day_us in days_of(slots) {
                let used = held.clone().map(|held| minutes_in_day(held, day_us)).sum::<i64>();
                if used + minutes_in_day(slots, day_us) > most {
                    return Err(BrokenRule::Day { most, used, day: instant(day_us) });
                }
            }
        }
        Ok(())
    }

    /// The room for more bookings on days that begin at `now` or later, of a scientist who has booked `held`, which is as
    /// [`Self::check_held`] has it. `None` where that may not be all of those days: without a quota of bookings, it is all of some days only.
    pub fn room(&self, held: &[SlotRange], now: Timestamp) -> Option<Room> {
        let standing_max = self.standing_max?;
        let standing = held.iter().filter(|held| held.end() > now).count();
        let fullest_min = || {
            let mut days: HashMap<i64, i64> = HashMap::new();
            for (held, day_us) in held.iter().flat_map(|held| days_of(*held).map(move |day_us| (*held, day_us))) {
                *days.entry(day_us).or_default() += minutes_in_day(held, day_us);
            }
            days.into_values().max().unwrap_or(0)
        };
        let minutes = self.day_max_min.map_or(i64::MAX, |most| most - fullest_min());
        Some(Room { bookings: standing_max - i64::try_from(standing).unwrap_or(i64::MAX), minutes })
    }
}

/// The midnights of the days that these slots touch: one or two.
fn days_of(slots: SlotRange) -> impl Iterator<Item = i64> {
    let (first, last) = (midnight(slots.start().as_micros()), midnight(slots.end().as_micros() - 1));
    [Some(first), (last != first).then_some(last)].into_iter().flatten()
}

/// The first and the first-after instant of the days that these slots touch.
pub fn days_around(slots: SlotRange) -> (Timestamp, Timestamp) {
    let last = midnight(slots.end().as_micros() - 1);
    (instant(midnight(slots.start().as_micros())), instant(last + DAY_US))
}

fn minutes_in_day(slots: SlotRange, day_us: i64) -> i64 {
    let from = slots.start().as_micros().max(day_us);
    let until = slots.end().as_micros().min(day_us + DAY_US);
    (until - from).max(0) / minutes_in_micros(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn slots(start: &str, minutes: i64) -> SlotRange {
        SlotRange::new(at(start), minutes).unwrap()
    }

    fn broken(rules: &Rules, slots: SlotRange, now: &str) -> Vec<BrokenRule> {
        rules.broken(slots, at(now)).collect()
    }

    #[test]
    fn without_rules_everything_goes() {
        let rules = Rules::default();
        assert_eq!(broken(&rules, slots("2030-01-01T00:00:00Z", 1440), "2039-01-01T00:00:00Z"), []);
        let all = vec![slots("2030-01-01T00:00:00Z", 1440); 500];
        assert_eq!(rules.check_held(all[0], &all.iter().copied(), at("2029-01-01T00:00:00Z")), Ok(()));
    }

    #[test]
    fn a_booking_keeps_to_length_and_notice() {
        let rules = Rules { duration_max_min: Some(30), notice_min: Some(60), ..Rules::default() };
        let now = "2030-01-01T02:00:00.000001Z";
        assert_eq!(broken(&rules, slots("2030-01-01T03:05:00Z", 30), now), []);
        assert_eq!(
            broken(&rules, slots("2030-01-01T03:00:00Z", 35), now),
            [BrokenRule::Duration(30), BrokenRule::Notice(60, at("2030-01-01T03:05:00Z"))]
        );
        assert_eq!(broken(&rules, slots("2030-01-01T03:00:00Z", 5), "2030-01-01T02:00:00Z"), []);
    }

    #[test]
    fn one_more_day_is_opened_each_day_at_its_second() {
        let rules = Rules { horizon_days: Some(7), opens_at_min: Some(12 * 60), ..Rules::default() };
        let eighth = slots("2030-01-08T23:55:00Z", 5);
        let opens = at("2030-01-01T12:00:00Z");
        assert_eq!(broken(&rules, eighth, "2030-01-01T11:59:59.999999Z"), [BrokenRule::NotOpen(opens)]);
        assert_eq!(broken(&rules, eighth, "2030-01-01T12:00:00Z"), []);
        // One that goes on into the next day opens with that day.
        let over = slots("2030-01-08T23:55:00Z", 10);
        assert_eq!(broken(&rules, over, "2030-01-01T12:00:00Z"), [BrokenRule::NotOpen(at("2030-01-02T12:00:00Z"))]);
        let today = Rules { horizon_days: Some(0), ..Rules::default() };
        assert_eq!(broken(&today, slots("2030-01-01T00:00:00Z", 1440), "2030-01-01T00:00:00Z"), []);
        assert_eq!(broken(&today, slots("2030-01-02T00:00:00Z", 5), "2030-01-01T23:59:59Z").len(), 1);
    }

    #[test]
    fn what_one_scientist_has_is_bounded() {
        let rules = Rules { standing_max: Some(2), day_max_min: Some(30), ..Rules::default() };
        let now = at("2030-01-01T00:10:00Z");
        let held =
            [slots("2030-01-01T00:00:00Z", 10), slots("2030-01-01T00:05:00Z", 10), slots("2030-01-03T23:50:00Z", 30)];
        let check = |asked, count| rules.check_held(asked, &held.into_iter().take(count), now);
        // The first has ended.
        assert_eq!(check(slots("2030-02-01T00:00:00Z", 5), 2), Ok(()));
        assert_eq!(check(slots("2030-02-01T00:00:00Z", 5), 3), Err(BrokenRule::Standing(2)));
        // It is of the past itself, and so counts only on its day.
        assert_eq!(check(slots("2030-01-01T00:00:00Z", 10), 3), Ok(()));
        let day = |text: &str, used| Err(BrokenRule::Day { most: 30, used, day: at(text) });
        assert_eq!(check(slots("2030-01-01T03:00:00Z", 15), 2), day("2030-01-01T00:00:00Z", 20));
        let rules = Rules { standing_max: None, ..rules };
        let check = |asked| rules.check_held(asked, &held.into_iter(), now);
        assert_eq!(check(slots("2030-01-04T00:20:00Z", 10)), Ok(()));
        assert_eq!(check(slots("2030-01-03T23:35:00Z", 30)), day("2030-01-03T00:00:00Z", 10));
        assert_eq!(check(slots("2030-01-04T23:45:00Z", 25)), day("2030-01-04T00:00:00Z", 20));
    }

    proptest! {
        #[test]
        fn what_is_before_the_horizons_end_is_open_and_nothing_else(
            days in 0..40_i64, opens_at_min in 0..DAY_MIN, now_s in 0..400_000_000_i64, slot in 0..2_000_000_i64, count in 1..=288_i64,
        ) {
            let rules = Rules { horizon_days: Some(days), opens_at_min: Some(opens_at_min), ..Rules::default() };
            let horizon = rules.horizon().unwrap();
            let now = instant(now_s * 1_000_000);
            let slots = SlotRange::new(instant(slot * minutes_in_micros(SLOT_MIN)), count * SLOT_MIN).unwrap();
            prop_assert_eq!(rules.broken(slots, now).next().is_none(), slots.end() <= horizon.end(now));
            let closed = slots.starts().any(|start| rules.closes(start, now));
            prop_assert_eq!(rules.broken(slots, now).next().is_some(), closed);
        }

        #[test]
        fn the_first_start_with_notice_is_the_first_that_is_not_refused(notice in 0..10_000_i64, now_us in 0..4_000_000_000_000_i64) {
            let rules = Rules { notice_min: Some(notice), ..Rules::default() };
            let now = instant(now_us);
            let first = rules.first_start(now).unwrap();
            prop_assert_eq!(rules.broken(SlotRange::new(first, 5).unwrap(), now).count(), 0);
            if let Ok(before) = SlotRange::new(instant(first.as_micros() - minutes_in_micros(SLOT_MIN)), 5) {
                prop_assert_eq!(rules.broken(before, now).count(), usize::from(before.start() < first));
            }
        }
    }
}
