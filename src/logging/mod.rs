//! The application log: slog, in the assignment's line format or as JSON, to a file and to the console.
//!
//! ```text
//! INFO:2025-10-26T18:00:04.500Z:servico-agendamento:Requisição recebida para POST /agendamentos req=6b1f-2a us=127
//! ```
//!
//! A line is formatted by the thread that logs it, and stamped when it gets its place in the queue of its [`Stream`]. One writing
//! thread takes all queued lines and writes them with one call to each file and to the console, in their order. The services of a
//! process share a stream: so a line that was made because of another one stands after it. Writing whole lines with one call
//! keeps them whole in a file that two processes write. The thread also looks after the files: a file that was moved away is made
//! anew, and a full one is rotated.
//!
//! When the disk does not keep up, logging waits for it; only a write that fails loses lines. The console may lose lines,
//! because a terminal or pipe that nobody reads must not stop the service: dropped lines are counted, and the count is shown in
//! their place. The audit trail does not go through here; only its echo in `app.log` does.

mod config;
mod console;
mod drain;
mod file;
mod line;
mod queue;
mod stamps;
mod stream;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;

use slog::{Logger, o};

pub use self::config::{Config, ROTATE_MB_DEFAULT};
pub use self::drain::Several;
use self::drain::{JsonDrain, TextDrain};
use self::file::LogFile;
pub use self::file::Reopen;
pub use self::line::Format;
use self::line::Line;
use self::queue::Reach;
use self::stream::Output;
pub use self::stream::Stream;

/// A service's log. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    /// The root logger; a request's own is a child of it with `req`.
    pub logger: Logger,
    output: Arc<Output>,
}

impl Logs {
    /// Opens `file` for appending, if lines go there, and joins the configuration's stream.
    ///
    /// # Errors
    /// When the file cannot be opened or a thread not started.
    pub fn open(service: &'static str, file: &Path, config: &Config) -> io::Result<Self> {
        let Config { level, format, .. } = *config;
        let file = config.file.then(|| LogFile::open(file, format, config.rotate_mb, config.reopen.clone()));
        let output = Arc::new(config.stream.open(file.transpose()?, format, config.console)?);
        let logger = match format {
            Format::Text => Logger::root(TextDrain::new(service, level, Arc::clone(&output)), o!()),
            Format::Json => Logger::root(JsonDrain::new(service, level, Arc::clone(&output)), o!()),
        };
        Ok(Self { logger, output })
    }

    /// Writes `line` as it is, between the log's own lines: the echo of the audit records.
    pub fn raw(&self, line: &str) {
        self.output.send(Line::Whole(line.to_owned()), Reach::All);
    }

    /// Shows `line` as it is on the console, if lines go there; the file has it already.
    pub fn raw_on_console(&self, line: &str) {
        self.output.send(Line::Whole(line.to_owned()), Reach::Console);
    }

    /// Waits until all lines logged so far are written.
    pub fn flush(&self) {
        self.output.flush(true);
    }

    /// The end of the log: all lines logged so far are written, and the file is closed. Lines that come later, of a connection that
    /// still ends, are dropped.
    pub fn close(&self) {
        self.output.close();
    }

    /// Waits until all lines logged so far are in the file.
    pub fn flush_file(&self) {
        self.output.flush(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

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
    fn a_closed_log_makes_no_file_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.log");
        let logs = Logs::open("servico-agendamento", &file, &Config::quiet()).unwrap();
        info!(logs.logger, "encerrado");
        let kept_by_a_task = logs.clone();
        logs.close();
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
        std::fs::remove_file(&file).unwrap();
        info!(kept_by_a_task.logger, "tarde demais");
        kept_by_a_task.flush();
        assert!(!file.exists());
    }

    #[test]
    fn the_assignments_line_then_the_request() {
        let text = logged(&Config::quiet(), |logs| {
            let request = logs.logger.new(o!("req" => "6b1f-2a"));
            info!(request, "Lock adquirido com sucesso para o recurso {}", "R"; "token" => 7);
        });
        let (head, tail) = text.split_at("INFO:2025-10-26T18:00:04.500Z".len());
        assert!(head.starts_with("INFO:") && head.ends_with('Z'), "{text}");
        let (tail, micros) = tail.trim_end().rsplit_once(" us=").unwrap();
        assert_eq!(tail, ":servico-agendamento:Lock adquirido com sucesso para o recurso R req=6b1f-2a token=7");
        assert!(micros.len() == 3 && micros.parse::<u16>().is_ok(), "{text}");
    }

    #[test]
    fn hostile_text_stays_on_one_line() {
        let text = logged(&Config::quiet(), |logs| {
            warn!(logs.logger, "recebido {}", "a\nINFO:forjado\u{1b}[2J\u{2028}\u{202e}"; "de" => "b c\n\"");
        });
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("recebido a\\nINFO:forjado\\u001b[2J\\u2028\\u202e de=\"b c\\n\\\"\" us="), "{text}");
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
        let at = line["timestamp_utc"].as_str().unwrap();
        assert!(text.starts_with("{\"timestamp_utc\":") && at.len() == "2025-10-26T18:00:04.500123Z".len(), "{text}");
    }

    #[test]
    fn the_logs_of_one_stream_have_one_order_and_each_file_its_own_lines() {
        const LINES: usize = 500;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let config = Config::quiet();
        let logs = ["a", "b"].map(|name| Logs::open("teste", &at(name), &config).unwrap());
        // Each line of one log causes the next line of the other.
        let (to_b, from_a) = mpsc::channel();
        let (to_a, from_b) = mpsc::channel();
        std::thread::scope(|scope| {
            let turns = [(&logs[0], from_b, to_b), (&logs[1], from_a, to_a.clone())];
            for (logs, before, after) in turns {
                scope.spawn(move || {
                    for _ in 0..LINES {
                        let number: usize = before.recv().unwrap();
                        info!(logs.logger, "linha {}", number);
                        // At the end the other has left.
                        let _ = after.send(number + 1);
                    }
                });
            }
            to_a.send(0).unwrap();
        });
        logs[1].flush();
        let mut lines = Vec::new();
        for (first, name) in ["a", "b"].into_iter().enumerate() {
            let text = std::fs::read_to_string(at(name)).unwrap();
            let of_file: Vec<(String, usize)> = text.lines().map(stamp_and_number).collect();
            assert!(of_file.iter().map(|(_, number)| *number).eq((first..2 * LINES).step_by(2)), "{text}");
            lines.extend(of_file);
        }
        lines.sort_unstable();
        assert!(lines.windows(2).all(|pair| pair[0].0 < pair[1].0), "no two stamps are equal");
        assert!(lines.iter().map(|(_, number)| *number).eq(0..2 * LINES), "the stamps have the order of cause");
    }

    /// The stamp of a line `linha N`, with its microseconds, and N.
    fn stamp_and_number(line: &str) -> (String, usize) {
        let (instant, rest) = line["INFO:".len()..].split_at("2025-10-26T18:00:04.500".len());
        let (message, micros) = rest.rsplit_once(" us=").unwrap();
        (format!("{instant}{micros}"), message.rsplit_once(' ').unwrap().1.parse().unwrap())
    }

    #[test]
    fn a_log_that_is_closed_without_a_flush_has_all_its_lines() {
        const LINES: usize = 2000;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.log");
        // As when a service cannot start: an error ends it, and then the process.
        let start = || -> io::Result<()> {
            let logs = Logs::open("teste", &file, &Config::quiet())?;
            for number in 0..LINES {
                info!(logs.logger, "linha {}", number);
            }
            Err(io::ErrorKind::AddrInUse.into())
        };
        assert!(start().is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), LINES);
    }

    #[test]
    fn a_stream_begins_anew_after_its_last_log_was_closed() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { stream: Stream::default(), ..Config::quiet() };
        let file = folder.path().join("app.log");
        for name in ["one", "two"] {
            let logs = Logs::open("teste", &file, &config).unwrap();
            info!(logs.logger, "{}", name);
            logs.flush_file();
        }
        let text = std::fs::read_to_string(file).unwrap();
        assert!(
            text.lines().count() == 2 && text.contains(":teste:one us=") && text.contains(":teste:two us="),
            "{text}"
        );
    }
}
