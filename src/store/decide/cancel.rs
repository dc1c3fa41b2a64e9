//! Cancelling a booking: under a lease, or without one in the demonstration of the race.

use super::change::{Around, Change, Decision, WaitRows};
use super::promote::{Freed, any_is_left, promote};
use super::view::View;
use super::write::Write;
use crate::agenda::opening::after;
use crate::agenda::{Booking, Cancellation, Place, SlotRange, Status};
use crate::audit::chain::ChainHead;
use crate::audit::record::{Cause, Event};
use crate::store::outcomes::{CancelRefused, Cancelled, Fence, NotCancelled};
use crate::time::Timestamp;

/// A cancellation that is asked for under a lease.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// The booking's number.
    pub id: i64,
    /// The place that is locked: the booking's, as it was when it was read.
    pub from: Place,
    /// What is asked for.
    pub asked: Cancellation,
    /// The lease.
    pub fence: Fence,
    /// The request that asked for it.
    pub cause: Cause,
}

/// The same without a lease, in the race.
#[derive(Clone, Debug)]
pub struct CancelUnguarded {
    /// The booking's number.
    pub id: i64,
    /// What is asked for.
    pub asked: Cancellation,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for Cancel {
    type Answer = Result<Cancelled, CancelRefused>;

    fn booking_id(&self) -> Option<i64> {
        Some(self.id)
    }

    fn around<'a>(&'a self, view: &'a View) -> Option<Around<'a>> {
        let booking = view.bookings.get(&self.id)?;
        Some(around(booking, Some(booking.slots)))
    }

    fn waits<'a>(&'a self, view: &'a View) -> Option<WaitRows<'a>> {
        let booking = view.bookings.get(&self.id)?;
        Some(WaitRows::For(&booking.telescope, vec![(booking.slots.start(), booking.slots.end())]))
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let known = match self.check(view) {
            Ok(known) => known,
            Err(refused) => return Decision::refusal(Err(refused)),
        };
        let (token, reason) = (self.fence.token, self.asked.reason.clone());
        let giving_up = GivingUp { reason, token: Some(token), opens_at: after(view.now, self.asked.lead) };
        let (mut booking, mut writes) = cancelled(known, giving_up, &self.cause, view, &mut view.head.clone());
        let promoted = promote(view, &mut writes, &Freed::by(known, token), &self.cause);
        booking.opens_at = booking.opens_at.filter(|_| any_is_left(booking.place(), &promoted));
        Decision { answer: Ok(Cancelled { booking, promoted }), writes }
    }
}

impl Cancel {
    /// The booking as it stands, if it may be cancelled under this lease.
    fn check<'a>(&self, view: &'a View) -> Result<&'a Booking, CancelRefused> {
        let booking = cancellable(self.id, &self.asked, view).map_err(CancelRefused::Not)?;
        if booking.place() != self.from {
            return Err(CancelRefused::Moved);
        }
        self.fence.check_time(view).map_err(CancelRefused::Fence)?;
        for (start, claim) in view.claims(&booking.telescope, booking.slots) {
            self.fence.check_token(start, claim).map_err(CancelRefused::Fence)?;
        }
        Ok(booking)
    }
}

impl Change for CancelUnguarded {
    type Answer = Result<Booking, NotCancelled>;

    fn booking_id(&self) -> Option<i64> {
        Some(self.id)
    }

    fn around<'a>(&'a self, view: &'a View) -> Option<Around<'a>> {
        view.bookings.get(&self.id).map(|booking| around(booking, None))
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        match cancellable(self.id, &self.asked, view) {
            Ok(known) => {
                let reason = self.asked.reason.clone();
                let giving_up = GivingUp { reason, token: None, opens_at: None };
                let (booking, writes) = cancelled(known, giving_up, &self.cause, view, &mut view.head.clone());
                Decision { answer: Ok(booking), writes }
            }
            Err(not) => Decision::refusal(Err(not)),
        }
    }
}

fn around(booking: &Booking, slots: Option<SlotRange>) -> Around<'_> {
    Around { telescope: &booking.telescope, scientist_id: Some(booking.scientist_id), slots, counted: None }
}

/// The booking as it stands, if it may be cancelled now.
fn cancellable<'a>(id: i64, asked: &Cancellation, view: &'a View) -> Result<&'a Booking, NotCancelled> {
    let booking = view.bookings.get(&id).ok_or(NotCancelled::Unknown)?;
    if !booking.is_expected(asked.expected.as_deref()) {
        return Err(NotCancelled::Differs { version: booking.version });
    }
    let telescope = view.telescopes.get(&booking.telescope).ok_or(NotCancelled::Unknown)?;
    booking.check_cancellable(Some(telescope), view.now).map_err(NotCancelled::Not)?;
    Ok(booking)
}

/// How a booking gives up its slots.
pub(super) struct GivingUp {
    /// Why, for people.
    pub reason: Option<String>,
    /// The token of the lease, if there is one.
    pub token: Option<u64>,
    /// When the slots open, if not at once.
    pub opens_at: Option<Timestamp>,
}

/// A booking after it was cancelled, and what writes that and its record, which follows `head`.
pub(super) fn cancelled(
    known: &Booking,
    giving_up: GivingUp,
    cause: &Cause,
    view: &View,
    head: &mut ChainHead,
) -> (Booking, Vec<Write>) {
    let GivingUp { reason, token, opens_at } = giving_up;
    let booking = Booking {
        status: Status::Cancelled,
        version: known.version + 1,
        cancelled_at: Some(view.now),
        cancel_reason: reason,
        opens_at,
        ..known.clone()
    };
    // The scientist may have been removed from the catalogue since; the booking can be cancelled all the same.
    let scientist_name = view.scientists.get(&booking.scientist_id).map_or("", |scientist| scientist.name.as_str());
    let record = view.next_record(head, &Event::BookingCancelled { booking: &booking, scientist_name, token }, cause);
    let stored = Booking { opens_at: None, ..booking.clone() };
    let update = Write::UpdateBooking { booking: stored, request_id: cause.request_id.clone() };
    let (telescope, slots, booking_id) = (booking.telescope.clone(), booking.slots, booking.id);
    let free = Write::FreeSlots { telescope, slots, booking_id, token, opens_at };
    (booking, vec![update, free, record])
}
