//! The two formats of a line, each a drain of slog.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use slog::{Drain, FnValue, KV, Level, OwnedKVList, PushFnValue, Record, o};

use super::line::{Line, level_name};
use super::queue::Reach;
use super::stream::Output;
use crate::text::{escaped, push_message, push_text_value, push_value};

/// Room for most lines, so that they need not grow.
const LINE_BYTES: usize = 192;

/// The assignment's line.
pub struct TextDrain {
    service: &'static str,
    level: Level,
    output: Arc<Output>,
}

impl TextDrain {
    pub fn new(service: &'static str, level: Level, output: Arc<Output>) -> Self {
        Self { service, level, output }
    }
}

impl Drain for TextDrain {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        if !record.level().is_at_least(self.level) {
            return Ok(());
        }
        let mut line = String::with_capacity(LINE_BYTES);
        line.push_str(self.service);
        line.push(':');
        push_message(&mut line, record.msg());
        let mut pairs = Pairs(&mut line);
        let _ = values.serialize(record, &mut pairs);
        let _ = record.kv().serialize(record, &mut pairs);
        self.output.send(Line::Text { level: record.level(), rest: line }, Reach::All);
        Ok(())
    }
}

/// One JSON object a line.
pub struct JsonDrain {
    level: Level,
    json: Mutex<slog_json::Json<Buffer>>,
    buffer: Buffer,
    output: Arc<Output>,
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
    pub fn new(service: &'static str, level: Level, output: Arc<Output>) -> Self {
        let buffer = Buffer::default();
        let json = slog_json::Json::new(buffer.clone())
            .set_flush(false)
            .add_key_value(o!(
                "msg" => PushFnValue(|record: &Record<'_>, serializer| serializer.emit(record.msg())),
                "service" => service,
                "level" => FnValue(|record: &Record<'_>| level_name(record.level())),
            ))
            .build();
        Self { level, json: Mutex::new(json), buffer, output }
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
        // The instant comes first, when the line has its place.
        let members = line.strip_prefix('{').unwrap_or(&line);
        self.output.send(Line::Json { rest: escaped(members) }, Reach::All);
        Ok(())
    }
}

/// Appends ` name=value` pairs.
struct Pairs<'a>(&'a mut String);

impl slog::Serializer for Pairs<'_> {
    fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.push_key(key);
        push_value(self.0, value);
        Ok(())
    }

    fn emit_str(&mut self, key: slog::Key, value: &str) -> slog::Result {
        self.push_key(key);
        push_text_value(self.0, value);
        Ok(())
    }
}

impl Pairs<'_> {
    fn push_key(&mut self, key: slog::Key) {
        for part in [" ", key, "="] {
            self.0.push_str(part);
        }
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
