//! The exporter: the one that writes `audit.jsonl`.
//!
//! It appends the committed records in order, makes them durable, and notes how far it is. The file follows the
//! database: whatever happened to it, the next look at its last whole line says from where to go on. When it has reached the
//! size it may have, it is closed under a name of its own and the chain goes on in a new one.
//!
//! # Locking
//!
//! A lock on `audit.lock` beside the file says who the exporter is. Another process on the same folder waits for it,
//! and takes over when it ends.

mod file;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};

use self::file::OpenFile;
use super::chain::Link;
use super::files::leads_to;

/// How often the exporter looks without being told: for other processes' records, and for what became of the file.
const POLL: Duration = Duration::from_millis(250);
/// How often a file that cannot be recovered is looked at again.
const RECOVER_EVERY: Duration = Duration::from_secs(2);
/// The pause after each look: under load, one fdatasync for all that was committed meanwhile.
const PAUSE: Duration = Duration::from_millis(5);
/// How often it notes how far it is. Only the refilling after a crash depends on it.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// Records appended at once.
const LINES_AT_ONCE: u32 = 4096;
/// How long another process's exporter may make no headway before this one's trail counts as unwritable.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// Where the records come from.
pub trait Source: Send + 'static {
    /// Appends the lines after `seq` to `text`, at most `limit`, and gives the last one's number.
    ///
    /// # Errors
    /// In words, when they cannot be read.
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String>;
    /// The line of one record.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn line(&self, seq: u64) -> Result<Option<String>, String>;
    /// How many bytes the lines from `first` to `last` have, line breaks included.
    ///
    /// # Errors
    /// In words, when they cannot be read.
    fn bytes_between(&self, first: u64, last: u64) -> Result<u64, String>;
    /// The number of the last record.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn head(&self) -> Result<u64, String>;
    /// Up to where the file was noted to be durable.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn exported(&self) -> Result<u64, String>;
    /// Notes that the file is durable up to `seq`.
    ///
    /// # Errors
    /// In words, when it cannot be noted.
    fn note_exported(&self, seq: u64) -> Result<(), String>;
}

/// The running exporter. Dropping it exports what there is and stops it.
pub struct Exporter {
    bell: Bell,
    stop: Arc<AtomicBool>,
    fault: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the exporter that something was committed.
#[derive(Clone)]
pub struct Bell(SyncSender<()>);

impl Bell {
    /// Never waits: a bell that already rings is enough.
    pub fn ring(&self) {
        match self.0.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// What [`Bell`]s ring for: made first, because the store that rings has to exist before the exporter that reads it.
pub fn bell() -> (Bell, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::sync_channel(1);
    (Bell(sender), receiver)
}

impl Exporter {
    /// Starts exporting `source` to `path`, and to a new file whenever that would have more than `rotate_bytes`. The first
    /// look at the file is done before this returns.
    ///
    /// # Errors
    /// When the thread cannot be started. What is wrong with the file is [`Exporter::fault`]'s to say.
    pub fn start(
        path: &Path,
        source: impl Source,
        rotate_bytes: Option<u64>,
        (bell, rings): (Bell, mpsc::Receiver<()>),
        log: Logger,
    ) -> io::Result<Self> {
        let fault = Arc::new(Mutex::new(None));
        let mut worker = Worker {
            path: path.to_owned(),
            source,
            rotate_bytes,
            log,
            lock: None,
            open: None,
            fault: Arc::clone(&fault),
            noted: 0,
            noted_at: Instant::now(),
            recovery: Recovery::default(),
            not_closed: None,
            reached: 0,
            other: (0, Instant::now()),
        };
        worker.round();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("audit".to_owned()).spawn(move || worker.run(&rings, &stopped))?;
        Ok(Self { bell, stop, fault, thread: Some(thread) })
    }

    /// Why the trail cannot be written now, if it cannot.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread itself.
            let _ = thread.join();
        }
    }
}

struct Worker<S> {
    path: PathBuf,
    source: S,
    rotate_bytes: Option<u64>,
    log: Logger,
    lock: Option<File>,
    open: Option<OpenFile>,
    fault: Arc<Mutex<Option<String>>>,
    noted: u64,
    noted_at: Instant,
    recovery: Recovery,
    /// When a full file could not be closed.
    not_closed: Option<Instant>,
    /// The last record that this process wrote to the file.
    reached: u64,
    /// How far another process's exporter is, and since when.
    other: (u64, Instant),
}

/// Recovery reads a lot: after a failure it is not tried again at once.
#[derive(Default)]
struct Recovery {
    failed: Option<(Instant, String)>,
}

impl Recovery {
    fn attempt(&mut self, recover: impl FnOnce() -> Result<OpenFile, String>) -> Result<OpenFile, String> {
        if let Some((at, reason)) = &self.failed
            && at.elapsed() < RECOVER_EVERY
        {
            return Err(reason.clone());
        }
        let recovered = recover();
        self.failed = recovered.as_ref().err().map(|reason| (Instant::now(), reason.clone()));
        recovered
    }
}

impl<S: Source> Worker<S> {
    fn run(mut self, rings: &mpsc::Receiver<()>, stopped: &AtomicBool) {
        loop {
            let unheard = matches!(rings.recv_timeout(POLL), Err(RecvTimeoutError::Disconnected));
            // Looked at before the round, so that what was committed before the stop is exported.
            let stop = unheard || stopped.load(Ordering::Acquire);
            self.round();
            if stop {
                self.note(true);
                return;
            }
            self.note(false);
            std::thread::sleep(PAUSE);
        }
    }

    /// Exports what there is, and keeps the fault up to date.
    fn round(&mut self) {
        let result = self.export();
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                if fault.take().is_some() {
                    info!(self.log, "Auditoria restabelecida");
                }
            }
            Err(reason) => {
                if fault.as_ref() != Some(&reason) {
                    error!(self.log, "Auditoria indisponível: {}", reason);
                    *fault = Some(reason);
                }
            }
        }
    }

    fn export(&mut self) -> Result<(), String> {
        if self.lock.as_ref().is_some_and(|lock| !leads_to(&self.lock_path(), lock)) {
            // Someone deleted it, so another process may hold a new one: whoever gets that is the exporter.
            (self.lock, self.open) = (None, None);
            self.other.1 = Instant::now();
        }
        if self.lock.is_none() {
            match self.try_lock()? {
                Some(lock) => {
                    self.lock = Some(lock);
                    self.other.1 = Instant::now();
                }
                // Another process is the exporter, and exports our records too.
                None => return self.watch_other(),
            }
        }
        if self.open.as_ref().is_some_and(|open| !open.is_as_written()) {
            warn!(self.log, "{} já não é o arquivo que foi escrito; reabrindo", self.path.display());
            self.open = None;
        }
        let mut text = Vec::new();
        loop {
            text.clear();
            let seq = self.open()?.seq;
            let Some(last) = self.source.lines_after(seq, LINES_AT_ONCE, &mut text)? else {
                return Ok(());
            };
            self.append(&text, last)?;
        }
    }

    /// The file, recovered first if it is not open.
    fn open(&mut self) -> Result<&mut OpenFile, String> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.recovery.attempt(|| OpenFile::recover(&self.path, &self.source, self.reached, &self.log))?,
        };
        Ok(self.open.insert(open))
    }

    /// Appends whole lines, of which the last one is record `last`, to as many files as they take.
    fn append(&mut self, mut lines: &[u8], last: u64) -> Result<(), String> {
        while !lines.is_empty() {
            let may_close = self.not_closed.is_none_or(|at| at.elapsed() >= RECOVER_EVERY);
            let limit = self.rotate_bytes.filter(|_| may_close);
            let open = self.open()?;
            let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(open.length));
            let mut fitting = whole_lines_within(lines, room);
            if fitting == 0 {
                if open.length > 0 {
                    self.close();
                    continue;
                }
                // A record that is larger than a file may be has one to itself.
                fitting = memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1);
            }
            let (now, later) = lines.split_at(fitting);
            let reached = if later.is_empty() { last } else { number_of_last(now)? };
            open.append(now, reached)?;
            self.reached = reached;
            lines = later;
        }
        Ok(())
    }

    /// Closes the file that is full. One that cannot be closed is written on: no booking is worth refusing for that.
    fn close(&mut self) {
        let Some(open) = &self.open else { return };
        match open.close(&self.log) {
            Ok(next) => (self.open, self.not_closed) = (next, None),
            Err(reason) => {
                if self.not_closed.is_none() {
                    warn!(self.log, "Arquivo de auditoria não fechado, e por isso maior do que pedido: {}", reason);
                }
                self.not_closed = Some(Instant::now());
            }
        }
    }

    /// The trail is written by another process: it has to make headway.
    fn watch_other(&mut self) -> Result<(), String> {
        let exported = self.source.exported()?;
        if exported != self.other.0 || self.source.head()? == exported {
            self.other = (exported, Instant::now());
        }
        if self.other.1.elapsed() < STALLED_AFTER {
            return Ok(());
        }
        Err(format!("{}: o processo que o escreve está parado no registro {exported}", self.path.display()))
    }

    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    fn try_lock(&self) -> Result<Option<File>, String> {
        let path = self.lock_path();
        let explain = |error: io::Error| format!("{}: {error}", path.display());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(explain)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(explain(error)),
        }
    }

    fn note(&mut self, now: bool) {
        let Some(seq) = self.open.as_ref().map(|open| open.seq) else { return };
        if seq == self.noted || (!now && self.noted_at.elapsed() < NOTE_EVERY) {
            return;
        }
        self.noted_at = Instant::now();
        match self.source.note_exported(seq) {
            Ok(()) => self.noted = seq,
            Err(reason) => warn!(self.log, "Ponto da exportação não anotado: {}", reason),
        }
    }
}

/// The number of the last of these whole lines.
fn number_of_last(lines: &[u8]) -> Result<u64, String> {
    let text = lines.strip_suffix(b"\n").unwrap_or(lines);
    let start = memchr::memrchr(b'\n', text).map_or(0, |end| end + 1);
    let link = Link::of(&text[start..]);
    link.map(|link| link.seq).ok_or_else(|| "o banco tem uma linha que não é um registro de auditoria".to_owned())
}

/// How many of the bytes are whole lines, at most `most` of them.
fn whole_lines_within(lines: &[u8], most: u64) -> usize {
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(lines.len());
    memchr::memrchr(b'\n', &lines[..most]).map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests;
