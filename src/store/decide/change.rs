//! A change, the rows that it touches, and what is decided about it.

use super::view::View;
use super::write::Write;
use crate::agenda::SlotRange;
use crate::agenda::maintenance::NewMaintenance;

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

/// What was decided about one change.
#[derive(Debug)]
pub struct Decision<A> {
    /// What the caller is told, once the writes are durable.
    pub answer: A,
    /// What is written, in this order. None where the change is refused.
    pub writes: Vec<Write>,
}

impl<A> Decision<A> {
    /// A change that is refused.
    pub(super) fn refusal(answer: A) -> Self {
        Self { answer, writes: Vec::new() }
    }
}
