//! The one connection that writes, of each scheduler: group commit.
//!
//! All jobs that wait while one transaction is being made durable become the next transaction, with those that come until it has the lock on
//! the trail's head. Their callers are answered after its commit and never before. Each job is decided before anything is written, so a refusal
//! leaves nothing behind. [`commit`] says what a failure means for each job, [`settle`] how an outcome is found out that a broken connection
//! has hidden, and [`due`] how long all of that may take.
//!
//! The writer is a thread with a runtime of its own: what it tells its observer may wait for a file, and its connection must not wait for
//! other tasks.

mod commit;
mod due;
mod job;
mod part;
mod session;
mod settle;

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::commit::{Committed, Committer};
use self::due::Due;
use self::job::{Changing, Job, Probing};
use self::part::MAX_JOBS;
use self::session::Session;
use super::connect::Connector;
use super::load::Remembered;
use super::open_error::OpenError;
use super::schema::{self, Server};
use crate::batch;
use crate::store::StoreError;
use crate::store::decide::Change;
use crate::store::joined::JoinOnDrop;
use crate::store::observer::Observer;
use crate::time::Clock;

/// How long a failed write counts against the database, unless one has succeeded since.
const FAILURE_COUNTS: Duration = Duration::from_secs(10);

/// Sends jobs to the writer, which ends when the last of these is dropped.
pub struct Writer {
    jobs: batch::Sender<Box<dyn Job>>,
    failed: Failure,
    server: Arc<Mutex<Server>>,
    /// Joined when the writer is dropped.
    _thread: JoinOnDrop,
}

/// When a write failed, and why; `None` once one has succeeded.
///
/// A std lock around a small value: held to read or to replace it.
type Failure = Arc<Mutex<Option<(Instant, StoreError)>>>;

impl Writer {
    /// Connects, makes the database ready, and begins to take jobs. Blocks its thread until the database is ready.
    pub fn start(connector: Connector, at: &str, clock: Clock, observer: Box<dyn Observer>) -> Result<Self, OpenError> {
        let process = |reason: &dyn std::fmt::Display| OpenError::Process(reason.to_string());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| process(&error))?;
        // Every job stands for a request in flight, and those are bounded by the connections.
        let (jobs, batches) = batch::queue(usize::MAX);
        let (failed, at) = (Failure::default(), at.to_owned());
        let failed_of_thread = Arc::clone(&failed);
        let (opened, outcome) = mpsc::channel();
        let run = move || {
            runtime.block_on(async {
                let seen = connector.turned();
                let begun = open(&connector, &at).await;
                let (session, server) = match begun {
                    Ok(begun) => begun,
                    Err(error) => return drop(opened.send(Err(error))),
                };
                let server = Arc::new(Mutex::new(server));
                // The caller of `start` may have gone away: then the jobs end at once.
                let _ = opened.send(Ok(Arc::clone(&server)));
                let committer = Committer {
                    connector,
                    at,
                    session: Some(session),
                    seen,
                    server,
                    remembered: Remembered::default(),
                    clock,
                    observer,
                    told: Vec::new(),
                };
                Thread { committer, failed: failed_of_thread }.run(batches).await;
            });
        };
        let thread =
            std::thread::Builder::new().name("writer".to_owned()).spawn(run).map_err(|error| process(&error))?;
        let thread = JoinOnDrop::of(thread);
        let server = outcome.recv().map_err(|error| process(&error))??;
        Ok(Self { jobs, failed, server, _thread: thread })
    }

    /// Why a write failed a moment ago, if one did and none has succeeded since.
    pub fn recent_failure(&self) -> Option<StoreError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_COUNTS).map(|(_, why)| why.clone())
    }

    /// What is known of the server.
    pub fn server(&self) -> Server {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what is known of the server now.
    pub fn note_server(&self, server: Server) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// Carries out a change in the next transaction, and answers once it is durable.
    pub async fn change<C: Change>(&self, change: C) -> Result<C::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Box::new(Changing::new(change, reply))).map_err(|_| stopped())?;
        answer.await.map_err(|_| unanswered())?
    }

    /// Writes something that changes nothing.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Box::new(Probing::new(reply))).map_err(|_| stopped())?;
        answer.await.map_err(|_| unanswered())?
    }
}

/// The first connection, with the database ready.
async fn open(connector: &Connector, at: &str) -> Result<(Session, Server), OpenError> {
    let unreachable = |reason: String| OpenError::Unreachable { at: at.to_owned(), reason };
    let mut opened =
        connector.open(super::connect::Use::Writing).await.map_err(|error| unreachable(error.to_string()))?;
    let server = schema::check(&opened.client, at).await?;
    schema::prepare(&mut opened.client, connector.kind(), at).await?;
    let session = Session::of(opened).await.map_err(|error| unreachable(error.to_string()))?;
    Ok((session, server))
}

/// The error of a job that was not taken.
fn stopped() -> StoreError {
    StoreError::Unavailable("a parte do serviço que grava no banco parou por um defeito; reinicie o serviço".to_owned())
}

/// The error of a job that was taken and never answered: it may have been committed.
fn unanswered() -> StoreError {
    StoreError::Unknown("quem grava no banco terminou sem dizer o que foi gravado; reinicie o serviço".to_owned())
}

struct Thread {
    committer: Committer,
    failed: Failure,
}

impl Thread {
    async fn run(mut self, mut batches: batch::Batches<Box<dyn Job>>) {
        let mut batch = Vec::new();
        while batches.next_async(&mut batch).await.is_some() {
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(MAX_JOBS));
                let mut jobs = std::mem::replace(&mut batch, rest);
                let begun = Instant::now();
                // Those that have waited too long behind others; they stand in the order in which they were asked for.
                let late = jobs.iter().take_while(|job| Due::of(job.asked()).is_past_trying(begun)).count();
                for job in jobs.drain(..late) {
                    job.answer(Err(StoreError::Unavailable(Due::reason())));
                }
                if jobs.is_empty() {
                    continue;
                }
                // Those that were taken and did not fit come before those that wait.
                let late = batch.is_empty().then_some(&mut batches);
                let committed = self.committer.commit(&mut jobs, late).await;
                self.committer.observer.ended(jobs.len(), begun.elapsed());
                self.tell(&committed);
                for (job, outcome) in jobs.into_iter().zip(committed.outcomes) {
                    job.answer(outcome);
                }
            }
        }
    }

    /// Passes on the lines that were committed, or notes the failure.
    fn tell(&mut self, committed: &Committed) {
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &committed.failure {
            *failed() = Some((Instant::now(), error.clone()));
        } else if committed.has_written {
            *failed() = None;
        }
        if !committed.lines.is_empty() {
            self.committer.observer.committed(&committed.lines);
        }
    }
}
