//! A stream: one queue and one writing thread for the lines of several services, so that their lines leave in the order in which
//! they were made.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak, mpsc};

use super::console::Console;
use super::file::LogFile;
use super::line::{Format, Line};
use super::queue::{Item, Opened, OutputId, Reach};
use super::stamps::Stamps;
use super::writer::Writer;
use crate::batch;

/// Lines that may be queued before logging blocks: some seconds of a full load.
const QUEUE_LINES: usize = 1 << 16;

/// The stream that the logs of several services share: those whose configurations have clones of one `Stream`. Its thread runs
/// while one of these logs is open.
///
/// A std mutex, held to open an output.
#[derive(Clone, Default)]
pub struct Stream(Arc<Mutex<Weak<Shared>>>);

/// A process has one standard output, so its services have one stream.
static OF_THE_PROCESS: LazyLock<Stream> = LazyLock::new(Stream::default);

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

/// What the outputs of a stream share.
struct Shared {
    lines: batch::Sender<Item>,
    stamps: Arc<Stamps>,
    next_id: AtomicU64,
    /// Whether the console has its thread. Changed only under the stream's mutex.
    console: Mutex<bool>,
}

/// A service's place in a stream, from opening to drop.
pub struct Output {
    shared: Arc<Shared>,
    id: OutputId,
}

impl Stream {
    /// The stream of the whole process.
    pub fn of_the_process() -> Self {
        OF_THE_PROCESS.clone()
    }

    /// Adds an output: lines go to `file`, and to the console if `on_console`.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn open(&self, file: Option<LogFile>, format: Format, on_console: bool) -> io::Result<Output> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = if let Some(shared) = known.upgrade() {
            shared
        } else {
            let shared = Arc::new(Shared::start()?);
            *known = Arc::downgrade(&shared);
            shared
        };
        let mut has_console = shared.console.lock().unwrap_or_else(PoisonError::into_inner);
        let console = (on_console && !*has_console).then(|| Console::start(format)).transpose()?;
        *has_console |= on_console;
        drop(has_console);
        let id = OutputId(shared.next_id.fetch_add(1, Ordering::Relaxed));
        // The writing thread lives as long as there is a sender.
        let _ = shared.lines.send(Item::Open(Opened { id, file, format, on_console, console }));
        Ok(Output { shared, id })
    }
}

impl Shared {
    fn start() -> io::Result<Self> {
        let (lines, batches) = batch::queue(QUEUE_LINES);
        let stamps = Arc::new(Stamps::new());
        Writer::start(batches, Arc::clone(&stamps))?;
        Ok(Self { lines, stamps, next_id: AtomicU64::new(0), console: Mutex::new(false) })
    }
}

impl Output {
    /// Queues a line, and stamps it with the instant.
    pub fn send(&self, line: Line, reach: Reach) {
        let Shared { lines, stamps, .. } = &*self.shared;
        let _ = lines.send_with(|| Item::Line { to: self.id, at: stamps.take(), line, reach });
    }

    /// Waits until all lines sent so far are written, with `console` on the console too.
    pub fn flush(&self, console: bool) {
        let (done, wait) = mpsc::channel();
        if self.shared.lines.send(Item::Flush { console, done }).is_ok() {
            // An error means that the writing thread has ended: nothing is left to wait for.
            let _ = wait.recv();
        }
    }

    /// Waits until all lines sent so far are written, and closes the file. What is sent later is dropped: the folder may be another
    /// process's then, or be removed.
    pub fn close(&self) {
        self.flush(true);
        let _ = self.shared.lines.send(Item::Close(self.id));
        self.flush(false);
    }
}

impl Drop for Output {
    /// Waits for the lines, as the process may end next: a service that could not start ends with its log's last line.
    fn drop(&mut self) {
        self.flush(true);
        let _ = self.shared.lines.send(Item::Close(self.id));
    }
}
