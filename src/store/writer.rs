//! The one thread that writes: group commit.
//!
//! Whatever waits while one transaction is being made durable becomes the next transaction, and its callers are
//! answered after its commit is on disk and never before. Each job decides before it writes, so a refusal leaves
//! nothing behind. A job that fails takes its transaction with it; the transaction's jobs are then run again one by
//! one, so that only the one at fault is told so.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoints::Checkpoints;
use super::damage::Damage;
use super::stopped::InUse;
use super::{Unavailable, trail, unavailable};
use crate::audit::chain::Head;
use crate::audit::record::Event;
use crate::batch;
use crate::time::{Clock, Timestamp};

/// The most jobs in one transaction: bounds how long the first of them waits.
const MAX_JOBS: usize = 1024;

/// How long a failed write counts against the database, unless a record was written since: a small write may succeed on a
/// disk that has no room for a larger one.
const FAILURE_COUNTS: Duration = Duration::from_secs(10);

/// Told of the audit lines of each commit.
pub type OnCommit = Box<dyn FnMut(&[String]) + Send>;

/// Sends jobs to the writing thread, which ends when the last of these is dropped.
#[derive(Clone)]
pub struct Writer {
    jobs: batch::Sender<Box<dyn Job>>,
    /// The last failed write.
    failed: Failure,
    /// Joined by whoever drops the last writer.
    _thread: Arc<JoinOnDrop>,
}

/// When a write failed, and why; `None` once a record was written.
///
/// A std lock around a small value: held to read or to replace it.
type Failure = Arc<Mutex<Option<(Instant, Unavailable)>>>;

/// What a job has while it runs: the open transaction and what goes with it.
pub struct Tx<'a> {
    /// The connection, inside a transaction.
    pub connection: &'a Connection,
    /// The instant that this transaction's rows and records carry.
    pub now: Timestamp,
    /// When it began, on the monotonic clock.
    pub began: Instant,
    head: Head,
    lines: Vec<String>,
}

impl Tx<'_> {
    /// Makes the audit record of what this transaction does.
    pub fn record(&mut self, event: &Event<'_>, request_id: &str) -> rusqlite::Result<()> {
        let line = self.head.append(event.open_json(self.now), request_id);
        trail::insert(self.connection, self.head.seq, &line)?;
        self.lines.push(line);
        Ok(())
    }
}

trait Job: Send {
    /// Runs inside a transaction; may be called again after a rollback.
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    /// Gives the caller the answer of the last run, or the reason why there is none.
    fn answer(self: Box<Self>, committed: Result<(), Unavailable>);
}

struct Call<F, T> {
    run: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, Unavailable>>,
}

impl<F, T> Job for Call<F, T>
where
    F: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.run)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Unavailable>) {
        let missing = || Unavailable("a job was not run".to_owned());
        let Self { result, reply, .. } = *self;
        // Whoever asked may be gone; what was committed stays.
        let _ = reply.send(committed.and_then(|()| result.ok_or_else(missing)));
    }
}

impl Writer {
    pub fn start(connection: Connection, clock: Clock, on_commit: OnCommit, beside: Beside) -> io::Result<Self> {
        // Every job stands for a request in flight, and those are bounded by the connections.
        let (jobs, batches) = batch::queue(usize::MAX);
        let failed = Failure::default();
        let thread = Thread { connection, clock, on_commit, failed: Arc::clone(&failed), beside };
        let handle = std::thread::Builder::new().name("writer".to_owned()).spawn(move || thread.run(batches))?;
        Ok(Self { jobs, failed, _thread: Arc::new(JoinOnDrop(Some(handle))) })
    }

    /// Why a write failed a moment ago, if one did and no record was written since.
    pub fn recent_failure(&self) -> Option<Unavailable> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_COUNTS).map(|(_, why)| why.clone())
    }

    /// Runs `job` in the next transaction and answers once it is on disk.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(job, reply)?;
        answer.await.map_err(|_| stopped())?
    }

    /// The same for a caller that is a thread.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(job, reply)?;
        answer.blocking_recv().map_err(|_| stopped())?
    }

    fn send<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
        reply: oneshot::Sender<Result<T, Unavailable>>,
    ) -> Result<(), Unavailable> {
        self.jobs.send(Box::new(Call { run: job, result: None, reply })).map_err(|_| stopped())
    }
}

fn stopped() -> Unavailable {
    Unavailable("the writing thread has stopped".to_owned())
}

/// Why a transaction came to nothing.
enum Failed {
    /// One of its jobs: the others may do better without it.
    Job(rusqlite::Error),
    /// It could not begin or end: busy, full, broken. None of its jobs would fare better alone.
    Whole(rusqlite::Error),
}

fn answer_all(jobs: impl IntoIterator<Item = Box<dyn Job>>, committed: &Result<(), Failed>) {
    let answer = match committed {
        Ok(()) => Ok(()),
        Err(Failed::Job(error) | Failed::Whole(error)) => Err(unavailable(error)),
    };
    for job in jobs {
        job.answer(answer.clone());
    }
}

/// What goes on beside the writing thread, and ends after its connection is closed.
pub struct Beside {
    checkpoints: Option<Checkpoints>,
    damage: Damage,
    /// The database is in use.
    _in_use: InUse,
}

impl Beside {
    /// Checkpoints go on until the last transaction is committed.
    pub fn new(checkpoints: Checkpoints, damage: Damage, in_use: InUse) -> Self {
        Self { checkpoints: Some(checkpoints), damage, _in_use: in_use }
    }
}

struct Thread {
    connection: Connection,
    clock: Clock,
    on_commit: OnCommit,
    failed: Failure,
    beside: Beside,
}

impl Thread {
    fn run(mut self, mut batches: batch::Batches<Box<dyn Job>>) {
        let mut batch = Vec::new();
        while batches.next(&mut batch).is_some() {
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(MAX_JOBS));
                let mut jobs = std::mem::replace(&mut batch, rest);
                match self.commit(&mut jobs) {
                    Err(Failed::Job(_)) if jobs.len() > 1 => {
                        for job in jobs {
                            let mut alone = [job];
                            let committed = self.commit(&mut alone);
                            answer_all(alone, &committed);
                        }
                    }
                    committed => answer_all(jobs, &committed),
                }
            }
        }
        // Two at once would be in each other's way.
        self.beside.checkpoints = None;
        // Folds the write-ahead log back, so that a clean stop leaves one file. A failure costs nothing: the log is
        // read again at the next start.
        let _ = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }

    /// One transaction for all `jobs`: everything or nothing.
    fn commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Failed> {
        if let Some(checkpoints) = &self.beside.checkpoints {
            checkpoints.between_transactions(&self.connection);
        }
        let result = self.run_jobs(jobs).and_then(|lines| self.execute("COMMIT").map(|()| lines));
        match result {
            Ok(lines) => {
                if !lines.is_empty() {
                    *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    (self.on_commit)(&lines);
                }
                Ok(())
            }
            Err(failed) => {
                self.roll_back();
                let (Failed::Job(error) | Failed::Whole(error)) = &failed;
                self.beside.damage.look_at(error);
                let failure = Some((Instant::now(), unavailable(error)));
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failure;
                Err(failed)
            }
        }
    }

    fn run_jobs(&self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<String>, Failed> {
        // IMMEDIATE: a transaction that starts by reading and then wants to write gets BUSY whatever the timeout.
        self.execute("BEGIN IMMEDIATE")?;
        // Read anew each time: another process may write to the same file.
        let head = trail::head(&self.connection).map_err(Failed::Whole)?;
        let mut tx =
            Tx { connection: &self.connection, now: self.clock.now(), began: Instant::now(), head, lines: Vec::new() };
        for job in jobs {
            job.run(&mut tx).map_err(Failed::Job)?;
        }
        if !tx.lines.is_empty() {
            trail::set_head(&self.connection, &tx.head).map_err(Failed::Whole)?;
        }
        Ok(tx.lines)
    }

    fn execute(&self, sql: &str) -> Result<(), Failed> {
        let executed = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(()));
        executed.map(drop).map_err(Failed::Whole)
    }

    fn roll_back(&self) {
        // SQLite may have rolled back by itself, and says so with an error.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

/// Waits for the thread when the last writer goes, so that its last commit is done before the process ends.
struct JoinOnDrop(Option<std::thread::JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take()
            && handle.thread().id() != std::thread::current().id()
        {
            // A panic was printed by the thread itself.
            let _ = handle.join();
        }
    }
}
