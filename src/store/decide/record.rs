//! Records of what changes no booking.

use super::change::{Change, Decision};
use super::view::View;
use crate::access::Caller;
use crate::access::calendar::Calendar;
use crate::agenda::NewBooking;
use crate::agenda::seeds::Commitment;
use crate::audit::record::{Catalogued, Cause, Event, Process, SERVICE, Why};

/// A record that is asked for.
#[derive(Clone, Debug)]
pub enum Record {
    /// A booking was refused.
    Refusal {
        /// The booking that was asked for.
        asked: Box<NewBooking>,
        /// Why not.
        why: Why,
        /// The request that asked for it.
        cause: Cause,
    },
    /// The address of a calendar was made or revoked.
    Calendar {
        /// The address as it is now.
        calendar: Calendar,
        /// The request that asked for it.
        cause: Cause,
    },
    /// A scheduler has made seeds.
    Seeds(Commitment),
    /// The service has started.
    Start(Process),
    /// The service stops.
    Stop {
        /// The process as it was started.
        process: Process,
        /// How long it ran.
        up_ms: u64,
    },
}

impl Change for Record {
    type Answer = ();

    fn decide(&self, view: &View) -> Decision<()> {
        let of_service = |event| view.record(&event, None, &Caller::service(SERVICE));
        let record = match self {
            Self::Refusal { asked, why, cause } => {
                view.record(&Event::BookingRefused { asked, why }, Some(&cause.request_id), &cause.caller)
            }
            Self::Calendar { calendar, cause } => {
                let changed = match calendar.revoked {
                    None => Catalogued::CalendarCreated(calendar),
                    Some(_) => Catalogued::CalendarRevoked(calendar),
                };
                view.record(&Event::Catalogued(changed), Some(&cause.request_id), &cause.caller)
            }
            Self::Seeds(commitment) => of_service(Event::SeedsCommitted(commitment)),
            Self::Start(process) => of_service(Event::ServiceStarted(process)),
            Self::Stop { process, up_ms } => of_service(Event::ServiceStopped { process, up_ms: *up_ms }),
        };
        Decision { answer: (), writes: vec![record] }
    }
}
