//! An audit record: its event, and its line up to the chain's fields.

use std::sync::Arc;

use serde::Serialize;

use crate::access::Caller;
use crate::agenda::keeping::Keeping;
use crate::agenda::{Booking, NewBooking, Scientist};
pub use crate::audit::catalogued::Catalogued;
use crate::audit::catalogued::{
    CALENDAR_CREATED, CALENDAR_REVOKED, CATALOGUE_CHANGED, CataloguedDetails, MAINTENANCE_CREATED, MAINTENANCE_REMOVED,
};
use crate::audit::chain::ChainHead;
use crate::http::request_id::RequestId;
use crate::text::escaped;
use crate::time::Timestamp;

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
pub const EVENT_TYPES: [&str; 14] = [
    BOOKING_CREATED,
    BOOKING_CHANGED,
    BOOKING_CANCELLED,
    BOOKING_REFUSED,
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
    },
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

/// The record's fields before the fields of the chain, in the order that the assignment gives.
#[derive(Serialize)]
struct FirstFields<'a> {
    timestamp_utc: String,
    level: &'a str,
    event_type: &'a str,
    service: &'a str,
    details: Details<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Details<'a> {
    Written {
        agendamento_id: i64,
        #[serde(flatten)]
        observation: Observation<'a>,
        #[serde(flatten)]
        rest: Rest<'a>,
        token: Option<u64>,
    },
    Changed {
        agendamento_id: i64,
        #[serde(flatten)]
        observation: Observation<'a>,
        versao: i64,
        antes: BookingState<'a>,
        depois: BookingState<'a>,
        observacoes_mudaram: bool,
        token: Option<u64>,
    },
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        agendamento_id: Option<i64>,
        #[serde(flatten)]
        observation: Observation<'a>,
        alvo: Option<&'a str>,
        instante_clique_utc: Option<String>,
        codigo: &'a str,
        motivo: &'a str,
        ocupado_por: Option<i64>,
    },
    Catalogued(CataloguedDetails<'a>),
    Service {
        versao: &'a str,
        modo: &'a str,
        pid: u32,
        endereco: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        ativo_ha_ms: Option<u64>,
    },
    Restored {
        versao: &'a str,
        copia: &'a str,
        substituida_seq: Option<u64>,
        substituida_hash: Option<&'a str>,
        guardada_em: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct Observation<'a> {
    cientista_id: i64,
    horario_inicio_utc: String,
    horario_fim_utc: String,
    telescopio: &'a str,
    cientista_nome: &'a str,
}

/// What of a booking can be changed, without its notes: not everybody who reads the trail may read them.
#[derive(Serialize)]
struct BookingState<'a> {
    telescopio: &'a str,
    horario_inicio_utc: String,
    horario_fim_utc: String,
    alvo: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposta_id: Option<i64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rest<'a> {
    Created {
        alvo: Option<&'a str>,
        instante_clique_utc: Option<String>,
        /// Missing where there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        proposta_id: Option<i64>,
    },
    Cancelled {
        motivo: Option<&'a str>,
    },
}

impl Event<'_> {
    /// The event's name.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::BookingCreated { .. } => BOOKING_CREATED,
            Self::BookingChanged { .. } => BOOKING_CHANGED,
            Self::BookingCancelled { .. } => BOOKING_CANCELLED,
            Self::BookingRefused { .. } => BOOKING_REFUSED,
            Self::Catalogued(changed) => changed.event_type(),
            Self::ServiceStarted(_) => SERVICE_STARTED,
            Self::ServiceStopped { .. } => SERVICE_STOPPED,
            Self::AgendaRestored(_) => AGENDA_RESTORED,
        }
    }

    /// The record as JSON, without its closing brace: the chain adds the rest.
    pub fn open_json(&self, at: Timestamp) -> String {
        let head = FirstFields {
            timestamp_utc: at.micros().to_string(),
            level: LEVEL,
            event_type: self.event_type(),
            service: SERVICE,
            details: self.details(),
        };
        // A struct of texts and numbers: serialising it to memory cannot fail.
        let mut json = serde_json::to_string(&head).expect("a record serialises");
        json.pop();
        // Line separators and control characters are escaped: a program could read one as the end of the line, and a terminal
        // could run one as a command. In JSON the escaped character has the same value.
        escaped(&json)
    }

    fn details(&self) -> Details<'_> {
        let micros = |at: Timestamp| at.micros().to_string();
        match *self {
            Self::BookingCreated { booking, scientist, token } => Details::Written {
                agendamento_id: booking.id,
                observation: observed(booking, &scientist.name),
                rest: Rest::Created {
                    alvo: booking.target.as_deref(),
                    instante_clique_utc: booking.clicked_at.map(micros),
                    proposta_id: booking.proposal_id,
                },
                token,
            },
            Self::BookingChanged { before, after, scientist_name, token } => Details::Changed {
                agendamento_id: after.id,
                observation: observed(after, scientist_name),
                versao: after.version,
                antes: booking_state(before),
                depois: booking_state(after),
                observacoes_mudaram: before.notes != after.notes,
                token,
            },
            Self::BookingCancelled { booking, scientist_name, token } => Details::Written {
                agendamento_id: booking.id,
                observation: observed(booking, scientist_name),
                rest: Rest::Cancelled { motivo: booking.cancel_reason.as_deref() },
                token,
            },
            Self::BookingRefused { asked, why } => Details::Refused {
                agendamento_id: why.moving,
                observation: Observation {
                    cientista_id: asked.scientist.id,
                    horario_inicio_utc: asked.slots.start().seconds().to_string(),
                    horario_fim_utc: asked.slots.end().seconds().to_string(),
                    telescopio: &asked.telescope.code,
                    cientista_nome: &asked.scientist.name,
                },
                alvo: asked.target.as_deref(),
                instante_clique_utc: asked.clicked_at.map(micros),
                codigo: why.code,
                motivo: &why.detail,
                ocupado_por: why.taken_by,
            },
            Self::Catalogued(changed) => Details::Catalogued(changed.details()),
            Self::ServiceStarted(process) => service(process, None),
            Self::ServiceStopped { process, up_ms } => service(process, Some(up_ms)),
            Self::AgendaRestored(Restoration { version, backup, replaced, kept_in }) => Details::Restored {
                versao: version,
                copia: backup,
                substituida_seq: replaced.as_ref().map(|head| head.seq),
                substituida_hash: replaced.as_ref().map(|head| head.hash.as_str()),
                guardada_em: kept_in.as_deref(),
            },
        }
    }
}

fn observed<'a>(booking: &'a Booking, cientista_nome: &'a str) -> Observation<'a> {
    Observation {
        cientista_id: booking.scientist_id,
        horario_inicio_utc: booking.slots.start().seconds().to_string(),
        horario_fim_utc: booking.slots.end().seconds().to_string(),
        telescopio: &booking.telescope,
        cientista_nome,
    }
}

fn booking_state(booking: &Booking) -> BookingState<'_> {
    BookingState {
        telescopio: &booking.telescope,
        horario_inicio_utc: booking.slots.start().seconds().to_string(),
        horario_fim_utc: booking.slots.end().seconds().to_string(),
        alvo: booking.target.as_deref(),
        proposta_id: booking.proposal_id,
    }
}

fn service(process: &Process, ativo_ha_ms: Option<u64>) -> Details<'_> {
    let Process { version, mode, pid, address } = process;
    Details::Service { versao: version, modo: mode, pid: *pid, endereco: address, ativo_ha_ms }
}
