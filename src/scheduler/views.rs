//! The resources as they look on the wire, member by member, in the order of `docs/API.md`.
//!
//! A view is a struct whose fields have the wire's names; its links come from [`super::links`].

use serde::Serialize;
use serde_json::value::RawValue;

use super::links;
use super::requests::{FreeRequest, NextRequest};
use crate::access::principal::Who;
use crate::agenda::rules::RulesView;
use crate::agenda::timetable::{Period, SlotState, Standing, opens_at, states};
use crate::agenda::{Booking, Catalogue, Place, Scientist, SlotRange, Telescope};
use crate::http::links::{FixedLinks, Links};
use crate::http::table::Table;
use crate::http::written::Written;
use crate::time::{Rfc3339, Timestamp};

/// The official time.
#[derive(Serialize)]
pub struct TimeView {
    timestamp_utc: Rfc3339,
    recebido_utc: Rfc3339,
    enviado_utc: Rfc3339,
    _links: &'static FixedLinks,
}

impl TimeView {
    /// Shows when a request was received, and when its answer is sent.
    pub fn of(received: Timestamp, sent: Timestamp, links: &'static FixedLinks) -> Self {
        let sent = sent.micros();
        Self { timestamp_utc: sent, recebido_utc: received.micros(), enviado_utc: sent, _links: links }
    }
}

/// A booking.
#[derive(Serialize)]
pub struct BookingView<'a> {
    id: i64,
    telescopio: &'a str,
    cientista_id: i64,
    proposta_id: Option<i64>,
    horario_inicio_utc: Rfc3339,
    horario_fim_utc: Rfc3339,
    duracao_min: i64,
    status: &'static str,
    alvo: Option<&'a str>,
    /// Missing where the reader may not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    observacoes: Option<Notes<'a>>,
    instante_clique_utc: Option<Rfc3339>,
    carimbo_utc: Option<Rfc3339>,
    criado_em_utc: Rfc3339,
    alterado_em_utc: Option<Rfc3339>,
    versao: i64,
    cancelado_em_utc: Option<Rfc3339>,
    motivo_cancelamento: Option<&'a str>,
    /// Only in what tells that it has given up slots, and if they do not open at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    abre_em_utc: Option<Rfc3339>,
    /// Only in the answer to the request that has made it, and has won a contest.
    #[serde(skip_serializing_if = "Option::is_none")]
    recibo: Option<&'a str>,
    /// Only in the event that tells of a change: where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    antes: Option<PlaceView<'a>>,
    /// Only in an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    req: Option<&'a str>,
    #[serde(skip_serializing_if = "Links::is_empty")]
    _links: Links,
}

impl<'a> BookingView<'a> {
    /// The same with the receipt of the contest that the booking has just won.
    pub fn with_receipt(self, booking: &'a Booking) -> Self {
        Self { recibo: booking.receipt.as_deref(), ..self }
    }
}

/// Shows a booking as it is `now`, to `who`.
pub fn booking<'a>(booking: &'a Booking, catalogue: &Catalogue, now: Timestamp, who: &Who) -> BookingView<'a> {
    shown(booking, catalogue.telescope(&booking.telescope), now, who)
}

fn shown<'a>(booking: &'a Booking, telescope: Option<&Telescope>, now: Timestamp, who: &Who) -> BookingView<'a> {
    let possible = links::Possible {
        cancel: booking.check_cancellable(telescope, now).is_ok(),
        alter: booking.alterable(telescope, now).ok(),
    };
    let links = links::of_booking(booking, possible, who);
    view(booking, links, who.may_read_notes_of(booking.scientist_id))
}

fn view(booking: &Booking, links: Links, with_notes: bool) -> BookingView<'_> {
    BookingView {
        id: booking.id,
        telescopio: &booking.telescope,
        cientista_id: booking.scientist_id,
        proposta_id: booking.proposal_id,
        horario_inicio_utc: booking.slots.start().seconds(),
        horario_fim_utc: booking.slots.end().seconds(),
        duracao_min: booking.slots.duration_min(),
        status: booking.status.name(),
        alvo: booking.target.as_deref(),
        observacoes: with_notes.then_some(Notes(booking.notes.as_deref())),
        instante_clique_utc: booking.clicked_at.map(Timestamp::micros),
        carimbo_utc: booking.stamped_at.map(Timestamp::micros),
        criado_em_utc: booking.created_at.micros(),
        alterado_em_utc: booking.changed_at.map(Timestamp::micros),
        versao: booking.version,
        cancelado_em_utc: booking.cancelled_at.map(Timestamp::micros),
        motivo_cancelamento: booking.cancel_reason.as_deref(),
        abre_em_utc: booking.opens_at.map(Timestamp::micros),
        recibo: None,
        antes: None,
        req: None,
        _links: links,
    }
}

/// The notes of a booking, or of an entry of a waiting list, which may have none.
#[derive(Serialize)]
pub struct Notes<'a>(pub Option<&'a str>);

/// Where a booking was.
#[derive(Serialize)]
struct PlaceView<'a> {
    telescopio: &'a str,
    horario_inicio_utc: Rfc3339,
    horario_fim_utc: Rfc3339,
}

/// Shows what the request `request_id` did to a booking. It has no links: a client follows only those that it was given by an
/// answer, and everybody who reaches the coordinator can publish an event. It has no notes: everybody who reads the agenda hears it.
/// A booking that was changed was at the place `from` before.
pub fn booking_event<'a>(booking: &'a Booking, from: Option<&'a Place>, request_id: &'a str) -> BookingView<'a> {
    let antes = from.map(|place| PlaceView {
        telescopio: &place.telescope,
        horario_inicio_utc: place.slots.start().seconds(),
        horario_fim_utc: place.slots.end().seconds(),
    });
    BookingView { antes, req: Some(request_id), ..view(booking, Links::default(), false) }
}

/// The bookings as a table.
pub static BOOKINGS: Table = Table {
    list: "agendamentos",
    columns: &[
        "id",
        "telescopio",
        "cientista_id",
        "proposta_id",
        "horario_inicio_utc",
        "horario_fim_utc",
        "duracao_min",
        "status",
        "alvo",
        "observacoes",
        "instante_clique_utc",
        "carimbo_utc",
        "criado_em_utc",
        "alterado_em_utc",
        "versao",
        "cancelado_em_utc",
        "motivo_cancelamento",
    ],
    also: &[],
};

/// Writes some bookings as they are `now`. A booking's memory is given back once it is written.
pub fn bookings(written: &mut Written, bookings: Vec<Booking>, catalogue: &Catalogue, now: Timestamp, who: &Who) {
    written.begin_list(BOOKINGS.list);
    for shown in bookings {
        written.item(&booking(&shown, catalogue, now, who));
    }
    written.end_list();
}

/// The audit records as a table.
pub static RECORDS: Table = Table {
    list: "registros",
    columns: &[
        "timestamp_utc",
        "level",
        "event_type",
        "service",
        "details",
        "seq",
        "req",
        "req_cliente",
        "autor",
        "ip",
        "prev",
        "hash",
    ],
    also: &LINES_TYPES,
};

/// The media types of JSON lines.
pub const LINES_TYPES: [&str; 2] = ["application/jsonl", "application/x-ndjson"];

/// Writes some audit records, each with its own bytes.
///
/// # Errors
/// When a record is not JSON.
pub fn records(written: &mut Written, lines: Vec<String>) -> serde_json::Result<()> {
    written.begin_list(RECORDS.list);
    for line in lines {
        written.item(&RawValue::from_string(line)?);
    }
    written.end_list();
    Ok(())
}

/// A telescope.
#[derive(Serialize)]
pub struct TelescopeView<'a> {
    id: &'a str,
    nome: &'a str,
    simulado: bool,
    ativo: bool,
    regras: RulesView,
    _links: Links,
}

/// Shows a telescope.
pub fn telescope<'a>(telescope: &'a Telescope, who: &Who) -> TelescopeView<'a> {
    TelescopeView {
        id: &telescope.code,
        nome: &telescope.name,
        simulado: telescope.simulated,
        ativo: telescope.active,
        regras: RulesView::of(&telescope.rules, telescope.hours.as_deref(), telescope.needs_proposal),
        _links: links::of_telescope(telescope, who),
    }
}

/// A scientist.
#[derive(Serialize)]
pub struct ScientistView<'a> {
    id: i64,
    nome: &'a str,
    instituicao: &'a str,
    pais: &'a str,
    ativo: bool,
    _links: Links,
}

/// Shows a scientist.
pub fn scientist<'a>(scientist: &'a Scientist, who: &Who) -> ScientistView<'a> {
    ScientistView {
        id: scientist.id,
        nome: &scientist.name,
        instituicao: &scientist.institution,
        pais: &scientist.country,
        ativo: scientist.active,
        _links: links::of_scientist(scientist.id, who),
    }
}

/// One slot of a period.
#[derive(Serialize)]
struct SlotView {
    horario_inicio_utc: Rfc3339,
    estado: &'static str,
    agendamento_id: Option<i64>,
    vezes_agendado: u64,
    motivo: Option<String>,
    /// Only if it is known, and later than now.
    #[serde(skip_serializing_if = "Option::is_none")]
    abre_em_utc: Option<Rfc3339>,
    _links: Links,
}

/// The slots of a period as a table.
pub static SLOTS: Table = Table {
    list: "horarios",
    columns: &["horario_inicio_utc", "estado", "agendamento_id", "vezes_agendado", "motivo"],
    also: &[],
};

/// The most bytes of a slot, and of a booking without its texts, in the agenda of a period: hardly more than they have.
const SLOT_BYTES: usize = 400;
const BOOKING_BYTES: usize = 1200;

/// About how many bytes the agenda of a period has, so that there is room for them before it is written.
pub fn timetable_bytes(telescope: &Telescope, period: Period, standing: &Standing) -> usize {
    let texts = usize::try_from(standing.text_bytes).unwrap_or(usize::MAX);
    // A character of a reason may be escaped.
    let in_it = telescope.maintenance.iter().filter(|one| one.when.meets(period.start(), period.end()).is_some());
    let slot = SLOT_BYTES + in_it.map(|one| 2 * one.when.reason.len()).max().unwrap_or(0);
    texts.saturating_add(period.starts().count() * slot + standing.bookings.len() * BOOKING_BYTES)
}

/// Begins to write a period of `telescope`'s agenda as it is `now`: all but the bookings that stand in it, which follow one by one.
pub fn begin_timetable(
    written: Written,
    (telescope, period): (&Telescope, Period),
    standing: &Standing,
    now: Timestamp,
    who: &Who,
) -> Written {
    let slots = states(period, standing, telescope, now);
    let freed = standing.opening.iter().copied().collect();
    let opens = |slot| opens_at(slot, &freed, telescope, now);
    let mut written = written
        .with("telescopio", &telescope.code)
        .with("simulado", &telescope.simulated)
        .with("de_utc", &period.start().seconds())
        .with("ate_utc", &period.end().seconds())
        .with("agora_utc", &now.micros())
        .with_list(SLOTS.list, slots.into_iter().map(|found| slot(telescope, found, opens(found), who)));
    written.begin_list("agendamentos");
    written
}

/// One of the bookings that stand in `telescope`'s agenda, as it is `now`.
pub fn in_timetable<'a>(booking: &'a Booking, telescope: &Telescope, now: Timestamp, who: &Who) -> BookingView<'a> {
    shown(booking, Some(telescope), now, who)
}

/// Writes the end.
pub fn end_timetable(mut written: Written, telescope: &Telescope, period: Period) -> Written {
    written.end_list();
    written.with_links(&links::of_timetable(&telescope.code, period))
}

fn slot(telescope: &Telescope, found: (Timestamp, SlotState), opens: Option<Timestamp>, who: &Who) -> SlotView {
    let (start, state) = found;
    let reason = |id: i64| telescope.maintenance.iter().find(|one| one.id == id).map(|one| one.when.reason.clone());
    SlotView {
        horario_inicio_utc: start.seconds(),
        estado: state.name(),
        agendamento_id: if let SlotState::Booked { first, .. } = state { Some(first) } else { None },
        vezes_agendado: state.times(),
        motivo: if let SlotState::Maintenance(id) = state { reason(id) } else { None },
        abre_em_utc: opens.map(Timestamp::micros),
        _links: links::of_slot(&telescope.code, start, state, who),
    }
}

/// The first free start that fits.
#[derive(Serialize)]
pub struct NextView<'a> {
    telescopio: &'a str,
    cientista_id: Option<i64>,
    proposta_id: Option<i64>,
    a_partir_de_utc: Rfc3339,
    horario_inicio_utc: Rfc3339,
    horario_fim_utc: Rfc3339,
    duracao_min: i64,
    _links: Links,
}

impl<'a> NextView<'a> {
    /// Shows what the search `asked` has found at a telescope, from `from` on.
    pub fn of(telescope: &'a str, asked: &NextRequest, from: Timestamp, found: SlotRange, who: &Who) -> Self {
        Self {
            telescopio: telescope,
            cientista_id: asked.scientist_id,
            proposta_id: asked.proposal_id,
            a_partir_de_utc: from.micros(),
            horario_inicio_utc: found.start().seconds(),
            horario_fim_utc: found.end().seconds(),
            duracao_min: found.duration_min(),
            _links: links::of_next(telescope, found, who),
        }
    }
}

/// The free slots as a table.
pub static FREE: Table = Table { list: "livres", columns: &["horario_inicio_utc", "horario_fim_utc"], also: &[] };

/// Free slots that follow each other, as many as were asked for.
#[derive(Serialize)]
struct RunView {
    horario_inicio_utc: Rfc3339,
    horario_fim_utc: Rfc3339,
    _links: Links,
}

/// Writes the free slots that a search found.
pub fn free(written: Written, telescope: &str, request: &FreeRequest, found: Vec<SlotRange>, who: &Who) -> Written {
    let run = |run: SlotRange| RunView {
        horario_inicio_utc: run.start().seconds(),
        horario_fim_utc: run.end().seconds(),
        _links: links::book_this(who),
    };
    written
        .with("telescopio", &telescope)
        .with("perto_de_utc", &request.near.micros())
        .with("duracao_min", &request.duration_min)
        .with_list(FREE.list, found.into_iter().map(run))
        .with_links(&links::of_free(telescope, request))
}
