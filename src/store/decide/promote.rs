//! Slots that become free go to the first who waits for them and may have them, in the transaction that frees them.
//!
//! An entry gets all of its slots or none. Those that were freed are under the lease of the change that frees them; others were free
//! before, and the transaction alone decides about them, as it does about every claim: a rival who has their lease finds them taken. An
//! entry whose time has begun is over, and gets nothing.

use super::book::{Making, check_rules, make};
use super::view::View;
use super::write::Write;
use crate::agenda::maintenance::Stretch;
use crate::agenda::waiting::PassedOver;
use crate::agenda::{Booking, NewBooking, Place, SLOT_MIN, SlotRange, Wait, WaitStatus};
use crate::audit::record::{Cause, Event, WaitEvent};

/// The code of an entry that is passed over because its own scientist has given the slots up.
const OWN_SLOTS: &str = "proprio_horario";

/// What a change gives up at a telescope.
#[derive(Clone, Debug)]
pub(super) struct Freed<'a> {
    /// The telescope's code.
    pub telescope: &'a str,
    /// Where slots have become free.
    pub stretches: Vec<Stretch>,
    /// The scientists who had them. What one gives up does not come back by the same change.
    pub givers: Vec<i64>,
    /// The token of the lease on the freed slots, if there is one.
    pub token: Option<u64>,
}

impl<'a> Freed<'a> {
    /// What a booking gives up under a lease, or some of it.
    pub(super) fn by(booking: &'a Booking, token: u64) -> Self {
        Self {
            telescope: &booking.telescope,
            stretches: vec![(booking.slots.start(), booking.slots.end())],
            givers: vec![booking.scientist_id],
            token: Some(token),
        }
    }

    fn is_waited_for(&self, wait: &Wait) -> bool {
        self.stretches.iter().any(|stretch| wait.is_for(self.telescope, *stretch))
    }
}

/// Adds to the `writes` that free slots what follows from that. Gives the new bookings.
pub(super) fn promote(view: &View, writes: &mut Vec<Write>, freed: &Freed<'_>, cause: &Cause) -> Vec<Booking> {
    let is_simulated = view.telescopes.get(freed.telescope).is_some_and(|telescope| telescope.simulated);
    let waits =
        |wait: &&Wait| freed.is_waited_for(wait) && wait.status_at(is_simulated, view.now) == WaitStatus::Waiting;
    let waiting: Vec<&Wait> = view.waits.values().filter(waits).collect();
    if waiting.is_empty() {
        return Vec::new();
    }
    let mut after = view.clone();
    for write in &*writes {
        after.apply(write.clone());
    }
    let mut promoted = Vec::new();
    for wait in waiting {
        if after.claims(&wait.telescope, wait.slots).any(|(_, claim)| claim.taken.is_some()) {
            continue;
        }
        let decided = match new_booking(wait, freed, &after) {
            Ok(new) => {
                let (booking, writes) = serve(wait, &new, freed.token, cause, &after);
                promoted.push(booking);
                writes
            }
            Err(passed_over) => pass_over(wait, passed_over, cause, &after),
        };
        for write in decided {
            after.apply(write.clone());
            writes.push(write);
        }
    }
    promoted
}

/// Whether these bookings leave any slot of a place free.
pub(super) fn any_is_left(place: Place, promoted: &[Booking]) -> bool {
    let Place { telescope, slots } = place;
    let has = |booking: &&Booking, start| booking.slots.start() <= start && start < booking.slots.end();
    let of_telescope = || promoted.iter().filter(|booking| booking.telescope == telescope);
    slots.starts().any(|start| !of_telescope().any(|booking| has(&booking, start)))
}

/// The booking that an entry becomes, if it may have its slots now.
fn new_booking(wait: &Wait, freed: &Freed<'_>, view: &View) -> Result<NewBooking, PassedOver> {
    let passed_over = |code: &str, words: String| PassedOver { at: view.now, code: code.to_owned(), words };
    if freed.givers.contains(&wait.scientist_id) {
        return Err(passed_over(
            OWN_SLOTS,
            "este horário, ou uma parte dele, era de um agendamento do próprio cientista".to_owned(),
        ));
    }
    let Some(telescope) = view.telescopes.get(&wait.telescope) else {
        return Err(passed_over("telescopio_desconhecido", "o telescópio não existe mais".to_owned()));
    };
    let Some(scientist) = view.scientists.get(&wait.scientist_id) else {
        return Err(passed_over("cientista_desconhecido", "o cientista não existe mais".to_owned()));
    };
    let new = NewBooking {
        telescope: telescope.clone().into(),
        scientist: scientist.clone().into(),
        proposal_id: wait.proposal_id,
        slots: wait.slots,
        target: wait.target.clone(),
        notes: wait.notes.clone(),
        clicked_at: None,
        stamp: None,
        contest: None,
        opens_at: None,
    };
    match check_rules(&new, None, view) {
        Ok(()) => Ok(new),
        Err(rejection) => Err(passed_over(rejection.code().name(), rejection.to_string())),
    }
}

/// The entry gets its slots.
fn serve(wait: &Wait, new: &NewBooking, token: Option<u64>, cause: &Cause, view: &View) -> (Booking, Vec<Write>) {
    let mut head = view.head.clone();
    let Making { booking, insert, record: created } = make(new, token, Some(wait.id), cause, view, &mut head);
    let mut writes = vec![insert];
    writes.extend(wait.slots.starts().filter_map(|start| {
        let slots = SlotRange::new(start, SLOT_MIN).ok()?;
        // A slot that was free before may have seen a newer token than the lease's, which does not cover it.
        let seen = view.claims(&wait.telescope, slots).map(|(_, claim)| claim.token).max().unwrap_or(0);
        Some(Write::ClaimSlots {
            telescope: wait.telescope.clone(),
            slots,
            booking_id: booking.id,
            scientist_id: booking.scientist_id,
            token: token.unwrap_or(0).max(seen),
        })
    }));
    let served =
        Wait { status: WaitStatus::Served, ended_at: Some(view.now), booking_id: Some(booking.id), ..wait.clone() };
    let event = Event::Wait { wait: &served, scientist_name: &new.scientist.name, event: WaitEvent::Served };
    let record = view.next_record(&mut head, &event, cause);
    writes.extend([created, Write::UpdateWait { wait: served }, record]);
    (booking, writes)
}

/// The entry is told why it did not get its slots, and waits on.
fn pass_over(wait: &Wait, passed_over: PassedOver, cause: &Cause, view: &View) -> Vec<Write> {
    let wait = Wait { passed_over: Some(passed_over), ..wait.clone() };
    let scientist_name = view.scientists.get(&wait.scientist_id).map_or("", |scientist| scientist.name.as_str());
    let event = Event::Wait { wait: &wait, scientist_name, event: WaitEvent::PassedOver };
    let record = view.next_record(&mut view.head.clone(), &event, cause);
    vec![Write::UpdateWait { wait }, record]
}
