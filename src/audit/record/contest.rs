//! The details of `DISPUTA_RESOLVIDA`: all who were in a contest, by their stamps.

use serde::Serialize;

use crate::agenda::Booking;
use crate::agenda::contest::{Decided, Entrant};
use crate::agenda::stamp::MARGIN_US;
use crate::time::Timestamp;

/// How a contest is decided: by the smallest stamp.
const BY_STAMP: &str = "ordem";

/// The details.
#[derive(Serialize)]
pub struct ContestDetails<'a> {
    agendamento_id: i64,
    cientista_id: i64,
    horario_inicio_utc: String,
    horario_fim_utc: String,
    telescopio: &'a str,
    politica: &'static str,
    janela_ms: u64,
    margem_us: i64,
    entradas: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    carimbo_utc: String,
    #[serde(flatten)]
    said: Said<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Entrant {
        req: &'a str,
        cientista_id: i64,
        chegada_utc: String,
        instante_clique_utc: Option<String>,
        token_utc: Option<String>,
        ida_volta_us: Option<u32>,
        ida_volta_de: Option<&'a str>,
        motivo: &'a str,
    },
    /// Of a scheduler of another version.
    Other { entrada: &'a str },
}

impl<'a> ContestDetails<'a> {
    /// Of the contest that `booking` has won.
    pub fn of(booking: &'a Booking, decided: &'a Decided) -> Self {
        let entry = |(stamp, said): &'a (Timestamp, Result<Entrant, String>)| Entry {
            carimbo_utc: stamp.micros().to_string(),
            said: match said {
                Ok(entrant) => said_of(entrant),
                Err(words) => Said::Other { entrada: words },
            },
        };
        Self {
            agendamento_id: booking.id,
            cientista_id: booking.scientist_id,
            horario_inicio_utc: booking.slots.start().seconds().to_string(),
            horario_fim_utc: booking.slots.end().seconds().to_string(),
            telescopio: &booking.telescope,
            politica: BY_STAMP,
            janela_ms: decided.window_ms,
            margem_us: MARGIN_US,
            entradas: decided.entries.iter().map(entry).collect(),
        }
    }
}

fn said_of(entrant: &Entrant) -> Said<'_> {
    Said::Entrant {
        req: &entrant.request,
        cientista_id: entrant.scientist_id,
        chegada_utc: entrant.arrived.micros().to_string(),
        instante_clique_utc: entrant.claim.map(|claim| claim.micros().to_string()),
        token_utc: entrant.token_at.map(|at| at.micros().to_string()),
        ida_volta_us: entrant.round_trip.as_ref().map(|(us, _)| *us),
        ida_volta_de: entrant.round_trip.as_ref().map(|(_, seen)| seen.as_str()),
        motivo: &entrant.reason,
    }
}
