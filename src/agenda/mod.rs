//! The domain: slots, bookings, scientists and telescopes, and their rules.
//!
//! Nothing here reads a clock or does IO: the present instant is an argument.

pub(crate) mod alteration;
mod booking;
mod catalogue;
mod closing;
pub(crate) mod contest;
pub(crate) mod directory;
mod draft;
pub(crate) mod hours;
pub(crate) mod keeping;
pub(crate) mod maintenance;
pub(crate) mod opening;
mod patch;
pub(crate) mod policy;
pub(crate) mod proposal;
pub(crate) mod receipt;
mod rejection;
pub(crate) mod room;
pub(crate) mod rules;
pub(crate) mod seeds;
mod slot;
pub(crate) mod stamp;
pub(crate) mod timetable;
mod version;
pub(crate) mod waiting;

pub use booking::{Booking, Status};
pub(crate) use booking::{Cancellation, NotCancellable, Place, REASON_MAX_CHARS, resource};
pub use catalogue::Scientist;
pub(crate) use catalogue::{Catalogue, ScientistState, Telescope, TelescopeState};
pub(crate) use draft::{Draft, NOTES_MAX_CHARS, NewBooking, TARGET_MAX_CHARS, check_proposal};
pub(crate) use patch::{ScientistPatch, TelescopePatch};
pub(crate) use rejection::Rejection;
pub(crate) use slot::{DURATION_MIN_MAX, SLOT_MIN, check_duration};
pub use slot::{SlotRange, SlotRangeError};
pub(crate) use waiting::{Wait, WaitStatus};
