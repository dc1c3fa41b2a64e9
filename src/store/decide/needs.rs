//! Which rows have to be in a view before a change can be decided, as far as the view tells already.
//!
//! What a change touches may depend on rows: the slots of a cancellation are those of its booking. So a backend asks, loads what it has not
//! loaded yet, and asks again until nothing is missing. For all changes of a batch together that takes as many steps as for one.

use super::change::{Around, Change, WaitRows};
use super::view::View;
use super::write::Write;
use crate::agenda::maintenance::{NewMaintenance, Stretch};
use crate::agenda::rules::Rules;
use crate::agenda::{Status, WaitStatus};
use crate::time::Timestamp;

/// A number that is given out next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    /// Of bookings.
    Booking,
    /// Of scientists.
    Scientist,
    /// Of proposals.
    Proposal,
    /// Of maintenances.
    Maintenance,
    /// Of entries of waiting lists.
    Wait,
}

/// Some rows. Those that are not in the database are not in the view either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The next number.
    Next(Counter),
    /// A booking.
    Booking(i64),
    /// An entry of a waiting list.
    Wait(i64),
    /// A scientist.
    Scientist(i64),
    /// A telescope with its maintenances.
    Telescope(String),
    /// The claim of a telescope's slot.
    Slot(String, Timestamp),
    /// What a scientist has booked at a telescope, as far as it counts with slots from one instant to another.
    Held {
        /// The telescope's code.
        telescope: String,
        /// The scientist.
        scientist_id: i64,
        /// The start of the slots.
        from: Timestamp,
        /// Their end.
        until: Timestamp,
    },
    /// A proposal.
    Proposal(i64),
    /// The minutes that are charged to a proposal at a telescope.
    Used(i64, String),
    /// Who waits for a slot of a stretch of a telescope.
    Waiting(String, Timestamp, Timestamp),
    /// The entries with which a scientist waits at a telescope.
    WaitingOf(String, i64),
    /// The bookings at a telescope that a maintenance meets.
    Met {
        /// The telescope's code.
        telescope: String,
        /// The maintenance's first instant.
        start: Timestamp,
        /// The first instant after it.
        end: Timestamp,
        /// Until when it comes again each week.
        weekly_until: Option<Timestamp>,
    },
}

/// What `change` needs; some of it may be named twice. More may follow from it.
pub fn needs(change: &impl Change, view: &View) -> Vec<Need> {
    let mut needs = Vec::new();
    let counters = [
        (change.inserts_booking(), Counter::Booking),
        (change.inserts_scientist(), Counter::Scientist),
        (change.inserts_proposal(), Counter::Proposal),
    ];
    needs.extend(counters.into_iter().filter(|(is_needed, _)| *is_needed).map(|(_, counter)| Need::Next(counter)));
    needs.extend(change.scientist_id().map(Need::Scientist));
    needs.extend(change.booking_id().map(Need::Booking));
    needs.extend(change.wait_id().map(Need::Wait));
    for around in [change.around(view), change.beside(view)].into_iter().flatten() {
        place(&around, view, &mut needs);
    }
    if let Some((id, telescope)) = change.proposal(view) {
        proposal(id, telescope, &mut needs);
    }
    if let Some(when) = change.closes()
        && let Some(around) = change.around(view)
    {
        closing(around.telescope, when, view, &mut needs);
    }
    match change.waits(view) {
        None => {}
        Some(WaitRows::For(telescope, stretches)) => waiting(telescope, &stretches, view, &mut needs),
        Some(WaitRows::Beside(new)) => {
            let telescope = &new.telescope.code;
            needs.push(Need::Next(Counter::Wait));
            needs.push(Need::Waiting(telescope.clone(), new.slots.start(), new.slots.end()));
            needs.push(Need::WaitingOf(telescope.clone(), new.scientist.id));
        }
    }
    needs
}

/// The rows of a place.
fn place(around: &Around<'_>, view: &View, needs: &mut Vec<Need>) {
    let telescope = around.telescope;
    needs.push(Need::Telescope(telescope.to_owned()));
    needs.extend(around.scientist_id.map(Need::Scientist));
    if let Some(slots) = around.slots {
        needs.extend(slots.starts().map(|start| Need::Slot(telescope.to_owned(), start)));
    }
    let rules = view.telescopes.get(telescope).map(|telescope| &telescope.rules);
    if let (Some(scientist_id), Some(slots), Some(_)) =
        (around.scientist_id, around.counted, rules.filter(|rules| Rules::count_bookings(rules)))
    {
        let (telescope, from, until) = (telescope.to_owned(), slots.start(), slots.end());
        needs.push(Need::Held { telescope, scientist_id, from, until });
    }
}

fn proposal(id: i64, telescope: Option<&str>, needs: &mut Vec<Need>) {
    needs.push(Need::Proposal(id));
    needs.extend(telescope.map(|telescope| Need::Used(id, telescope.to_owned())));
}

/// What a maintenance needs that is to be added.
fn closing(telescope: &str, when: &NewMaintenance, view: &View, needs: &mut Vec<Need>) {
    needs.push(Need::Next(Counter::Maintenance));
    // Which bookings are over depends on the telescope.
    if !view.telescopes.contains_key(telescope) {
        return;
    }
    let (start, end, weekly_until) = (when.start, when.end, when.weekly_until);
    needs.push(Need::Met { telescope: telescope.to_owned(), start, end, weekly_until });
    let met = view.bookings.values().filter(|booking| {
        booking.status == Status::Active
            && booking.telescope == telescope
            && when.meets(booking.slots.start(), booking.slots.end()).is_some()
    });
    for booking in met {
        needs.push(Need::Scientist(booking.scientist_id));
        needs.extend(booking.slots.starts().map(|start| Need::Slot(telescope.to_owned(), start)));
    }
}

/// What is needed where slots may become free: who waits for them, and the rows of what they wait for.
fn waiting(telescope: &str, stretches: &[Stretch], view: &View, needs: &mut Vec<Need>) {
    let is_for = |wait: &&crate::agenda::Wait| stretches.iter().any(|stretch| wait.is_for(telescope, *stretch));
    for wait in view.waits.values().filter(|wait| wait.status == WaitStatus::Waiting).filter(is_for) {
        needs.push(Need::Next(Counter::Booking));
        let (scientist_id, slots) = (Some(wait.scientist_id), Some(wait.slots));
        place(&Around { telescope, scientist_id, slots, counted: slots }, view, needs);
        if let Some(id) = wait.proposal_id {
            proposal(id, Some(telescope), needs);
        }
    }
    needs.extend(stretches.iter().map(|(from, until)| Need::Waiting(telescope.to_owned(), *from, *until)));
}

/// Whether rows that were loaded for `need` may not be all of them any more after `write`: some of them are read only up to a number, and the
/// write has taken one of these away.
pub fn is_outdated(need: &Need, write: &Write) -> bool {
    let Write::UpdateBooking { booking, .. } = write else { return false };
    match need {
        Need::Held { scientist_id, .. } => *scientist_id == booking.scientist_id,
        Need::Met { .. } => true,
        _ => false,
    }
}
