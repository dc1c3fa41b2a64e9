//! Publishing events: the body of `POST /eventos`, one event or several, as the server reads it and as a scheduler writes it.

use std::iter::Peekable;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::limits::{BODY_BYTES, EVENT_DATA_MAX, EVENT_NAME_MAX, PUBLISHED_MAX};
use crate::http::fields::Fields;
use crate::http::fields::object::Object;
use crate::http::problem::{FieldError, Problem};
use crate::http::unknown::Unknown;
use crate::http::wrong::{FieldCode, Wrong};
use crate::json;

/// The coordinator's own channel: the events of locks.
pub const LOCKS_CHANNEL: &str = "travas";
/// The channel that the schedulers share. It exists from the start on, however many others there are: the coordinator knows no more
/// of it than its name.
pub const SHARED_CHANNEL: &str = "agenda";
/// The rule for names of channels and events, as answers state it.
const NAME_RULE: &str = "deve ter de 1 a 64 caracteres de A–Z a–z 0–9 . _ -";

/// The body that publishes as many of `events` (a name, and data in JSON) as one request may carry; at least one is taken.
pub fn write<'a>(channel: &str, events: &mut Peekable<impl Iterator<Item = (&'a str, String)>>) -> Bytes {
    let mut body = format!(r#"{{"canal":"{channel}","eventos":["#);
    let mut count = 0;
    while let Some((name, data)) = events.next_if(|_| count < PUBLISHED_MAX && body.len() < BODY_BYTES) {
        if count > 0 {
            body.push(',');
        }
        for part in [r#"{"evento":""#, name, r#"","dados":"#, &data, "}"] {
            body.push_str(part);
        }
        count += 1;
    }
    body.push_str("]}");
    body.into()
}

/// Events for one channel.
#[derive(Debug)]
pub struct Publication {
    /// The channel's name.
    pub channel: String,
    /// The events, in order.
    pub events: Vec<PublishedEvent>,
}

/// One event.
#[derive(Debug)]
pub struct PublishedEvent {
    /// Its name.
    pub name: String,
    /// Its data: JSON on one line.
    pub data: String,
}

impl PublishedEvent {
    fn new(name: String, data: &str) -> Self {
        // A line break inside JSON is only white space; in a stream it would end the line.
        let is_broken = memchr::memchr2(b'\n', b'\r', data.as_bytes()).is_some();
        let data = if is_broken { data.replace(['\n', '\r'], " ") } else { data.to_owned() };
        Self { name, data }
    }
}

impl Publication {
    /// Reads a publication. Its unknown fields are noted.
    ///
    /// # Errors
    /// 400 when the body is not JSON, 422 with every wrong field.
    pub fn read(body: &[u8], unknown: &mut Unknown) -> Result<Self, Problem> {
        match json::from_slice::<Object<Several<'_>>>(body) {
            Ok(Object(several)) if several.is_valid() => {
                let events = several
                    .eventos
                    .iter()
                    .map(|Object(one)| PublishedEvent::new(one.evento.to_owned(), one.dados.get()));
                Ok(Self { channel: several.canal.to_owned(), events: events.collect() })
            }
            _ => Self::read_fields(body, unknown),
        }
    }

    fn read_fields(body: &[u8], unknown: &mut Unknown) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        let channel = name(&mut fields, "canal", "é obrigatório");
        if channel.as_deref() == Some(LOCKS_CHANNEL) {
            fields.reject("canal", "travas é do próprio coordenador; escolha outro");
        }
        let events = match fields.take("eventos").map(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get())) {
            None => Vec::from_iter(event(&mut fields, "é obrigatório (ou eventos, uma lista)")),
            Some(Ok(several)) if (1..=PUBLISHED_MAX).contains(&several.len()) => {
                let mut events = Vec::with_capacity(several.len());
                for (index, raw) in several.into_iter().enumerate() {
                    match one_of_several(raw, index, unknown) {
                        Ok(event) => events.extend(event),
                        Err(FieldError { campo, codigo, mensagem }) => {
                            fields.reject(&format!("eventos[{index}].{campo}"), codigo.says(mensagem));
                            // The first wrong event is enough: a thousand would say no more.
                            break;
                        }
                    }
                }
                for other in ["evento", "dados"] {
                    if fields.take(other).is_some() {
                        fields
                            .reject(other, FieldCode::Contradiction.says("use evento e dados ou eventos, não os dois"));
                    }
                }
                events
            }
            Some(read) => {
                let code = if read.is_ok() { FieldCode::Length } else { FieldCode::Kind };
                fields.reject("eventos", code.says(format!("deve ser uma lista de 1 a {PUBLISHED_MAX} eventos")));
                Vec::new()
            }
        };
        let known = "canal, evento, dados; ou canal, eventos";
        fields.finish_noting("", known, unknown).map_err(Problem::invalid_fields)?;
        Ok(Self { channel: channel.unwrap_or_default(), events })
    }
}

/// Several events as schedulers send them, thousands a second: read in one pass. If this fails, the slower reading names the wrong
/// fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Several<'a> {
    canal: &'a str,
    #[serde(borrow)]
    eventos: Vec<Object<One<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One<'a> {
    evento: &'a str,
    #[serde(borrow)]
    dados: &'a RawValue,
}

impl Several<'_> {
    fn is_valid(&self) -> bool {
        let valid = |Object(one): &Object<One<'_>>| is_name(one.evento) && one.dados.get().len() <= EVENT_DATA_MAX;
        is_name(self.canal)
            && self.canal != LOCKS_CHANNEL
            && (1..=PUBLISHED_MAX).contains(&self.eventos.len())
            && self.eventos.iter().all(valid)
    }
}

fn one_of_several(raw: &RawValue, index: usize, unknown: &mut Unknown) -> Result<Option<PublishedEvent>, FieldError> {
    let mut fields = Fields::from_raw(raw)?;
    let event = event(&mut fields, "é obrigatório");
    let finished = fields.finish_noting(&format!("eventos[{index}]."), "evento, dados", unknown);
    finished.map_err(|mut errors| errors.swap_remove(0))?;
    Ok(event)
}

/// Reads an event. Its wrong fields are noted, and where it has no name, that this is `missing`.
fn event(fields: &mut Fields<'_>, missing: &str) -> Option<PublishedEvent> {
    let name = name(fields, "evento", missing);
    let data = fields.take("dados").map_or("null", RawValue::get);
    if data.len() > EVENT_DATA_MAX {
        let words = format!("deve ter até {} KiB; tem {} bytes", EVENT_DATA_MAX / 1024, data.len());
        fields.reject("dados", FieldCode::Length.says(words));
    }
    name.map(|name| PublishedEvent::new(name, data))
}

/// Reads the name of a channel or an event. Where there is none, the error says that it is `missing`.
fn name(fields: &mut Fields<'_>, field: &str, missing: &str) -> Option<String> {
    let read = match fields.take(field).map(|raw| serde_json::from_str::<String>(raw.get())) {
        None => Err(FieldCode::Missing.says(missing)),
        Some(Err(_)) => Err(FieldCode::Kind.says("deve ser um texto")),
        Some(Ok(name)) => checked_name(name),
    };
    read.map_err(|wrong| fields.reject(field, wrong)).ok()
}

/// The name of a channel or an event, or what is wrong with it.
///
/// # Errors
/// The code of a wrong length, or of other wrong characters.
pub fn checked_name(name: String) -> Result<String, Wrong> {
    match name.len() {
        1..=EVENT_NAME_MAX if is_name(&name) => Ok(name),
        1..=EVENT_NAME_MAX => Err(NAME_RULE.into()),
        _ => Err(FieldCode::Length.says(NAME_RULE)),
    }
}

/// Whether this may be the name of a channel or an event.
fn is_name(name: &str) -> bool {
    (1..=EVENT_NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
