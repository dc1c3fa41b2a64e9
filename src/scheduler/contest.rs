//! Contests over HTTP: the one that a booking has won, and the last one for a start. They are read from the audit trail.

use hyper::StatusCode;
use serde_json::{Map, Value, json};
use slog::Logger;

use super::app::App;
use super::problems::{not_read, refused};
use super::refusal::Refusal;
use super::{links, requests};
use crate::agenda::SLOT_MIN;
use crate::audit::filter::Wanted;
use crate::audit::record::CONTEST_DECIDED;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::{self, Response};
use crate::store::Filter;
use crate::time::{Timestamp, minutes_in_micros};

/// How many bookings are read at once, and how often: a slot has many only where its bookings are cancelled again and again.
const AT_ONCE: u16 = 500;
const PAGES_MAX: usize = 20;

/// `GET /disputas/{id}`: the number is that of the booking.
pub async fn one(app: &App, id: &str, request: &Request) -> Result<Response, Problem> {
    let unknown = || {
        refused(Refusal::UnknownContest(format!("Não há disputa {id}: nenhum agendamento deste número venceu uma.")))
    };
    let number = requests::id(id).ok_or_else(unknown)?;
    let line = record(app, number, &request.log).await?.ok_or_else(unknown)?;
    answer(number, &line, request)
}

/// `GET /telescopios/{id}/agenda/{inicio}/disputa`: the last contest that has decided a booking of this slot.
pub async fn of_slot(app: &App, (telescope, start): (&str, &str), request: &Request) -> Result<Response, Problem> {
    let unknown = || {
        let words = format!(
            "Nenhum agendamento de {telescope} em {start} venceu uma disputa, ou a decisão ainda não foi gravada."
        );
        refused(Refusal::UnknownContest(words)).with_links(links::to_telescope(telescope))
    };
    let from = Timestamp::parse_exact(start).map_err(|_| unknown())?;
    let until = Timestamp::from_micros(from.as_micros().saturating_add(minutes_in_micros(SLOT_MIN)));
    let filter = Filter { telescope: Some(telescope.to_owned()), from: Some(from), until, ..Filter::default() };
    let (mut newest, mut after) = (None, None);
    for _ in 0..PAGES_MAX {
        let page = app.store.list(filter.clone(), after, AT_ONCE).await;
        let page = page.map_err(|error| not_read(&request.log, &error))?;
        let contested = page.bookings.iter().filter(|booking| booking.is_contested).map(|booking| booking.id);
        newest = contested.chain(newest).max();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let number = newest.ok_or_else(unknown)?;
    let line = record(app, number, &request.log).await?.ok_or_else(unknown)?;
    answer(number, &line, request)
}

/// The record of the contest that a booking has won.
async fn record(app: &App, booking: i64, log: &Logger) -> Result<Option<String>, Problem> {
    let wanted = Wanted { event: Some(CONTEST_DECIDED.to_owned()), booking: Some(booking), ..Wanted::default() };
    let page = app.store.trail_page(wanted, 0, 1).await.map_err(|error| not_read(log, &error))?;
    Ok(page.lines.into_iter().next())
}

/// The details of the record, with its place in the trail.
fn answer(booking: i64, line: &str, request: &Request) -> Result<Response, Problem> {
    let unreadable = || Problem::internal("o registro de uma disputa não pode ser lido".to_owned());
    let mut record: Map<String, Value> = serde_json::from_str(line).map_err(|_| unreadable())?;
    let Some(Value::Object(mut body)) = record.remove("details") else { return Err(unreadable()) };
    let mut taken = |field: &str| record.remove(field).unwrap_or_default();
    let (at, seq, hash) = (taken("timestamp_utc"), taken("seq"), taken("hash"));
    body.extend([
        ("decidida_em_utc".to_owned(), at),
        ("seq".to_owned(), seq),
        ("hash".to_owned(), hash),
        ("_links".to_owned(), json!(links::of_contest(booking, &request.who))),
    ]);
    Ok(http::json(StatusCode::OK, &body))
}
