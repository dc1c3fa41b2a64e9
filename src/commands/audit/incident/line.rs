//! A line of a log or of the trail, and whether it belongs to a request. Pure.
//!
//! docs/LOGGING.md has the forms: the assignment's line, a JSON object, and an audit record. A container engine or journald may
//! have put a prefix before the line.

use std::collections::HashSet;

use memchr::memmem::Finder;
use serde_json::{Map, Value};

use crate::audit::record::{BOOKING_CANCELLED, BOOKING_CHANGED, BOOKING_CREATED, LEVEL, SERVICE, SERVICE_STARTED};
use crate::coordinator::SERVICE as COORDINATOR;
use crate::time::Timestamp;

/// The names of levels, at the beginning of a line.
const LEVELS: [&str; 5] = ["DEBUG:", "INFO:", "WARNING:", "ERROR:", "CRITICAL:"];
/// The beginning of a JSON line.
const OBJECT: &[u8] = b"{\"timestamp_utc\"";
/// The leases that are remembered. A client may choose one identifier for all of its requests.
const TOKENS_MAX: usize = 100_000;

/// A line of the request.
#[derive(Debug)]
pub struct Entry {
    /// When it was made, in microseconds since 1970; `None` if it does not say.
    pub at: Option<i64>,
    /// What it says.
    pub what: What,
    /// The line as a JSON object: a line in the assignment's form has the fields that `--log-format json` gives it.
    pub json: String,
}

/// What a line says.
#[derive(Debug, PartialEq)]
pub enum What {
    /// An audit record: all its fields.
    Record(Map<String, Value>),
    /// A log line.
    Log(Log),
}

/// A log line.
#[derive(Debug, PartialEq)]
pub struct Log {
    /// `INFO` and others.
    pub level: String,
    /// The service that wrote it.
    pub service: String,
    /// The message.
    pub message: String,
    /// The fields that follow the message.
    pub pairs: Vec<(String, Value)>,
}

/// Finds the lines of one request in one log or trail, which is read in order.
pub struct Lookout {
    id: String,
    finder: Finder<'static>,
    /// The leases that the coordinator granted to the request: when one of them runs out, no request is named.
    tokens: HashSet<u64>,
}

impl Lookout {
    /// For the lines of request `id`.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), finder: Finder::new(id.as_bytes()).into_owned(), tokens: HashSet::new() }
    }

    /// The line, if it belongs to the request.
    pub fn judge(&mut self, line: &[u8]) -> Option<Entry> {
        let may_be_of_a_lease = || !self.tokens.is_empty() && memchr::memmem::find(line, b"token").is_some();
        if self.finder.find(line).is_none() && !may_be_of_a_lease() {
            return None;
        }
        let entry = read(line)?;
        let (is_of_the_request, token) = match &entry.what {
            What::Record(record) => (self.is_named(|name| record.get(name)), lease_of(record)),
            What::Log(log) => {
                let is_of_the_request = self.is_named(|name| log.value(name));
                let token = log.value("token").and_then(Value::as_u64).filter(|_| log.service == COORDINATOR);
                if let Some(token) = token.filter(|_| is_of_the_request && log.begins_with(&["Lock", "concedido"]))
                    && self.tokens.len() < TOKENS_MAX
                {
                    self.tokens.insert(token);
                }
                (is_of_the_request, token)
            }
        };
        (is_of_the_request || token.is_some_and(|token| self.tokens.contains(&token))).then_some(entry)
    }

    fn is_named<'a>(&self, field: impl Fn(&str) -> Option<&'a Value>) -> bool {
        NAMES.iter().any(|name| field(name).and_then(Value::as_str) == Some(&self.id))
    }
}

/// The fields that name a request: by its own identifier, or by the one that its client chose.
const NAMES: [&str; 2] = ["req", "req_cliente"];

/// The lease that a record of the coordinator is about.
fn lease_of(record: &Map<String, Value>) -> Option<u64> {
    let is_coordinators = record.get("service").and_then(Value::as_str) == Some(COORDINATOR);
    record.get("details").and_then(|details| details.get("token")).and_then(Value::as_u64).filter(|_| is_coordinators)
}

impl Log {
    /// Whether the message begins with these words. A resource may have any name, so the rest of the message is not looked at.
    fn begins_with(&self, words: &[&str]) -> bool {
        self.message.split(' ').take(words.len()).eq(words.iter().copied())
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.pairs.iter().find(|(pair, _)| pair == name).map(|(_, value)| value)
    }
}

/// The first words of the line that announces the saving of what a record tells, if a line does.
pub fn saving_of(what: &What) -> Option<&'static [&'static str]> {
    let What::Record(record) = what else { return None };
    match record.get("event_type").and_then(Value::as_str)? {
        BOOKING_CREATED => Some(&["Salvando", "novo", "agendamento"]),
        BOOKING_CHANGED => Some(&["Salvando", "alteração"]),
        BOOKING_CANCELLED => Some(&["Salvando", "cancelamento"]),
        _ => None,
    }
}

/// Whether this is a line of the scheduler that begins with these words.
pub fn says(what: &What, words: &[&str]) -> bool {
    matches!(what, What::Log(log) if log.service == SERVICE && log.begins_with(words))
}

/// When a line was made, in microseconds since 1970, if it is a line of a log or a record.
pub fn instant(line: &[u8]) -> Option<i64> {
    read(line)?.at
}

/// Whether a service writes this line when it starts.
pub fn is_start(line: &[u8]) -> bool {
    read(line).is_some_and(|entry| match entry.what {
        What::Record(record) => record.get("event_type").and_then(Value::as_str) == Some(SERVICE_STARTED),
        What::Log(log) => log.begins_with(&["escutando"]) || log.begins_with(&["Páginas", "do", "banco", "conferidas"]),
    })
}

fn read(line: &[u8]) -> Option<Entry> {
    let line = std::str::from_utf8(without_prefix(line)).ok()?.trim_end();
    if line.starts_with('{') { object(line) } else { assignment(line) }
}

/// The line without what another program put before it.
fn without_prefix(line: &[u8]) -> &[u8] {
    let is_line = |at: &usize| {
        let digits = line[*at..].iter().take(5).filter(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        digits == 5
    };
    let of_level = |level: &&str| {
        let finder = Finder::new(level.as_bytes());
        finder.find_iter(line).find(|at| is_line(&(at + level.len())))
    };
    let begins = LEVELS.iter().filter_map(of_level).chain(memchr::memmem::find(line, OBJECT));
    &line[begins.min().unwrap_or_default()..]
}

/// A record, or a line of a log in JSON.
fn object(line: &str) -> Option<Entry> {
    let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let at = Timestamp::parse_rfc3339(&text("timestamp_utc")).ok().map(Timestamp::as_micros);
    let what = if text("level") == LEVEL {
        What::Record(fields)
    } else {
        let (level, service, message) = (text("level"), text("service"), text("msg"));
        let others = |(name, _): &(String, Value)| !matches!(&**name, "timestamp_utc" | "level" | "service" | "msg");
        What::Log(Log { level, service, message, pairs: fields.into_iter().filter(others).collect() })
    };
    Some(Entry { at, what, json: line.to_owned() })
}

/// A line in the assignment's form: `LEVEL:INSTANT:SERVICE:MESSAGE name=value … us=MICROSECONDS`.
fn assignment(line: &str) -> Option<Entry> {
    let (level, rest) = line.split_once(':')?;
    let end = rest.find("Z:")? + 1;
    let (at, rest) = (&rest[..end], &rest[end + 1..]);
    let (service, rest) = rest.split_once(':')?;
    let (message, mut pairs) = split(rest);
    let mut micros = Timestamp::parse_rfc3339(at).ok()?.as_micros();
    let us = pairs.iter().position(|(name, value)| *name == "us" && value.len() == 3);
    if let Some(below) = us.and_then(|place| pairs[place].1.parse::<i64>().ok()) {
        micros += below;
        pairs.retain(|(name, _)| *name != "us");
    }
    let shown = Timestamp::from_micros(micros)?;
    let instant = if us.is_some() { shown.micros().to_string() } else { at.to_owned() };
    let pairs: Vec<(String, Value)> =
        pairs.into_iter().map(|(name, value)| (name.to_owned(), typed(name, value))).collect();
    let mut fields = Map::new();
    for (name, value) in [("timestamp_utc", &*instant), ("level", level), ("service", service), ("msg", message)] {
        fields.insert(name.to_owned(), value.into());
    }
    fields.extend(pairs.iter().cloned());
    let (level, service, message) = (level.to_owned(), service.to_owned(), message.to_owned());
    let json = Value::Object(fields).to_string();
    Some(Entry { at: Some(micros), what: What::Log(Log { level, service, message, pairs }), json })
}

/// Splits the message from its fields. Outside of quotes `=` stands in fields only.
fn split(text: &str) -> (&str, Vec<(&str, &str)>) {
    let mut pairs = Vec::new();
    let mut message_end = None;
    for (begin, word) in words(text) {
        let name_end = word.find(['=', '"']).filter(|at| word.as_bytes()[*at] == b'=' && *at > 0);
        if let Some(at) = name_end {
            message_end.get_or_insert(begin);
            pairs.push((&word[..at], &word[at + 1..]));
        } else {
            message_end = None;
            pairs.clear();
        }
    }
    (text[..message_end.unwrap_or(text.len())].trim_end(), pairs)
}

/// The words of a text, each with its place. A space inside quotes does not end a word.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let (mut begin, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                words.push((begin, &text[begin..at]));
                begin = at + 1;
            }
            _ => {}
        }
    }
    words.push((begin, &text[begin..]));
    words
}

/// A field's value as the log in JSON has it.
fn typed(name: &str, value: &str) -> Value {
    if value.starts_with('"') {
        return serde_json::from_str(value).unwrap_or_else(|_| value.into());
    }
    let number = value.parse::<i64>().ok().filter(|number| number.to_string() == value);
    match (name, value, number) {
        ("req" | "req_cliente", ..) => value.into(),
        (_, "true", _) => true.into(),
        (_, "false", _) => false.into(),
        (.., Some(number)) => number.into(),
        _ => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, lines: &[&str]) -> Vec<Value> {
        let mut lookout = Lookout::new(id);
        let entries = lines.iter().filter_map(|line| lookout.judge(line.as_bytes()));
        entries.map(|entry| serde_json::from_str(&entry.json).unwrap()).collect()
    }

    #[test]
    fn a_line_in_the_assignments_form_has_the_fields_of_a_line_in_json() {
        let line = r#"INFO:2025-10-26T18:00:04.505Z:servico-coordenador:Lock concedido para recurso "x req=falso \"y" req=3b2f-1 token=7 retido=true de="a \"b\" c" us=042"#;
        let entry = Lookout::new("3b2f-1").judge(line.as_bytes()).unwrap();
        assert_eq!(entry.at, Timestamp::parse_rfc3339("2025-10-26T18:00:04.505042Z").ok().map(Timestamp::as_micros));
        let expected = r#"{"timestamp_utc":"2025-10-26T18:00:04.505042Z","level":"INFO","service":"servico-coordenador","msg":"Lock concedido para recurso \"x req=falso \\\"y\"","req":"3b2f-1","token":7,"retido":true,"de":"a \"b\" c"}"#;
        assert_eq!(entry.json, expected);
        // Read as JSON, it is the same.
        let again = Lookout::new("3b2f-1").judge(expected.as_bytes()).unwrap();
        assert_eq!((again.at, again.what), (entry.at, entry.what));
        let old = "WARNING:2025-10-26T18:00:04.505Z:servico-agendamento:Requisição recusada: 404 x: y req=3b2f-1";
        let old = &found("3b2f-1", &[old])[0];
        assert_eq!(old["timestamp_utc"], "2025-10-26T18:00:04.505Z");
        assert_eq!(old["msg"], "Requisição recusada: 404 x: y");
    }

    #[test]
    fn only_lines_of_the_request_are_found() {
        let line = |rest: &str| format!("INFO:2025-10-26T18:00:04.505Z:servico-agendamento:{rest}");
        for (rest, is_found) in [
            ("a req=r-1", true),
            ("a req=r-1 token=7 us=001", true),
            ("a req=r-10", false),
            ("a xreq=r-1", false),
            ("a \"b req=r-1\"", false),
            ("a \"b req=r-1\" req=r-2", false),
            ("a r-1 req=r-2", false),
            ("a req=r-1 b", false),
        ] {
            assert_eq!(found("r-1", &[&line(rest)]).len(), usize::from(is_found), "{rest}");
        }
        for (line, is_found) in [
            (r#"{"timestamp_utc":"2025-10-26T18:00:04.5Z","level":"INFO","msg":"a","req":"r-1"}"#, true),
            (r#"{"timestamp_utc":"2025-10-26T18:00:04.5Z","level":"INFO","msg":"r-1","req":"r-2"}"#, false),
            (r#"{"timestamp_utc":"2025-10-26T18:00:04.5Z","level":"AUDIT","req":"r-1","details":{}}"#, true),
            (r#"{"timestamp_utc":"2025-10-26T18:00:04.5Z","level":"AUDIT","req":"-","details":{"req":"r-1"}}"#, false),
            (r#"{"timestamp_utc":"2025-10-26T18:00:04.5Z","level":"AUDIT","req":"r-1","#, false),
            ("r-1", false),
        ] {
            assert_eq!(found("r-1", &[line]).len(), usize::from(is_found), "{line}");
        }
    }

    #[test]
    fn the_end_of_the_requests_lease_belongs_to_it() {
        let line = |rest: &str| format!("INFO:2025-10-26T18:00:04.505Z:servico-coordenador:{rest}");
        let forced = r#"{"timestamp_utc":"2025-10-26T18:00:40.001871Z","level":"AUDIT","event_type":"TRAVA_FORCADA","service":"servico-coordenador","details":{"recurso":"X","token":7},"req":"r-9"}"#;
        let lines = [
            &*line("Lock vencido para recurso X token=7"),
            &line("Lock concedido para recurso X req=r-2 token=8"),
            &line("Lock concedido para recurso X req=r-1 token=7"),
            &line("Lock vencido para recurso X token=8"),
            &line("Lock vencido para recurso X token=7"),
            forced,
        ];
        let found = found("r-1", &lines);
        let messages: Vec<&str> = found.iter().map(|entry| entry["msg"].as_str().unwrap_or("record")).collect();
        assert_eq!(messages, ["Lock concedido para recurso X", "Lock vencido para recurso X", "record"]);
    }

    #[test]
    fn a_prefix_of_another_program_is_passed_over() {
        let plain = "INFO:2025-10-26T18:00:04.505Z:servico-agendamento:a req=r-1";
        let json = r#"{"timestamp_utc":"2025-10-26T18:00:04.505Z","level":"INFO","service":"s","msg":"a","req":"r-1"}"#;
        for prefix in ["servico-agendamento-1  | ", "Oct 26 18:00:04 host sctec[1]: ", "INFO: "] {
            for line in [plain, json] {
                assert_eq!(found("r-1", &[&format!("{prefix}{line}")]), found("r-1", &[line]), "{prefix}");
            }
        }
    }
}
