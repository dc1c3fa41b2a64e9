//! Channels over HTTP: publishing, one event or many, and listening.

use hyper::Method;
use serde::Serialize;

use super::answers;
use super::rights::Rights;
use crate::coordinator::events::{Event, OTHERS_MAX};
use crate::coordinator::kinds;
use crate::coordinator::protocol::events::{Publication, PublishedEvent, SHARED_CHANNEL, checked_name};
use crate::coordinator::service::Service;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::unknown::Unknown;
use crate::http::wrong::FieldCode;
use crate::http::{self, Response, sse};

/// The answer to a publication.
#[derive(Serialize)]
struct Published<'a> {
    canal: &'a str,
    /// That of the last event.
    id: String,
    ouvintes: usize,
}

/// `POST /eventos`: all events or none.
pub fn publish(
    service: &Service,
    request: &mut Request,
    bytes: &[u8],
    rights: &Rights,
    unknown: &mut Unknown,
) -> Result<Response, Problem> {
    let Publication { channel: name, events } = Publication::read(bytes, unknown)?;
    request.meter.charge_more(events.len().saturating_sub(1))?;
    rights.check_channel(&name)?;
    let events = events.into_iter().map(|PublishedEvent { name, data }| Event::Published { name, data });
    let (last, listeners) = service.hub().publish(&name, events).map_err(|_| too_many_channels())?;
    Ok(unknown.answer(&Published { canal: &name, id: last.to_string(), ouvintes: listeners }))
}

/// `GET /eventos`.
pub fn listen(service: &Service, request: &Request, rights: &Rights) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(request.head.uri.query());
    if !parameters.has("canal") {
        parameters.reject("canal", FieldCode::Missing.says("é obrigatório"));
    }
    let channel = parameters.parsed("canal", |name| checked_name(name.to_owned()));
    let since = parameters.text("desde");
    parameters.finish("canal, desde")?;
    if request.hosting.is_stopping() {
        return Err(answers::stopping());
    }
    if request.head.method == Method::HEAD {
        return Ok(http::text("text/event-stream", String::new()));
    }
    // Listeners of other channels must not take the schedulers' places.
    let shared = channel.as_deref() == Some(SHARED_CHANNEL);
    if shared {
        rights.check_hearing_the_agenda()?;
    }
    let guest = if shared { request.hosting.admit_before_others()? } else { request.hosting.admit()? };
    let since = sse::last_event_id(&request.head.headers).or(since);
    let channel = service.hub().channel(&channel.unwrap_or_default()).map_err(|_| too_many_channels())?;
    let events = channel.subscribe(since.as_deref(), service.hub().lost_count());
    Ok(sse::respond(events, guest.until(service.over().clone()), request.pass.clone()))
}

fn too_many_channels() -> Problem {
    let detail = format!("Já há {OTHERS_MAX} canais além de travas e agenda, e todos têm ouvintes; use um deles.");
    Problem::new(kinds::TOO_MANY_CHANNELS, detail).retry_after_s(60)
}
