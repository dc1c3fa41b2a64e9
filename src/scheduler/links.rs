//! Hypermedia: what an answer shows, and what can be done next. An action that is not allowed now has no link.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::requests::{AuditRequest, ListRequest, cursor};
use crate::agenda::timetable::Period;
use crate::agenda::{Booking, Catalogue, Scientist, SlotRange, Telescope};
use crate::audit::filter::Wanted;
use crate::http::links::{Link, Links, path_segment, with_query};
use crate::store::Page;
use crate::time::Timestamp;

/// The template of the list of bookings.
const BOOKINGS_TEMPLATE: &str = "/agendamentos{?telescopio,cientista_id,status,de,ate,limite}";

/// The template of the audit trail's records.
const AUDIT_TEMPLATE: &str = "/auditoria{?evento,cientista_id,agendamento_id,horario_utc,telescopio,req,de,ate,limite}";

/// A booking, as answered.
#[derive(Serialize)]
pub struct BookingView<'a> {
    id: i64,
    telescopio: &'a str,
    cientista_id: i64,
    horario_inicio_utc: String,
    horario_fim_utc: String,
    duracao_min: i64,
    status: &'static str,
    alvo: Option<&'a str>,
    observacoes: Option<&'a str>,
    instante_clique_utc: Option<String>,
    criado_em_utc: String,
    cancelado_em_utc: Option<String>,
    motivo_cancelamento: Option<&'a str>,
    _links: Links,
}

/// Shows a booking; `cancelar` is there only while cancelling is possible.
pub fn booking<'a>(booking: &'a Booking, catalogue: &Catalogue, now: Timestamp) -> BookingView<'a> {
    let simulated = catalogue.telescope(&booking.telescope).is_some_and(|telescope| telescope.simulated);
    view(booking, booking.check_cancellable(simulated, now).is_ok())
}

/// A booking as its event has it.
#[derive(Serialize)]
pub struct BookingEvent<'a> {
    #[serde(flatten)]
    booking: BookingView<'a>,
    req: &'a str,
}

/// Shows what a request did to a booking. Whether it can be cancelled depends on when that is asked.
pub fn booking_event<'a>(booking: &'a Booking, request_id: &'a str) -> BookingEvent<'a> {
    BookingEvent { booking: view(booking, false), req: request_id }
}

fn view(booking: &Booking, cancellable: bool) -> BookingView<'_> {
    let cancelled = booking.cancelled_at.is_some();
    let href = booking_path(booking.id);
    let micros = |at: Timestamp| at.micros().to_string();
    BookingView {
        id: booking.id,
        telescopio: &booking.telescope,
        cientista_id: booking.scientist_id,
        horario_inicio_utc: booking.slots.start().seconds().to_string(),
        horario_fim_utc: booking.slots.end().seconds().to_string(),
        duracao_min: booking.slots.duration_min(),
        status: booking.status.name(),
        alvo: booking.target.as_deref(),
        observacoes: booking.notes.as_deref(),
        instante_clique_utc: booking.clicked_at.map(micros),
        criado_em_utc: micros(booking.created_at),
        cancelado_em_utc: booking.cancelled_at.map(micros),
        motivo_cancelamento: booking.cancel_reason.as_deref(),
        _links: Links::new()
            .with("self", Link::get(href.clone()))
            .with_if(cancellable, "cancelar", || Link::action("DELETE", href, "Cancelar este agendamento"))
            .with_if(cancelled, "agendar", book)
            .with("cientista", Link::get(format!("/cientistas/{}", booking.scientist_id)))
            .with("telescopio", Link::get(telescope_path(&booking.telescope)))
            .with("agendamentos", at_slots(&booking.telescope, booking.slots.start(), booking.slots.end()))
            .with("historico", history(booking.id)),
    }
}

/// A page of bookings, as answered.
#[derive(Serialize)]
pub struct PageView<'a> {
    agendamentos: Vec<BookingView<'a>>,
    limite: u16,
    _links: Links,
}

/// Shows a page; `proxima` is there only when there is more to look at.
pub fn page<'a>(page: &'a Page, request: &ListRequest, catalogue: &Catalogue, now: Timestamp) -> PageView<'a> {
    PageView {
        agendamentos: page.bookings.iter().map(|shown| booking(shown, catalogue, now)).collect(),
        limite: request.limit,
        _links: Links::new()
            .with("self", Link::get(list_href(request, request.after)))
            .with_if(page.next.is_some(), "proxima", || Link::get(list_href(request, page.next)))
            .with("inicio", Link::get("/"))
            .with("agendar", book()),
    }
}

fn list_href(request: &ListRequest, after: Option<(Timestamp, i64)>) -> String {
    let filter = &request.filter;
    let pairs = [
        ("telescopio", filter.telescope.clone()),
        ("cientista_id", filter.scientist_id.map(|id| id.to_string())),
        ("status", filter.status.map(|status| status.name().to_owned())),
        ("de", filter.from.map(|at| at.micros().to_string())),
        ("ate", filter.until.map(|at| at.micros().to_string())),
        ("limite", Some(request.limit.to_string())),
        ("cursor", after.map(|(start, id)| cursor(start, id))),
    ];
    with_query("/agendamentos", pairs.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))))
}

/// A page of audit records, as answered: each with its own bytes.
#[derive(Serialize)]
pub struct AuditPageView<'a> {
    registros: Vec<&'a RawValue>,
    limite: u16,
    _links: Links,
}

/// Shows a page of audit records; `proxima` is there only when there is more to look at.
pub fn audit_page<'a>(registros: Vec<&'a RawValue>, next: Option<u64>, request: &AuditRequest) -> AuditPageView<'a> {
    AuditPageView {
        registros,
        limite: request.limit,
        _links: Links::new()
            .with("self", Link::get(audit_href(request, Some(request.after).filter(|after| *after > 0))))
            .with_if(next.is_some(), "proxima", || Link::get(audit_href(request, next)))
            .with("cabeca", Link::get("/auditoria/cabeca"))
            .with("inicio", Link::get("/")),
    }
}

/// The address of a page of audit records.
pub fn audit_href(request: &AuditRequest, after: Option<u64>) -> String {
    let Wanted { event, scientist, booking, slot, telescope, request: req, since, until } = &request.wanted;
    let pairs = [
        ("evento", event.clone()),
        ("cientista_id", scientist.map(|id| id.to_string())),
        ("agendamento_id", booking.map(|id| id.to_string())),
        ("horario_utc", slot.map(|at| at.seconds().to_string())),
        ("telescopio", telescope.clone()),
        ("req", req.clone()),
        ("de", since.map(|at| at.micros().to_string())),
        ("ate", until.map(|at| at.micros().to_string())),
        ("limite", Some(request.limit.to_string())),
        ("cursor", after.map(|seq| seq.to_string())),
    ];
    with_query("/auditoria", pairs.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))))
}

/// From the trail's head.
pub fn from_audit_head() -> Links {
    Links::new()
        .with("self", Link::get("/auditoria/cabeca"))
        .with("auditoria", Link::template(AUDIT_TEMPLATE))
        .with("inicio", Link::get("/"))
}

/// A telescope, as answered.
#[derive(Serialize)]
pub struct TelescopeView<'a> {
    id: &'a str,
    nome: &'a str,
    simulado: bool,
    _links: Links,
}

/// Shows a telescope.
pub fn telescope(telescope: &Telescope) -> TelescopeView<'_> {
    TelescopeView {
        id: &telescope.code,
        nome: &telescope.name,
        simulado: telescope.simulated,
        _links: Links::new()
            .with("self", Link::get(telescope_path(&telescope.code)))
            .with("agenda", any_timetable(&telescope.code))
            .with("livres", any_free(&telescope.code))
            .with("agendamentos", Link::get(with_query("/agendamentos", [("telescopio", telescope.code.as_str())])))
            .with("agendar", book()),
    }
}

/// A scientist, as answered.
#[derive(Serialize)]
pub struct ScientistView<'a> {
    id: i64,
    nome: &'a str,
    instituicao: &'a str,
    pais: &'a str,
    _links: Links,
}

/// Shows a scientist.
pub fn scientist(scientist: &Scientist) -> ScientistView<'_> {
    let id = scientist.id.to_string();
    ScientistView {
        id: scientist.id,
        nome: &scientist.name,
        instituicao: &scientist.institution,
        pais: &scientist.country,
        _links: Links::new()
            .with("self", Link::get(format!("/cientistas/{id}")))
            .with("agendamentos", Link::get(with_query("/agendamentos", [("cientista_id", id.as_str())]))),
    }
}

/// The entry point's links: everything starts here.
pub fn entry() -> Links {
    Links::new()
        .with("self", Link::get("/"))
        .with("hora", Link::get("/time"))
        .with("telescopios", Link::get("/telescopios"))
        .with("cientistas", Link::get("/cientistas"))
        .with("agendamentos", Link::template(BOOKINGS_TEMPLATE))
        .with("agendar", book())
        .with("auditoria", Link::template(AUDIT_TEMPLATE))
        .with("eventos", Link::titled("/eventos", "A agenda ao vivo (server-sent events)"))
        .with("saude", Link::get("/saude"))
        .with("pronto", Link::get("/pronto"))
}

/// `self` and the way back to the entry point.
pub fn self_and_entry(href: impl Into<Cow<'static, str>>) -> Links {
    Links::new().with("self", Link::get(href)).with("inicio", Link::get("/"))
}

/// After a refused booking: who has it if that is known, what stands there, the day of the slot `at` which it was refused,
/// what is free nearby, and booking something else.
pub fn after_conflict(telescope: &str, slots: SlotRange, at: Timestamp, booking_id: Option<i64>) -> Links {
    Links::new()
        .with_some("agendamento", booking_id.map(|id| Link::get(booking_path(id))))
        .with("agendamentos", at_slots(telescope, slots.start(), slots.end()))
        .with("agenda", Link::get(timetable_href(telescope, Period::day_of(at))))
        .with("livres", free_near(telescope, slots))
        .with("agendar", Link::action("POST", "/agendamentos", "Agendar outro horário"))
}

/// Where a booking is seen if it was written after all.
pub fn where_it_would_be(telescope: &str, slots: SlotRange) -> Links {
    Links::new()
        .with("agendamentos", at_slots(telescope, slots.start(), slots.end()))
        .with("agenda", Link::get(timetable_href(telescope, Period::day_of(slots.start()))))
}

/// To one booking.
pub fn to_booking(id: i64) -> Links {
    Links::new().with("agendamento", Link::get(booking_path(id)))
}

/// To the bookings.
pub fn to_bookings() -> Links {
    Links::new().with("agendamentos", Link::get("/agendamentos")).with("inicio", Link::get("/"))
}

/// To the list that has all there are: telescopes or scientists.
pub fn to_catalogue(telescopes: bool) -> Links {
    let (rel, href) = if telescopes { ("telescopios", "/telescopios") } else { ("cientistas", "/cientistas") };
    Links::new().with(rel, Link::get(href)).with("inicio", Link::get("/"))
}

/// Where everything starts: the next step when there is no better one.
pub fn to_entry() -> Links {
    Links::new().with("inicio", Link::get("/"))
}

/// The path of a booking.
pub fn booking_path(id: i64) -> String {
    format!("/agendamentos/{id}")
}

/// The path of a telescope. `.` and `..` are codes as others are, but as a part of a path they lead elsewhere, however they are
/// written: they get a mark before them that no code has.
pub(super) fn telescope_path(code: &str) -> String {
    let mark = if matches!(code, "." | "..") { "~" } else { "" };
    format!("/telescopios/{mark}{}", path_segment(code))
}

/// The code of a telescope, of which this is the last part of its path.
pub(super) fn telescope_code(segment: &str) -> &str {
    match segment {
        "~." | "~.." => &segment[1..],
        code => code,
    }
}

pub(super) fn book() -> Link {
    Link::action("POST", "/agendamentos", "Agendar uma observação")
}

/// What the audit trail has of a booking.
fn history(id: i64) -> Link {
    Link::get(format!("/auditoria?agendamento_id={id}"))
}

/// Any period of a telescope's agenda.
pub(super) fn any_timetable(telescope: &str) -> Link {
    Link::template(format!("{}/agenda{{?de,ate}}", telescope_path(telescope)))
}

/// Any search for free slots.
pub(super) fn any_free(telescope: &str) -> Link {
    Link::template(format!("{}/livres{{?perto_de,duracao_min,limite}}", telescope_path(telescope)))
}

/// One period of a telescope's agenda.
pub(super) fn timetable_href(telescope: &str, period: Period) -> String {
    let (from, until) = (period.start().seconds().to_string(), period.end().seconds().to_string());
    with_query(&format!("{}/agenda", telescope_path(telescope)), [("de", from.as_str()), ("ate", &until)])
}

/// What is free near slots that somebody else has, for as long.
fn free_near(telescope: &str, slots: SlotRange) -> Link {
    let (near, duration) = (slots.start().seconds().to_string(), slots.duration_min().to_string());
    let pairs = [("perto_de", near.as_str()), ("duracao_min", &duration)];
    let href = with_query(&format!("{}/livres", telescope_path(telescope)), pairs);
    Link::titled(href, "Os horários livres mais próximos")
}

fn at_slots(telescope: &str, start: Timestamp, end: Timestamp) -> Link {
    let (start, end) = (start.seconds().to_string(), end.seconds().to_string());
    Link::get(with_query("/agendamentos", [("telescopio", telescope), ("de", &start), ("ate", &end)]))
}
