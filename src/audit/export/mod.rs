//! The exporter: it writes `audit.jsonl`.
//!
//! It appends the committed records in order, makes them durable, and notes the last one. The file follows the
//! database: after any failure, the file's last whole line says which record comes next. What this process has just committed
//! ([`fresh`]) is not read again. A file that is full is closed under a
//! name of its own, and the chain goes on in a new file.
//!
//! # Locking
//!
//! The process that holds the lock on `audit.lock` is the exporter. Other processes on the same folder wait for the lock, and
//! one of them takes over when the exporter ends. Meanwhile they read in that file why the trail cannot be written. The trail's
//! file itself is locked too: even when the first lock is lost, two processes never write it.
//!
//! An exporter that is paused keeps both locks and writes nothing. The database has the records, so the other processes go on
//! booking and report how far the file is behind, up to the bound of [`behind`]. An exporter whose write fails or does not end
//! reports a fault, and then no process books.

mod behind;
mod file;
mod fresh;
mod health;
mod lock;
mod note;
mod recover;
mod source;
mod watch;
mod worker;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use slog::{Logger, warn};

use self::fresh::Fresh;
use self::health::Health;
pub use self::lock::{ExporterLock, is_written};
pub use self::note::Note;
pub use self::source::{Exported, Extent, Source};
use self::watch::watch;
use self::worker::{PAUSE, Worker};
use crate::stirring::Stirring;

/// How long a write may take before the trail counts as unwritable.
const STALLED_AFTER: Duration = Duration::from_secs(5);
/// How long a start waits until the file has all records. They are written anew if the file was deleted.
const FIRST_ROUND: Duration = Duration::from_millis(400);
/// How long a start then waits until the file was compared with the database. A long file takes no longer than a short one,
/// unless it is damaged: then all of it is compared.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// How often the watching thread checks whether a write takes too long.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How long a stop waits for the exporter. The next start writes the rest.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The running exporter. Dropping it exports what was committed, and stops it.
pub struct Exporter {
    bell: Bell,
    stop: Arc<AtomicBool>,
    health: Arc<Health>,
    thread: Option<JoinHandle<()>>,
    /// Dropping it ends the watching thread, once the exporter's has ended.
    _watched: mpsc::Sender<()>,
    /// Closed when the exporter's thread ends.
    ended: Mutex<mpsc::Receiver<()>>,
    log: Logger,
}

/// Tells the exporter that something was committed.
#[derive(Clone)]
pub struct Bell {
    rings: SyncSender<()>,
    fresh: Arc<Fresh>,
}

impl Bell {
    /// These records were committed, in this order.
    pub fn committed(&self, lines: &[String]) {
        self.fresh.keep(lines);
        self.ring();
    }

    /// Never waits. Ringing twice is the same as ringing once.
    fn ring(&self) {
        match self.rings.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// A bell and its receiver. They are made before the exporter: the store, which rings, exists before the exporter, which reads
/// the store.
pub fn bell() -> (Bell, mpsc::Receiver<()>) {
    let (rings, receiver) = mpsc::sync_channel(1);
    (Bell { rings, fresh: Arc::default() }, receiver)
}

impl Exporter {
    /// Starts exporting `source` to `path`, and rotates the file at `rotate_bytes`. If the file's comparison with the database
    /// takes long, this returns before its end; until then [`Exporter::fault`] says so.
    ///
    /// # Errors
    /// When the thread cannot be started. Faults of the file are [`Exporter::fault`]'s.
    pub fn start(
        path: &Path,
        source: impl Source,
        rotate_bytes: Option<u64>,
        (bell, rings): (Bell, mpsc::Receiver<()>),
        log: Logger,
    ) -> io::Result<Self> {
        let health = Arc::new(Health::default());
        let files = told_of(path, &source, &bell, &health);
        let sources = (source, Arc::clone(&bell.fresh));
        let mut worker = Worker::new(path, sources, rotate_bytes, Arc::clone(&health), log.clone());
        let (watched, ends) = mpsc::channel();
        let (watched_path, watched_health) = (path.to_owned(), Arc::clone(&health));
        std::thread::Builder::new()
            .name("audit-watch".to_owned())
            .spawn(move || watch(&watched_path, &watched_health, &ends, (WATCH_EVERY, STALLED_AFTER)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, watching) = (Arc::clone(&stop), watched.clone());
        let (running, ended) = mpsc::channel();
        let (looked, first_look) = mpsc::channel::<()>();
        health.begin_look();
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            let _running = running;
            worker.round();
            drop(looked);
            worker.run(&rings, &stopped, &files, &watching);
        })?;
        // The channel closes after the first round. If the thread is still writing records, the start stops waiting for it
        // here. If the thread is still comparing the file, the start waits longer.
        let _ = first_look.recv_timeout(FIRST_ROUND);
        let begun = Instant::now();
        while health.is_unseen() && begun.elapsed() < FIRST_LOOK {
            std::thread::sleep(PAUSE);
        }
        Ok(Self { bell, stop, health, thread: Some(thread), _watched: watched, ended: Mutex::new(ended), log })
    }

    /// The last record that is durable in the trail's file, as far as this process knows.
    pub fn exported(&self) -> u64 {
        self.health.exported()
    }

    /// How far the file is behind the database, while the exporter of another process writes nothing. Bookings go on.
    pub fn behind(&self) -> Option<String> {
        self.health.behind()
    }

    /// Why the trail cannot be written now, if it cannot.
    pub fn fault(&self) -> Option<String> {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return Some("o exportador da trilha parou por um defeito do serviço; reinicie o serviço".to_owned());
        }
        self.health.fault(STALLED_AFTER)
    }
}

/// Rings the bell each time that something happens to the trail's file, to its lock, or to a file of the source. None, if that does not
/// tell of all records.
///
/// Only the exporter's process is rung: the others open the lock's file again and again, and each of them would ring itself.
fn told_of(path: &Path, source: &impl Source, bell: &Bell, health: &Arc<Health>) -> Vec<Stirring> {
    let Some(mut files) = source.files() else { return Vec::new() };
    files.extend([path.to_owned(), lock::path_of(path)]);
    let ring = |file: PathBuf| {
        let (bell, health) = (bell.clone(), Arc::clone(health));
        Stirring::of(&file, move || {
            if health.is_exporter() {
                bell.ring();
            }
        })
    };
    files.into_iter().map(ring).collect()
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
        // A disk that does not answer must not hold up the stop.
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

#[cfg(test)]
mod tests;
