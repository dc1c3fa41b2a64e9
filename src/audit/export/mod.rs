//! The exporter: the one that writes `audit.jsonl`.
//!
//! It appends the committed records in order, makes them durable, and notes how far it is. The file follows the
//! database: after any failure, the next look at its last whole line says from where to go on. When it has reached the
//! size it may have, it is closed under a name of its own and the chain goes on in a new one.
//!
//! # Locking
//!
//! A lock on `audit.lock` beside the file says who the exporter is. Another process on the same folder waits for it,
//! and takes over when it ends; meanwhile it reads there why the trail cannot be written. The file itself is locked too, so
//! that two never write it, even if the first lock is lost.
//!
//! An exporter that is paused keeps both locks and says nothing. The database has the records, so the others go on booking,
//! and say how far the file is behind; up to a bound, which is [`behind`]'s. One that is not paused but cannot write, nor end
//! its write, says so: then nobody books.

mod behind;
mod file;
mod health;
mod lock;
mod recover;
mod watch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};

use self::behind::Other;
use self::file::OpenFile;
use self::health::{Change, Health};
use self::lock::ExporterLock;
use self::watch::watch;

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
/// How long a write may take before the trail counts as unwritable.
const STALLED_AFTER: Duration = Duration::from_secs(5);
/// How long a start waits until the file has all records: somebody may have taken it away.
const FIRST_ROUND: Duration = Duration::from_millis(400);
/// How long a start then waits for the first look at the file. A long file takes no longer than a short one, unless somebody
/// damaged it: then all of it is compared with the database.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// How often it is looked whether a write takes too long.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How long a stop waits for the exporter: what it does not write the next start does.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

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
    /// The hash that the first record follows.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn beginning(&self) -> Result<String, String>;
    /// The number of the last record.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn head(&self) -> Result<u64, String>;
    /// Up to where the file was noted to be durable.
    ///
    /// # Errors
    /// In words, when it cannot be read.
    fn exported(&self) -> Result<Exported, String>;
    /// Notes that the file is durable up to `seq`, and what it is then.
    ///
    /// # Errors
    /// In words, when it cannot be noted.
    fn note_exported(&self, seq: u64, file: Extent) -> Result<(), String>;
}

/// Up to where the file was noted to be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The last record that was.
    pub seq: u64,
    /// The file then, if that was noted: so nobody has to count.
    pub file: Option<Extent>,
}

/// Which records a file begins with, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The number of the record before its first one.
    pub before: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// The running exporter. Dropping it exports what there is and stops it.
pub struct Exporter {
    bell: Bell,
    stop: Arc<AtomicBool>,
    health: Arc<Health>,
    thread: Option<JoinHandle<()>>,
    /// Ends, when it is dropped, the thread that watches this one.
    _watched: mpsc::Sender<()>,
    /// Closed by the thread when it ends.
    ended: Mutex<mpsc::Receiver<()>>,
    log: Logger,
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
    /// look at the file is done before this returns if it does not take long; until it is done, that is the fault.
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
        let health = Arc::new(Health::default());
        let worker = Worker {
            path: path.to_owned(),
            source,
            rotate_bytes,
            log: log.clone(),
            lock: None,
            open: None,
            health: Arc::clone(&health),
            noted: 0,
            noted_at: Instant::now(),
            recovery: Recovery::default(),
            not_closed: None,
            reached: 0,
            other: Other::new(),
        };
        let (watched, ends) = mpsc::channel();
        let (watched_path, watched_health) = (path.to_owned(), Arc::clone(&health));
        std::thread::Builder::new()
            .name("audit-watch".to_owned())
            .spawn(move || watch(&watched_path, &watched_health, &ends, (WATCH_EVERY, STALLED_AFTER)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (running, ended) = mpsc::channel();
        let (looked, first_look) = mpsc::channel::<()>();
        health.begin_look();
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            let _running = running;
            let mut worker = worker;
            worker.round();
            drop(looked);
            worker.run(&rings, &stopped);
        })?;
        // The channel ends with the first round. A thread that is still writing records after this wait is left to go on; for
        // one that is still comparing the file, the start waits longer.
        let _ = first_look.recv_timeout(FIRST_ROUND);
        let begun = Instant::now();
        while health.is_unseen() && begun.elapsed() < FIRST_LOOK {
            std::thread::sleep(PAUSE);
        }
        Ok(Self { bell, stop, health, thread: Some(thread), _watched: watched, ended: Mutex::new(ended), log })
    }

    /// How far the file is behind the database, where another process that should write it does not. Bookings go on.
    pub fn behind(&self) -> Option<String> {
        self.health.behind()
    }

    /// Why the trail cannot be written now, if it cannot.
    pub fn fault(&self) -> Option<String> {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return Some("quem escreve a trilha terminou por uma falha nossa; reinicie o serviço".to_owned());
        }
        self.health.fault(STALLED_AFTER)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        // A disk that does not answer must not keep the service from stopping.
        if matches!(
            self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(STOP_TIMEOUT),
            Err(RecvTimeoutError::Timeout)
        ) {
            warn!(self.log, "A trilha de auditoria não terminou de ser escrita; a próxima partida a completa");
            return;
        }
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
    lock: Option<ExporterLock>,
    open: Option<OpenFile>,
    health: Arc<Health>,
    noted: u64,
    noted_at: Instant,
    recovery: Recovery,
    /// When a full file could not be closed.
    not_closed: Option<Instant>,
    /// The last record that this process wrote to the file.
    reached: u64,
    /// How far another process's exporter is.
    other: Other,
}

/// Recovery reads a lot: after a failure it is not tried again at once.
#[derive(Default)]
struct Recovery {
    /// When it may be tried again, and why it failed.
    failed: Option<(Instant, String)>,
}

impl Recovery {
    fn attempt(&mut self, recover: impl FnOnce() -> Result<OpenFile, String>) -> Result<OpenFile, String> {
        let begun = Instant::now();
        if let Some((not_before, reason)) = &self.failed
            && begun < *not_before
        {
            return Err(reason.clone());
        }
        let recovered = recover();
        // What took long is left in peace for longer.
        let pause = RECOVER_EVERY.max(begun.elapsed() * 10);
        self.failed = recovered.as_ref().err().map(|reason| (Instant::now() + pause, reason.clone()));
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
        self.health.begin_step();
        let (behind, fault) = match self.export() {
            Ok(behind) => (behind, None),
            Err(fault) => (None, Some(fault)),
        };
        let told_stall = self.health.take_told_stall();
        let change = self.health.end(fault.clone());
        match &change {
            Change::None => {}
            Change::Failed(reason) => error!(self.log, "Auditoria indisponível: {}", reason),
            Change::Restored => info!(self.log, "Auditoria restabelecida"),
        }
        let was_behind = self.health.set_behind(behind.clone());
        match behind {
            Some(how_far) if !was_behind => warn!(self.log, "Trilha de auditoria {}", how_far),
            None if was_behind && fault.is_none() => info!(self.log, "Trilha de auditoria em dia"),
            _ => {}
        }
        // Again while it lasts: this process may have become the exporter only now.
        let is_news = fault.is_some() || told_stall || change == Change::Restored;
        if let Some(lock) = self.lock.as_ref().filter(|_| is_news) {
            lock.tell(fault.as_deref());
        }
    }

    /// Exports what there is; or says how far behind the process is whose task it is.
    fn export(&mut self) -> Result<Option<String>, String> {
        if !self.is_exporter() {
            self.health.set_exporter(false);
            (self.lock, self.open) = (None, None);
            let Some(lock) = ExporterLock::try_take(&self.path)? else {
                // Another process is the exporter, and exports our records too.
                return self.watch_other();
            };
            self.lock = Some(lock);
            self.health.set_exporter(true);
            self.other = Other::new();
        }
        if self.open.as_ref().is_some_and(|open| !open.is_as_written()) {
            warn!(self.log, "{} já não é o arquivo que foi escrito; reabrindo", self.path.display());
            self.open = None;
        }
        let mut text = Vec::new();
        loop {
            text.clear();
            let seq = self.open()?.head.seq;
            if self.source.lines_after(seq, LINES_AT_ONCE, &mut text)?.is_none() {
                return Ok(None);
            }
            self.append(&text)?;
            if !self.is_exporter() {
                // The next round finds out who is.
                return Ok(None);
            }
        }
    }

    /// The file, recovered first if it is not open.
    fn open(&mut self) -> Result<&mut OpenFile, String> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.recovery.attempt(|| OpenFile::recover(&self.path, &self.source, self.reached, &self.log))?,
        };
        self.health.end_look();
        Ok(self.open.insert(open))
    }

    /// Whether this process still is the exporter: someone may have deleted the lock, and the process that got the new one is.
    fn is_exporter(&self) -> bool {
        self.lock.as_ref().is_some_and(ExporterLock::is_in_force)
    }

    /// Appends whole lines to as many files as they take.
    fn append(&mut self, mut lines: &[u8]) -> Result<(), String> {
        while !lines.is_empty() {
            if !self.is_exporter() {
                return Ok(());
            }
            self.health.begin_step();
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
            let mut head = open.head.clone();
            // A row that was altered must not become the trail.
            recover::follow(now, &mut head).map_err(recover::database_broken)?;
            open.append(now, head)?;
            self.reached = open.head.seq;
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

    /// The trail is written by another process: it has to make headway, or the database has to hold the records.
    fn watch_other(&mut self) -> Result<Option<String>, String> {
        let (exported, head) = (self.source.exported()?.seq, self.source.head()?);
        if let Some(reason) = lock::told(&self.path) {
            return Err(reason);
        }
        self.other.look(exported, head, Instant::now(), &self.path)
    }

    fn note(&mut self, now: bool) {
        let Some((seq, file)) = self.open.as_ref().map(|open| (open.head.seq, open.extent())) else { return };
        if seq == self.noted || (!now && self.noted_at.elapsed() < NOTE_EVERY) {
            return;
        }
        self.noted_at = Instant::now();
        match self.source.note_exported(seq, file) {
            Ok(()) => self.noted = seq,
            Err(reason) => warn!(self.log, "Ponto da exportação sem confirmação: {}", reason),
        }
    }
}

/// How many of the bytes are whole lines, at most `most` of them.
fn whole_lines_within(lines: &[u8], most: u64) -> usize {
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(lines.len());
    memchr::memrchr(b'\n', &lines[..most]).map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests;
