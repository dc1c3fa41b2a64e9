//! Hypermedia: what can be done next, after each answer. What is not allowed now, or not to the caller, has no link.

mod calendar;
mod conflict;
mod contests;
mod entry;
mod waits;

use std::time::Duration;

pub use self::calendar::{CALENDARS_PATH, calendar_of};
use self::calendar::{calendar, subscribe};
pub use self::conflict::{Crowd, CrowdLinks, after_conflict, after_validation};
pub use self::contests::of_contest;
pub use self::entry::{
    KEYS_PATH, NEXT_PATH, SESSION_PATH, SIGN_IN_PATH, Signed, VALIDATE_PATH, entry, of_session, self_and_entry,
};
pub use self::waits::{of_wait, of_waits, to_book, to_wait, to_waits, wait_path};
use super::requests::{AuditRequest, FreeRequest, ListRequest, cursor};
use crate::access::principal::Who;
use crate::access::role::Permission;
use crate::agenda::alteration::Alterable;
use crate::agenda::timetable::{Period, SlotState};
use crate::agenda::{Booking, SLOT_MIN, SlotRange, Status, Telescope};
use crate::audit::filter::Wanted;
use crate::http::links::{Href, Link, Links, path_segment, with_query};
use crate::time::Timestamp;

/// The path of the tokens.
pub const TOKENS_PATH: &str = "/tokens";

/// The template of the audit trail's records.
const AUDIT_TEMPLATE: &str =
    "/auditoria{?evento,cientista_id,agendamento_id,horario_utc,telescopio,req,autor,ip,de,ate,limite}";

/// What can be done with a booking now.
#[derive(Clone, Copy)]
pub struct Possible {
    /// Whether it may be cancelled.
    pub cancel: bool,
    /// What of it may be changed.
    pub alter: Option<Alterable>,
}

/// The fields of a booking that may be changed.
const fn fields_of(alterable: Alterable) -> &'static [&'static str] {
    match alterable {
        Alterable::Everything => {
            &["alvo", "observacoes", "horario_inicio_utc", "horario_fim_utc", "duracao_min", "telescopio"]
        }
        Alterable::TextsAndEnd => &["alvo", "observacoes", "horario_fim_utc", "duracao_min"],
    }
}

/// From a booking: `alterar` and `cancelar` are there only while they are possible, and `agendar` once it was cancelled.
pub fn of_booking(booking: &Booking, possible: Possible, who: &Who) -> Links {
    let href = booking_path(booking.id);
    let cancelled = booking.status == Status::Cancelled;
    let may_change = who.check_scientist(booking.scientist_id).is_ok();
    let cancellable = possible.cancel && may_change;
    let alter = possible.alter.filter(|_| may_change).map(|alterable| {
        Link::action("PATCH", href.clone(), "Mudar este agendamento").with_fields(fields_of(alterable))
    });
    Links::new()
        .with("self", Link::get(href.clone()))
        .with_some("alterar", alter)
        .with_if(cancellable, "cancelar", || Link::action("DELETE", href, "Cancelar este agendamento"))
        .with_if(cancelled && may_book(who), "agendar", book)
        .with("cientista", Link::get(scientist_path(booking.scientist_id)))
        .with("telescopio", Link::get(telescope_path(&booking.telescope)))
        .with_some("proposta", booking.proposal_id.map(|id| Link::get(proposal_path(id))))
        .with("agendamentos", at_slots(&booking.telescope, booking.slots.start(), booking.slots.end()))
        .with_if(booking.is_contested, "disputa", || Link::get(contest_path(booking.id)))
        .with_if(who.may(Permission::ReadTrail), "historico", || history(booking.id))
}

/// From a page of bookings: `proxima` is there only when there are more.
pub fn of_page(request: &ListRequest, next: Option<(Timestamp, i64)>, who: &Who) -> Links {
    Links::new()
        .with("self", Link::get(list_href(request, request.after)))
        .with_if(next.is_some(), "proxima", || Link::get(list_href(request, next)))
        .with("inicio", Link::get("/"))
        .with_if(may_book(who), "agendar", book)
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

/// From a page of audit records: `proxima` is there only when there are more.
pub fn of_audit_page(request: &AuditRequest, next: Option<u64>) -> Links {
    Links::new()
        .with("self", Link::get(audit_href(request, Some(request.after).filter(|after| *after > 0))))
        .with_if(next.is_some(), "proxima", || Link::get(audit_href(request, next)))
        .with("cabeca", Link::get("/auditoria/cabeca"))
        .with("inicio", Link::get("/"))
}

/// The address of a page of audit records.
fn audit_href(request: &AuditRequest, after: Option<u64>) -> String {
    let Wanted { event, scientist, booking, slot, telescope, request: req, author, ip, since, until } = &request.wanted;
    let pairs = [
        ("evento", event.clone()),
        ("cientista_id", scientist.map(|id| id.to_string())),
        ("agendamento_id", booking.map(|id| id.to_string())),
        ("horario_utc", slot.map(|at| at.seconds().to_string())),
        ("telescopio", telescope.clone()),
        ("req", req.clone()),
        ("autor", author.clone()),
        ("ip", ip.map(|ip| ip.to_string())),
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

/// From a telescope.
pub fn of_telescope(telescope: &Telescope, who: &Who) -> Links {
    let code = telescope.code.as_str();
    Links::new()
        .with("self", Link::get(telescope_path(code)))
        .with("agenda", any_timetable(code))
        .with("livres", any_free(code))
        .with("agendamentos", Link::get(with_query("/agendamentos", [("telescopio", code)])))
        .with("manutencoes", Link::get(maintenances_path(code)))
        .with("calendario", calendar(&telescope_path(code)))
        .with_some("assinar", subscribe(who))
        .with_if(may_book(who) && telescope.active, "agendar", book)
        .with_if(may_book(who) && telescope.active, "esperar", || {
            Link::template(waiting_path(&telescope_path(code), "{inicio}"))
                .with_method("POST")
                .with_title("Entrar na lista de espera")
        })
        .with_if(who.may(Permission::ManageCatalogue), "alterar", || {
            Link::action("PATCH", telescope_path(code), "Mudar o nome ou as regras")
        })
}

/// From a scientist.
pub fn of_scientist(id: i64, who: &Who) -> Links {
    let (path, id) = (scientist_path(id), id.to_string());
    Links::new()
        .with("self", Link::get(path.clone()))
        .with("agendamentos", Link::get(with_query("/agendamentos", [("cientista_id", id.as_str())])))
        .with("calendario", calendar(&path))
        .with_some("assinar", subscribe(who))
        .with_if(who.may(Permission::ManageCatalogue), "alterar", || {
            Link::action("PATCH", path, "Mudar os dados deste cientista")
        })
}

/// The path of a telescope's maintenances.
pub fn maintenances_path(code: &str) -> String {
    format!("{}/manutencoes", telescope_path(code))
}

/// The path of a maintenance.
pub fn maintenance_path(id: i64) -> String {
    format!("/manutencoes/{id}")
}

/// The path of a proposal.
pub fn proposal_path(id: i64) -> String {
    format!("/propostas/{id}")
}

/// To the list of all proposals.
pub fn to_proposals() -> Links {
    Links::new().with("propostas", Link::get("/propostas")).with("inicio", Link::get("/"))
}

/// The path of a scientist.
pub fn scientist_path(id: i64) -> String {
    format!("/cientistas/{id}")
}

/// From a period of a telescope's agenda.
pub fn of_timetable(telescope: &str, period: Period) -> Links {
    let path = telescope_path(telescope);
    let at = |period| Link::get(timetable_href(&path, period));
    Links::new()
        .with("self", at(period))
        .with_some("anterior", period.before().map(at))
        .with_some("seguinte", period.after().map(at))
        .with("agenda", any_timetable(telescope))
        .with("livres", any_free(telescope))
        .with("eventos", Link::get("/eventos"))
        .with("telescopio", Link::get(telescope_path(telescope)))
}

/// From one slot that starts at `start`: to its booking, to all of its bookings if it has several, or to booking it.
pub fn of_slot(telescope: &str, start: Timestamp, state: SlotState, who: &Who) -> Links {
    match state {
        SlotState::Free => book_this(who),
        SlotState::Booked { first, times } => {
            to_booking(first).with_if(times > 1, "agendamentos", || active_at(telescope, start))
        }
        SlotState::Maintenance(id) => Links::new().with("manutencao", Link::get(maintenance_path(id))),
        SlotState::Past | SlotState::Closed => Links::new(),
    }
}

/// To the active bookings that have the slot which starts at `start`.
fn active_at(telescope: &str, start: Timestamp) -> Link {
    let end = start.saturating_add(Duration::from_secs(60 * SLOT_MIN.cast_unsigned()));
    let (from, until) = (start.seconds().to_string(), end.seconds().to_string());
    let status = Status::Active.name();
    let pairs = [("telescopio", telescope), ("status", status), ("de", &from), ("ate", &until)];
    Link::get(with_query("/agendamentos", pairs))
}

/// From a search for free slots.
pub fn of_free(telescope: &str, request: &FreeRequest) -> Links {
    let (near, duration) = (request.near.micros().to_string(), request.duration_min.to_string());
    let limit = request.limit.to_string();
    let pairs = [("perto_de", near.as_str()), ("duracao_min", &duration), ("limite", &limit)];
    Links::new()
        .with("self", Link::get(with_query(&(telescope_path(telescope) + "/livres"), pairs)))
        .with("agenda", any_timetable(telescope))
        .with("telescopio", Link::get(telescope_path(telescope)))
}

/// To booking the slots that the link stands beside.
pub fn book_this(who: &Who) -> Links {
    Links::new().with_if(may_book(who), "agendar", || Link::action("POST", "/agendamentos", "Agendar este horário"))
}

/// From the first free start that fits.
pub fn of_next(telescope: &str, slots: SlotRange, who: &Who) -> Links {
    let path = telescope_path(telescope);
    book_this(who)
        .with("agenda", Link::get(timetable_href(&path, Period::day_of(slots.start()))))
        .with("livres", free_near(&path, slots))
        .with("telescopio", Link::get(path))
}

/// The path of the waiting list for a start; or its template.
fn waiting_path(telescope_path: &str, start: &str) -> String {
    [telescope_path, "/agenda/", start, "/espera"].concat()
}

/// Where a booking can be seen if it was written after all.
pub fn where_it_would_be(telescope: &str, slots: SlotRange) -> Links {
    Links::new()
        .with("agendamentos", at_slots(telescope, slots.start(), slots.end()))
        .with("agenda", Link::get(timetable_href(&telescope_path(telescope), Period::day_of(slots.start()))))
}

/// To one booking.
pub fn to_booking(id: i64) -> Links {
    Links::new().with("agendamento", Link::get(booking_path(id)))
}

/// To the bookings.
pub fn to_bookings() -> Links {
    Links::new().with("agendamentos", Link::get("/agendamentos")).with("inicio", Link::get("/"))
}

/// To the list of all telescopes, or of all scientists.
pub fn to_catalogue(telescopes: bool) -> Links {
    let (rel, href) = if telescopes { ("telescopios", "/telescopios") } else { ("cientistas", "/cientistas") };
    Links::new().with(rel, Link::get(href)).with("inicio", Link::get("/"))
}

/// To a telescope.
pub fn to_telescope(code: &str) -> Links {
    Links::new().with("telescopio", Link::get(telescope_path(code)))
}

/// To the entry point: the next step where there is no better one.
pub fn to_entry() -> Links {
    Links::new().with("inicio", Link::get("/"))
}

/// The path of a booking.
pub fn booking_path(id: i64) -> String {
    format!("/agendamentos/{id}")
}

/// The path of the contest that a booking has won.
fn contest_path(booking: i64) -> String {
    format!("/disputas/{booking}")
}

/// The path of a telescope. `.` and `..` are valid codes, but clients resolve them when they are segments of a path, also when
/// encoded. So they get a mark that no other code begins with.
pub fn telescope_path(code: &str) -> String {
    let mark = if matches!(code, "." | "..") { "~" } else { "" };
    ["/telescopios/", mark, &path_segment(code)].concat()
}

/// The code of a telescope, from its segment of a path.
pub fn telescope_code(segment: &str) -> &str {
    match segment {
        "~." | "~.." => &segment[1..],
        code => code,
    }
}

fn may_book(who: &Who) -> bool {
    who.may(Permission::ChangeAgenda)
}

fn book() -> Link {
    Link::action("POST", "/agendamentos", "Agendar uma observação")
}

/// To the audit records of a booking.
fn history(id: i64) -> Link {
    Link::get(format!("/auditoria?agendamento_id={id}"))
}

/// The template of a telescope's agenda.
pub fn any_timetable(telescope: &str) -> Link {
    Link::template(format!("{}/agenda{{?de,ate}}", telescope_path(telescope)))
}

/// The template of a search for free slots.
fn any_free(telescope: &str) -> Link {
    Link::template(format!("{}/livres{{?perto_de,duracao_min,limite}}", telescope_path(telescope)))
}

/// One period of a telescope's agenda.
pub fn timetable_href(telescope_path: &str, period: Period) -> String {
    let agenda = Href::to(telescope_path).below("/agenda");
    agenda.at("de", period.start()).at("ate", period.end()).finish()
}

/// To the free slots nearest to `slots`, for the same duration.
fn free_near(telescope_path: &str, slots: SlotRange) -> Link {
    let free = Href::to(telescope_path).below("/livres").at("perto_de", slots.start());
    let href = free.with("duracao_min", &slots.duration_min().to_string());
    Link::titled(href.finish(), "Os horários livres mais próximos")
}

fn at_slots(telescope: &str, start: Timestamp, end: Timestamp) -> Link {
    Link::get(Href::to("/agendamentos").with("telescopio", telescope).at("de", start).at("ate", end).finish())
}

/// From the list of tokens.
pub fn of_tokens() -> Links {
    Links::new()
        .with("self", Link::get(TOKENS_PATH))
        .with("criar", Link::action("POST", TOKENS_PATH, "Criar um token"))
        .with("inicio", Link::get("/"))
}

/// From a token.
pub fn of_token(id: i64, revoked: bool) -> Links {
    let href = token_path(id);
    Links::new()
        .with("self", Link::get(href.clone()))
        .with_if(!revoked, "revogar", || Link::action("DELETE", href, "Revogar este token"))
        .with("tokens", Link::get(TOKENS_PATH))
}

/// To the tokens.
pub fn to_tokens() -> Links {
    Links::new().with("tokens", Link::get(TOKENS_PATH)).with("inicio", Link::get("/"))
}

/// The path of a token.
pub fn token_path(id: i64) -> String {
    format!("{TOKENS_PATH}/{id}")
}
