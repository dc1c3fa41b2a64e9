//! A change, the rows that it touches, and what is decided about it.

use super::view::View;
use super::write::Write;
use crate::agenda::maintenance::{NewMaintenance, Stretch};
use crate::agenda::{NewBooking, SlotRange};
use crate::http::precondition::IfMatch;
use crate::store::outcomes::NotChanged;

/// A change that is asked for.
pub trait Change: Send + 'static {
    /// What the caller is told.
    type Answer: Send + 'static;

    /// Whether the number of the next booking has to be in the view.
    fn inserts_booking(&self) -> bool {
        false
    }

    /// The booking that has to be in the view before [`Change::around`] can tell the rest.
    fn booking_id(&self) -> Option<i64> {
        None
    }

    /// Whether the number of the next scientist has to be in the view.
    fn inserts_scientist(&self) -> bool {
        false
    }

    /// The entry of a waiting list that it concerns, if any.
    fn wait_id(&self) -> Option<i64> {
        None
    }

    /// The other entries of waiting lists that have to be in the view. They are asked for when all other rows are there.
    fn waits<'a>(&'a self, _view: &'a View) -> Option<WaitRows<'a>> {
        None
    }

    /// The scientist who has to be in the view, where no booking is concerned.
    fn scientist_id(&self) -> Option<i64> {
        None
    }

    /// The maintenance whose bookings have to be in the view, with their claims, and the number of the next maintenance.
    fn closes(&self) -> Option<&NewMaintenance> {
        None
    }

    /// The proposal that has to be in the view, and the telescope at which its charged minutes have to be.
    fn proposal<'a>(&'a self, _view: &'a View) -> Option<(i64, Option<&'a str>)> {
        None
    }

    /// Whether the number of the next proposal has to be in the view.
    fn inserts_proposal(&self) -> bool {
        false
    }

    /// The other rows that have to be in the view.
    fn around<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        None
    }

    /// A second place whose rows have to be in the view, for a booking that moves.
    fn beside<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        None
    }

    /// Decides by the view, which has what the methods above name as far as it is in the database.
    fn decide(&self, view: &View) -> Decision<Self::Answer>;
}

/// The rows around a booking that a change touches.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The telescope's code.
    pub telescope: &'a str,
    /// The scientist's number; `None` where no scientist is looked at.
    pub scientist_id: Option<i64>,
    /// The slots whose claims decide; `None` where no claim is looked at.
    pub slots: Option<SlotRange>,
    /// The slots that count with what the scientist has booked, where the telescope has rules of that kind. The view has to have the
    /// bookings that [`Rules::check_held`](crate::agenda::rules::Rules::check_held) names.
    pub counted: Option<SlotRange>,
}

/// Entries of waiting lists that a change touches.
#[derive(Clone, Debug)]
pub enum WaitRows<'a> {
    /// All that wait for a slot of these stretches of a telescope; with the rows of the places for which they wait, and the number of the
    /// next booking.
    For(&'a str, Vec<Stretch>),
    /// The number of the next entry, all that wait for one of its slots, and all with which the scientist waits at the telescope.
    Beside(&'a NewBooking),
}

/// What was decided about one change.
#[derive(Debug)]
pub struct Decision<A> {
    /// What the caller is told, once the writes are durable.
    pub answer: A,
    /// What is written, in this order. None where the change is refused.
    pub writes: Vec<Write>,
}

/// What a change that is asked for makes of something in the catalogue.
///
/// # Errors
/// The decision, if nothing is to be written: there is no such thing, it has another version than the client has read, or it stays as it
/// is. What stays as it is leaves no record.
pub(super) fn changed<'a, T: PartialEq>(
    before: Option<&'a T>,
    version: impl FnOnce(&T) -> String,
    if_match: Option<&IfMatch>,
    applied: impl FnOnce(&T) -> T,
) -> Result<(&'a T, T), Decision<Result<T, NotChanged>>> {
    let Some(before) = before else { return Err(Decision::refusal(Err(NotChanged::Unknown))) };
    if let Some(wanted) = if_match {
        let version = version(before);
        if !wanted.fits(&version) {
            return Err(Decision::refusal(Err(NotChanged::OtherVersion(version))));
        }
    }
    let after = applied(before);
    if after == *before { Err(Decision::refusal(Ok(after))) } else { Ok((before, after)) }
}

impl<A> Decision<A> {
    /// A change that is refused.
    pub(super) fn refusal(answer: A) -> Self {
        Self { answer, writes: Vec::new() }
    }
}
