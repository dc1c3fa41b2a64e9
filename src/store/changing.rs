//! The agenda's storage as the service asks for it: changes, which are the same for every storage, and the rest, which each storage does
//! in its own way.
//!
//! A change is decided by [`decide`](super::decide). So a storage says only how it carries out any [`Change`] ([`Changing`]), and gets the
//! methods of [`Store`] by that.

use std::time::Duration;

use super::decide::{
    Alter, Book, BookUnguarded, Cancel, CancelUnguarded, Change, ChangeProposal, ChangeScientist, ChangeTelescope,
    Close, CreateProposal, CreateScientist, CreateTelescope, Enter, Leave, Record, Reopen,
};
use super::outcomes::{
    AlterRefused, Altered, BookRefused, CancelRefused, Cancelled, Cancelling, Closed, Fence, NotCancelled, NotChanged,
    NotClosed, Reopened,
};
use super::waits::{NotEntered, NotLeft, Placed};
use super::{Answer, Backend};
use crate::access::calendar::Calendar;
use crate::agenda::alteration::Alteration;
use crate::agenda::maintenance::NewMaintenance;
use crate::agenda::proposal::{Proposal, ProposalPatch};
use crate::agenda::seeds::Commitment;
use crate::agenda::{
    Booking, Cancellation, NewBooking, Place, Rejection, Scientist, ScientistPatch, Telescope, TelescopePatch, Wait,
};
use crate::audit::record::{Cause, Why};
use crate::http::precondition::IfMatch;

/// A storage that carries out changes.
pub trait Changing: Backend {
    /// Decides a change in the next transaction and writes what was decided. It answers once that is durable.
    fn change<C: Change>(&self, change: C) -> Answer<'_, C::Answer>;
}

/// The agenda's storage. Dropping it completes the last changes and closes it.
///
/// A change runs to its end even when its future is dropped: the caller then does not learn its outcome.
pub trait Store: Backend {
    /// Books under a lease: fence check, slot claims, booking and audit record are one transaction.
    fn book(&self, new: NewBooking, fence: Fence, cause: Cause) -> Answer<'_, Result<Booking, BookRefused>>;

    /// Writes a booking without looking at its slots: the second half of the race.
    fn book_unguarded(&self, new: NewBooking, cause: Cause) -> Answer<'_, Result<Booking, Rejection>>;

    /// Changes a booking: under a lease on its old and its new slots, or without one if its slots stay, or in the race.
    fn alter(
        &self,
        id: i64,
        asked: Alteration,
        fence: Option<Fence>,
        cause: Cause,
    ) -> Answer<'_, Result<Altered, AlterRefused>>;

    /// Cancels under a lease on the place `from`.
    fn cancel(
        &self,
        id: i64,
        from: Place,
        asked: Cancellation,
        fence: Fence,
        cause: Cause,
    ) -> Answer<'_, Result<Cancelled, CancelRefused>>;

    /// Cancels without a lease, in the race.
    fn cancel_unguarded(&self, id: i64, asked: Cancellation, cause: Cause)
    -> Answer<'_, Result<Booking, NotCancelled>>;

    /// Enters a waiting list with the booking that is to be made.
    fn enter(&self, new: NewBooking, cause: Cause) -> Answer<'_, Result<Placed, NotEntered>>;

    /// Takes an entry of a waiting list back.
    fn leave(&self, id: i64, cause: Cause) -> Answer<'_, Result<Wait, NotLeft>>;

    /// Adds a telescope to the catalogue. The error is the telescope that has its code already.
    fn create_telescope(&self, telescope: Telescope, cause: Cause) -> Answer<'_, Result<Telescope, Telescope>>;

    /// Changes a telescope of the catalogue. The answer is the telescope as it stands.
    fn change_telescope(
        &self,
        code: String,
        patch: TelescopePatch,
        if_match: Option<IfMatch>,
        cause: Cause,
    ) -> Answer<'_, Result<Telescope, NotChanged>>;

    /// Adds a scientist to the catalogue, and chooses the number.
    fn create_scientist(&self, scientist: Scientist, cause: Cause) -> Answer<'_, Scientist>;

    /// Changes a scientist of the catalogue. The answer is the scientist after that.
    fn change_scientist(
        &self,
        id: i64,
        patch: ScientistPatch,
        if_match: Option<IfMatch>,
        cause: Cause,
    ) -> Answer<'_, Result<Scientist, NotChanged>>;

    /// Adds a proposal to the catalogue, and chooses its number.
    fn create_proposal(&self, proposal: Proposal, cause: Cause) -> Answer<'_, Proposal>;

    /// Changes a proposal. The answer is the proposal as it stands.
    fn change_proposal(
        &self,
        id: i64,
        patch: ProposalPatch,
        if_match: Option<IfMatch>,
        cause: Cause,
    ) -> Answer<'_, Result<Proposal, NotChanged>>;

    /// Adds a maintenance to a telescope, and cancels the bookings in it where that may be done. What they have outside of it opens so much later.
    fn close(
        &self,
        telescope: String,
        when: NewMaintenance,
        cancelling: Cancelling,
        lead: Duration,
        cause: Cause,
    ) -> Answer<'_, Result<Closed, NotClosed>>;

    /// Takes a maintenance away: its slots open so much later. The answer is the maintenance as it was; `None` if the telescope has none of that
    /// number.
    fn reopen(&self, telescope: String, id: i64, lead: Duration, cause: Cause) -> Answer<'_, Option<Reopened>>;

    /// Records a booking that was refused.
    fn record_refusal(&self, asked: NewBooking, why: Why, cause: Cause) -> Answer<'_, ()>;

    /// Records that the address of a calendar was made, or revoked.
    fn record_calendar(&self, calendar: Calendar, cause: Cause) -> Answer<'_, ()>;

    /// Records that a scheduler has made seeds, before it uses them.
    fn record_seeds(&self, commitment: Commitment) -> Answer<'_, ()>;
}

impl<S: Changing> Store for S {
    fn book(&self, new: NewBooking, fence: Fence, cause: Cause) -> Answer<'_, Result<Booking, BookRefused>> {
        self.change(Book { new, fence, cause })
    }

    fn book_unguarded(&self, new: NewBooking, cause: Cause) -> Answer<'_, Result<Booking, Rejection>> {
        self.change(BookUnguarded { new, cause })
    }

    fn alter(
        &self,
        id: i64,
        asked: Alteration,
        fence: Option<Fence>,
        cause: Cause,
    ) -> Answer<'_, Result<Altered, AlterRefused>> {
        self.change(Alter { id, asked, fence, cause })
    }

    fn cancel(
        &self,
        id: i64,
        from: Place,
        asked: Cancellation,
        fence: Fence,
        cause: Cause,
    ) -> Answer<'_, Result<Cancelled, CancelRefused>> {
        self.change(Cancel { id, from, asked, fence, cause })
    }

    fn cancel_unguarded(
        &self,
        id: i64,
        asked: Cancellation,
        cause: Cause,
    ) -> Answer<'_, Result<Booking, NotCancelled>> {
        self.change(CancelUnguarded { id, asked, cause })
    }

    fn enter(&self, new: NewBooking, cause: Cause) -> Answer<'_, Result<Placed, NotEntered>> {
        self.change(Enter { new, cause })
    }

    fn leave(&self, id: i64, cause: Cause) -> Answer<'_, Result<Wait, NotLeft>> {
        self.change(Leave { id, cause })
    }

    fn create_telescope(&self, telescope: Telescope, cause: Cause) -> Answer<'_, Result<Telescope, Telescope>> {
        self.change(CreateTelescope { telescope, cause })
    }

    fn change_telescope(
        &self,
        code: String,
        patch: TelescopePatch,
        if_match: Option<IfMatch>,
        cause: Cause,
    ) -> Answer<'_, Result<Telescope, NotChanged>> {
        self.change(ChangeTelescope { code, patch, if_match, cause })
    }

    fn create_scientist(&self, scientist: Scientist, cause: Cause) -> Answer<'_, Scientist> {
        self.change(CreateScientist { scientist, cause })
    }

    fn change_scientist(
        &self,
        id: i64,
        patch: ScientistPatch,
        if_match: Option<IfMatch>,
        cause: Cause,
    ) -> Answer<'_, Result<Scientist, NotChanged>> {
        self.change(ChangeScientist { id, patch, if_match, cause })
    }

    fn create_proposal(&self, proposal: Proposal, cause: Cause) -> Answer<'_, Proposal> {
        self.change(CreateProposal { proposal, cause })
    }

    fn change_proposal(
        &self,
        id: i64,
        patch: ProposalPatch,
        if_match: Option<IfMatch>,
        cause: Cause,
    ) -> Answer<'_, Result<Proposal, NotChanged>> {
        self.change(ChangeProposal { id, patch, if_match, cause })
    }

    fn close(
        &self,
        telescope: String,
        when: NewMaintenance,
        cancelling: Cancelling,
        lead: Duration,
        cause: Cause,
    ) -> Answer<'_, Result<Closed, NotClosed>> {
        self.change(Close { telescope, when, cancelling, lead, cause })
    }

    fn reopen(&self, telescope: String, id: i64, lead: Duration, cause: Cause) -> Answer<'_, Option<Reopened>> {
        self.change(Reopen { telescope, id, lead, cause })
    }

    fn record_refusal(&self, asked: NewBooking, why: Why, cause: Cause) -> Answer<'_, ()> {
        self.change(Record::Refusal { asked: Box::new(asked), why, cause })
    }

    fn record_calendar(&self, calendar: Calendar, cause: Cause) -> Answer<'_, ()> {
        self.change(Record::Calendar { calendar, cause })
    }

    fn record_seeds(&self, commitment: Commitment) -> Answer<'_, ()> {
        self.change(Record::Seeds(commitment))
    }
}
