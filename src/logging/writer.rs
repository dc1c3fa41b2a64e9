//! The thread that writes the file, and the thread that writes the console.

use std::io::{self, Write};
use std::sync::mpsc;
use std::time::Duration;

use slog::Level;

use super::config::{Config, Format};
use super::file::LogFile;
use super::line::note;
use super::queue::Item;
use crate::batch;

/// The pause after each write. Under load it makes one write of hundreds of lines; a single line is still written at once.
const PAUSE: Duration = Duration::from_millis(1);
/// How often the file is looked after when no line is logged.
const LOOK_AFTER: Duration = Duration::from_millis(300);
/// Batches that may wait for the console before lines are dropped.
const CONSOLE_QUEUE_BATCHES: usize = 256;
/// How long a flush waits for a console that nobody reads.
const CONSOLE_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The state of the writing thread: it writes each batch to the file, and hands it to the console's thread.
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
        while lines.next_within(&mut batch, LOOK_AFTER).is_some() {
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
            if let Some(file) = &mut self.file {
                if count > 0 { file.write(&text) } else { file.look_after() }
            }
            if let Some(console) = &mut self.console
                && count > 0
            {
                console.show(&text, count);
            }
            for done in flushes {
                if let Some(console) = &self.console {
                    console.flush();
                }
                // The caller may have stopped waiting.
                let _ = done.send(());
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// The queue of the console's thread, and the number of lines that did not fit.
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
                        // A closed console cannot be reported anywhere.
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
            // A console that nobody reads does not hold up the flush.
            let _ = wait.recv_timeout(CONSOLE_FLUSH_TIMEOUT);
        }
    }
}
