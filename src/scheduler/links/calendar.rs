//! To the calendars of telescopes and scientists, and to their secret addresses.

use crate::access::principal::Who;
use crate::access::role::Permission;
use crate::http::links::Link;

/// The path of the secret addresses of calendars.
pub const CALENDARS_PATH: &str = "/calendarios";

/// The path of the calendar of a telescope or of a scientist.
pub fn calendar_of(path: &str) -> String {
    format!("{path}/agenda.ics")
}

/// To the calendar of a telescope or of a scientist.
pub(super) fn calendar(path: &str) -> Link {
    Link::titled(calendar_of(path), "Os agendamentos para um programa de calendário (iCalendar)")
}

/// To a new secret address of the calendar. Where nobody is asked who they are, none is needed.
pub(super) fn subscribe(who: &Who) -> Option<Link> {
    let may = *who != Who::Anyone && who.may(Permission::ReadAgenda);
    may.then(|| Link::action("POST", CALENDARS_PATH, "Criar um endereço secreto deste calendário"))
}
