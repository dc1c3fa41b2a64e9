//! A record's line up to the chain's fields: what each event says.

use serde::Serialize;

use super::contest::ContestDetails;
use super::{Event, LEVEL, Process, Restoration, SERVICE, WaitEvent};
use crate::agenda::seeds::Commitment;
use crate::agenda::stamp::Stamp;
use crate::agenda::{Booking, Wait};
use crate::audit::catalogued::CataloguedDetails;
use crate::clock::token::{ACCEPTED, NotValid};
use crate::json;
use crate::text::into_escaped;
use crate::time::{Rfc3339, Timestamp};

/// Room for most records, with the fields of the chain, so that the text need not grow.
const USUAL_BYTES: usize = 1024;

/// The record's fields before the fields of the chain, in the order that the assignment gives.
#[derive(Serialize)]
struct FirstFields<'a> {
    timestamp_utc: Rfc3339,
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
        #[serde(skip_serializing_if = "Option::is_none")]
        espera_id: Option<i64>,
    },
    Changed {
        agendamento_id: i64,
        #[serde(flatten)]
        observation: Observation<'a>,
        versao: i64,
        antes: BookingState<'a>,
        depois: BookingState<'a>,
        observacoes_mudaram: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        abre_em_utc: Option<Rfc3339>,
        token: Option<u64>,
    },
    Refused {
        #[serde(skip_serializing_if = "Option::is_none")]
        agendamento_id: Option<i64>,
        #[serde(flatten)]
        observation: Observation<'a>,
        alvo: Option<&'a str>,
        instante_clique_utc: Option<Rfc3339>,
        codigo: &'a str,
        motivo: &'a str,
        ocupado_por: Option<i64>,
    },
    Wait {
        espera_id: i64,
        #[serde(flatten)]
        observation: Observation<'a>,
        alvo: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        proposta_id: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        agendamento_id: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        codigo: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        motivo: Option<&'a str>,
    },
    Contest(ContestDetails<'a>),
    Seeds {
        nome: &'a str,
        elos: usize,
        fim: &'a str,
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
    horario_inicio_utc: Rfc3339,
    horario_fim_utc: Rfc3339,
    telescopio: &'a str,
    cientista_nome: &'a str,
}

/// What of a booking can be changed, without its notes: not everybody who reads the trail may read them.
#[derive(Serialize)]
struct BookingState<'a> {
    telescopio: &'a str,
    horario_inicio_utc: Rfc3339,
    horario_fim_utc: Rfc3339,
    alvo: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposta_id: Option<i64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rest<'a> {
    Created {
        alvo: Option<&'a str>,
        instante_clique_utc: Option<Rfc3339>,
        /// Missing where there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        proposta_id: Option<i64>,
        /// Missing where the request had no time token.
        #[serde(skip_serializing_if = "Option::is_none")]
        carimbo: Option<StampDetails>,
    },
    Cancelled {
        motivo: Option<&'a str>,
        /// Missing where the slots opened at once.
        #[serde(skip_serializing_if = "Option::is_none")]
        abre_em_utc: Option<Rfc3339>,
    },
}

/// How the instant of a click was found.
#[derive(Serialize)]
struct StampDetails {
    utc: String,
    chegada_utc: String,
    token: &'static str,
    token_utc: Option<String>,
    ida_volta_us: Option<u32>,
    ida_volta_de: Option<&'static str>,
    motivo: &'static str,
}

impl StampDetails {
    fn of(stamp: &Stamp) -> Self {
        Self {
            utc: stamp.at.micros().to_string(),
            chegada_utc: stamp.arrived.micros().to_string(),
            token: stamp.token.map_or_else(NotValid::name, |_| ACCEPTED),
            token_utc: stamp.token.ok().map(|sent| sent.micros().to_string()),
            ida_volta_us: stamp.round_trip.map(|(micros, _)| micros),
            ida_volta_de: stamp.round_trip.map(|(_, seen)| seen.name()),
            motivo: stamp.reason.name(),
        }
    }
}

impl Event<'_> {
    /// The record as JSON, without its closing brace: the chain adds the rest.
    pub fn open_json(&self, at: Timestamp) -> String {
        let head = FirstFields {
            timestamp_utc: at.micros(),
            level: LEVEL,
            event_type: self.event_type(),
            service: SERVICE,
            details: self.details(),
        };
        // A struct of texts and numbers: serialising it to memory cannot fail.
        let mut json = json::to_string(&head, USUAL_BYTES).expect("a record serialises");
        json.pop();
        // Line separators and control characters are escaped: a program could read one as the end of the line, and a terminal
        // could run one as a command. In JSON the escaped character has the same value.
        into_escaped(json)
    }

    fn details(&self) -> Details<'_> {
        match *self {
            Self::BookingCreated { booking, scientist, token, wait_id, stamp } => Details::Written {
                agendamento_id: booking.id,
                observation: observed(booking, &scientist.name),
                rest: Rest::Created {
                    alvo: booking.target.as_deref(),
                    instante_clique_utc: booking.clicked_at.map(Timestamp::micros),
                    proposta_id: booking.proposal_id,
                    carimbo: stamp.map(StampDetails::of),
                },
                token,
                espera_id: wait_id,
            },
            Self::ContestDecided { booking, decided } => Details::Contest(ContestDetails::of(booking, decided)),
            Self::SeedsCommitted(Commitment { name, links, end }) => {
                Details::Seeds { nome: name, elos: *links, fim: end }
            }
            Self::BookingChanged { before, after, scientist_name, token } => {
                changed(before, after, scientist_name, token)
            }
            Self::BookingCancelled { booking, scientist_name, token } => Details::Written {
                agendamento_id: booking.id,
                observation: observed(booking, scientist_name),
                rest: Rest::Cancelled {
                    motivo: booking.cancel_reason.as_deref(),
                    abre_em_utc: booking.opens_at.map(Timestamp::micros),
                },
                token,
                espera_id: None,
            },
            Self::BookingRefused { asked, why } => Details::Refused {
                agendamento_id: why.moving,
                observation: Observation {
                    cientista_id: asked.scientist.id,
                    horario_inicio_utc: asked.slots.start().seconds(),
                    horario_fim_utc: asked.slots.end().seconds(),
                    telescopio: &asked.telescope.code,
                    cientista_nome: &asked.scientist.name,
                },
                alvo: asked.target.as_deref(),
                instante_clique_utc: asked.clicked_at.map(Timestamp::micros),
                codigo: why.code,
                motivo: &why.detail,
                ocupado_por: why.taken_by,
            },
            Self::Wait { wait, scientist_name, event } => waited(wait, scientist_name, event),
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

fn changed<'a>(before: &'a Booking, after: &'a Booking, scientist_name: &'a str, token: Option<u64>) -> Details<'a> {
    Details::Changed {
        agendamento_id: after.id,
        observation: observed(after, scientist_name),
        versao: after.version,
        antes: booking_state(before),
        depois: booking_state(after),
        observacoes_mudaram: before.notes != after.notes,
        abre_em_utc: after.opens_at.map(Timestamp::micros),
        token,
    }
}

fn observed<'a>(booking: &'a Booking, cientista_nome: &'a str) -> Observation<'a> {
    Observation {
        cientista_id: booking.scientist_id,
        horario_inicio_utc: booking.slots.start().seconds(),
        horario_fim_utc: booking.slots.end().seconds(),
        telescopio: &booking.telescope,
        cientista_nome,
    }
}

fn waited<'a>(wait: &'a Wait, cientista_nome: &'a str, event: WaitEvent) -> Details<'a> {
    let passed = wait.passed_over.as_ref().filter(|_| event == WaitEvent::PassedOver);
    Details::Wait {
        espera_id: wait.id,
        observation: Observation {
            cientista_id: wait.scientist_id,
            horario_inicio_utc: wait.slots.start().seconds(),
            horario_fim_utc: wait.slots.end().seconds(),
            telescopio: &wait.telescope,
            cientista_nome,
        },
        alvo: wait.target.as_deref(),
        proposta_id: wait.proposal_id,
        agendamento_id: wait.booking_id,
        codigo: passed.map(|passed| passed.code.as_str()),
        motivo: passed.map(|passed| passed.words.as_str()),
    }
}

fn booking_state(booking: &Booking) -> BookingState<'_> {
    BookingState {
        telescopio: &booking.telescope,
        horario_inicio_utc: booking.slots.start().seconds(),
        horario_fim_utc: booking.slots.end().seconds(),
        alvo: booking.target.as_deref(),
        proposta_id: booking.proposal_id,
    }
}

fn service(process: &Process, ativo_ha_ms: Option<u64>) -> Details<'_> {
    let Process { version, mode, pid, address } = process;
    Details::Service { versao: version, modo: mode, pid: *pid, endereco: address, ativo_ha_ms }
}
