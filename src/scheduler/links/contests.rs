//! To and from contests.

use super::entry::KEYS_PATH;
use super::{booking_path, contest_path, history, telescope_path};
use crate::access::principal::Who;
use crate::access::role::Permission;
use crate::http::links::{Link, Links};
use crate::time::Timestamp;

/// To the last contest for a slot.
pub fn contest_of_slot(telescope: &str, start: Timestamp) -> Link {
    let href = format!("{}/agenda/{}/disputa", telescope_path(telescope), start.seconds());
    Link::titled(href, "A disputa por este horário, quando estiver decidida")
}

/// From the contest that a booking has won.
pub fn of_contest(booking: i64, who: &Who) -> Links {
    Links::new()
        .with("self", Link::get(contest_path(booking)))
        .with("agendamento", Link::get(booking_path(booking)))
        .with("chaves", Link::titled(KEYS_PATH, "As chaves que conferem os recibos dos participantes"))
        .with_if(who.may(Permission::ReadTrail), "historico", || history(booking))
}
