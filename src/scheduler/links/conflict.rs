//! After a booking that was not made: what has the slots, and what there is instead.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use super::contests::contest_of_slot;
use super::{at_slots, book, booking_path, free_near, may_book, telescope_path, timetable_href, waiting_path};
use crate::access::principal::Who;
use crate::agenda::SlotRange;
use crate::agenda::timetable::Period;
use crate::http::links::{FixedLinks, Link, Links};
use crate::time::Timestamp;

/// After a booking that a rival won: the rival's booking if it is known, all bookings of these slots, the day of the slot `at`
/// that was not free, the nearest free slots, and booking something else.
pub fn after_conflict(
    telescope: &str,
    slots: SlotRange,
    at: Timestamp,
    booking_id: Option<i64>,
    has_waits: bool,
) -> Links {
    let path = telescope_path(telescope);
    Links::new()
        .with_some("agendamento", booking_id.map(|id| Link::get(booking_path(id))))
        .with("agendamentos", at_slots(telescope, slots.start(), slots.end()))
        .with("agenda", Link::get(timetable_href(&path, Period::day_of(at))))
        .with("livres", free_near(&path, slots))
        .with("agendar", Link::action("POST", "/agendamentos", "Agendar outro horário"))
        .with_if(has_waits, "esperar", || {
            let path = slots.start().seconds().give(|start| waiting_path(&path, start));
            Link::action("POST", path, "Entrar na lista de espera")
        })
}

/// How many places a scheduler remembers the links of.
const CROWDED_PLACES: usize = 16;

/// What the links of a refusal are made of whose rival is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Crowd<'a> {
    /// The telescope.
    pub telescope: Cow<'a, str>,
    /// What was asked for.
    pub slots: SlotRange,
    /// The slot of it that was not free.
    pub at: Timestamp,
    /// Whether there is a waiting list.
    pub has_waits: bool,
    /// Whether there may have been a contest.
    pub is_contested: bool,
}

impl Crowd<'_> {
    fn links(&self) -> Links {
        after_conflict(&self.telescope, self.slots, self.at, None, self.has_waits).with_if(
            self.is_contested,
            "disputa",
            || contest_of_slot(&self.telescope, self.at),
        )
    }

    fn into_owned(self) -> Crowd<'static> {
        Crowd { telescope: self.telescope.into_owned().into(), ..self }
    }
}

/// The links of the last refusals, by their places: where a crowd wants one slot, they are made once, and not for each request.
#[derive(Debug, Default)]
pub struct CrowdLinks(Mutex<Crowds>);

#[derive(Debug, Default)]
struct Crowds {
    known: Vec<(Crowd<'static>, Arc<FixedLinks>)>,
    /// The place that is forgotten next.
    oldest: usize,
}

impl CrowdLinks {
    /// The links of a refusal in this crowd.
    pub fn of(&self, crowd: Crowd<'_>) -> Arc<FixedLinks> {
        let mut crowds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, links)) = crowds.known.iter().find(|(known, _)| *known == crowd) {
            return Arc::clone(links);
        }
        let links = Arc::new(FixedLinks::new(crowd.links()));
        let entry = (crowd.into_owned(), Arc::clone(&links));
        if crowds.known.len() < CROWDED_PLACES {
            crowds.known.push(entry);
        } else {
            let oldest = crowds.oldest;
            crowds.known[oldest] = entry;
            crowds.oldest = (oldest + 1) % CROWDED_PLACES;
        }
        links
    }
}

/// After a booking was looked at that was not made: to make it, or to what there is instead.
pub fn after_validation(valid: bool, taken: Option<(&str, SlotRange, Timestamp)>, has_waits: bool, who: &Who) -> Links {
    match taken {
        Some((telescope, slots, at)) => after_conflict(telescope, slots, at, None, has_waits),
        None => Links::new().with("inicio", Link::get("/")).with_if(valid && may_book(who), "agendar", book),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(telescope: &str, minute: i64) -> Crowd<'_> {
        let start = Timestamp::from_micros(minute * 60_000_000).unwrap();
        let slots = SlotRange::new(start, 5).unwrap();
        Crowd { telescope: telescope.into(), slots, at: start, has_waits: true, is_contested: false }
    }

    #[test]
    fn a_crowd_shares_its_links_and_another_has_its_own() {
        let links = CrowdLinks::default();
        let first = links.of(crowd("A", 0));
        assert!(Arc::ptr_eq(&first, &links.of(crowd("A", 0))));
        let contested = Crowd { is_contested: true, ..crowd("A", 0) };
        for other in [crowd("B", 0), crowd("A", 5), Crowd { has_waits: false, ..crowd("A", 0) }, contested] {
            let expected = serde_json::to_value(other.links()).unwrap();
            assert_eq!(serde_json::to_value(links.of(other)).unwrap(), expected);
        }
    }

    #[test]
    fn so_many_places_are_remembered_and_the_oldest_are_forgotten() {
        let links = CrowdLinks::default();
        let minute = |nth: usize| i64::try_from(nth).unwrap() * 5;
        let mut made = Vec::new();
        for nth in 0..3 * CROWDED_PLACES {
            made.push(links.of(crowd("A", minute(nth))));
            for (nth, expected) in made.iter().enumerate().rev().take(CROWDED_PLACES) {
                assert!(Arc::ptr_eq(expected, &links.of(crowd("A", minute(nth)))));
            }
            assert!(links.0.lock().unwrap().known.len() <= CROWDED_PLACES);
        }
        assert!(!Arc::ptr_eq(&made[0], &links.of(crowd("A", 0))));
    }
}
