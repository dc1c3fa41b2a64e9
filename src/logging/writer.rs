//! Where lines go: the thread that writes the file, and the one that writes the console.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use slog::Level;

use super::line::note;
use super::{Config, Format, Item};
use crate::batch;

/// The pause after each write. Nobody waits for a log line: under load this makes one write of hundreds, and a line that
/// comes alone is still written at once.
const PAUSE: Duration = Duration::from_millis(1);
/// Batches that may wait for the console before lines are dropped.
const CONSOLE_QUEUE_BATCHES: usize = 256;
/// How long a flush waits for a console that nobody reads.
const CONSOLE_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The thread that writes the file, if there is one, and hands the same to the console, if there is one.
pub struct Writer {
    file: Option<LogFile>,
    console: Option<Console>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(file: Option<LogFile>, config: &Config, lines: batch::Batches<Item>) -> io::Result<()> {
        let console = config.console.then(|| Console::start(config.format)).transpose()?;
        let writer = Self { file, console };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run(lines)).map(drop)
    }

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
                if let Some(file) = &mut self.file {
                    file.write(&text, count);
                }
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
            std::thread::sleep(PAUSE);
        }
    }
}

/// The file, and how many lines it could not take.
pub struct LogFile {
    path: PathBuf,
    output: File,
    failing: bool,
    lost_lines: usize,
    format: Format,
}

impl LogFile {
    /// `output` is the file at `path`, open for appending: another process may write it too.
    pub fn new(path: &Path, output: File, format: Format) -> Self {
        Self { path: path.to_owned(), output, failing: false, lost_lines: 0, format }
    }

    /// A disk that is full fails the bookings too; here it is said once, and what was lost is counted, in the file
    /// itself when it can be written again.
    fn write(&mut self, text: &[u8], count: usize) {
        let result = if self.failing {
            // The last write may have stopped inside a line: start a new one.
            let lost = note(self.format, Level::Error, &format!("{} linhas perdidas", self.lost_lines));
            self.output.write_all(&[b"\n", lost.as_bytes(), text].concat())
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
                    // Standard error may be on the same full disk.
                    let _ = writeln!(io::stderr(), "sctec: cannot write the log {}: {error}", self.path.display());
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
    format: Format,
}

enum ConsoleItem {
    Text(Vec<u8>),
    Flush(mpsc::Sender<()>),
}

impl Console {
    fn start(format: Format) -> io::Result<Self> {
        let (sender, mut batches) = batch::queue(CONSOLE_QUEUE_BATCHES);
        std::thread::Builder::new().name("console".to_owned()).spawn(move || {
            let mut batch = Vec::new();
            while batches.next(&mut batch).is_some() {
                for item in batch.drain(..) {
                    match item {
                        // There is nowhere to say that the console is closed.
                        ConsoleItem::Text(text) => drop(io::stdout().lock().write_all(&text)),
                        ConsoleItem::Flush(done) => drop((io::stdout().flush(), done.send(()))),
                    }
                }
            }
        })?;
        Ok(Self { sender, omitted: 0, format })
    }

    fn show(&mut self, text: &[u8], count: usize) {
        let mut shown = Vec::with_capacity(text.len() + 64);
        if self.omitted > 0 {
            let omitted = format!("{} linhas omitidas no console", self.omitted);
            shown.extend_from_slice(note(self.format, Level::Warning, &omitted).as_bytes());
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
