//! From an entry of a waiting list, and to the lists.

use super::{book, booking_path, telescope_path, timetable_href};
use crate::access::principal::Who;
use crate::agenda::timetable::Period;
use crate::agenda::{Wait, WaitStatus};
use crate::http::links::{Link, Links, with_query};
use crate::scheduler::requests::WaitsRequest;

/// The path of all entries.
pub const WAITS_PATH: &str = "/esperas";

/// From an entry: `sair` is there only while it waits, and `agendamento` once it was served.
pub fn of_wait(wait: &Wait, who: &Who) -> Links {
    let href = wait_path(wait.id);
    let may_leave = wait.status == WaitStatus::Waiting && who.check_scientist(wait.scientist_id).is_ok();
    Links::new()
        .with("self", Link::get(href.clone()))
        .with_if(may_leave, "sair", || Link::action("DELETE", href, "Sair da lista de espera"))
        .with_some("agendamento", wait.booking_id.map(|id| Link::get(booking_path(id))))
        .with("cientista", Link::get(format!("/cientistas/{}", wait.scientist_id)))
        .with("telescopio", Link::get(telescope_path(&wait.telescope)))
        .with("agenda", Link::get(timetable_href(&telescope_path(&wait.telescope), Period::day_of(wait.slots.start()))))
        .with("esperas", Link::get(WAITS_PATH))
}

/// From a page of entries: `proxima` is there only when there are more.
pub fn of_waits(request: &WaitsRequest, next: Option<i64>) -> Links {
    Links::new()
        .with("self", Link::get(href(request, Some(request.after).filter(|after| *after > 0))))
        .with_if(next.is_some(), "proxima", || Link::get(href(request, next)))
        .with("inicio", Link::get("/"))
}

fn href(request: &WaitsRequest, after: Option<i64>) -> String {
    let filter = &request.filter;
    let pairs = [
        ("telescopio", filter.telescope.clone()),
        ("cientista_id", filter.scientist_id.map(|id| id.to_string())),
        ("status", filter.status.map(|status| status.name().to_owned())),
        ("limite", Some(request.limit.to_string())),
        ("cursor", after.map(|id| id.to_string())),
    ];
    with_query(WAITS_PATH, pairs.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))))
}

/// To one entry.
pub fn to_wait(id: i64) -> Links {
    Links::new().with("espera", Link::get(wait_path(id)))
}

/// To all entries.
pub fn to_waits() -> Links {
    Links::new().with("esperas", Link::get(WAITS_PATH)).with("inicio", Link::get("/"))
}

/// The path of an entry.
pub fn wait_path(id: i64) -> String {
    format!("{WAITS_PATH}/{id}")
}

/// To booking.
pub fn to_book() -> Links {
    Links::new().with("agendar", book())
}
