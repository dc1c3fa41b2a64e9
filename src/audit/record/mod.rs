//! An audit record: the events that are recorded, and what causes them.

mod contest;
mod json;

use std::sync::Arc;

use crate::access::Caller;
use crate::agenda::contest::Decided;
use crate::agenda::keeping::Keeping;
use crate::agenda::seeds::Commitment;
use crate::agenda::stamp::Stamp;
use crate::agenda::{Booking, NewBooking, Scientist, Wait};
pub use crate::audit::catalogued::Catalogued;
use crate::audit::catalogued::{
    CALENDAR_CREATED, CALENDAR_REVOKED, CATALOGUE_CHANGED, MAINTENANCE_CREATED, MAINTENANCE_REMOVED,
};
use crate::audit::chain::ChainHead;
use crate::http::request_id::RequestId;

/// The service that writes the records.
pub const SERVICE: &str = "servico-agendamento";
/// Every record's `level`, right after its `timestamp_utc`.
pub const LEVEL: &str = "AUDIT";

/// A booking was written.
pub const BOOKING_CREATED: &str = "AGENDAMENTO_CRIADO";
/// A booking was changed.
pub const BOOKING_CHANGED: &str = "AGENDAMENTO_ALTERADO";
/// A booking was cancelled.
pub const BOOKING_CANCELLED: &str = "AGENDAMENTO_CANCELADO";
/// A booking was refused.
pub const BOOKING_REFUSED: &str = "AGENDAMENTO_RECUSADO";
/// A booking has won a contest.
pub const CONTEST_DECIDED: &str = "DISPUTA_RESOLVIDA";
/// A scheduler has made seeds with which it will draw.
pub const SEEDS_COMMITTED: &str = "SEMENTES_COMPROMETIDAS";
/// A scientist waits for slots that are booked.
pub const WAIT_ENTERED: &str = "ESPERA_CRIADA";
/// A scientist does not wait any more.
pub const WAIT_LEFT: &str = "ESPERA_RETIRADA";
/// Who waited has got the slots.
pub const WAIT_SERVED: &str = "ESPERA_ATENDIDA";
/// The slots were free, and who waited may not have them.
pub const WAIT_PASSED_OVER: &str = "ESPERA_PRETERIDA";
/// The service began.
pub const SERVICE_STARTED: &str = "SERVICO_INICIADO";
/// The service ended.
pub const SERVICE_STOPPED: &str = "SERVICO_PARADO";
/// An operator has put a backup in the agenda's place.
pub const AGENDA_RESTORED: &str = "AGENDA_RESTAURADA";
/// An operator took a lock away. The coordinator records it, in its own log.
pub const LOCK_FORCED: &str = "TRAVA_FORCADA";
/// The lock of the coordinator's record before was not taken away after all.
pub const LOCK_NOT_FORCED: &str = "TRAVA_NAO_FORCADA";

/// Every `event_type` there is.
pub const EVENT_TYPES: [&str; 20] = [
    BOOKING_CREATED,
    BOOKING_CHANGED,
    BOOKING_CANCELLED,
    BOOKING_REFUSED,
    CONTEST_DECIDED,
    SEEDS_COMMITTED,
    WAIT_ENTERED,
    WAIT_LEFT,
    WAIT_SERVED,
    WAIT_PASSED_OVER,
    CATALOGUE_CHANGED,
    MAINTENANCE_CREATED,
    MAINTENANCE_REMOVED,
    CALENDAR_CREATED,
    CALENDAR_REVOKED,
    SERVICE_STARTED,
    SERVICE_STOPPED,
    AGENDA_RESTORED,
    LOCK_FORCED,
    LOCK_NOT_FORCED,
];

/// The request that causes an event.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Its identifier.
    pub request_id: RequestId,
    /// Who sent it.
    pub caller: Caller,
    /// What keeps its answer, if that is kept.
    pub keeping: Option<Arc<Keeping>>,
}

#[cfg(test)]
impl Cause {
    /// The request of that identifier, from 192.0.2.10.
    pub fn of_test(id: &str) -> Self {
        let caller = Caller::anonymous("192.0.2.10:4711".parse().unwrap());
        Self { request_id: RequestId::of_test(id), caller, keeping: None }
    }
}

/// An event that is recorded.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// `AGENDAMENTO_CRIADO`.
    BookingCreated {
        /// The booking as written.
        booking: &'a Booking,
        /// The scientist who booked.
        scientist: &'a Scientist,
        /// The fencing token with which it was written, if any.
        token: Option<u64>,
        /// The entry of a waiting list that it comes from, if any.
        wait_id: Option<i64>,
        /// How the instant of its click was found, if its request had a time token.
        stamp: Option<&'a Stamp>,
    },
    /// `DISPUTA_RESOLVIDA`.
    ContestDecided {
        /// The booking that has won.
        booking: &'a Booking,
        /// Who was in the contest.
        decided: &'a Decided,
    },
    /// `SEMENTES_COMPROMETIDAS`.
    SeedsCommitted(&'a Commitment),
    /// `AGENDAMENTO_ALTERADO`.
    BookingChanged {
        /// As it was.
        before: &'a Booking,
        /// As it is.
        after: &'a Booking,
        /// The name of the scientist who had booked.
        scientist_name: &'a str,
        /// The fencing token with which it was written, if any.
        token: Option<u64>,
    },
    /// `AGENDAMENTO_CANCELADO`.
    BookingCancelled {
        /// The booking as written.
        booking: &'a Booking,
        /// The name of the scientist who had booked.
        scientist_name: &'a str,
        /// The fencing token with which it was written, if any.
        token: Option<u64>,
    },
    /// `AGENDAMENTO_RECUSADO`.
    BookingRefused {
        /// The booking that was requested.
        asked: &'a NewBooking,
        /// The reason.
        why: &'a Why,
    },
    /// `ESPERA_…`.
    Wait {
        /// The entry as written.
        wait: &'a Wait,
        /// The name of the scientist who waits or waited.
        scientist_name: &'a str,
        /// What has happened to it.
        event: WaitEvent,
    },
    /// A change that an operator has made.
    Catalogued(Catalogued<'a>),
    /// `SERVICO_INICIADO`.
    ServiceStarted(&'a Process),
    /// `SERVICO_PARADO`.
    ServiceStopped {
        /// The service.
        process: &'a Process,
        /// How long it ran.
        up_ms: u64,
    },
    /// `AGENDA_RESTAURADA`.
    AgendaRestored(&'a Restoration),
}

/// What happens to an entry of a waiting list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEvent {
    /// `ESPERA_CRIADA`.
    Entered,
    /// `ESPERA_RETIRADA`.
    Left,
    /// `ESPERA_ATENDIDA`.
    Served,
    /// `ESPERA_PRETERIDA`.
    PassedOver,
}

/// A backup that was put in the agenda's place. The record before says up to where the backup goes.
#[derive(Clone, Debug)]
pub struct Restoration {
    /// The version of the program that did it.
    pub version: &'static str,
    /// The backup's file name.
    pub backup: String,
    /// The last record of the agenda that it replaced, if there was one that could be read.
    pub replaced: Option<ChainHead>,
    /// The folder where that agenda was kept, inside the data folder.
    pub kept_in: Option<String>,
}

/// Why a booking was refused.
#[derive(Clone, Debug)]
pub struct Why {
    /// The problem's code, as the client read it.
    pub code: &'static str,
    /// The problem's detail, as the client read it.
    pub detail: String,
    /// The booking that has the slot, if the slot was taken.
    pub taken_by: Option<i64>,
    /// The booking that was to move there, if it was no new one.
    pub moving: Option<i64>,
}

/// A running service.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its version.
    pub version: &'static str,
    /// `com_trava` or `sem_trava`.
    pub mode: &'static str,
    /// Its process identifier.
    pub pid: u32,
    /// The address on which it listens.
    pub address: String,
}

impl Event<'_> {
    /// The booking that the event is about, if it is about one: the `agendamento_id` of its details.
    pub const fn booking_id(&self) -> Option<i64> {
        match self {
            Self::BookingCreated { booking, .. }
            | Self::ContestDecided { booking, .. }
            | Self::BookingCancelled { booking, .. } => Some(booking.id),
            Self::BookingChanged { after, .. } => Some(after.id),
            Self::BookingRefused { why, .. } => why.moving,
            Self::Wait { wait, .. } => wait.booking_id,
            Self::SeedsCommitted(_)
            | Self::Catalogued(_)
            | Self::ServiceStarted(_)
            | Self::ServiceStopped { .. }
            | Self::AgendaRestored(_) => None,
        }
    }

    /// The event's name.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::BookingCreated { .. } => BOOKING_CREATED,
            Self::ContestDecided { .. } => CONTEST_DECIDED,
            Self::SeedsCommitted(_) => SEEDS_COMMITTED,
            Self::BookingChanged { .. } => BOOKING_CHANGED,
            Self::BookingCancelled { .. } => BOOKING_CANCELLED,
            Self::BookingRefused { .. } => BOOKING_REFUSED,
            Self::Wait { event: WaitEvent::Entered, .. } => WAIT_ENTERED,
            Self::Wait { event: WaitEvent::Left, .. } => WAIT_LEFT,
            Self::Wait { event: WaitEvent::Served, .. } => WAIT_SERVED,
            Self::Wait { event: WaitEvent::PassedOver, .. } => WAIT_PASSED_OVER,
            Self::Catalogued(changed) => changed.event_type(),
            Self::ServiceStarted(_) => SERVICE_STARTED,
            Self::ServiceStopped { .. } => SERVICE_STOPPED,
            Self::AgendaRestored(_) => AGENDA_RESTORED,
        }
    }
}
