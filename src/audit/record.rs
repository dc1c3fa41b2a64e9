//! One audit record: what happened, and the line it becomes.

use serde::Serialize;

use crate::agenda::{Booking, Scientist};
use crate::logging::escaped;
use crate::time::Timestamp;

/// The service that records are made by.
pub const SERVICE: &str = "servico-agendamento";
/// Every record's `level`, right after its `timestamp_utc`.
pub const LEVEL: &str = "AUDIT";

/// Every `event_type` there is. The last one is the coordinator's, in its own log.
pub const EVENT_TYPES: [&str; 3] = ["AGENDAMENTO_CRIADO", "AGENDAMENTO_CANCELADO", LOCK_FORCED];
/// An operator took a lock away.
pub const LOCK_FORCED: &str = "TRAVA_FORCADA";

/// Something worth a record.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// `AGENDAMENTO_CRIADO`.
    BookingCreated {
        /// The booking as written.
        booking: &'a Booking,
        /// Who booked.
        scientist: &'a Scientist,
        /// The fencing token it was written under, if any.
        token: Option<u64>,
    },
    /// `AGENDAMENTO_CANCELADO`.
    BookingCancelled {
        /// The booking as written.
        booking: &'a Booking,
        /// Who had booked.
        scientist_name: &'a str,
        /// The fencing token it was written under, if any.
        token: Option<u64>,
    },
}

/// The record's fields up to the chain's, in the order the assignment has them.
#[derive(Serialize)]
struct Head<'a> {
    timestamp_utc: String,
    level: &'a str,
    event_type: &'a str,
    service: &'a str,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    agendamento_id: i64,
    cientista_id: i64,
    horario_inicio_utc: String,
    horario_fim_utc: String,
    telescopio: &'a str,
    cientista_nome: &'a str,
    #[serde(flatten)]
    rest: Rest<'a>,
    token: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rest<'a> {
    Created { alvo: Option<&'a str>, instante_clique_utc: Option<String> },
    Cancelled { motivo: Option<&'a str> },
}

impl Event<'_> {
    /// The event's name.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::BookingCreated { .. } => EVENT_TYPES[0],
            Self::BookingCancelled { .. } => EVENT_TYPES[1],
        }
    }

    /// The record as JSON, without its closing brace: the chain adds the rest.
    pub fn open_json(&self, at: Timestamp) -> String {
        let (booking, cientista_nome, rest, token) = match *self {
            Self::BookingCreated { booking, scientist, token } => {
                let instante_clique_utc = booking.clicked_at.map(|at| at.micros().to_string());
                let rest = Rest::Created { alvo: booking.target.as_deref(), instante_clique_utc };
                (booking, scientist.name.as_str(), rest, token)
            }
            Self::BookingCancelled { booking, scientist_name, token } => {
                (booking, scientist_name, Rest::Cancelled { motivo: booking.cancel_reason.as_deref() }, token)
            }
        };
        let head = Head {
            timestamp_utc: at.micros().to_string(),
            level: LEVEL,
            event_type: self.event_type(),
            service: SERVICE,
            details: Details {
                agendamento_id: booking.id,
                cientista_id: booking.scientist_id,
                horario_inicio_utc: booking.slots.start().seconds().to_string(),
                horario_fim_utc: booking.slots.end().seconds().to_string(),
                telescopio: &booking.telescope,
                cientista_nome,
                rest,
                token,
            },
        };
        // A struct of texts and numbers: serialising it to memory cannot fail.
        let mut json = serde_json::to_string(&head).expect("a record serialises");
        json.pop();
        // What some reader might take for the end of a line, or a terminal for a command: in JSON an escape is the same.
        escaped(&json)
    }
}
