//! What counts against a new booking, in one reading.

use rusqlite::Connection;

use super::{bookings, catalogue, proposals};
use crate::agenda::rules::Rules;
use crate::agenda::{Booking, NewBooking, SlotRange};
use crate::store::Counted;
use crate::time::Timestamp;

/// What is asked for of a new booking.
pub struct Asked {
    telescope: String,
    rules: Rules,
    scientist_id: i64,
    slots: SlotRange,
    proposal_id: Option<i64>,
    moving: Option<i64>,
    now: Timestamp,
}

impl Asked {
    /// What counts against `new` at `now`, without the booking `moving`.
    pub fn of(new: &NewBooking, moving: Option<i64>, now: Timestamp) -> Self {
        let (telescope, rules) = (new.telescope.code.clone(), new.telescope.rules);
        Self {
            telescope,
            rules,
            scientist_id: new.scientist.id,
            slots: new.slots,
            proposal_id: new.proposal_id,
            moving,
            now,
        }
    }

    /// Reads it.
    pub fn count(&self, connection: &Connection) -> rusqlite::Result<Counted> {
        // All of it at one moment.
        let _transaction = connection.unchecked_transaction()?;
        let Some(row) = catalogue::row_of(connection, &self.telescope)? else { return Ok(Counted::default()) };
        let stays = |booking: &&Booking| self.moving.is_none_or(|moving| moving != booking.id);
        let mut counted = Counted::default();
        if self.rules.count_bookings() {
            let held = bookings::held(connection, row, self.scientist_id, &self.rules, self.slots, self.now)?;
            counted.held = held.iter().filter(stays).map(|booking| booking.slots).collect();
        }
        if let Some(proposal) = self.proposal_id {
            let moving = self.moving.map(|id| bookings::get(connection, id)).transpose()?.flatten();
            let given_back = moving.map_or(0, |booking| booking.charged_min(proposal, &self.telescope));
            counted.used_min = proposals::used_at(connection, proposal, row)? - given_back;
        }
        Ok(counted)
    }
}
