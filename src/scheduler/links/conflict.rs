//! After a booking that was not made: what has the slots, and what there is instead.

use super::{at_slots, book, booking_path, free_near, may_book, telescope_path, timetable_href, waiting_path};
use crate::access::principal::Who;
use crate::agenda::SlotRange;
use crate::agenda::timetable::Period;
use crate::http::links::{Link, Links};
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

/// After a booking was looked at that was not made: to make it, or to what there is instead.
pub fn after_validation(valid: bool, taken: Option<(&str, SlotRange, Timestamp)>, has_waits: bool, who: &Who) -> Links {
    match taken {
        Some((telescope, slots, at)) => after_conflict(telescope, slots, at, None, has_waits),
        None => Links::new().with("inicio", Link::get("/")).with_if(valid && may_book(who), "agendar", book),
    }
}
