//! The application log: slog, in the assignment's line format or as JSON, to a file and to the console.
//!
//! ```text
//! INFO:2025-10-26T18:00:04.500Z:servico-agendamento:Requisição recebida para POST /agendamentos req=6b1f-2a
//! ```
//!
//! A line is formatted by the thread that logs it and queued for one writing thread. That thread takes all queued lines and
//! writes them with one call, so that a file that two processes write has whole lines of each. It also looks after the file: a
//! file that was moved away is made anew, and a full one is rotated.
//!
//! When the disk does not keep up, logging waits for it; only a write that fails loses lines. The console may lose lines,
//! because a terminal or pipe that nobody reads must not stop the service: dropped lines are counted, and the count is shown in
//! their place. The audit trail does not go through here; only its echo in `app.log` does.

mod config;
mod file;
mod line;
mod queue;
mod writer;

use std::io;
use std::path::Path;
use std::sync::mpsc;

use slog::{Logger, o};

pub use self::config::{Config, Format, ROTATE_MB_DEFAULT, Reopen};
use self::file::LogFile;
pub use self::line::Several;
use self::line::{JsonDrain, TextDrain};
use self::queue::{Item, send};
use self::writer::Writer;
use crate::batch;

/// Lines that may be queued before logging blocks: some seconds of a full load.
const QUEUE_LINES: usize = 1 << 16;

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

    /// Writes `line` as it is, between the log's own lines: the echo of the audit records.
    pub fn raw(&self, line: &str) {
        send(&self.sender, format!("{line}\n"));
    }

    /// Waits until all lines logged so far are written.
    pub fn flush(&self) {
        let (done, wait) = mpsc::channel();
        if self.sender.send(Item::Flush(done)).is_ok() {
            // An error means that the writing thread has ended: nothing is left to wait for.
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
    fn hostile_text_stays_on_one_line() {
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
