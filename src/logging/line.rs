//! The two formats of a line, each a drain of slog.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use slog::{Drain, FnValue, KV, Level, OwnedKVList, PushFnValue, Record, o};

use super::config::Format;
use super::queue::{Item, send};
use crate::batch;
use crate::text::{escaped, push_message, push_value};
use crate::time::Clock;

/// The assignment's names of the levels, which are those of Python's logging.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Critical => "CRITICAL",
        Level::Error => "ERROR",
        Level::Warning => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    }
}

/// The assignment's line.
pub struct TextDrain {
    service: &'static str,
    level: Level,
    sender: batch::Sender<Item>,
}

impl TextDrain {
    pub fn new(service: &'static str, level: Level, sender: batch::Sender<Item>) -> Self {
        Self { service, level, sender }
    }
}

impl Drain for TextDrain {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        if !record.level().is_at_least(self.level) {
            return Ok(());
        }
        let mut line = String::with_capacity(192);
        let now = Clock::system().now().millis();
        // Writing to a `String` cannot fail.
        let _ = write!(line, "{}:{now}:{}:", level_name(record.level()), self.service);
        match record.msg().as_str() {
            Some(literal) => push_message(&mut line, literal),
            None => push_message(&mut line, &record.msg().to_string()),
        }
        let mut pairs = Pairs(&mut line);
        let _ = values.serialize(record, &mut pairs);
        let _ = record.kv().serialize(record, &mut pairs);
        line.push('\n');
        send(&self.sender, line);
        Ok(())
    }
}

/// One JSON object a line.
pub struct JsonDrain {
    level: Level,
    json: Mutex<slog_json::Json<Buffer>>,
    buffer: Buffer,
    sender: batch::Sender<Item>,
}

/// Collects slog-json's many small writes into one record.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl JsonDrain {
    pub fn new(service: &'static str, level: Level, sender: batch::Sender<Item>) -> Self {
        let buffer = Buffer::default();
        let json = slog_json::Json::new(buffer.clone())
            .set_flush(false)
            .add_key_value(o!(
                "msg" => PushFnValue(|record: &Record<'_>, serializer| serializer.emit(record.msg())),
                "service" => service,
                "level" => FnValue(|record: &Record<'_>| level_name(record.level())),
                "timestamp_utc" => FnValue(|_: &Record<'_>| Clock::system().now().millis().to_string()),
            ))
            .build();
        Self { level, json: Mutex::new(json), buffer, sender }
    }
}

impl Drain for JsonDrain {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        if !record.level().is_at_least(self.level) {
            return Ok(());
        }
        let json = self.json.lock().unwrap_or_else(PoisonError::into_inner);
        // The buffer cannot fail. A value that cannot be serialised is left out of its record.
        let _ = json.log(record, values);
        let line = std::mem::take(&mut *self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(json);
        // In a JSON string an escape is the same character, and outside of strings there are no such characters.
        let line = String::from_utf8_lossy(line.trim_ascii_end());
        send(&self.sender, format!("{}\n", escaped(&line)));
        Ok(())
    }
}

/// Appends ` name=value` pairs.
struct Pairs<'a>(&'a mut String);

impl slog::Serializer for Pairs<'_> {
    fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
        let _ = write!(self.0, " {key}=");
        push_value(self.0, &value.to_string());
        Ok(())
    }
}

/// ` recursos=N`, on the line of an operation on N resources, which names only the first. A request of some hundred bytes may
/// name hundreds of resources: with a line for each, a client could fill the disk.
pub struct Several(pub usize);

impl KV for Several {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn slog::Serializer) -> slog::Result {
        if self.0 > 1 { serializer.emit_usize("recursos", self.0) } else { Ok(()) }
    }
}

/// A line about the log itself.
pub fn note(format: Format, level: Level, message: &str) -> String {
    let (level, now) = (level_name(level), Clock::system().now().millis());
    match format {
        Format::Text => format!("{level}:{now}:log:{message}\n"),
        Format::Json => {
            let line = serde_json::json!({
                "timestamp_utc": now.to_string(), "level": level, "service": "log", "msg": message
            });
            format!("{line}\n")
        }
    }
}
