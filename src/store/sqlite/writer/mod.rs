//! The one thread that writes: group commit.
//!
//! All jobs that wait while one transaction is being made durable become the next transaction. Their callers are answered
//! after its commit is on disk and never before. Each job decides before it writes, so a refusal leaves nothing behind.
//! [`commit`] says what a failure means for each job.

mod commit;
mod job;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use self::commit::{Committed, Committer};
pub use self::job::Tx;
use self::job::{Call, Job};
use super::checkpoints::Checkpoints;
use super::damage::Damage;
use super::load::Known;
use super::place::Place;
use super::stopped::InUse;
use crate::batch;
use crate::store::StoreError;
use crate::store::joined::JoinOnDrop;
use crate::store::observer::Observer;
use crate::time::Clock;

/// The most jobs in one transaction: bounds how long the first of them waits.
const MAX_JOBS: usize = 1024;

/// How long a failed write counts against the database, unless a record was written since. A small write alone does not show
/// that it has recovered: it may succeed on a disk without room for a larger one.
const FAILURE_COUNTS: Duration = Duration::from_secs(10);

/// Sends jobs to the writing thread, which ends when the last of these is dropped.
#[derive(Clone)]
pub struct Writer {
    jobs: batch::Sender<Box<dyn Job>>,
    /// The last failed write.
    failed: Failure,
    /// Joined when the last writer is dropped.
    _thread: Arc<JoinOnDrop>,
}

/// When a write failed, and why; `None` once a record was written.
///
/// A std lock around a small value: held to read or to replace it.
type Failure = Arc<Mutex<Option<(Instant, StoreError)>>>;

impl Writer {
    pub fn start(
        connection: Connection,
        (place, damage): (Arc<Place>, Damage),
        clock: Clock,
        observer: Box<dyn Observer>,
        beside: Beside,
    ) -> io::Result<Self> {
        // Every job stands for a request in flight, and those are bounded by the connections.
        let (jobs, batches) = batch::queue(usize::MAX);
        let failed = Failure::default();
        let committer = Committer {
            connection,
            clock,
            observer,
            place,
            damage,
            saved: false,
            known: Known::default(),
            unsettled: false,
        };
        let thread = Thread { committer, failed: Arc::clone(&failed), beside };
        let handle = std::thread::Builder::new().name("writer".to_owned()).spawn(move || thread.run(batches))?;
        Ok(Self { jobs, failed, _thread: Arc::new(JoinOnDrop::of(handle)) })
    }

    /// Why a write failed a moment ago, if one did and no record was written since.
    pub fn recent_failure(&self) -> Option<StoreError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_COUNTS).map(|(_, why)| why.clone())
    }

    /// Runs `job` in the next transaction and answers once it is on disk.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(job, reply)?;
        answer.await.map_err(|_| unanswered())?
    }

    /// The same for a caller that is a thread.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(job, reply)?;
        answer.blocking_recv().map_err(|_| unanswered())?
    }

    /// Has the writer check where its files are, and save the log's content if the log has lost its name. Does not wait.
    pub fn look(&self) {
        let (reply, _) = oneshot::channel();
        // A writer that has stopped can do nothing.
        let _ = self.send(|_| Ok(()), reply);
    }

    fn send<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Result<(), StoreError> {
        self.jobs.send(Box::new(Call::new(job, reply))).map_err(|_| stopped())
    }
}

/// The error of a job that was not taken.
fn stopped() -> StoreError {
    StoreError::Unavailable("a parte do serviço que grava no banco parou por um defeito; reinicie o serviço".to_owned())
}

/// The error of a job that was taken and never answered: it may have been committed.
fn unanswered() -> StoreError {
    StoreError::Unknown("quem grava no banco terminou sem dizer o que foi gravado; reinicie o serviço".to_owned())
}

/// Parts that run beside the writing thread, and end after its connection is closed.
pub struct Beside {
    checkpoints: Option<Checkpoints>,
    /// The database is in use.
    in_use: InUse,
}

impl Beside {
    /// Checkpoints go on until the last transaction is committed.
    pub fn new(checkpoints: Checkpoints, in_use: InUse) -> Self {
        Self { checkpoints: Some(checkpoints), in_use }
    }
}

struct Thread {
    committer: Committer,
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
                if let Some(checkpoints) = &self.beside.checkpoints {
                    checkpoints.between_transactions(&self.committer.connection);
                }
                let begun = Instant::now();
                let committed = self.committer.commit(&mut jobs);
                if let Some(checkpoints) = &self.beside.checkpoints {
                    checkpoints.committed();
                }
                self.committer.observer.ended(jobs.len(), begun.elapsed());
                self.tell(&committed);
                for (job, outcome) in jobs.into_iter().zip(committed.outcomes) {
                    job.answer(outcome);
                }
            }
        }
        // The last checkpoint is the writer's: two at once would disturb each other.
        self.beside.checkpoints = None;
        if !self.committer.close() {
            self.beside.in_use.is_elsewhere();
        }
    }

    /// Passes on the lines that were committed, or notes the failure.
    fn tell(&mut self, committed: &Committed) {
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &committed.failure {
            *failed() = Some((Instant::now(), error.clone()));
        } else if !committed.lines.is_empty() {
            *failed() = None;
            self.committer.observer.committed(&committed.lines);
        }
    }
}
