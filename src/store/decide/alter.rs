//! Changing a booking: its texts, a shorter time, another place. Its old and its new slots change hands in one decision, so that it is
//! never without either.

use super::book::check_rules;
use super::change::{Around, Change, Decision, WaitRows};
use super::promote::{Freed, any_is_left, promote};
use super::view::View;
use super::write::Write;
use crate::agenda::alteration::{Alteration, Destination, check_end};
use crate::agenda::opening::after;
use crate::agenda::policy::Policy;
use crate::agenda::{Booking, NewBooking, Place, Telescope};
use crate::audit::record::{Cause, Event};
use crate::store::outcomes::{AlterRefused, Altered, Fence};

/// A change of a booking that is asked for.
#[derive(Clone, Debug)]
pub struct Alter {
    /// The booking's number.
    pub id: i64,
    /// What is asked for.
    pub asked: Alteration,
    /// The lease on the old and the new slots. Without one, slots are neither looked at nor claimed: where none changes, and in the race.
    pub fence: Option<Fence>,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for Alter {
    type Answer = Result<Altered, AlterRefused>;

    fn booking_id(&self) -> Option<i64> {
        Some(self.id)
    }

    fn around<'a>(&'a self, view: &'a View) -> Option<Around<'a>> {
        let booking = view.bookings.get(&self.id)?;
        let slots = self.fence.map(|_| booking.slots);
        Some(Around { telescope: &booking.telescope, scientist_id: Some(booking.scientist_id), slots, counted: None })
    }

    fn waits<'a>(&'a self, view: &'a View) -> Option<WaitRows<'a>> {
        let booking = view.bookings.get(&self.id).filter(|_| self.fence.is_some())?;
        Some(WaitRows::For(&booking.telescope, vec![(booking.slots.start(), booking.slots.end())]))
    }

    fn beside<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        let Destination::Elsewhere(new) = &self.asked.destination else { return None };
        let slots = self.fence.map(|_| new.slots);
        let scientist_id = Some(new.scientist.id);
        Some(Around { telescope: &new.telescope.code, scientist_id, slots, counted: Some(new.slots) })
    }

    fn proposal<'a>(&'a self, _view: &'a View) -> Option<(i64, Option<&'a str>)> {
        let Destination::Elsewhere(new) = &self.asked.destination else { return None };
        Some((new.proposal_id?, Some(&new.telescope.code)))
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let before = match self.check(view) {
            Ok(before) => before,
            Err(refused) => return Decision::refusal(Err(refused)),
        };
        let mut booking = before.clone();
        self.asked.texts.apply_to(&mut booking);
        match &self.asked.destination {
            Destination::Here => {}
            Destination::Shorter(slots) => booking.slots = *slots,
            Destination::Elsewhere(new) => Place { telescope: booking.telescope, slots: booking.slots } = new.place(),
        }
        // What changes nothing leaves no record, and is the same version.
        if booking == *before {
            let from = before.place();
            return Decision::refusal(Ok(Altered { from, booking, changed: false, promoted: Vec::new() }));
        }
        booking.version += 1;
        booking.changed_at = Some(view.now);
        booking.opens_at = self.gives_up(before).and_then(|_| after(view.now, self.asked.lead));
        let request_id = self.cause.request_id.clone();
        // The scientist may have been removed from the catalogue since.
        let scientist_name = view.scientists.get(&booking.scientist_id).map_or("", |scientist| scientist.name.as_str());
        let token = self.fence.map(|fence| fence.token);
        let changed = Event::BookingChanged { before, after: &booking, scientist_name, token };
        let record = view.record(&changed, Some(&request_id), &self.cause.caller);
        let stored = Booking { opens_at: None, ..booking.clone() };
        let mut writes = vec![Write::UpdateBooking { booking: stored, request_id }];
        writes.extend(token.into_iter().flat_map(|token| self.change_hands(before, &booking, token)));
        writes.push(record);
        let from = before.place();
        let promoted = match token {
            Some(token) => promote(view, &mut writes, &Freed::by(before, token), &self.cause),
            None => Vec::new(),
        };
        let is_left = |place| any_is_left(place, &promoted);
        booking.opens_at = booking.opens_at.filter(|_| self.gives_up(before).is_some_and(is_left));
        Decision { answer: Ok(Altered { from, booking, changed: true, promoted }), writes }
    }
}

/// The telescope of a new place as it stands.
fn telescope_of<'a>(new: &NewBooking, view: &'a View) -> Option<&'a Telescope> {
    view.telescopes.get(&new.telescope.code)
}

impl Alter {
    /// The booking as it stands, if it may be changed so.
    fn check<'a>(&self, view: &'a View) -> Result<&'a Booking, AlterRefused> {
        let booking = view.bookings.get(&self.id).ok_or(AlterRefused::Unknown)?;
        let telescope = view.telescopes.get(&booking.telescope).ok_or(AlterRefused::Unknown)?;
        if !booking.is_expected(self.asked.expected.as_deref()) {
            return Err(AlterRefused::Differs { version: booking.version });
        }
        booking.check_destination(&self.asked.destination, Some(telescope), view.now).map_err(AlterRefused::Not)?;
        if matches!(self.asked.destination, Destination::Here) {
            return Ok(booking);
        }
        if booking.place() != self.asked.from {
            return Err(AlterRefused::Moved);
        }
        self.check_fence(booking, view)?;
        self.check_new(booking, telescope, view)?;
        Ok(booking)
    }

    /// Whether the lease still counts for the old slots.
    fn check_fence(&self, booking: &Booking, view: &View) -> Result<(), AlterRefused> {
        let Some(fence) = self.fence else { return Ok(()) };
        fence.check_time(view).map_err(AlterRefused::Fence)?;
        for (start, claim) in view.claims(&booking.telescope, booking.slots) {
            fence.check_token(start, claim).map_err(AlterRefused::Fence)?;
        }
        Ok(())
    }

    /// Whether the new place keeps the rules and is free.
    fn check_new(&self, booking: &Booking, telescope: &Telescope, view: &View) -> Result<(), AlterRefused> {
        let new = match &self.asked.destination {
            Destination::Here => return Ok(()),
            Destination::Shorter(slots) => {
                return check_end(*slots, Some(telescope), view.now).map_err(AlterRefused::Broken);
            }
            Destination::Elsewhere(new) => new,
        };
        check_rules(new, Some(booking.id), view).map_err(AlterRefused::Broken)?;
        let Some(fence) = self.fence else { return Ok(()) };
        for (start, claim) in view.claims(&new.telescope.code, new.slots) {
            if let Some(taken) = claim.taken.filter(|taken| taken.booking_id != booking.id) {
                let (booking_id, scientist_id) = (taken.booking_id, taken.scientist_id);
                return Err(AlterRefused::Taken { start, booking_id, scientist_id });
            }
            fence.check_token(start, claim).map_err(AlterRefused::Fence)?;
        }
        // A move takes no part in a contest. So it waits until the slots are open.
        let is_contested = telescope_of(new, view).is_some_and(|telescope| telescope.rules.policy != Policy::Arrival);
        match view.opens(&new.telescope.code, new.slots).filter(|at| is_contested && *at > view.now) {
            Some(opens_at) => Err(AlterRefused::Opens(opens_at)),
            None => Ok(()),
        }
    }

    /// The place that becomes free, or a part of it; `None` if none does. A lease is needed for that.
    fn gives_up(&self, before: &Booking) -> Option<Place> {
        let telescope = before.telescope.clone();
        match self.asked.destination {
            _ if self.fence.is_none() => None,
            Destination::Here => None,
            Destination::Shorter(slots) => before.slots.rest(slots.end()).map(|slots| Place { telescope, slots }),
            Destination::Elsewhere(_) => Some(before.place()),
        }
    }

    /// The old slots become free, as far as they are not kept, and the new ones the booking's.
    fn change_hands(&self, before: &Booking, after_it: &Booking, token: u64) -> Vec<Write> {
        let free = |slots| Write::FreeSlots {
            telescope: before.telescope.clone(),
            slots,
            booking_id: before.id,
            token: Some(token),
            opens_at: after_it.opens_at,
        };
        match self.asked.destination {
            Destination::Here => Vec::new(),
            Destination::Shorter(slots) => before.slots.rest(slots.end()).map(free).into_iter().collect(),
            Destination::Elsewhere(_) => {
                let claim = Write::ClaimSlots {
                    telescope: after_it.telescope.clone(),
                    slots: after_it.slots,
                    booking_id: after_it.id,
                    scientist_id: after_it.scientist_id,
                    token,
                };
                vec![free(before.slots), claim]
            }
        }
    }
}
