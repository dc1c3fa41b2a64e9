//! The application log: slog, in the assignment's line format or as JSON, to a file and to the console.
//!
//! ```text
//! INFO:2025-10-26T18:00:04.500Z:servico-agendamento:Requisição recebida para POST /agendamentos req=6b1f-2a
//! ```
//!
//! A line is formatted by whoever logs it and written by one thread, which takes all that waits and writes it with
//! one call. The file loses nothing: when the disk does not keep up, logging waits for it. The console may lose
//! lines: a terminal or pipe that nobody reads must not stop the service, so lines it has no room for are counted and
//! the count is shown in their place. The audit trail does not go through here; only its echo in `app.log` does.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use slog::{Drain, FnValue, KV, Level, Logger, OwnedKVList, PushFnValue, Record, o};

use crate::batch;
use crate::time::Clock;

/// Lines that may wait for the file before logging blocks: some seconds of a full load.
const FILE_QUEUE_LINES: usize = 1 << 16;
/// The pause after each write. Nobody waits for a log line: under load this makes one write of hundreds, and a line that
/// comes alone is still written at once.
const FILE_PAUSE: Duration = Duration::from_millis(1);
/// Batches that may wait for the console before lines are dropped.
const CONSOLE_QUEUE_BATCHES: usize = 256;
/// How long a flush waits for a console that nobody reads.
const CONSOLE_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `LEVEL:INSTANT:SERVICE:MESSAGE req=ID`.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// Where lines go and which.
#[derive(Clone, Debug)]
pub struct Config {
    /// The least severe level that is written.
    pub level: Level,
    /// How a line looks.
    pub format: Format,
    /// Whether lines also go to standard output.
    pub console: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: Level::Info, format: Format::Text, console: true }
    }
}

impl Config {
    /// Nothing on the console: for programs that embed a service and have their own output.
    pub fn quiet() -> Self {
        Self { console: false, ..Self::default() }
    }
}

/// A service's log. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    /// The root logger; a request's own is a child of it with `req`.
    pub logger: Logger,
    sender: batch::Sender<Item>,
}

/// What the writing thread is sent.
enum Item {
    /// A whole line, its newline included.
    Line(String),
    /// Answered once everything before it is written.
    Flush(mpsc::Sender<()>),
}

impl Logs {
    /// Opens `file` for appending and starts the writing thread.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not started.
    pub fn open(service: &'static str, file: &Path, config: &Config) -> io::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(file)?;
        let (sender, lines) = batch::queue(FILE_QUEUE_LINES);
        let console = config.console.then(Console::start).transpose()?;
        let writer = FileWriter { path: file.to_owned(), output, console, failing: false, lost_lines: 0 };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run(lines))?;
        let level = config.level;
        let logger = match config.format {
            Format::Text => Logger::root(TextDrain { service, level, sender: sender.clone() }, o!()),
            Format::Json => Logger::root(JsonDrain::new(service, level, sender.clone()), o!()),
        };
        Ok(Self { logger, sender })
    }

    /// Writes `line` as it is, between the log's own lines: the audit records' echo.
    pub fn raw(&self, line: &str) {
        send(&self.sender, format!("{line}\n"));
    }

    /// Waits until all that was logged so far is written.
    pub fn flush(&self) {
        let (done, wait) = mpsc::channel();
        if self.sender.send(Item::Flush(done)).is_ok() {
            // An error means the thread is gone, and with it what could be waited for.
            let _ = wait.recv();
        }
    }
}

/// The writing thread lives as long as there is a sender, so a line always has a taker.
fn send(sender: &batch::Sender<Item>, line: String) {
    let _ = sender.send(Item::Line(line));
}

/// The assignment's names, which are Python's.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Critical => "CRITICAL",
        Level::Error => "ERROR",
        Level::Warning => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    }
}

struct TextDrain {
    service: &'static str,
    level: Level,
    sender: batch::Sender<Item>,
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
        let _ = write!(Escaped(&mut line), "{}", record.msg());
        let mut pairs = Pairs(&mut line);
        let _ = values.serialize(record, &mut pairs);
        let _ = record.kv().serialize(record, &mut pairs);
        line.push('\n');
        send(&self.sender, line);
        Ok(())
    }
}

struct JsonDrain {
    level: Level,
    json: Mutex<slog_json::Json<Buffer>>,
    buffer: Buffer,
    sender: batch::Sender<Item>,
}

/// Where slog-json's many small writes are gathered into one record.
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
    fn new(service: &'static str, level: Level, sender: batch::Sender<Item>) -> Self {
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
        // The buffer cannot fail, and a value that cannot be serialised leaves the rest of its record.
        let _ = json.log(record, values);
        let line = std::mem::take(&mut *self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(json);
        // In JSON's texts an escape is the same character; outside of them there is none of these.
        let line = String::from_utf8_lossy(line.trim_ascii_end());
        send(&self.sender, format!("{}\n", escaped(&line)));
        Ok(())
    }
}

/// Appends text with whatever could break a line or steer a terminal written as an escape.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.contains(is_unsafe) {
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            match c {
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                c if is_unsafe(c) => write!(self.0, "\\u{:04x}", u32::from(c))?,
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Control characters, the two that some readers take for line ends, and those that reorder what stands around them.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text that can neither break a line nor steer a terminal: what could is written as an escape.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // Writing to a `String` cannot fail.
    let _ = Escaped(&mut safe).write_str(text);
    safe
}

/// A client's word inside a message: quoted where it could be taken for the message itself.
pub struct Word<'a>(pub &'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| !matches!(c, ' ' | '"' | '=' | '\\');
        if !self.0.is_empty() && self.0.chars().all(plain) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// Appends ` name=value` pairs.
struct Pairs<'a>(&'a mut String);

impl slog::Serializer for Pairs<'_> {
    fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
        let _ = write!(self.0, " {key}=");
        let _ = write!(Escaped(self.0), "{}", Word(&value.to_string()));
        Ok(())
    }
}

/// The thread that writes the file, and hands what it wrote to the console.
struct FileWriter {
    path: PathBuf,
    output: File,
    console: Option<Console>,
    failing: bool,
    lost_lines: usize,
}

impl FileWriter {
    fn run(mut self, mut lines: batch::Batches<Item>) {
        let (mut batch, mut text) = (Vec::new(), Vec::new());
        while lines.next(&mut batch).is_some() {
            let mut flushes = Vec::new();
            text.clear();
            let mut count = 0;
            for item in batch.drain(..) {
                match item {
                    Item::Line(line) => {
                        text.extend_from_slice(line.as_bytes());
                        count += 1;
                    }
                    Item::Flush(done) => flushes.push(done),
                }
            }
            if count > 0 {
                self.write(&text, count);
                if let Some(console) = &mut self.console {
                    console.show(&text, count);
                }
            }
            for done in flushes {
                if let Some(console) = &self.console {
                    console.flush();
                }
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
            std::thread::sleep(FILE_PAUSE);
        }
    }

    /// A disk that is full fails the bookings too; here it is said once, and what was lost is counted, in the file
    /// itself when it can be written again.
    fn write(&mut self, text: &[u8], count: usize) {
        let result = if self.failing {
            // The last write may have stopped inside a line: start a new one.
            let note = format!("\nERROR:{}:log:{} linhas perdidas\n", Clock::system().now().millis(), self.lost_lines);
            self.output.write_all(&[note.as_bytes(), text].concat())
        } else {
            self.output.write_all(text)
        };
        match result {
            Ok(()) => {
                self.failing = false;
                self.lost_lines = 0;
            }
            Err(error) => {
                if !self.failing {
                    eprintln!("sctec: cannot write the log {}: {error}", self.path.display());
                }
                self.failing = true;
                self.lost_lines += count;
            }
        }
    }
}

/// The thread that writes to standard output, and how many lines it had no room for.
struct Console {
    sender: batch::Sender<ConsoleItem>,
    omitted: usize,
}

enum ConsoleItem {
    Text(Vec<u8>),
    Flush(mpsc::Sender<()>),
}

impl Console {
    fn start() -> io::Result<Self> {
        let (sender, mut batches) = batch::queue(CONSOLE_QUEUE_BATCHES);
        std::thread::Builder::new().name("console".to_owned()).spawn(move || {
            let mut batch = Vec::new();
            while batches.next(&mut batch).is_some() {
                for item in batch.drain(..) {
                    match item {
                        // A closed console is nobody's concern: the file has everything.
                        ConsoleItem::Text(text) => drop(io::stdout().lock().write_all(&text)),
                        ConsoleItem::Flush(done) => drop((io::stdout().flush(), done.send(()))),
                    }
                }
            }
        })?;
        Ok(Self { sender, omitted: 0 })
    }

    fn show(&mut self, text: &[u8], count: usize) {
        let mut shown = Vec::with_capacity(text.len() + 64);
        if self.omitted > 0 {
            let now = Clock::system().now().millis();
            shown.extend_from_slice(
                format!("WARNING:{now}:log:{} linhas omitidas no console\n", self.omitted).as_bytes(),
            );
        }
        shown.extend_from_slice(text);
        match self.sender.try_send(ConsoleItem::Text(shown)) {
            Ok(()) => self.omitted = 0,
            Err(_) => self.omitted += count,
        }
    }

    fn flush(&self) {
        let (done, wait) = mpsc::channel();
        if self.sender.try_send(ConsoleItem::Flush(done)).is_ok() {
            // A console that nobody reads is not waited for.
            let _ = wait.recv_timeout(CONSOLE_FLUSH_TIMEOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use slog::{info, warn};

    use super::*;

    fn logged(config: &Config, log: impl Fn(&Logs)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.log");
        let logs = Logs::open("servico-agendamento", &file, config).unwrap();
        log(&logs);
        logs.flush();
        std::fs::read_to_string(file).unwrap()
    }

    #[test]
    fn the_assignments_line_then_the_request() {
        let text = logged(&Config::quiet(), |logs| {
            let request = logs.logger.new(o!("req" => "6b1f-2a"));
            info!(request, "Lock adquirido com sucesso para o recurso {}", "R"; "token" => 7);
        });
        let (head, tail) = text.split_at("INFO:2025-10-26T18:00:04.500Z".len());
        assert!(head.starts_with("INFO:") && head.ends_with('Z'), "{text}");
        assert_eq!(tail, ":servico-agendamento:Lock adquirido com sucesso para o recurso R req=6b1f-2a token=7\n");
    }

    #[test]
    fn one_event_is_one_line_whatever_a_client_sent() {
        let text = logged(&Config::quiet(), |logs| {
            warn!(logs.logger, "recebido {}", "a\nINFO:forjado\u{1b}[2J\u{2028}\u{202e}"; "de" => "b c\n\"");
        });
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with("recebido a\\nINFO:forjado\\u001b[2J\\u2028\\u202e de=\"b c\\n\\\"\"\n"), "{text}");
    }

    #[test]
    fn json_lines_carry_the_same_and_levels_are_kept() {
        let text = logged(&Config { format: Format::Json, ..Config::quiet() }, |logs| {
            slog::debug!(logs.logger, "invisível");
            warn!(logs.logger, "linha\nquebrada"; "req" => "6b1f-2a");
        });
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["msg"], "linha\nquebrada");
        assert_eq!(line["level"], "WARNING");
        assert_eq!(line["req"], "6b1f-2a");
    }
}
