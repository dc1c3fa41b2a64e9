//! After a booking that was not made: what has the slots, and what there is instead.

use std::borrow::Cow;
use std::collections::HashMap;
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

/// How many crowds' links are kept, about a megabyte. More slots than that are seldom wanted by several people within a moment.
const CROWDS_MAX: usize = 512;

/// Requests that are refused alike, because they want the same slots and their rival is not known: what the links of such a refusal are
/// made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// The links of crowds: they are made once for a crowd, and not for each of its requests. When there are [`CROWDS_MAX`], all are forgotten.
///
/// A std lock around a map: it is held to find a crowd or to add one. Links are made, and forgotten ones are freed, without it.
#[derive(Debug, Default)]
pub struct CrowdLinks(Mutex<HashMap<Crowd<'static>, Arc<FixedLinks>>>);

impl CrowdLinks {
    /// The links of a refusal in this crowd.
    pub fn of(&self, crowd: Crowd<'_>) -> Arc<FixedLinks> {
        if let Some(links) = self.known(&crowd) {
            return links;
        }
        let links = Arc::new(FixedLinks::new(crowd.links()));
        let crowd = crowd.into_owned();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Another request of this crowd may have been faster.
        let is_full = known.len() >= CROWDS_MAX && !known.contains_key(&crowd);
        let forgotten = if is_full { std::mem::take(&mut *known) } else { HashMap::new() };
        let links = Arc::clone(known.entry(crowd).or_insert(links));
        drop(known);
        drop(forgotten);
        links
    }

    fn known<'a>(&self, crowd: &Crowd<'a>) -> Option<Arc<FixedLinks>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Keys that live for ever are looked for as keys that live as long as this one.
        let known: &HashMap<Crowd<'a>, Arc<FixedLinks>> = &known;
        known.get(crowd).map(Arc::clone)
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
        let at = Timestamp::from_micros(minute * 60_000_000).unwrap();
        let slots = SlotRange::new(at, 10).unwrap();
        Crowd { telescope: telescope.into(), slots, at, has_waits: true, is_contested: true }
    }

    #[test]
    fn a_crowd_shares_its_links_and_another_has_its_own() {
        let links = CrowdLinks::default();
        let first = links.of(crowd("A", 0));
        assert!(Arc::ptr_eq(&first, &links.of(crowd("A", 0))));
        let (one, next) = (crowd("A", 0), crowd("A", 5));
        for other in [
            crowd("B", 0),
            Crowd { at: next.at, ..one.clone() },
            Crowd { slots: SlotRange::new(one.at, 15).unwrap(), ..one.clone() },
            Crowd { slots: next.slots, ..one.clone() },
            Crowd { has_waits: false, ..one.clone() },
            Crowd { is_contested: false, ..one.clone() },
        ] {
            let expected = serde_json::to_string(&other.links()).unwrap();
            assert_eq!(serde_json::to_string(&links.of(other)).unwrap(), expected);
            assert_ne!(serde_json::to_string(&first).unwrap(), expected);
        }
    }

    #[test]
    fn so_many_crowds_are_kept_and_the_next_one_begins_anew() {
        let links = CrowdLinks::default();
        let minute = |nth: usize| i64::try_from(nth).unwrap() * 5;
        let made: Vec<_> = (0..CROWDS_MAX).map(|nth| links.of(crowd("A", minute(nth)))).collect();
        for (nth, made) in made.iter().enumerate() {
            assert!(Arc::ptr_eq(made, &links.of(crowd("A", minute(nth)))), "{nth}");
        }
        links.of(crowd("B", 0));
        assert_eq!(links.0.lock().unwrap().len(), 1);
        assert!(!Arc::ptr_eq(&made[1], &links.of(crowd("A", minute(1)))));
    }
}
