//! The filter of a search: which records are wanted, line by line.
//!
//! A trail may have gigabytes, or its records may be mixed with other lines (`app.log`). So a quick check of the bytes rejects
//! most lines. It rejects only lines that certainly do not match. The others are parsed and compared exactly, so that text inside
//! a field (a target with the name of another event) never matches. JSON can write one value in several ways, so the quick check
//! never rejects a line with an escape.

use std::net::IpAddr;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::value::RawValue;

use super::fields::{Details, Record, number, text};
use super::shape;
use crate::time::Timestamp;

/// The key in a line. Inside a string its quotes would be escaped, so it is found only as a key.
static LEVEL_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"level\""));
/// The level of a record in a line.
const LEVEL_VALUE: &[u8] = b"\"AUDIT\"";
/// The mark that some editors write before a file's first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The conditions of a search. `None` is no condition.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// This `event_type`.
    pub event: Option<String>,
    /// This `cientista_id`.
    pub scientist: Option<i64>,
    /// This `agendamento_id`.
    pub booking: Option<i64>,
    /// A booking whose time contains this instant.
    pub slot: Option<Timestamp>,
    /// This `telescopio`.
    pub telescope: Option<String>,
    /// This `req` or this `req_cliente`.
    pub request: Option<String>,
    /// This `autor`.
    pub author: Option<String>,
    /// This `ip`.
    pub ip: Option<IpAddr>,
    /// A `timestamp_utc` at or after this.
    pub since: Option<Timestamp>,
    /// A `timestamp_utc` before this.
    pub until: Option<Timestamp>,
}

/// [`Wanted`], prepared for judging many lines.
#[derive(Clone, Debug)]
pub struct Filter {
    wanted: Wanted,
    event: Option<Finder<'static>>,
    /// The instants in the form that the scheduler writes. In this form they sort by their bytes.
    since: Option<String>,
    until: Option<String>,
    /// The fields that a wanted line must have, each with its value.
    fields: Vec<FieldLook>,
    /// The instant that the booking's time in a wanted line must contain.
    slot: Option<SlotLook>,
}

/// A quick check of a line's bytes for a value of one of these fields.
#[derive(Clone, Debug)]
struct FieldLook {
    keys: Vec<Finder<'static>>,
    value: Vec<u8>,
    is_number: bool,
}

impl FieldLook {
    fn number(name: &str, value: i64) -> Self {
        Self { keys: vec![key_finder(name)], value: value.to_string().into_bytes(), is_number: true }
    }

    /// `None` for a text that JSON may write in several ways.
    fn text(names: &[&str], value: &str) -> Option<Self> {
        let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
        plain.then(|| Self {
            keys: names.iter().copied().map(key_finder).collect(),
            value: format!("\"{value}\"").into_bytes(),
            is_number: false,
        })
    }

    fn may_be_in(&self, line: &[u8]) -> bool {
        let mut found = self.keys.iter().flat_map(|key| values_of(key, line));
        found.any(|found| if self.is_number { self.may_be_number(found) } else { found.starts_with(&self.value) })
    }

    /// Without a fraction, an exponent or a negative zero, an integer is written in exactly one way.
    fn may_be_number(&self, found: &[u8]) -> bool {
        let length = found.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let written = &found[..length.count()];
        written == self.value
            || written.starts_with(b"-0")
            || written.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    }
}

/// A quick check of a line's bytes for a booking's time that contains an instant.
#[derive(Clone, Debug)]
struct SlotLook {
    start: Finder<'static>,
    end: Finder<'static>,
    /// The instant, cut to its second, in the form of a booking's times, with quotes. Times in this form sort by their bytes. They
    /// are whole seconds, so the instant's fraction makes no difference.
    second: String,
}

impl SlotLook {
    fn new(slot: Timestamp) -> Self {
        let second = format!("\"{}\"", slot.seconds());
        Self { start: key_finder("horario_inicio_utc"), end: key_finder("horario_fim_utc"), second }
    }

    fn may_be_in(&self, line: &[u8]) -> bool {
        let second = self.second.as_bytes();
        let any = |key: &Finder<'_>, may_be: fn(&[u8], &[u8]) -> bool| {
            values_of(key, line).any(|found| plain_time(found).is_none_or(|time| may_be(time, second)))
        };
        any(&self.start, |start, second| start <= second) && any(&self.end, |end, second| end > second)
    }
}

/// The time at the beginning of `found`, if it has the form that the scheduler writes.
fn plain_time(found: &[u8]) -> Option<&[u8]> {
    const FORM: &[u8] = b"\"dddd-dd-ddTdd:dd:ddZ\"";
    const TENS_OF_SECONDS: usize = FORM.len() - 4;
    let time = found.get(..FORM.len())?;
    let is_right = |(byte, form): (&u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == form };
    // A leap second does not sort by its digits.
    let is_plain = time.iter().zip(FORM).all(is_right) && time[TENS_OF_SECONDS] < b'6';
    is_plain.then_some(time)
}

fn key_finder(name: &str) -> Finder<'static> {
    Finder::new(format!("\"{name}\"").as_bytes()).into_owned()
}

/// The result of judging a line.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// A record that is wanted.
    Wanted(Record<'a>),
    /// Not a record, or one that is not wanted.
    Other,
    /// It looks like a record but is not valid JSON. If such a line ends in `}` and the quick check rejects it, the verdict is
    /// [`Verdict::Other`]: only parsing would show that it is broken, and the quick check saves the parsing.
    Broken,
}

impl Filter {
    /// The filter for these conditions.
    pub fn new(wanted: Wanted) -> Self {
        let event = wanted.event.as_ref().map(|event| Finder::new(event.as_bytes()).into_owned());
        let Wanted { scientist, booking, telescope, request, author, ip, .. } = &wanted;
        let fields = [
            booking.map(|id| FieldLook::number("agendamento_id", id)),
            scientist.map(|id| FieldLook::number("cientista_id", id)),
            telescope.as_ref().and_then(|code| FieldLook::text(&["telescopio"], code)),
            request.as_ref().and_then(|id| FieldLook::text(&["req", "req_cliente"], id)),
            author.as_ref().and_then(|name| FieldLook::text(&["autor"], name)),
            ip.and_then(|ip| FieldLook::text(&["ip"], &ip.to_string())),
        ];
        let micros = |at: Timestamp| at.micros().to_string();
        Self {
            since: wanted.since.map(micros),
            until: wanted.until.map(micros),
            fields: fields.into_iter().flatten().collect(),
            slot: wanted.slot.map(SlotLook::new),
            event,
            wanted,
        }
    }

    /// Whether a line is certainly a record that is wanted. It parses only the details of a line that has a record's exact form, and says
    /// false of other lines, and where more than the event and the instant matters: then [`Filter::judge`] knows.
    pub fn surely_wants(&self, line: &[u8]) -> bool {
        let Wanted { event, scientist, booking, slot, telescope, request, author, ip, since, until } = &self.wanted;
        let is_simple = scientist.is_none()
            && booking.is_none()
            && slot.is_none()
            && telescope.is_none()
            && request.is_none()
            && author.is_none()
            && ip.is_none();
        if !is_simple {
            return false;
        }
        let Some((instant, name)) = shape::instant_and_event(line) else { return false };
        let is_within = || {
            let at = str::from_utf8(instant).ok().and_then(|instant| Timestamp::parse_rfc3339(instant).ok());
            at.is_some_and(|at| since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until))
        };
        event.as_ref().is_none_or(|event| event.as_bytes() == name)
            && (since.is_none() && until.is_none() || is_within())
            && shape::parts(line).is_ok_and(|(_, details)| serde_json::from_slice::<&RawValue>(details).is_ok())
    }

    /// Judges one line, given without its line break.
    pub fn judge<'a>(&self, line: &'a [u8]) -> Verdict<'a> {
        let line = without_mark(line).trim_ascii_start();
        if line.first() != Some(&b'{') {
            return Verdict::Other;
        }
        if !line.trim_ascii_end().ends_with(b"}") {
            return if looks_torn(line) { Verdict::Broken } else { Verdict::Other };
        }
        let may_be_wanted = match shape::instant_and_event(line) {
            Some((instant, event)) => self.may_want(instant, event),
            None => (says_audit(line) || has_escape(line)) && self.may_have_event(line),
        };
        if !may_be_wanted || !self.may_have_fields(line) {
            return Verdict::Other;
        }
        match serde_json::from_slice::<Record<'a>>(line) {
            Err(_) if says_audit(line) => Verdict::Broken,
            Err(_) => Verdict::Other,
            Ok(record) => match self.wants(&record) {
                Ok(true) => Verdict::Wanted(record),
                Ok(false) => Verdict::Other,
                Err(_) => Verdict::Broken,
            },
        }
    }

    /// Whether the line has the bytes of the event's name, or an escape.
    fn may_have_event(&self, line: &[u8]) -> bool {
        self.event.as_ref().is_none_or(|event| event.find(line).is_some() || has_escape(line))
    }

    /// The quick check of a line whose first fields are where the scheduler writes them.
    fn may_want(&self, instant: &[u8], event: &[u8]) -> bool {
        let may_be_event = |wanted: &String| event == wanted.as_bytes() || event.contains(&b'\\');
        self.wanted.event.as_ref().is_none_or(may_be_event)
            && self.since.as_ref().is_none_or(|since| instant >= since.as_bytes())
            && self.until.as_ref().is_none_or(|until| instant < until.as_bytes())
    }

    /// Whether the line has the bytes of the wanted fields, or an escape.
    fn may_have_fields(&self, line: &[u8]) -> bool {
        let has_slot = || self.slot.as_ref().is_none_or(|slot| slot.may_be_in(line));
        self.fields.iter().all(|field| field.may_be_in(line)) && has_slot() || has_escape(line)
    }

    /// Whether the record is wanted. An error if its details are needed and cannot be read.
    fn wants(&self, record: &Record<'_>) -> serde_json::Result<bool> {
        let Wanted { event, scientist, booking, slot, telescope, request, author, ip, since, until } = &self.wanted;
        if !record.is_audit() || event.as_ref().is_some_and(|event| text(record.event_type) != **event) {
            return Ok(false);
        }
        if since.is_some() || until.is_some() {
            let Ok(at) = Timestamp::parse_rfc3339(&text(record.timestamp_utc)) else { return Ok(false) };
            if since.is_some_and(|since| at < since) || until.is_some_and(|until| at >= until) {
                return Ok(false);
            }
        }
        let differs = |field, wanted: &Option<String>| wanted.as_ref().is_some_and(|wanted| text(field) != **wanted);
        if (differs(record.req, request) && differs(record.req_cliente, request))
            || differs(record.autor, author)
            || differs(record.ip, &ip.map(|ip| ip.to_string()))
        {
            return Ok(false);
        }
        if scientist.is_none() && booking.is_none() && slot.is_none() && telescope.is_none() {
            return Ok(true);
        }
        let details = record.details()?;
        Ok((scientist.is_none() || number(details.cientista_id) == *scientist)
            && (booking.is_none() || number(details.agendamento_id) == *booking)
            && telescope.as_ref().is_none_or(|telescope| text(details.telescopio) == **telescope)
            && slot.is_none_or(|slot| covers(&details, slot)))
    }
}

/// Whether a line is a record, or at least has a record's exact form, which is checked without parsing.
pub fn is_record(line: &[u8]) -> bool {
    shape::check(line).is_ok() || reads_as_record(line)
}

/// Whether a line is a JSON object whose level is that of a record.
pub fn reads_as_record(line: &[u8]) -> bool {
    serde_json::from_slice::<Record<'_>>(without_mark(line)).is_ok_and(|record| record.is_audit())
}

/// A line without a byte order mark before it.
pub fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
}

/// Whether the line has an escape.
fn has_escape(line: &[u8]) -> bool {
    memchr::memchr(b'\\', line).is_some()
}

/// Whether a booking's time contains this instant.
fn covers(details: &Details<'_>, slot: Timestamp) -> bool {
    let instant = |field| Timestamp::parse_rfc3339(&text(field)).ok();
    instant(details.horario_inicio_utc).is_some_and(|start| start <= slot)
        && instant(details.horario_fim_utc).is_some_and(|end| slot < end)
}

/// The bytes after each `key` and its colon in the line, without white space between them.
fn values_of<'a>(key: &Finder<'_>, line: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let length = key.needle().len();
    key.find_iter(line)
        .filter_map(move |at| line[at + length..].trim_ascii_start().strip_prefix(b":"))
        .map(<[u8]>::trim_ascii_start)
}

/// The bytes after each `"level":` in the line.
fn level_values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    values_of(&LEVEL_KEY, line)
}

/// Whether a `level` in the line is `AUDIT`.
fn says_audit(line: &[u8]) -> bool {
    level_values(line).any(|value| value.starts_with(LEVEL_VALUE))
}

/// Whether a line that does not end with `}` looks like the beginning of a record. A torn line of a log in JSON is not one: its
/// level differs.
fn looks_torn(line: &[u8]) -> bool {
    says_audit(line)
        || (line.starts_with(shape::FIRST_FIELD) && level_values(line).all(|value| LEVEL_VALUE.starts_with(value)))
}

#[cfg(test)]
mod tests;
