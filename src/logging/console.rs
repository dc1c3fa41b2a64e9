//! The thread that writes the console. A terminal or pipe that nobody reads blocks this thread and no other.

use std::io::{self, Write};
use std::sync::mpsc;
use std::time::Duration;

use slog::Level;

use super::line::{Format, note};
use crate::batch;
use crate::time::Timestamp;

/// Batches that may wait for the console before lines are dropped.
const QUEUE_BATCHES: usize = 256;
/// How long a flush waits for a console that nobody reads.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The queue of the console's thread, and the number of lines that did not fit.
pub struct Console {
    sender: batch::Sender<Item>,
    omitted: usize,
    format: Format,
}

enum Item {
    Text(String),
    Flush(mpsc::Sender<()>),
}

impl Console {
    /// Starts the thread. Its own lines have this format.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn start(format: Format) -> io::Result<Self> {
        let (sender, mut batches) = batch::queue(QUEUE_BATCHES);
        std::thread::Builder::new().name("console".to_owned()).spawn(move || {
            let mut batch = Vec::new();
            while batches.next(&mut batch).is_some() {
                for item in batch.drain(..) {
                    match item {
                        // A closed console cannot be reported anywhere.
                        Item::Text(text) => drop(io::stdout().lock().write_all(text.as_bytes())),
                        Item::Flush(done) => drop((io::stdout().flush(), done.send(()))),
                    }
                }
            }
        })?;
        Ok(Self { sender, omitted: 0, format })
    }

    /// Shows `count` lines, of which the first was made at `at`, or counts them as omitted.
    pub fn show(&mut self, mut text: String, count: usize, at: Timestamp) {
        if self.omitted > 0 {
            let omitted = format!("{} linhas omitidas no console", self.omitted);
            text.insert_str(0, &note(self.format, Level::Warning, at, &omitted));
        }
        match self.sender.try_send(Item::Text(text)) {
            Ok(()) => self.omitted = 0,
            Err(_) => self.omitted += count,
        }
    }

    /// Waits until what was shown is written, if somebody reads it.
    pub fn flush(&self) {
        let (done, wait) = mpsc::channel();
        if self.sender.try_send(Item::Flush(done)).is_ok() {
            // A console that nobody reads does not hold up the flush.
            let _ = wait.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}
