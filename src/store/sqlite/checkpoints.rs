//! Folding the write-ahead log back into the database, on a separate thread and not in the writer's commits.
//!
//! A thread checks the log ten times a second, and rests while nothing is committed. When enough pages wait in it, a passive checkpoint copies them into the
//! database. No commit and no reader waits for the locks of this checkpoint. The log restarts from its beginning only when
//! all of it is copied and then a transaction begins. Under load this never happens by itself, because new pages are
//! committed while the last ones are copied. So when few pages are left, the writer is asked to copy them between two
//! transactions. The log file stays long after a peak. That next transaction shortens it (`journal_size_limit`), or the
//! thread does if no transaction comes.
//!
//! Pages that are newer than an open reader's snapshot cannot be copied. So the log grows as long as a reader stays open.
//! This is logged once, and shown at `/pronto`.
//!
//! # Locking
//!
//! Several processes may have the database open, each with this thread. SQLite lets only one of them copy at a time, and the
//! others skip their turn. The locks for this are in a file beside the database. If that file or the log was moved away,
//! another process may have created new ones and not see our locks. Then this thread copies nothing: a copy could destroy
//! the other process's writes.

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

/// The pause between two checks of the log.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same while nothing is committed and nothing is left to do. The next commit ends it. Another process on the folder may leave a
/// long log behind.
const REST: Duration = Duration::from_secs(60);
/// Copying begins when this many pages wait: 4 MiB.
const COPY_AT: i64 = 1024;
/// The log should restart when it has this many pages: 16 MiB.
const BEGIN_ANEW_AT: i64 = 4096;
/// About how many pages the writer may copy between two transactions, at most: 1 MiB.
const LEFT_TO_WRITER: i64 = 256;
/// How many copies may follow one another, while more is committed than is copied.
const COPIES_IN_A_ROW: usize = 8;
/// A longer log than this is shortened when the load is low, so that the length after a peak or a long read is not kept. 4
/// MiB.
const CUT_BYTES: u64 = 4 << 20;
/// The load is low when this many checks in a row each find at most this many new pages.
const QUIET_LOOKS: u32 = 10;
const QUIET_PAGES: i64 = 8;
/// The length that the file keeps under load: room for the pages between two restarts, so that the file need not grow each
/// time.
pub const KEPT_BYTES: u64 = 32 << 20;
/// A reader is reported when it keeps more pages than this from being copied, for as long as this.
const HELD_PAGES: i64 = 2048;
const HELD_FOR: Duration = Duration::from_secs(2);
const MEGABYTE: u64 = 1_000_000;

/// The thread's handle. Dropping it stops the thread.
pub struct Checkpoints {
    watch: Watch,
    place: Arc<Place>,
    /// A message ends the thread's rest. Dropping it ends the thread.
    news: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The data that the thread reports.
#[derive(Clone, Default)]
pub struct Watch(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether the writer is asked to copy the pages that are left.
    is_wanted: AtomicBool,
    /// Whether the thread rests, or will from its next check on, if nothing is committed until then.
    rests: AtomicBool,
    /// Since when a reader has kept the log from being copied, once this has to be reported; and the file's length.
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
        let (news, heard) = mpsc::channel();
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
        let thread = std::thread::Builder::new().name("checkpoints".to_owned()).spawn(move || worker.run(&heard))?;
        Ok(Self { watch, place: Arc::clone(place), news: Some(news), thread: Some(thread) })
    }

    /// Copies the pages that are left, if the thread asks for it. Called by the writer between two transactions.
    pub fn between_transactions(&self, writer: &Connection) {
        if self.watch.0.is_wanted.swap(false, Ordering::AcqRel) && self.place.fault().is_none() {
            // If the copy fails, the thread asks again.
            let _ = checkpoint(writer, "PASSIVE");
        }
    }

    /// Tells the thread that something was committed.
    pub fn committed(&self) {
        if self.watch.0.rests.swap(false, Ordering::SeqCst)
            && let Some(news) = &self.news
        {
            // The thread has gone only if it has panicked.
            let _ = news.send(());
        }
    }

    /// The thread's reports.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.news = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread itself.
            let _ = thread.join();
        }
    }
}

/// The page counts that a checkpoint returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Pages in the log.
    logged: i64,
    /// Pages of the log that are copied into the database.
    copied: i64,
}

impl Pages {
    /// How many pages are not copied yet.
    pub fn left(self) -> i64 {
        self.logged - self.copied
    }
}

/// Runs a checkpoint; `None` if another process is running one, or if it cannot be done now.
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
    /// How many pages were copied.
    copied: i64,
}

/// For how many checks in a row the load was low.
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
    fn run(mut self, news: &mpsc::Receiver<()>) {
        let mut pause = LOOK_EVERY;
        while !matches!(news.recv_timeout(pause), Err(RecvTimeoutError::Disconnected)) {
            let may_rest = self.look();
            // What is committed after this look and before the flag is set is found by the look after that: only then the pause is
            // a long one.
            let rested = self.watch.0.rests.swap(may_rest, Ordering::SeqCst);
            pause = if may_rest && rested { REST } else { LOOK_EVERY };
        }
    }

    /// Checks the log. Returns whether nothing has to be done before something is committed.
    fn look(&mut self) -> bool {
        if self.place.fault().is_some() {
            return false;
        }
        let Some(pages) = checkpoint(&self.connection, "NOOP") else { return false };
        self.round(pages);
        self.quiet.looks >= QUIET_LOOKS && self.held.is_none() && self.log_bytes() <= CUT_BYTES
    }

    fn round(&mut self, mut pages: Pages) {
        self.quiet.look(pages.logged);
        let is_to_be_cut = self.quiet.looks >= QUIET_LOOKS && self.log_bytes() > CUT_BYTES;
        let copy_at = if is_to_be_cut { 1 } else { COPY_AT };
        let mut copies = 0;
        while pages.left() >= copy_at && copies < COPIES_IN_A_ROW && self.place.fault().is_none() {
            copies += 1;
            // The result counts pages as of the checkpoint's beginning: the pages that it left were held back by a reader.
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
            // This does not wait. If a reader or a transaction is in the way, a later round tries again.
            let _ = checkpoint(&self.connection, "TRUNCATE");
        }
        self.tell();
    }

    /// If a copy left pages, a reader held them back. If it came further than the previous copy, a different reader holds
    /// them back.
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

    /// Keeps the warning at `/pronto` up to date, and logs once that the reader no longer holds pages back.
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
    use crate::store::sqlite::open_error::DatabaseKind;
    use crate::store::sqlite::place::log_of;
    use crate::store::sqlite::{connect, schema};

    #[test]
    fn nothing_is_copied_while_a_file_of_the_database_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sctec.db");
        let (writer, place) = schema::open_for_writing(&path, DatabaseKind::Agenda).unwrap();
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
