//! What a decision has a backend write.

use crate::agenda::keeping::Kept;
use crate::agenda::maintenance::Maintenance;
use crate::agenda::proposal::Proposal;
use crate::agenda::{Booking, Scientist, SlotRange, Telescope, Wait};
use crate::http::request_id::RequestId;
use crate::time::Timestamp;

/// One thing that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A new booking.
    InsertBooking {
        /// As it stands from now on.
        booking: Booking,
        /// The fencing token that it is written under, if any.
        token: Option<u64>,
        /// The request that asked for it.
        request_id: RequestId,
    },
    /// Its slots become the booking's. None of them has another booking or a newer token.
    ClaimSlots {
        /// The telescope's code.
        telescope: String,
        /// Which slots.
        slots: SlotRange,
        /// The booking.
        booking_id: i64,
        /// Its scientist.
        scientist_id: i64,
        /// The token that each slot has seen from now on.
        token: u64,
    },
    /// A booking that was changed or cancelled.
    UpdateBooking {
        /// As it stands from now on.
        booking: Booking,
        /// The request that asked for it.
        request_id: RequestId,
    },
    /// The slots that a booking has become free.
    FreeSlots {
        /// The telescope's code.
        telescope: String,
        /// Which slots.
        slots: SlotRange,
        /// The booking.
        booking_id: i64,
        /// The token that each slot has seen from now on, if it has not seen a newer one.
        token: Option<u64>,
        /// When they open, if not at once.
        opens_at: Option<Timestamp>,
    },
    /// A new entry of a waiting list.
    InsertWait {
        /// As it stands from now on.
        wait: Wait,
        /// The request that asked for it.
        request_id: RequestId,
    },
    /// What has become of an entry, and that it was passed over.
    UpdateWait {
        /// As it stands from now on.
        wait: Wait,
    },
    /// A new telescope.
    InsertTelescope {
        /// As it stands from now on.
        telescope: Telescope,
    },
    /// A new scientist.
    InsertScientist {
        /// As the scientist stands from now on.
        scientist: Scientist,
    },
    /// A scientist who was changed.
    UpdateScientist {
        /// As the scientist stands from now on. The number stays.
        scientist: Scientist,
    },
    /// A telescope that was changed.
    UpdateTelescope {
        /// As it stands from now on. Its code stays.
        telescope: Telescope,
    },
    /// A new proposal.
    InsertProposal {
        /// As it stands from now on.
        proposal: Proposal,
    },
    /// A proposal that was changed.
    UpdateProposal {
        /// As it stands from now on. Its number stays.
        proposal: Proposal,
    },
    /// A new maintenance.
    InsertMaintenance {
        /// The telescope's code.
        telescope: String,
        /// As it stands from now on.
        maintenance: Maintenance,
    },
    /// A maintenance that is taken away.
    RemoveMaintenance {
        /// The telescope's code.
        telescope: String,
        /// Its number.
        id: i64,
        /// When it was taken away.
        at: Timestamp,
        /// When what it had closed opens, if not at once.
        opens_at: Option<Timestamp>,
    },
    /// The answer to the request that asked for the writes before it.
    KeepAnswer {
        /// The answer, and for which request.
        kept: Box<Kept>,
        /// Since when.
        at: Timestamp,
    },
    /// A record at the end of the audit trail. The chain's head is this record's from now on.
    AppendRecord {
        /// Its number.
        seq: u64,
        /// Its line.
        line: String,
        /// The booking that it is about, if it is about one.
        booking_id: Option<i64>,
        /// Its hash.
        hash: String,
    },
}
