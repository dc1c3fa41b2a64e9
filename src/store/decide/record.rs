//! Records of what changes no booking.

use super::change::{Change, Decision};
use super::view::View;
use crate::agenda::NewBooking;
use crate::audit::record::{Event, NO_REQUEST, Process, Why};
use crate::http::request_id::RequestId;

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
        request_id: RequestId,
    },
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
        let (event, request_id) = match self {
            Self::Refusal { asked, why, request_id } => (Event::BookingRefused { asked, why }, &**request_id),
            Self::Start(process) => (Event::ServiceStarted(process), NO_REQUEST),
            Self::Stop { process, up_ms } => (Event::ServiceStopped { process, up_ms: *up_ms }, NO_REQUEST),
        };
        Decision { answer: (), writes: vec![view.record(&event, request_id)] }
    }
}
