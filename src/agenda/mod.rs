//! The domain, pure: what a slot, a booking, a scientist and a telescope are, and the rules between them.
//!
//! Nothing here asks for the time or does IO: the present instant is an argument.

mod booking;
mod catalogue;
mod slot;
pub mod timetable;

pub use booking::{
    Booking, Draft, NOTES_MAX_CHARS, NewBooking, NotCancellable, REASON_MAX_CHARS, Rejection, Status, TARGET_MAX_CHARS,
    resource,
};
pub use catalogue::{Catalogue, Scientist, Telescope};
pub use slot::{DURATION_MIN_MAX, SLOT_MIN, SlotRange, SlotRangeError, check_duration, next_start};
