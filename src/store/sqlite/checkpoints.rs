//! Folding the write-ahead log back into the database, beside the writer and not in its commits.
//!
//! A thread looks at the log ten times a second. Once enough waits in it, a passive checkpoint copies it into the database: that
//! takes no lock which a commit or a reader would wait for. The log begins anew only when all of it is copied and a transaction
//! begins, which under load never happens by itself: while the last pages are copied more are committed. So when few are left
//! the writer is asked to copy those between two transactions. The file, which a peak made longer, is cut by that transaction
//! (`journal_size_limit`), or by the thread if none comes.
//!
//! Pages that are newer than an open reader's snapshot cannot be copied. A reader that stays open makes the log grow for as long:
//! that is logged once, and shown at `/pronto`.
//!
//! # Locking
//!
//! Several processes may have the database open, each with this thread; SQLite lets one of them copy at a time, and the others
//! leave it to that one. Those locks are in a file beside the database. If that file or the log was moved away, another process
//! may have made new ones and not see our locks. Then nothing is copied here: it could destroy that process's writes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use slog::{Logger, info, warn};

use super::place::Place;
use super::stopped::InUse;

/// The pause between two looks at the log.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pages that wait when they begin to be copied: 4 MiB.
const COPY_AT: i64 = 1024;
/// Pages in the log when it should begin anew: 16 MiB.
const BEGIN_ANEW_AT: i64 = 4096;
/// Pages that the writer may copy between two transactions, at the most about: 1 MiB.
const LEFT_TO_WRITER: i64 = 256;
/// Copies in a row, while more is committed than is copied.
const COPIES_IN_A_ROW: usize = 8;
/// A log that is longer than this is cut once little happens: the length after a peak or a long reading is not kept. 4 MiB.
const CUT_BYTES: u64 = 4 << 20;
/// Little happens when so many looks in a row find at most so many more pages.
const QUIET_LOOKS: u32 = 10;
const QUIET_PAGES: i64 = 8;
/// The length that the file keeps under load: room for the load between two new beginnings, so that it is not made longer again and again.
pub const KEPT_BYTES: u64 = 32 << 20;
/// A reader that keeps more pages than this from being copied, for as long as this, is named.
const HELD_PAGES: i64 = 2048;
const HELD_FOR: Duration = Duration::from_secs(2);
const MEGABYTE: u64 = 1_000_000;

/// The thread. Dropping it stops it.
pub struct Checkpoints {
    watch: Watch,
    place: Arc<Place>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread reports.
#[derive(Clone, Default)]
pub struct Watch(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The writer is asked to copy the pages that are left.
    is_wanted: AtomicBool,
    /// Since when a reader keeps the log from being copied, once that has to be reported; and the file's length.
    ///
    /// A std lock around a small value: held to read or to replace it.
    held: Mutex<Option<(Instant, u64)>>,
}

impl Watch {
    /// The warning, if a reader keeps the log from being folded back.
    pub fn warning(&self) -> Option<String> {
        let (since, bytes) = (*self.0.held.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(format!(
            "o registro de escrita do banco (-wal) tem {} MB e cresce: uma leitura aberta há {} s não deixa recolhê-lo",
            bytes / MEGABYTE,
            since.elapsed().as_secs()
        ))
    }

    fn hold(&self, held: Option<(Instant, u64)>) {
        *self.0.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }
}

impl Checkpoints {
    /// Starts it. `connection` is its own.
    pub fn start(place: &Arc<Place>, connection: Connection, in_use: InUse, log: &Logger) -> io::Result<Self> {
        let watch = Watch::default();
        let (stop, stopped) = mpsc::channel();
        let worker = Worker {
            connection,
            place: Arc::clone(place),
            watch: watch.clone(),
            held: None,
            is_told: false,
            quiet: Quiet { logged: 0, looks: 0 },
            log: log.clone(),
            _in_use: in_use,
        };
        let thread = std::thread::Builder::new().name("checkpoints".to_owned()).spawn(move || worker.run(&stopped))?;
        Ok(Self { watch, place: Arc::clone(place), stop: Some(stop), thread: Some(thread) })
    }

    /// Copies the pages that are left, if the thread asks for it. Called by the writer between two transactions.
    pub fn between_transactions(&self, writer: &Connection) {
        if self.watch.0.is_wanted.swap(false, Ordering::AcqRel) && self.place.fault().is_none() {
            // If it fails the thread asks again.
            let _ = checkpoint(writer, "PASSIVE");
        }
    }

    /// The thread's reports.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread itself.
            let _ = thread.join();
        }
    }
}

/// The pages that a checkpoint counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// In the log.
    logged: i64,
    /// Of those, copied into the database.
    copied: i64,
}

impl Pages {
    /// How many are not copied yet.
    pub fn left(self) -> i64 {
        self.logged - self.copied
    }
}

/// Runs a checkpoint; `None` if another process is at it, or it cannot be done now.
pub fn checkpoint(connection: &Connection, mode: &str) -> Option<Pages> {
    let mut statement = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})")).ok()?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Pages { logged: row.get(1)?, copied: row.get(2)? }));
    let (busy, pages): (i64, Pages) = statement.query_row((), row).ok()?;
    (busy == 0).then_some(pages)
}

/// A reader that keeps pages from being copied.
#[derive(Clone, Copy)]
struct HeldBack {
    since: Instant,
    /// Up to here they were copied.
    copied: i64,
}

/// For how many looks little has happened.
struct Quiet {
    logged: i64,
    looks: u32,
}

impl Quiet {
    fn look(&mut self, logged: i64) {
        let is_quiet = (0..=QUIET_PAGES).contains(&(logged - self.logged));
        self.looks = if is_quiet { self.looks.saturating_add(1) } else { 0 };
        self.logged = logged;
    }
}

struct Worker {
    connection: Connection,
    place: Arc<Place>,
    watch: Watch,
    held: Option<HeldBack>,
    is_told: bool,
    quiet: Quiet,
    log: Logger,
    /// Dropped after the connection.
    _in_use: InUse,
}

impl Worker {
    fn run(mut self, stopped: &mpsc::Receiver<()>) {
        while matches!(stopped.recv_timeout(LOOK_EVERY), Err(RecvTimeoutError::Timeout)) {
            if self.place.fault().is_none()
                && let Some(pages) = checkpoint(&self.connection, "NOOP")
            {
                self.round(pages);
            }
        }
    }

    fn round(&mut self, mut pages: Pages) {
        self.quiet.look(pages.logged);
        let is_to_be_cut = self.quiet.looks >= QUIET_LOOKS && self.log_bytes() > CUT_BYTES;
        let copy_at = if is_to_be_cut { 1 } else { COPY_AT };
        let mut copies = 0;
        while pages.left() >= copy_at && copies < COPIES_IN_A_ROW && self.place.fault().is_none() {
            copies += 1;
            // As of its beginning: what a reader keeps from it is what it has not copied of that.
            let Some(done) = checkpoint(&self.connection, "PASSIVE") else { return };
            self.notice(done);
            let Some(now) = checkpoint(&self.connection, "NOOP") else { return };
            pages = now;
            if done.left() > 0 {
                return self.tell();
            }
        }
        if pages.left() < COPY_AT {
            self.held = None;
        }
        if pages.logged >= BEGIN_ANEW_AT && pages.left() <= LEFT_TO_WRITER {
            self.watch.0.is_wanted.store(true, Ordering::Release);
        }
        if is_to_be_cut && pages.left() <= LEFT_TO_WRITER && self.place.fault().is_none() {
            // Without waiting for anyone: a reader or a transaction that is in the way is gone the next time.
            let _ = checkpoint(&self.connection, "TRUNCATE");
        }
        self.tell();
    }

    /// A copy that left something was kept from it by a reader. One that is further than before was kept by another reader.
    fn notice(&mut self, done: Pages) {
        let goes_on = self.held.filter(|held| done.left() > 0 && held.copied == done.copied);
        let begins = || (done.left() > 0).then(|| HeldBack { since: Instant::now(), copied: done.copied });
        self.held = goes_on.or_else(begins);
        let is_long = self.held.is_some_and(|held| done.left() >= HELD_PAGES && held.since.elapsed() >= HELD_FOR);
        if is_long && !self.is_told {
            self.is_told = true;
            warn!(self.log, "O registro de escrita do banco não pode ser recolhido: uma leitura está aberta há {} s",
                self.held.map_or(0, |held| held.since.elapsed().as_secs()); "bytes" => self.log_bytes());
        }
    }

    /// Keeps what `/pronto` says up to date, and says once in the log that it is over.
    fn tell(&mut self) {
        if self.is_told && self.held.is_none() {
            self.is_told = false;
            info!(self.log, "O registro de escrita do banco voltou a ser recolhido"; "bytes" => self.log_bytes());
        }
        let held = self.held.filter(|_| self.is_told);
        self.watch.hold(held.map(|held| (held.since, self.log_bytes())));
    }

    fn log_bytes(&self) -> u64 {
        std::fs::metadata(self.place.log_path()).map_or(0, |metadata| metadata.len())
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;
    use crate::store::sqlite::damage::Damage;
    use crate::store::sqlite::open_error::Kind;
    use crate::store::sqlite::place::log_of;
    use crate::store::sqlite::{connect, schema};

    #[test]
    fn nothing_is_copied_while_a_file_of_the_database_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sctec.db");
        let (writer, place) = schema::open_for_writing(&path, Kind::Agenda).unwrap();
        let (in_use, _) = InUse::begin(&path, Damage::default());
        let folding = connect::open_for_checkpoints(&path).unwrap();
        let log = Logger::root(Discard, o!());
        let checkpoints = Checkpoints::start(&Arc::new(place), folding, in_use, &log).unwrap();
        writer.execute("UPDATE cientistas SET nome = nome || 'x'", ()).unwrap();
        let copy = || {
            checkpoints.watch.0.is_wanted.store(true, Ordering::Release);
            checkpoints.between_transactions(&writer);
            checkpoint(&writer, "NOOP").unwrap()
        };
        let away = folder.path().join("away");
        std::fs::rename(log_of(&path), &away).unwrap();
        assert!(copy().left() > 0);
        std::fs::rename(&away, log_of(&path)).unwrap();
        assert_eq!(copy().left(), 0);
    }
}
