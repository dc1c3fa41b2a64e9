//! What a storage is asked for before a booking: what counts against it.

use crate::agenda::rules::Rules;
use crate::agenda::{NewBooking, SlotRange};
use crate::time::Timestamp;

/// What counts against a new booking is asked for by these.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The telescope's code.
    pub telescope: String,
    /// Its rules, as the booking was checked by them.
    pub rules: Rules,
    /// Who books.
    pub scientist_id: i64,
    /// The slots that the booking is to have.
    pub slots: SlotRange,
    /// The proposal to which it is charged, if any.
    pub proposal_id: Option<i64>,
    /// The booking that moves there, if one does: it does not count.
    pub moving: Option<i64>,
    /// The present instant.
    pub now: Timestamp,
}

impl Asked {
    /// What counts against `new` at `now`, without the booking `moving`.
    pub fn of(new: &NewBooking, moving: Option<i64>, now: Timestamp) -> Self {
        Self {
            telescope: new.telescope.code.clone(),
            rules: new.telescope.rules,
            scientist_id: new.scientist.id,
            slots: new.slots,
            proposal_id: new.proposal_id,
            moving,
            now,
        }
    }
}
