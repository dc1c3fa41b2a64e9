//! The room that scientists and proposals surely have for more bookings, as far as a service remembers what it has counted.
//!
//! What counts against a booking is counted twice: before its lock is asked for, so that a booking without a chance disturbs nobody, and in
//! the transaction that decides. One counting tells for how many bookings more there is room. The next bookings of the same scientist use
//! that up, and are not counted before their locks are asked for. Only that a booking fits follows from it: where no room is
//! remembered, or none is left, it is counted, and only then refused.

use std::collections::HashMap;
use std::time::Duration;

use super::draft::NewBooking;
use super::rules::{Room, days_around};
use super::slot::SlotRange;
use crate::time::Timestamp;

/// How long a counting is remembered. Others may use the same room up: bookings that move, and other schedulers.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);
/// The most scientists and proposals that are remembered, at all telescopes together.
const REMEMBERED_MAX: usize = 20_000;

/// Whose room it is, at one telescope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Scientist(i64),
    Proposal(i64),
}

/// Some room, and until when it is remembered.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    room: Room,
    until: Timestamp,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub struct Rooms {
    /// The edition of the catalogue by whose rules and proposals it was counted.
    edition: i64,
    /// By the telescopes' codes.
    telescopes: HashMap<String, HashMap<Whose, Remembered>>,
    /// How many are remembered.
    len: usize,
}

/// What was counted for a booking.
#[derive(Clone, Copy, Debug)]
pub struct Counting<'a> {
    /// The edition of the catalogue at that moment.
    pub edition: i64,
    /// What its scientist has booked at its telescope, as far as the telescope's rules count it.
    pub held: &'a [SlotRange],
    /// The minutes that its proposal has left at its telescope.
    pub left_min: Option<i64>,
}

impl Rooms {
    /// Uses up room for a booking, by the rules of this edition of the catalogue. False if there is none that is remembered.
    pub fn take(&mut self, new: &NewBooking, edition: i64, now: Timestamp) -> bool {
        // What has ended counts on its day, and is not remembered.
        if edition != self.edition || days_around(new.slots).0 < now {
            return false;
        }
        let Some(known) = self.telescopes.get_mut(&new.telescope.code) else { return false };
        let minutes = new.slots.duration_min();
        let has_room =
            |whose| known.get(&whose).is_some_and(|known| now < known.until && known.room.has_room_for(minutes));
        if !who_counts(new).all(has_room) {
            return false;
        }
        for whose in who_counts(new) {
            if let Some(known) = known.get_mut(&whose) {
                known.room = known.room.without(minutes);
            }
        }
        true
    }

    /// Remembers the room that is left beside a booking, for which this was counted.
    pub fn remember(&mut self, new: &NewBooking, counting: Counting<'_>, now: Timestamp) {
        if counting.edition != self.edition {
            *self = Self { edition: counting.edition, ..Self::default() };
        }
        for whose in who_counts(new) {
            let room = match whose {
                Whose::Scientist(_) => new.telescope.rules.room(counting.held, now),
                Whose::Proposal(_) => counting.left_min.map(|minutes| Room { bookings: i64::MAX, minutes }),
            };
            if let Some(room) = room {
                let room = room.without(new.slots.duration_min());
                self.put(&new.telescope.code, whose, Remembered { room, until: now.saturating_add(REMEMBERED_FOR) });
            }
        }
    }

    fn put(&mut self, telescope: &str, whose: Whose, remembered: Remembered) {
        if self.len == REMEMBERED_MAX {
            // To forget costs a counting for each, and no more.
            *self = Self { edition: self.edition, ..Self::default() };
        }
        if !self.telescopes.contains_key(telescope) {
            self.telescopes.insert(telescope.to_owned(), HashMap::new());
        }
        let known = self.telescopes.get_mut(telescope).expect("it was added where it was not there");
        self.len += usize::from(known.insert(whose, remembered).is_none());
    }
}

/// Against whose room the booking counts.
fn who_counts(new: &NewBooking) -> impl Iterator<Item = Whose> {
    let scientist = new.telescope.rules.count_bookings().then_some(Whose::Scientist(new.scientist.id));
    [scientist, new.proposal_id.map(Whose::Proposal)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::agenda::rules::Rules;
    use crate::agenda::{Scientist, Telescope};

    const NOW: &str = "2030-01-01T12:00:00Z";

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn scientist(id: i64) -> Arc<Scientist> {
        let (name, institution, country) = ("Marie Curie".into(), "Paris".into(), "FR".into());
        Scientist { id, name, institution, country, active: true }.into()
    }

    fn booking(rules: Rules, start: &str, minutes: i64) -> NewBooking {
        NewBooking {
            telescope: Telescope { rules, ..Telescope::new("Webb-Acad".into(), "Webb".into(), false) }.into(),
            scientist: scientist(7),
            proposal_id: None,
            slots: SlotRange::new(at(start), minutes).unwrap(),
            target: None,
            notes: None,
            clicked_at: None,
            stamp: None,
            contest: None,
            opens_at: None,
        }
    }

    fn quotas(standing_max: i64, day_max_min: i64) -> Rules {
        Rules { standing_max: Some(standing_max), day_max_min: Some(day_max_min), ..Rules::default() }
    }

    fn counting(held: &[SlotRange]) -> Counting<'_> {
        Counting { edition: 1, held, left_min: None }
    }

    #[test]
    fn one_counting_is_enough_for_as_many_bookings_as_there_is_room_for() {
        let new = booking(quotas(3, 1440), "2030-01-02T00:00:00Z", 5);
        let mut rooms = Rooms::default();
        assert!(!rooms.take(&new, 1, at(NOW)), "nothing is counted yet");
        rooms.remember(&new, counting(&[]), at(NOW));
        let taken = [(); 3].map(|()| rooms.take(&new, 1, at(NOW)));
        assert_eq!(taken, [true, true, false]);
        let other = NewBooking { scientist: scientist(8), ..new };
        assert!(!rooms.take(&other, 1, at(NOW)));
    }

    #[test]
    fn minutes_are_those_of_the_fullest_day() {
        let rules = quotas(10, 60);
        // Over midnight: ten minutes of either day.
        let held = [booking(rules, "2030-01-03T23:50:00Z", 20).slots, booking(rules, "2030-01-04T03:00:00Z", 30).slots];
        let mut rooms = Rooms::default();
        rooms.remember(&booking(rules, "2030-01-05T00:00:00Z", 5), counting(&held), at(NOW));
        assert!(!rooms.take(&booking(rules, "2030-01-06T00:00:00Z", 20), 1, at(NOW)));
        assert!(rooms.take(&booking(rules, "2030-01-06T00:00:00Z", 15), 1, at(NOW)));
        assert!(!rooms.take(&booking(rules, "2030-01-06T00:00:00Z", 5), 1, at(NOW)));
    }

    #[test]
    fn what_may_not_be_right_any_more_is_not_used() {
        let new = booking(quotas(9, 1440), "2030-01-02T00:00:00Z", 5);
        let mut rooms = Rooms::default();
        rooms.remember(&new, counting(&[]), at(NOW));
        let today = booking(quotas(9, 1440), "2030-01-01T23:00:00Z", 5);
        assert!(!rooms.take(&today, 1, at(NOW)), "what has ended of today is not known");
        assert!(!rooms.take(&new, 2, at(NOW)), "the rules are others");
        assert!(rooms.take(&new, 1, at("2030-01-01T12:00:09Z")));
        assert!(!rooms.take(&new, 1, at("2030-01-01T12:00:10Z")), "it is too old");
        let day_only = booking(Rules { day_max_min: Some(60), ..Rules::default() }, "2030-01-02T00:00:00Z", 5);
        rooms.remember(&day_only, Counting { edition: 2, ..counting(&[]) }, at(NOW));
        assert!(!rooms.take(&day_only, 2, at(NOW)), "the other days are not known");
    }

    #[test]
    fn a_proposals_minutes_are_everybodys_who_books_with_it() {
        let new = NewBooking { proposal_id: Some(3), ..booking(Rules::default(), "2030-01-02T00:00:00Z", 5) };
        let other = NewBooking { scientist: scientist(8), ..new.clone() };
        let mut rooms = Rooms::default();
        rooms.remember(&new, Counting { left_min: Some(15), ..counting(&[]) }, at(NOW));
        assert!(rooms.take(&other, 1, at(NOW)) && rooms.take(&new, 1, at(NOW)) && !rooms.take(&other, 1, at(NOW)));
    }

    #[test]
    fn however_many_are_counted_few_are_remembered() {
        let new = booking(quotas(9, 1440), "2030-01-02T00:00:00Z", 5);
        let mut rooms = Rooms::default();
        for id in 0..3 * i64::try_from(REMEMBERED_MAX).unwrap() {
            let new = NewBooking { scientist: scientist(id), ..new.clone() };
            rooms.remember(&new, counting(&[]), at(NOW));
            assert!(rooms.take(&new, 1, at(NOW)));
        }
        assert!(rooms.telescopes.values().map(HashMap::len).sum::<usize>() <= REMEMBERED_MAX);
    }

    proptest! {
        /// A booking for which there is room breaks no quota, when all that fitted before it is booked.
        #[test]
        fn what_fits_breaks_no_quota(
            standing_max in 1..12_i64, day_max_min in 1..40_i64, held_before in 0..12_usize,
            asked in prop::collection::vec((0..900_i64, 1..24_i64), 24),
        ) {
            let (rules, now) = (quotas(standing_max, day_max_min * 5), at(NOW));
            let midnight = at("2030-01-02T00:00:00Z").as_micros();
            let slots = |(slot, count): (i64, i64)| {
                let start = midnight + crate::time::minutes_in_micros(5 * slot);
                SlotRange::new(Timestamp::from_micros(start).unwrap(), 5 * count).unwrap()
            };
            let mut held: Vec<_> = asked[..held_before].iter().copied().map(slots).collect();
            let mut rooms = Rooms::default();
            for slots in asked[held_before..].iter().copied().map(slots) {
                let new = NewBooking { slots, ..booking(rules, NOW, 5) };
                let fits = rules.check_held(slots, &held.iter().copied(), now);
                if rooms.take(&new, 1, now) {
                    prop_assert_eq!(fits, Ok(()));
                } else {
                    rooms.remember(&new, counting(&held), now);
                }
                if fits.is_ok() {
                    held.push(slots);
                }
            }
        }
    }
}
