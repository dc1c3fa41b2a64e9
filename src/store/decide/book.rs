//! Booking: under a lease, or without one in the demonstration of the race.

use super::change::{Around, Change, Decision};
use super::keep::keep;
use super::view::View;
use super::write::Write;
use crate::agenda::keeping::Made;
use crate::agenda::policy::Policy;
use crate::agenda::proposal::BrokenProposal;
use crate::agenda::{Booking, NewBooking, Rejection, Status, Telescope, check_proposal};
use crate::audit::chain::ChainHead;
use crate::audit::record::{Cause, Event};
use crate::store::outcomes::{BookRefused, Fence};

/// A booking that is asked for under a lease.
#[derive(Clone, Debug)]
pub struct Book {
    /// The booking. It kept every rule when it was asked for.
    pub new: NewBooking,
    /// The lease.
    pub fence: Fence,
    /// The request that asked for it.
    pub cause: Cause,
}

/// The same without a lease, in the race: the slots are neither looked at nor claimed.
#[derive(Clone, Debug)]
pub struct BookUnguarded {
    /// The booking. It kept every rule when it was asked for.
    pub new: NewBooking,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for Book {
    type Answer = Result<Booking, BookRefused>;

    fn inserts_booking(&self) -> bool {
        true
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
        if let Err(refused) = self.check(view) {
            return Decision::refusal(Err(refused));
        }
        let mut head = view.head.clone();
        let Making { booking, insert, record } =
            make(&self.new, Some(self.fence.token), None, &self.cause, view, &mut head);
        let contest = self.new.contest.as_ref().map(|decided| {
            view.next_record(&mut head, &Event::ContestDecided { booking: &booking, decided }, &self.cause)
        });
        let keep = keep(&self.cause, Made::Booking(&booking), view);
        let claim = Write::ClaimSlots {
            telescope: booking.telescope.clone(),
            slots: booking.slots,
            booking_id: booking.id,
            scientist_id: booking.scientist_id,
            token: self.fence.token,
        };
        let mut writes = vec![insert, claim, record];
        writes.extend(contest.into_iter().chain(keep));
        Decision { answer: Ok(booking), writes }
    }
}

impl Book {
    fn check(&self, view: &View) -> Result<(), BookRefused> {
        self.fence.check_time(view).map_err(BookRefused::Fence)?;
        check_rules(&self.new, None, view).map_err(BookRefused::Broken)?;
        for (start, claim) in view.claims(&self.new.telescope.code, self.new.slots) {
            if let Some(taken) = claim.taken {
                let (booking_id, scientist_id) = (taken.booking_id, taken.scientist_id);
                return Err(BookRefused::Taken { start, booking_id, scientist_id });
            }
            self.fence.check_token(start, claim).map_err(BookRefused::Fence)?;
        }
        // Another scheduler may have freed them a moment ago. Nobody has them before they open, also if their contest ended earlier.
        let telescope = &self.new.telescope;
        let opens_at =
            view.opens(&telescope.code, self.new.slots).filter(|_| telescope.rules.policy != Policy::Arrival);
        match opens_at.filter(|at| *at > view.now || self.new.opens_at.is_none_or(|known| known < *at)) {
            Some(opens_at) => Err(BookRefused::Opens(opens_at, Box::new(self.new.clone()))),
            None => Ok(()),
        }
    }
}

impl Change for BookUnguarded {
    type Answer = Result<Booking, Rejection>;

    fn inserts_booking(&self) -> bool {
        true
    }

    fn proposal<'a>(&'a self, _view: &'a View) -> Option<(i64, Option<&'a str>)> {
        Some((self.new.proposal_id?, Some(&self.new.telescope.code)))
    }

    fn around<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        let NewBooking { telescope, scientist, slots, .. } = &self.new;
        let counted = Some(*slots);
        Some(Around { telescope: &telescope.code, scientist_id: Some(scientist.id), slots: None, counted })
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        if let Err(broken) = check_rules(&self.new, None, view) {
            return Decision::refusal(Err(broken));
        }
        let Making { booking, insert, record } = make(&self.new, None, None, &self.cause, view, &mut view.head.clone());
        let keep = keep(&self.cause, Made::Booking(&booking), view);
        Decision { answer: Ok(booking), writes: [insert, record].into_iter().chain(keep).collect() }
    }
}

/// The rules that depend on time and on the catalogue, once more: the change may have waited long for its transaction. The booking that
/// moves there, if it is one, does not count with what its scientist has.
pub(super) fn check_rules(new: &NewBooking, moving: Option<i64>, view: &View) -> Result<(), Rejection> {
    let telescope = view.telescopes.get(&new.telescope.code);
    new.check_again(telescope, view.scientists.get(&new.scientist.id), view.now)?;
    let rules = telescope.map(|telescope| telescope.rules).unwrap_or_default();
    let held = view.held(&new.telescope.code, new.scientist.id, moving);
    rules.check_held(new.slots, &held, view.now).map_err(Rejection::Rule)?;
    telescope.map_or(Ok(()), |telescope| check_charge(new, moving, telescope, view)).map_err(Rejection::Proposal)
}

/// Whether it can be charged to its proposal now: what rivals have booked before it in this transaction is charged already, and what the
/// booking that moves there has is given back first.
fn check_charge(
    new: &NewBooking,
    moving: Option<i64>,
    telescope: &Telescope,
    view: &View,
) -> Result<(), BrokenProposal> {
    let proposal = new.proposal_id.and_then(|id| view.proposals.get(&id));
    check_proposal(telescope, new.proposal_id, proposal, new.scientist.id, new.slots)?;
    let Some(proposal) = proposal else { return Ok(()) };
    let used = view.used_min.get(&(proposal.id, telescope.code.clone())).copied().unwrap_or(0);
    let moving = moving.and_then(|id| view.bookings.get(&id));
    let given_back = moving.map_or(0, |booking| booking.charged_min(proposal.id, &telescope.code));
    proposal.check_minutes(&telescope.code, new.slots, used - given_back)
}

/// A new booking, and what writes it and its record.
pub(super) struct Making {
    pub booking: Booking,
    pub insert: Write,
    pub record: Write,
}

/// Makes the booking; `wait_id` is the entry of a waiting list that it comes from. Its record follows `head`.
pub(super) fn make(
    new: &NewBooking,
    token: Option<u64>,
    wait_id: Option<i64>,
    cause: &Cause,
    view: &View,
    head: &mut ChainHead,
) -> Making {
    let booking = Booking {
        id: view.next_booking_id,
        telescope: new.telescope.code.clone(),
        scientist_id: new.scientist.id,
        proposal_id: new.proposal_id,
        slots: new.slots,
        status: Status::Active,
        target: new.target.clone(),
        notes: new.notes.clone(),
        clicked_at: new.clicked_at,
        stamped_at: new.stamp.map(|stamp| stamp.at),
        is_contested: new.contest.is_some(),
        created_at: view.now,
        version: 1,
        changed_at: None,
        cancelled_at: None,
        cancel_reason: None,
        receipt: new.contest.as_ref().and_then(|contest| contest.receipt.clone()),
        opens_at: None,
    };
    let created = Event::BookingCreated {
        booking: &booking,
        scientist: &new.scientist,
        token,
        wait_id,
        stamp: new.stamp.as_ref(),
    };
    let record = view.next_record(head, &created, cause);
    let insert = Write::InsertBooking { booking: booking.clone(), token, request_id: cause.request_id.clone() };
    Making { booking, insert, record }
}
