//! Entering a waiting list, and leaving it. Neither needs a lease: no slot changes hands.

use super::book::check_rules;
use super::change::{Around, Change, Decision, WaitRows};
use super::keep::keep;
use super::view::View;
use super::write::Write;
use crate::agenda::keeping::Made;
use crate::agenda::waiting::{SCIENTIST_WAITS_MAX, START_WAITS_MAX};
use crate::agenda::{NewBooking, Wait, WaitStatus};
use crate::audit::record::{Cause, Event, WaitEvent};
use crate::store::waits::{NotEntered, NotLeft, Placed};

/// An entry that is asked for.
#[derive(Clone, Debug)]
pub struct Enter {
    /// The booking that it is to become. It kept every rule when it was asked for.
    pub new: NewBooking,
    /// The request that asked for it.
    pub cause: Cause,
}

/// An entry that is to be taken back.
#[derive(Clone, Debug)]
pub struct Leave {
    /// Its number.
    pub id: i64,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for Enter {
    type Answer = Result<Placed, NotEntered>;

    fn waits<'a>(&'a self, _view: &'a View) -> Option<WaitRows<'a>> {
        Some(WaitRows::Beside(&self.new))
    }

    fn proposal<'a>(&'a self, _view: &'a View) -> Option<(i64, Option<&'a str>)> {
        Some((self.new.proposal_id?, Some(&self.new.telescope.code)))
    }

    fn around<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        let NewBooking { telescope, scientist, slots, .. } = &self.new;
        let slots = Some(*slots);
        Some(Around { telescope: &telescope.code, scientist_id: Some(scientist.id), slots, counted: slots })
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        if let Err(not) = self.check(view) {
            return Decision::refusal(Err(not));
        }
        let NewBooking { telescope, scientist, proposal_id, slots, target, notes, .. } = &self.new;
        let wait = Wait {
            id: view.next_wait_id,
            telescope: telescope.code.clone(),
            scientist_id: scientist.id,
            proposal_id: *proposal_id,
            slots: *slots,
            status: WaitStatus::Waiting,
            target: target.clone(),
            notes: notes.clone(),
            created_at: view.now,
            ended_at: None,
            booking_id: None,
            passed_over: None,
        };
        let event = Event::Wait { wait: &wait, scientist_name: &scientist.name, event: WaitEvent::Entered };
        let record = view.record(&event, Some(&self.cause.request_id), &self.cause.caller);
        let stretch = (slots.start(), slots.end());
        let before = self.waiting(view).filter(|one| one.is_for(&telescope.code, stretch));
        let place = 1 + before.count() as u64;
        let keep = keep(&self.cause, Made::Wait { wait: &wait, place }, view);
        let insert = Write::InsertWait { wait: wait.clone(), request_id: self.cause.request_id.clone() };
        let writes = [insert, record].into_iter().chain(keep).collect();
        Decision { answer: Ok(Placed { wait, place: Some(place) }), writes }
    }
}

impl Enter {
    fn check(&self, view: &View) -> Result<(), NotEntered> {
        check_rules(&self.new, None, view).map_err(NotEntered::Broken)?;
        let (code, slots, scientist) = (&self.new.telescope.code, self.new.slots, self.new.scientist.id);
        let own = || self.waiting(view).filter(|wait| wait.scientist_id == scientist);
        if let Some(known) = own().find(|wait| wait.slots.start() == slots.start()) {
            return Err(NotEntered::Already(known.id));
        }
        // For a slot that is free nobody waits: then a change that frees one finds all who wait for it.
        if view.claims(code, slots).all(|(_, claim)| claim.taken.is_none()) {
            return Err(NotEntered::Free);
        }
        if own().count() >= SCIENTIST_WAITS_MAX {
            return Err(NotEntered::ScientistFull);
        }
        let of_start = self.waiting(view).filter(|wait| wait.slots.start() == slots.start());
        if of_start.count() >= START_WAITS_MAX { Err(NotEntered::StartFull) } else { Ok(()) }
    }

    /// The entries that wait at the telescope now, as far as the view has them.
    fn waiting<'a>(&'a self, view: &'a View) -> impl Iterator<Item = &'a Wait> {
        let code = &self.new.telescope.code;
        let is_simulated = view.telescopes.get(code).is_some_and(|telescope| telescope.simulated);
        let waits = view.waits.values().filter(move |wait| wait.telescope == *code);
        waits.filter(move |wait| wait.status_at(is_simulated, view.now) == WaitStatus::Waiting)
    }
}

impl Change for Leave {
    type Answer = Result<Wait, NotLeft>;

    fn wait_id(&self) -> Option<i64> {
        Some(self.id)
    }

    fn around<'a>(&'a self, view: &'a View) -> Option<Around<'a>> {
        let wait = view.waits.get(&self.id)?;
        let scientist_id = Some(wait.scientist_id);
        Some(Around { telescope: &wait.telescope, scientist_id, slots: None, counted: None })
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let Some(known) = view.waits.get(&self.id) else { return Decision::refusal(Err(NotLeft::Unknown)) };
        let is_simulated = view.telescopes.get(&known.telescope).is_some_and(|telescope| telescope.simulated);
        let status = known.status_at(is_simulated, view.now);
        if status != WaitStatus::Waiting {
            return Decision::refusal(Err(NotLeft::Over(status)));
        }
        let wait = Wait { status: WaitStatus::Left, ended_at: Some(view.now), ..known.clone() };
        let scientist_name = view.scientists.get(&wait.scientist_id).map_or("", |scientist| scientist.name.as_str());
        let event = Event::Wait { wait: &wait, scientist_name, event: WaitEvent::Left };
        let record = view.record(&event, Some(&self.cause.request_id), &self.cause.caller);
        Decision { answer: Ok(wait.clone()), writes: vec![Write::UpdateWait { wait }, record] }
    }
}
