//! Channels over HTTP: publishing, one event or many, and listening.

use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::answers;
use super::events::{self, Event, LOCKS_CHANNEL, SHARED_CHANNEL};
use super::kinds;
use super::protocol::PUBLISHED_MAX;
use super::service::Service;
use crate::http::fields::Fields;
use crate::http::parameters::Parameters;
use crate::http::problem::{FieldError, Problem};
use crate::http::server::Request;
use crate::http::unknown::Unknown;
use crate::http::{self, Response, sse};

const NAME: &str = "deve ter de 1 a 64 caracteres de A–Z a–z 0–9 . _ -";

/// Several events as schedulers send them, thousands a second: read in one pass, with nothing to say if it is not this.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Several<'a> {
    canal: &'a str,
    #[serde(borrow)]
    eventos: Vec<One<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One<'a> {
    evento: &'a str,
    #[serde(borrow)]
    dados: &'a RawValue,
}

impl Several<'_> {
    fn is_fine(&self) -> bool {
        let fine = |one: &One<'_>| is_name(one.evento) && one.dados.get().len() <= events::DATA_MAX;
        is_name(self.canal)
            && self.canal != LOCKS_CHANNEL
            && (1..=PUBLISHED_MAX).contains(&self.eventos.len())
            && self.eventos.iter().all(fine)
    }
}

/// `POST /eventos`: all events or none.
pub fn publish(service: &Service, bytes: &[u8], unknown: &mut Unknown) -> Result<Response, Problem> {
    if let Ok(several) = serde_json::from_slice::<Several<'_>>(bytes)
        && several.is_fine()
    {
        let events = several.eventos.iter().map(|one| published(one.evento.to_owned(), one.dados.get()));
        return publish_to(service, several.canal, events, unknown);
    }
    let (channel, events) = read(bytes, unknown)?;
    publish_to(service, &channel, events, unknown)
}

fn publish_to(
    service: &Service,
    name: &str,
    events: impl IntoIterator<Item = Event>,
    unknown: &Unknown,
) -> Result<Response, Problem> {
    let channel = service.hub.channel(name).map_err(|_| too_many_channels())?;
    let last = channel.publish(events);
    let answer = json!({ "canal": name, "id": last.to_string(), "ouvintes": channel.listeners() });
    Ok(unknown.answer(&answer))
}

fn published(name: String, data: &str) -> Event {
    // A line break inside JSON is only white space; in a stream it would end the line.
    let data = if data.contains(['\n', '\r']) { data.replace(['\n', '\r'], " ") } else { data.to_owned() };
    Event::Published { name, data }
}

/// Reads what is published, one event or several, with every wrong field named.
fn read(bytes: &[u8], unknown: &mut Unknown) -> Result<(String, Vec<Event>), Problem> {
    let mut fields = Fields::parse(bytes)?;
    let channel = name(&mut fields, "canal");
    if channel.as_deref() == Some(LOCKS_CHANNEL) {
        fields.reject("canal", "travas é do próprio coordenador; escolha outro");
    }
    let events = match fields.take("eventos").map(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get())) {
        None => Vec::from_iter(event(&mut fields)),
        Some(Ok(several)) if (1..=PUBLISHED_MAX).contains(&several.len()) => {
            let mut events = Vec::with_capacity(several.len());
            for (index, raw) in several.into_iter().enumerate() {
                match one_of_several(raw, index, unknown) {
                    Ok(event) => events.extend(event),
                    Err(FieldError { campo, codigo, mensagem }) => {
                        fields.reject(&format!("eventos[{index}].{campo}"), codigo.says(mensagem));
                        // One of them says it; a thousand would say no more.
                        break;
                    }
                }
            }
            for other in ["evento", "dados"] {
                if fields.take(other).is_some() {
                    fields.reject(other, "use evento e dados ou eventos, não os dois");
                }
            }
            events
        }
        Some(_) => {
            fields.reject("eventos", format!("deve ser uma lista de 1 a {PUBLISHED_MAX} eventos"));
            Vec::new()
        }
    };
    let known = "canal, evento, dados; ou canal, eventos";
    fields.finish_noting("", known, unknown).map_err(Problem::invalid_fields)?;
    Ok((channel.unwrap_or_default(), events))
}

fn one_of_several(raw: &RawValue, index: usize, unknown: &mut Unknown) -> Result<Option<Event>, FieldError> {
    let mut fields = Fields::from_raw(raw)?;
    let event = event(&mut fields);
    let finished = fields.finish_noting(&format!("eventos[{index}]."), "evento, dados", unknown);
    finished.map_err(|mut errors| errors.swap_remove(0))?;
    Ok(event)
}

/// Reads an event; what is wrong with it is noted.
fn event(fields: &mut Fields<'_>) -> Option<Event> {
    let name = name(fields, "evento");
    let data = fields.take("dados").map_or("null", RawValue::get);
    if data.len() > events::DATA_MAX {
        fields.reject("dados", format!("deve ter até {} KiB", events::DATA_MAX / 1024));
    }
    name.map(|name| published(name, data))
}

/// Reads the name of a channel or an event.
fn name(fields: &mut Fields<'_>, field: &str) -> Option<String> {
    let name = fields.take(field).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let name = name.filter(|name| is_name(name));
    if name.is_none() {
        fields.reject(field, NAME);
    }
    name
}

fn is_name(name: &str) -> bool {
    (1..=events::NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// `GET /eventos`.
pub fn listen(service: &Service, request: &Request) -> Result<Response, Problem> {
    let mut parameters = Parameters::parse(request.head.uri.query());
    if !parameters.has("canal") {
        parameters.reject("canal", NAME);
    }
    let channel =
        parameters.parsed("canal", |name| if is_name(name) { Ok(name.to_owned()) } else { Err(NAME.to_owned()) });
    let since = parameters.text("desde");
    parameters.finish("canal, desde")?;
    if request.hosting.is_stopping() {
        return Err(answers::stopping());
    }
    if request.head.method == Method::HEAD {
        return Ok(http::text("text/event-stream", String::new()));
    }
    // Others who listen must not keep the schedulers from hearing each other.
    let shared = channel.as_deref() == Some(SHARED_CHANNEL);
    let guest = if shared { request.hosting.admit_before_others()? } else { request.hosting.admit()? };
    let since = sse::last_event_id(&request.head.headers).or(since);
    let channel = service.hub.channel(&channel.unwrap_or_default()).map_err(|_| too_many_channels())?;
    Ok(sse::respond(channel.subscribe(since.as_deref(), service.hub.lost_count()), guest))
}

fn too_many_channels() -> Problem {
    let detail = format!("Já há {} canais além de travas e agenda; use um deles.", events::OTHERS_MAX);
    Problem::new(kinds::TOO_MANY_CHANNELS, detail).retry_after_s(60)
}
