//! The right to write that a lease gives, and what comes of a change: what it has done, or why it was not made.

use std::time::Instant;

use crate::agenda::alteration::NotAlterable;
use crate::agenda::maintenance::Maintenance;
use crate::agenda::{Booking, NewBooking, NotCancellable, Place, Rejection, SlotRange};
use crate::time::Timestamp;

/// The right to write that a lease gives, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    /// The fencing token.
    pub token: u64,
    /// A write is not started past this.
    pub deadline: Instant,
}

/// Why a write under a fence was refused. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceBroken {
    /// The lease's time was over before the write began.
    Expired,
    /// A newer token has already written to this slot.
    Stale {
        /// The slot.
        start: Timestamp,
        /// The token it has seen.
        seen: u64,
    },
}

/// Why a booking was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookRefused {
    /// It does not keep this rule any more: time has gone on, or somebody has changed the catalogue.
    Broken(Rejection),
    /// One of its slots has a booking.
    Taken {
        /// The first such slot.
        start: Timestamp,
        /// Its booking.
        booking_id: i64,
        /// The scientist who has it.
        scientist_id: i64,
    },
    /// The lease no longer counts.
    Fence(FenceBroken),
    /// Its slots open at this instant, which was not known when its stamp was found. It is given back, so that it can be tried again.
    Opens(Timestamp, Box<NewBooking>),
}

/// A booking that was to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Altered {
    /// As it stands.
    pub booking: Booking,
    /// Where it was before.
    pub from: Place,
    /// Whether it is otherwise now.
    pub changed: bool,
    /// The bookings of those who waited for slots that have become free.
    pub promoted: Vec<Booking>,
}

/// A booking that was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// As it stands.
    pub booking: Booking,
    /// The bookings of those who waited for its slots.
    pub promoted: Vec<Booking>,
}

/// A maintenance that was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reopened {
    /// The maintenance.
    pub maintenance: Maintenance,
    /// The bookings of those who waited for slots that are open again.
    pub promoted: Vec<Booking>,
    /// When the others open, if not at once.
    pub opens_at: Option<Timestamp>,
}

/// Why a booking was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterRefused {
    /// There is no such booking.
    Unknown,
    /// Its version is this, and none that was expected.
    Differs {
        /// The present version.
        version: i64,
    },
    /// It may not be changed so.
    Not(NotAlterable),
    /// It is not at the place that is locked: somebody has moved it.
    Moved,
    /// The new place does not keep this rule any more.
    Broken(Rejection),
    /// One of the new slots has a booking.
    Taken {
        /// The first such slot.
        start: Timestamp,
        /// Its booking.
        booking_id: i64,
        /// The scientist who has it.
        scientist_id: i64,
    },
    /// The lease no longer counts.
    Fence(FenceBroken),
    /// The new slots open at this instant, which is still to come.
    Opens(Timestamp),
}

/// Which bookings a maintenance may cancel.
#[derive(Clone, Debug)]
pub enum Cancelling {
    /// None.
    Nothing,
    /// All, without leases: in the race.
    Unguarded,
    /// Those on which there are leases.
    Leased(Vec<Leased>),
}

/// A lease on the slots of some bookings.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The lease.
    pub fence: Fence,
    /// The bookings, and the slots that each had when they were locked.
    pub bookings: Vec<(i64, SlotRange)>,
}

/// What a new maintenance has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The maintenance.
    pub maintenance: Maintenance,
    /// The bookings that were cancelled for it, as they stand now.
    pub cancelled: Vec<Booking>,
    /// The bookings of those who waited for slots of these bookings that are not in the maintenance.
    pub promoted: Vec<Booking>,
}

/// Why a maintenance was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotClosed {
    /// There is no such telescope.
    Unknown,
    /// These bookings are in its time, and it may cancel none.
    Booked(Vec<Booking>),
    /// These observations have begun, so they cannot be cancelled.
    Begun(Vec<Booking>),
    /// A booking in its time was made or moved a moment ago, and there is no lease on it.
    Others,
    /// More bookings are in its time than one maintenance may cancel.
    TooManyBookings,
    /// The telescope has as many maintenances as it may have.
    TooManyMaintenances,
    /// A lease no longer counts.
    Fence(FenceBroken),
}

/// Why something of the catalogue was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotChanged {
    /// There is no such thing.
    Unknown,
    /// It has another version than it should have: this one.
    OtherVersion(String),
    /// With the change it would end before it begins.
    Contradiction,
    /// With the change it would have minutes at too many telescopes.
    TooManyTelescopes,
}

/// Why a booking was not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCancelled {
    /// There is no such booking.
    Unknown,
    /// Its version is this, and none that was expected.
    Differs {
        /// The present version.
        version: i64,
    },
    /// It may not be cancelled.
    Not(NotCancellable),
}

/// Why a cancellation under a lease was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelRefused {
    /// The booking does not allow it.
    Not(NotCancelled),
    /// It is not at the place that is locked: somebody has moved it.
    Moved,
    /// The lease no longer counts.
    Fence(FenceBroken),
}
