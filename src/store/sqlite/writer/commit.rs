//! One transaction for many jobs, and what each job's caller is told when something fails.
//!
//! # A job that fails
//!
//! A job that is not allowed is refused by its own decision, and writes nothing. If the database refuses a job's write all
//! the same (a trigger that somebody added, a value that cannot be read), the transaction is begun anew with a savepoint before
//! each job. Then only that job is undone, and the others still share one transaction.
//!
//! # A COMMIT that fails
//!
//! A commit in WAL mode appends pages to the log and syncs it. When either fails SQLite rolls back, and no connection sees
//! the transaction. But all its pages may be in the log, and the first opening after a crash takes every whole transaction
//! there for a committed one. So a failed COMMIT counts as not written only when another commit has been written over it, at the
//! same place, and synced. The checksums of the log are chained: the rest of the failed commit is then not valid any more. The
//! writer makes that other commit at once. Before it writes, it checks whether the first record of the failed one is there.
//!
//! If that other commit fails as well, the outcome is unknown, and the disk is known to take no commit. The jobs after it are
//! then not run until such a small commit has succeeded: they are refused, and it is certain that nothing of them was written.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};

use super::job::{Job, Tx};
use crate::panics;
use crate::store::StoreError;
use crate::store::observer::Observer;
use crate::store::sqlite::bookings;
use crate::store::sqlite::checkpoints::checkpoint;
use crate::store::sqlite::damage::Damage;
use crate::store::sqlite::errors::is_the_databases;
use crate::store::sqlite::load::Known;
use crate::store::sqlite::place::Place;
use crate::store::sqlite::trail;
use crate::time::Clock;

/// The tries to write over a failed COMMIT, and the pause before each further one.
const SETTLE_TRIES: u32 = 3;
const SETTLE_PAUSE: Duration = Duration::from_millis(10);

/// The connection that writes, and where its files should be.
pub struct Committer {
    pub connection: Connection,
    pub clock: Clock,
    pub observer: Box<dyn Observer>,
    pub place: Arc<Place>,
    /// Told of each failure: it may show that the database is damaged.
    pub damage: Damage,
    /// Whether the content of a lost log was saved: once is enough, since nothing is written while the log is lost.
    pub saved: bool,
    /// What the last transaction knew of the catalogue; nothing after one that failed.
    pub known: Known,
    /// Whether the last COMMIT failed, and no commit has been written over it yet.
    pub unsettled: bool,
}

/// The outcome of one transaction.
pub struct Committed {
    /// Of each, in order.
    pub outcomes: Vec<Result<(), StoreError>>,
    /// The audit lines that were committed.
    pub lines: Vec<String>,
    /// The failure, if it is the database's: neither one job's, nor that files are not in their place.
    pub failure: Option<StoreError>,
}

/// Why a transaction was rolled back.
enum Failed {
    /// A job, by its place: the others may do better without it.
    Job(usize, StoreError),
    /// It could not begin, go on or end: busy, full, broken. None of its jobs would fare better alone.
    Whole(StoreError),
}

impl Committer {
    /// One transaction for all `jobs`, as far as the database takes them.
    pub fn commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Committed {
        if let Some(reason) = self.place.fault() {
            // Without waiting for a reader: the next commit tries again.
            self.save_lost_log("PASSIVE");
            return Committed::failed(jobs.len(), &StoreError::Unavailable(reason), None);
        }
        if self.unsettled {
            let settled = self.settle_once(None);
            self.roll_back();
            if let Err(error) = settled {
                // No job has run, so none can have been written.
                let error = StoreError::Unavailable(format!("a gravação anterior falhou, e esta também: {error}"));
                return Committed::failed(jobs.len(), &error, Some(error.clone()));
            }
            self.unsettled = false;
        }
        let mut refused: Vec<Option<StoreError>> = jobs.iter().map(|_| None).collect();
        let mut guarded = false;
        // Each further round has one job less, but for the first.
        loop {
            match self.attempt(jobs, &mut refused, guarded) {
                Ok(lines) => {
                    let outcomes = refused.into_iter().map(|error| error.map_or(Ok(()), Err)).collect();
                    return match self.place.fault() {
                        None => Committed { outcomes, lines, failure: None },
                        // Into which file it was written cannot be known, nor whether that will be put back.
                        Some(reason) => Committed::failed(jobs.len(), &StoreError::Unknown(reason), None),
                    };
                }
                Err(Failed::Job(index, error)) if guarded || jobs.len() == 1 => refused[index] = Some(error),
                Err(Failed::Job(..)) => guarded = true,
                Err(Failed::Whole(error)) => return Committed::failed(jobs.len(), &error, Some(error.clone())),
            }
            if refused.iter().all(Option::is_some) {
                let outcomes = refused.into_iter().map(|error| error.map_or(Ok(()), Err)).collect();
                return Committed { outcomes, lines: Vec::new(), failure: None };
            }
        }
    }

    /// Runs the jobs that are not refused yet, and commits. With `guarded` each has a savepoint of its own.
    fn attempt(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        refused: &mut [Option<StoreError>],
        guarded: bool,
    ) -> Result<Vec<String>, Failed> {
        let ran = self.run_jobs(jobs, refused, guarded);
        let (first_seq, lines, known) = match ran {
            Ok(ran) => ran,
            Err(failed) => {
                self.roll_back();
                return Err(failed);
            }
        };
        let Err(error) = self.execute("COMMIT") else {
            self.known = known;
            return Ok(lines);
        };
        self.roll_back();
        match self.settle(lines.first().map(|line| (first_seq, line.as_str()))) {
            Ok(true) => Ok(lines),
            Ok(false) => Err(Failed::Whole(StoreError::Unavailable(error.to_string()))),
            Err(settling) => {
                self.unsettled = true;
                Err(Failed::Whole(StoreError::Unknown(format!("{error}; ao verificar: {settling}"))))
            }
        }
    }

    /// The number of the first record that was made, the lines of all, and what is then known of the catalogue.
    fn run_jobs(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        refused: &mut [Option<StoreError>],
        guarded: bool,
    ) -> Result<(u64, Vec<String>, Known), Failed> {
        // IMMEDIATE: a transaction that starts by reading and then wants to write gets BUSY at once, without waiting.
        self.execute("BEGIN IMMEDIATE")?;
        // Read anew each time: another process may write to the same file.
        let begun = Tx::begin(&self.connection, self.clock.now(), std::mem::take(&mut self.known));
        let mut tx = begun.inspect_err(|error| self.damage.look_at(error))?;
        let first_seq = tx.head().seq + 1;
        for (index, (job, refused)) in jobs.iter_mut().zip(refused).enumerate() {
            if refused.is_some() {
                continue;
            }
            let before = guarded.then(|| tx.mark());
            if guarded {
                self.execute("SAVEPOINT job")?;
            }
            let ran = run(job, &mut tx);
            match (ran, before) {
                (Ok(()), None) => {}
                (Ok(()), Some(_)) => self.execute("RELEASE job")?,
                (Err(error), _) if is_the_databases(&error) => {
                    self.damage.look_at(&error);
                    return Err(error.into());
                }
                (Err(error), Some(mark)) if !self.connection.is_autocommit() => {
                    self.execute("ROLLBACK TO job").and_then(|()| self.execute("RELEASE job"))?;
                    tx.return_to(mark);
                    *refused = Some(StoreError::Refused(error.to_string()));
                }
                // Without a savepoint, or with the transaction gone as well: a trigger can do that.
                (Err(error), _) => return Err(Failed::Job(index, StoreError::Refused(error.to_string()))),
            }
        }
        if !tx.has_no_records() {
            trail::set_head(&self.connection, tx.head())?;
        }
        if let Some(token) = tx.largest_token() {
            bookings::note_token(&self.connection, token)?;
        }
        for (saving, request_id) in tx.savings() {
            self.observer.saving(*saving, request_id);
        }
        let (lines, known) = tx.into_parts();
        Ok((first_seq, lines, known))
    }

    /// After a failed COMMIT: writes another one over it, and tells whether the failed one's first record is there.
    ///
    /// # Errors
    /// When that fails as well: then the outcome is unknown.
    fn settle(&self, first: Option<(u64, &str)>) -> rusqlite::Result<bool> {
        let mut tries = 0;
        loop {
            tries += 1;
            let settled = self.settle_once(first);
            self.roll_back();
            if settled.is_ok() || tries == SETTLE_TRIES {
                return settled;
            }
            std::thread::sleep(SETTLE_PAUSE * tries);
        }
    }

    fn settle_once(&self, first: Option<(u64, &str)>) -> rusqlite::Result<bool> {
        self.execute("BEGIN IMMEDIATE")?;
        let there = match first {
            Some((seq, line)) => self
                .connection
                .prepare_cached("SELECT linha FROM auditoria WHERE seq = ?1")?
                .query_row([seq.cast_signed()], |row| Ok(row.get_ref(0)?.as_bytes()? == line.as_bytes()))
                .optional()?
                .unwrap_or(false),
            None => false,
        };
        trail::touch(&self.connection)?;
        self.execute("COMMIT")?;
        Ok(there)
    }

    /// Puts what a log without a name has into the database, which is in its place: it has acknowledged bookings.
    fn save_lost_log(&mut self, mode: &str) {
        if !self.saved && self.place.has_only_lost_its_log() {
            // A reader, or another checkpoint, may keep a part of it from being copied.
            self.saved = checkpoint(&self.connection, mode).is_some_and(|pages| pages.left() == 0);
        }
    }

    /// Ends, so that a clean stop leaves one file. Gives whether the files were in their place.
    pub fn close(mut self) -> bool {
        if self.place.fault().is_none() {
            // A failure costs nothing: the log is read again at the next start.
            let _ = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
        }
        if self.place.fault().is_none() {
            return true;
        }
        self.save_lost_log("FULL");
        // SQLite deletes the log by its name when the last connection closes. By now that may be another process's log.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        false
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        let executed = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(()));
        executed.map(drop).inspect_err(|error| self.damage.look_at(error))
    }

    fn roll_back(&self) {
        // SQLite may have rolled back by itself, and says so with an error.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

impl Committed {
    fn failed(count: usize, error: &StoreError, failure: Option<StoreError>) -> Self {
        Self { outcomes: vec![Err(error.clone()); count], lines: Vec::new(), failure }
    }
}

/// A panic in one job must not end the thread that all others need. The job's writes until then are rolled back.
fn run(job: &mut Box<dyn Job>, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
    panics::guarded_call(|| job.run(tx)).unwrap_or_else(|panicked| {
        let reason = format!("um defeito do serviço ao gravar: {panicked}");
        Err(rusqlite::Error::ToSqlConversionFailure(reason.into()))
    })
}

impl From<rusqlite::Error> for Failed {
    /// Before COMMIT nothing counts as committed, even if some of it has been written.
    fn from(error: rusqlite::Error) -> Self {
        Self::Whole(StoreError::Unavailable(error.to_string()))
    }
}
