//! The domain, pure: what a slot, a booking, a scientist and a telescope are, and the rules between them.
//!
//! Nothing here asks for the time or does IO: the present instant is an argument.

mod booking;
mod catalogue;
mod draft;
mod slot;
pub mod timetable;

pub use booking::{Booking, NotCancellable, REASON_MAX_CHARS, Status, resource};
pub use catalogue::{Catalogue, Scientist, Telescope};
pub use draft::{Draft, NOTES_MAX_CHARS, NewBooking, Rejection, TARGET_MAX_CHARS};
pub use slot::{DURATION_MIN_MAX, SLOT_MIN, SlotRange, SlotRangeError, check_duration, next_start};
