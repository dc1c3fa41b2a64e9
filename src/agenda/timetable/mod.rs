//! A telescope's slots one by one: a stretch of the grid, the state of each slot in it, and the nearest that are free.
//!
//! The work is bounded: a period is at most a week, and a search looks a week back and a week ahead.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::catalogue::Telescope;
use super::maintenance;
use super::opening::is_looked_at;
use super::slot::{SLOT_MIN, SlotRange, SlotRangeError, check_duration, is_open, next_start};
use crate::time::{Timestamp, minutes_in_micros};

/// The longest period, and how far a search for free slots looks to each side, in days.
pub const PERIOD_DAYS_MAX: i64 = 7;

const SLOT_US: i64 = minutes_in_micros(SLOT_MIN);
const DAY_US: i64 = minutes_in_micros(24 * 60);
const PERIOD_US_MAX: i64 = PERIOD_DAYS_MAX * DAY_US;
/// The last grid point: no slot ends after it.
const GRID_END_US: i64 = Timestamp::MAX.as_micros() / SLOT_US * SLOT_US;

/// A stretch of whole slots, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    start_us: i64,
    end_us: i64,
}

/// Why two instants do not make a period. Shown to the client, hence in Portuguese.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// The end is not after the beginning.
    #[error("deve ser posterior a de")]
    Order,
    /// Longer than [`PERIOD_DAYS_MAX`].
    #[error("deve ser até {PERIOD_DAYS_MAX} dias depois de de")]
    TooLong,
    /// After the last slot.
    #[error("deve ser anterior a 9998-12-31T23:55:00Z")]
    TooLate,
}

impl PeriodError {
    /// The parameter that is wrong.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Order | Self::TooLong => "ate",
            Self::TooLate => "de",
        }
    }
}

impl Period {
    /// The slots that overlap [`from`, `until`). Without `until` it is a day; without `from` it is the day that ends at `until`;
    /// without both it is the day of `now`, from midnight UTC.
    pub fn new(from: Option<Timestamp>, until: Option<Timestamp>, now: Timestamp) -> Result<Self, PeriodError> {
        let midnight = |micros: i64| micros - micros.rem_euclid(DAY_US);
        let from_us = match (from, until) {
            (Some(from), _) => from.as_micros(),
            (None, Some(until)) => midnight(until.as_micros() - 1).max(0),
            (None, None) => midnight(now.as_micros()),
        };
        let until_us = until.map_or(from_us + DAY_US, Timestamp::as_micros);
        if from_us >= until_us {
            return Err(PeriodError::Order);
        }
        if until_us - from_us > PERIOD_US_MAX {
            return Err(PeriodError::TooLong);
        }
        if from_us >= GRID_END_US {
            return Err(PeriodError::TooLate);
        }
        let end_us = (until_us + SLOT_US - 1) / SLOT_US * SLOT_US;
        Ok(Self { start_us: from_us / SLOT_US * SLOT_US, end_us: end_us.min(GRID_END_US) })
    }

    /// The day of `at`, from midnight UTC to the next.
    pub fn day_of(at: Timestamp) -> Self {
        let start_us = at.as_micros() - at.as_micros() % DAY_US;
        Self { start_us, end_us: (start_us + DAY_US).min(GRID_END_US) }
    }

    /// The first instant.
    pub fn start(self) -> Timestamp {
        on_grid(self.start_us)
    }

    /// The first instant after.
    pub fn end(self) -> Timestamp {
        on_grid(self.end_us)
    }

    /// The period of the same length that ends where this one starts, if that is after 1970.
    pub fn before(self) -> Option<Self> {
        let start_us = self.start_us - (self.end_us - self.start_us);
        (start_us >= 0).then_some(Self { start_us, end_us: self.start_us })
    }

    /// The period of the same length that starts where this one ends, if that is before the last grid point.
    pub fn after(self) -> Option<Self> {
        let end_us = self.end_us + (self.end_us - self.start_us);
        (end_us <= GRID_END_US).then_some(Self { start_us: self.end_us, end_us })
    }

    /// The start of every slot, in order.
    pub fn starts(self) -> impl Iterator<Item = Timestamp> {
        (self.start_us / SLOT_US..self.end_us / SLOT_US).map(|index| on_grid(index * SLOT_US))
    }
}

/// An instant between the first and the last grid point, where periods are.
fn on_grid(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap_or(Timestamp::MAX)
}

/// Of the active bookings with the same start and end, as many as these are in a [`Standing`]. The others are counted.
pub const SAME_MAX: u16 = 50;

/// The active bookings of a period, in order of start, then number: which slots they have, without their texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The bookings' numbers and slots. Without locks, the first [`SAME_MAX`] of those with the same start and end.
    pub bookings: Vec<(i64, SlotRange)>,
    /// How many more there are, by start and end.
    pub beyond: Vec<(SlotRange, u64)>,
    /// The free slots that did not open at once, and when they do, or have.
    pub opening: Vec<(Timestamp, Timestamp)>,
    /// The bytes of all texts of these bookings.
    pub text_bytes: u64,
}

/// Whether a slot can be booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// It can be booked: `livre`.
    Free,
    /// It is taken: `agendado`.
    Booked {
        /// The booking that takes it; without locks the first of them.
        first: i64,
        /// How many active bookings take it: one, unless there are no locks.
        times: u64,
    },
    /// It began, on a telescope that is not simulated: `passado`.
    Past,
    /// The telescope is in this maintenance: `manutencao`.
    Maintenance(i64),
    /// The telescope is not active or does not operate then, or one of its rules keeps the slot from being booked now: it is too near,
    /// or not open yet: `fechado`.
    Closed,
}

impl SlotState {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Free => "livre",
            Self::Booked { .. } => "agendado",
            Self::Past => "passado",
            Self::Maintenance(_) => "manutencao",
            Self::Closed => "fechado",
        }
    }

    /// How many active bookings take the slot.
    pub const fn times(self) -> u64 {
        match self {
            Self::Booked { times, .. } => times,
            Self::Free | Self::Past | Self::Maintenance(_) | Self::Closed => 0,
        }
    }
}

/// Every slot of a period with its state.
pub fn states(period: Period, active: &Standing, telescope: &Telescope, now: Timestamp) -> Vec<(Timestamp, SlotState)> {
    let mut booked: HashMap<Timestamp, (i64, u64)> = HashMap::new();
    for (id, slots) in &active.bookings {
        for start in slots.starts() {
            let (first, times) = booked.entry(start).or_insert((*id, 0));
            *first = (*first).min(*id);
            *times += 1;
        }
    }
    for (slots, count) in &active.beyond {
        for start in slots.starts() {
            booked.entry(start).and_modify(|(_, times)| *times += count);
        }
    }
    let operates = |start| telescope.hours.as_ref().is_none_or(|hours| hours.is_open(start));
    let in_maintenance = |start: Timestamp| {
        let end = on_grid(start.as_micros() + SLOT_US);
        maintenance::met(&telescope.maintenance, start, end).map(|(one, _)| one.id)
    };
    let state = |start: Timestamp| match booked.get(&start) {
        Some(&(first, times)) => SlotState::Booked { first, times },
        None if !is_open(start, telescope.simulated, now) => SlotState::Past,
        None if let Some(id) = in_maintenance(start) => SlotState::Maintenance(id),
        None if !telescope.active || !operates(start) || telescope.rules.closes(start, now) => SlotState::Closed,
        None => SlotState::Free,
    };
    period.starts().map(|start| (start, state(start))).collect()
}

/// When a slot in this state will open after `now`, if that is known: it became free and opens in a moment, or only the horizon of the rules keeps it closed.
pub fn opens_at(
    (start, state): (Timestamp, SlotState),
    freed: &HashMap<Timestamp, Timestamp>,
    telescope: &Telescope,
    now: Timestamp,
) -> Option<Timestamp> {
    let slots = SlotRange::new(start, SLOT_MIN).ok()?;
    let opens_at = match state {
        SlotState::Free => {
            telescope.reopens(slots, now).max(freed.get(&start).copied().filter(|at| is_looked_at(*at, now)))
        }
        SlotState::Closed => {
            let operates = telescope.hours.as_ref().is_none_or(|hours| hours.is_open(start));
            let is_near = telescope.rules.first_start(now).is_some_and(|first| start < first);
            let horizon = telescope.rules.horizon().filter(|_| telescope.active && operates && !is_near);
            horizon.map(|horizon| horizon.opens(slots))
        }
        SlotState::Booked { .. } | SlotState::Past | SlotState::Maintenance(_) => None,
    };
    opens_at.filter(|at| *at > now)
}

/// A search for free slots.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    near: Timestamp,
    slots: i64,
    /// The places on the grid where an answer may start.
    first: i64,
    last: i64,
}

impl Search {
    /// A search for runs of `duration_min` minutes that start near `near` and that the telescope's rules allow at `now`.
    pub fn new(
        near: Timestamp,
        duration_min: i64,
        telescope: &Telescope,
        now: Timestamp,
    ) -> Result<Self, SlotRangeError> {
        let slots = i64::from(check_duration(duration_min)?);
        let rules = &telescope.rules;
        let first_us = rules.first_start(now).map_or(0, Timestamp::as_micros);
        // What the notice refuses is not looked at: the search begins where it ends.
        let near_us = near.as_micros().max(first_us);
        let open_us = if telescope.simulated { 0 } else { next_start(now).as_micros() };
        let open_us = open_us.max(first_us);
        let end_us = rules.horizon().map_or(GRID_END_US, |horizon| horizon.end(now).as_micros().min(GRID_END_US));
        let first_us = (near_us - PERIOD_US_MAX).max(open_us);
        let last = ((near_us + PERIOD_US_MAX) / SLOT_US).min(end_us.div_euclid(SLOT_US) - slots);
        // None is as long as that, and none of an inactive telescope is free.
        let has_none = !telescope.active || rules.duration_max_min.is_some_and(|most| duration_min > most);
        Ok(Self { near, slots, first: (first_us + SLOT_US - 1) / SLOT_US, last: if has_none { -slots } else { last } })
    }

    /// A search for the runs that start in the week from `from` on, or from the first start that the telescope allows, if that is later.
    pub fn following(
        from: Timestamp,
        duration_min: i64,
        telescope: &Telescope,
        now: Timestamp,
    ) -> Result<Self, SlotRangeError> {
        let open = if telescope.simulated { from } else { next_start(now) };
        let from = next_start(from.max(open).max(telescope.rules.first_start(now).unwrap_or(from)));
        let search = Self::new(from, duration_min, telescope, now)?;
        Ok(Self { first: search.first.max(from.as_micros() / SLOT_US), ..search })
    }

    /// Where the next week of a search that [follows](Self::following) begins; `None` if the telescope allows nothing after this week.
    pub fn goes_on(&self) -> Option<Timestamp> {
        let week_us = self.near.as_micros() + PERIOD_US_MAX;
        (self.last >= week_us / SLOT_US).then(|| on_grid((self.last + 1) * SLOT_US))
    }

    /// The stretch whose taken slots have to be known: from the first instant to before the second.
    pub fn looks_at(&self) -> (Timestamp, Timestamp) {
        (on_grid(self.first * SLOT_US), on_grid((self.last + self.slots).max(self.first) * SLOT_US))
    }

    /// The free runs that start nearest, at most `limit`; of two equally near the later comes first. `taken` are
    /// stretches from one instant to before another.
    pub fn nearest(&self, taken: &[(Timestamp, Timestamp)], limit: usize) -> Vec<SlotRange> {
        let places = usize::try_from(self.last + self.slots - self.first).unwrap_or(0);
        let mut free = vec![true; places];
        let place = |at: Timestamp| usize::try_from(at.as_micros() / SLOT_US - self.first).unwrap_or(0).min(places);
        for (start, end) in taken {
            free[place(*start)..place(*end).max(place(*start))].fill(false);
        }
        let (mut index, mut run, mut starts) = (self.last + self.slots, 0, Vec::new());
        for free in free.into_iter().rev() {
            index -= 1;
            run = if free { run + 1 } else { 0 };
            if run >= self.slots {
                starts.push(on_grid(index * SLOT_US));
            }
        }
        starts.sort_unstable_by_key(|start| {
            ((start.as_micros() - self.near.as_micros()).abs(), Reverse(start.as_micros()))
        });
        starts.truncate(limit);
        starts.into_iter().filter_map(|start| SlotRange::new(start, self.slots * SLOT_MIN).ok()).collect()
    }
}

#[cfg(test)]
mod tests;
