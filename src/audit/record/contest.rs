//! The details of `DISPUTA_RESOLVIDA`: all who were in a contest, by their stamps.

use serde::Serialize;

use crate::agenda::Booking;
use crate::agenda::contest::{self, Decided, Entrant};
use crate::agenda::stamp::MARGIN_US;

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
    empate_us: i64,
    sorteio: Option<Draw<'a>>,
    entradas: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Draw<'a> {
    recurso: &'a str,
    semente: &'a str,
}

#[derive(Serialize)]
struct Entry<'a> {
    carimbo_utc: String,
    sorteada: bool,
    /// Missing of a scheduler of another version.
    #[serde(flatten)]
    said: Option<Said>,
    entrada: &'a str,
}

#[derive(Serialize)]
struct Said {
    req: String,
    cientista_id: i64,
    chegada_utc: String,
    instante_clique_utc: Option<String>,
    token_utc: Option<String>,
    /// Missing where the slot did not open a moment ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    abre_em_utc: Option<String>,
    ida_volta_us: Option<u32>,
    ida_volta_de: Option<String>,
    motivo: String,
}

impl<'a> ContestDetails<'a> {
    /// Of the contest that `booking` has won.
    pub fn of(booking: &'a Booking, decided: &'a Decided) -> Self {
        let entry = |contest::Entry { stamp, words, is_drawn }: &'a contest::Entry| Entry {
            carimbo_utc: stamp.micros().to_string(),
            sorteada: *is_drawn,
            said: Entrant::read(words).map(said_of),
            entrada: words,
        };
        Self {
            agendamento_id: booking.id,
            cientista_id: booking.scientist_id,
            horario_inicio_utc: booking.slots.start().seconds().to_string(),
            horario_fim_utc: booking.slots.end().seconds().to_string(),
            telescopio: &booking.telescope,
            politica: decided.policy.name(),
            janela_ms: decided.window_ms,
            margem_us: MARGIN_US,
            empate_us: decided.policy.tie_us(),
            sorteio: decided.draw.as_ref().map(|(recurso, semente)| Draw { recurso, semente }),
            entradas: decided.entries.iter().map(entry).collect(),
        }
    }
}

fn said_of(entrant: Entrant) -> Said {
    let Entrant { request, scientist_id, arrived, claim, token_at, round_trip, reason, opens_at } = entrant;
    let (ida_volta_us, ida_volta_de) = round_trip.unzip();
    Said {
        req: request,
        cientista_id: scientist_id,
        chegada_utc: arrived.micros().to_string(),
        instante_clique_utc: claim.map(|claim| claim.micros().to_string()),
        token_utc: token_at.map(|at| at.micros().to_string()),
        abre_em_utc: opens_at.map(|at| at.micros().to_string()),
        ida_volta_us,
        ida_volta_de,
        motivo: reason,
    }
}
