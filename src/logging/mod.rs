//! The application log: slog, in the assignment's line format or as JSON, to a file and to the console.
//!
//! ```text
//! INFO:2025-10-26T18:00:04.500Z:servico-agendamento:Requisição recebida para POST /agendamentos req=6b1f-2a
//! ```
//!
//! A line is formatted by the thread that logs it and written by one thread, which takes all that waits and writes it
//! with one call, so that a file that two processes write has whole lines of each. The file is looked after: one that was
//! moved away is made anew, and one that is full is closed. When the disk does not keep up, logging waits for it; only a
//! write that fails loses lines. The console may
//! lose lines: a terminal or pipe that nobody reads must not stop the service, so lines it has no room for are counted and
//! the count is shown in their place. The audit trail does not go through here; only its echo in `app.log` does.

mod file;
mod line;
mod writer;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use slog::{Level, Logger, o};

use self::file::LogFile;
pub use self::line::Several;
use self::line::{JsonDrain, TextDrain};
use self::writer::Writer;
use crate::batch;

/// Megabytes after which a file is closed, where nothing else is asked for.
pub const ROTATE_MB_DEFAULT: u64 = 100;
/// Lines that may wait to be written before logging blocks: some seconds of a full load.
const QUEUE_LINES: usize = 1 << 16;

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
    /// Whether lines go to the service's file.
    pub file: bool,
    /// Whether lines go to standard output.
    pub console: bool,
    /// The size at which the file becomes `….1` and a new one begins, in millions of bytes; 0 is never.
    pub rotate_mb: u64,
    /// Asks for the file to be opened again, though it seems to be where it was.
    pub reopen: Reopen,
}

/// A request to open the log's file again. Its clones are one.
#[derive(Clone, Debug, Default)]
pub struct Reopen(Arc<AtomicU64>);

impl Reopen {
    /// Asks for it. Done in less than a second.
    pub fn ask(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was asked for.
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: Format::Text,
            file: true,
            console: true,
            rotate_mb: ROTATE_MB_DEFAULT,
            reopen: Reopen::default(),
        }
    }
}

impl Config {
    /// Nothing on the console: for programs that embed a service and have their own output.
    pub fn quiet() -> Self {
        Self { console: false, ..Self::default() }
    }
}

/// What the writing thread is sent.
enum Item {
    /// A whole line, its newline included.
    Line(String),
    /// Answered once everything before it is written.
    Flush(mpsc::Sender<()>),
}

/// The writing thread lives as long as there is a sender, so a line always has a taker.
fn send(sender: &batch::Sender<Item>, line: String) {
    let _ = sender.send(Item::Line(line));
}

/// A service's log. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    /// The root logger; a request's own is a child of it with `req`.
    pub logger: Logger,
    sender: batch::Sender<Item>,
}

impl Logs {
    /// Opens `file` for appending, if lines go there, and starts the writing thread.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not started.
    pub fn open(service: &'static str, file: &Path, config: &Config) -> io::Result<Self> {
        let output = config.file.then(|| LogFile::open(file, config)).transpose()?;
        let (sender, lines) = batch::queue(QUEUE_LINES);
        Writer::start(output, config, lines)?;
        let level = config.level;
        let logger = match config.format {
            Format::Text => Logger::root(TextDrain::new(service, level, sender.clone()), o!()),
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
