//! One transaction for many jobs, and what each job's caller is told when something fails.
//!
//! # Why READ COMMITTED is enough
//!
//! Every transaction that changes the agenda begins with the lock on the one row of the trail's head, and keeps it to its end. So these
//! transactions run one after the other, in the order of the trail, on any number of schedulers; and every statement after the lock sees all
//! that was committed before. SERIALIZABLE would add checks, and failures to repeat, for an order that the lock gives already.
//!
//! # A job that fails
//!
//! A job that is not allowed is refused by its own decision, and writes nothing. If the database refuses a write all the same (a trigger
//! that somebody added, a value that cannot be read), the transaction is undone, and each half of its jobs gets a transaction of its
//! own; in a few steps the job is found, and the others are written.
//!
//! # A connection that fails
//!
//! Before COMMIT was sent nothing can have been written, and the jobs are tried up to twice more on a new connection, which may lead to another
//! server. After that [`settle`] finds out what has become of it.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::apply::apply;
use super::super::connect::Connector;
use super::super::errors::Error;
use super::super::load::{Loaded, Remembered};
use super::super::pending::Pending;
use super::super::schema::{self, Server};
use super::job::Job;
use super::session::Session;
use super::settle::{TOUCH, settle};
use crate::agenda::Status;
use crate::http::request_id::RequestId;
use crate::store::StoreError;
use crate::store::decide::{View, Write};
use crate::store::observer::{Observer, Saving};
use crate::time::Clock;

/// How long the statements of a transaction may take, with the wait for the lock on the trail's head.
const RUN_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a COMMIT may take: it may wait for a standby.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(6);
/// The tries of a transaction that did not come to its COMMIT.
const TRIES: u32 = 3;

/// The connection that writes, and what goes with it.
pub struct Committer {
    pub connector: Connector,
    /// Where it leads, for people.
    pub at: String,
    /// `None` after it was lost.
    pub session: Option<Session>,
    /// The host that was tried first when the connection was opened.
    pub seen: usize,
    pub server: Arc<Mutex<Server>>,
    /// What the last transaction has loaded of the catalogue, if it was committed.
    pub remembered: Remembered,
    pub clock: Clock,
    pub observer: Box<dyn Observer>,
}

/// The outcome of a batch.
pub struct Committed {
    /// Of each job, in order.
    pub outcomes: Vec<Result<(), StoreError>>,
    /// The audit lines that were committed.
    pub lines: Vec<String>,
    /// Whether anything was written.
    pub has_written: bool,
    /// The failure, if it is the database's and not one job's.
    pub failure: Option<StoreError>,
}

/// What a transaction has done before its COMMIT.
#[derive(Default)]
struct Ran {
    savings: Vec<(Saving, RequestId)>,
    first_seq: u64,
    lines: Vec<String>,
    has_written: bool,
    remembered: Remembered,
}

/// Why a transaction was not committed.
enum Failed {
    /// One of its jobs cannot be written.
    Job(StoreError),
    /// It would not do better with fewer jobs.
    Whole(StoreError),
    /// It was undone before its COMMIT, for a reason that may have passed.
    Passing(StoreError),
}

impl Committer {
    /// One transaction for all `jobs`, as far as the database takes them.
    pub async fn commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Committed {
        let not_run = StoreError::Unavailable("a gravação não foi tentada".to_owned());
        let outcomes = vec![Err(not_run); jobs.len()];
        let mut committed = Committed { outcomes, lines: Vec::new(), has_written: false, failure: None };
        // The last one is the next.
        let mut parts = Vec::from_iter([Range { start: 0, end: jobs.len() }]);
        while let Some(part) = parts.pop() {
            match self.patiently(&mut jobs[part.clone()]).await {
                Ok(ran) => {
                    committed.outcomes[part].fill(Ok(()));
                    committed.lines.extend(ran.lines);
                    committed.has_written |= ran.has_written;
                }
                Err(Failed::Job(error)) if part.len() == 1 => committed.outcomes[part.start] = Err(error),
                Err(Failed::Job(_)) => {
                    let middle = part.start + part.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(Failed::Whole(error) | Failed::Passing(error)) => {
                    for rest in parts.drain(..) {
                        committed.outcomes[rest].fill(Err(StoreError::Unavailable(error.to_string())));
                    }
                    committed.outcomes[part].fill(Err(error.clone()));
                    committed.failure = Some(error);
                }
            }
        }
        committed
    }

    /// The same jobs again, as long as what keeps them from being written may pass.
    async fn patiently(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Ran, Failed> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.attempt(jobs).await {
                Err(Failed::Passing(_)) if tries < TRIES => {}
                other => return other,
            }
        }
    }

    async fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Ran, Failed> {
        let mut session = self.session().await?;
        let running = run(&mut session, &self.clock, std::mem::take(&mut self.remembered), jobs);
        let ran = tokio::time::timeout(RUN_TIMEOUT, running).await;
        let mut ran = match ran.unwrap_or_else(|_| Err(Stopped::By(Error::Silent(RUN_TIMEOUT)))) {
            Ok(ran) => ran,
            Err(Stopped::Defect(error)) => {
                self.roll_back(session).await;
                return Err(Failed::Job(error));
            }
            Err(Stopped::By(error)) => return Err(self.undo(session, error).await),
        };
        if !ran.has_written {
            self.remembered = std::mem::take(&mut ran.remembered);
            self.roll_back(session).await;
            return Ok(ran);
        }
        for (saving, request_id) in &ran.savings {
            self.observer.saving(*saving, request_id);
        }
        self.end(session, ran).await
    }

    /// The COMMIT, and what is to be said of it.
    async fn end(&mut self, session: Session, mut ran: Ran) -> Result<Ran, Failed> {
        drop(session.warnings.take());
        let committed = tokio::time::timeout(COMMIT_TIMEOUT, session.client.batch_execute("COMMIT")).await;
        let error = match committed {
            Ok(Ok(())) => {
                let Some(warning) = session.warnings.take() else {
                    self.session = Some(session);
                    self.remembered = std::mem::take(&mut ran.remembered);
                    return Ok(ran);
                };
                // It is on the primary, and nobody knows whether on the standby.
                return Err(Failed::Whole(StoreError::Unknown(warning)));
            }
            Ok(Err(error)) => Error::from(error),
            Err(_) => Error::Silent(COMMIT_TIMEOUT),
        };
        if !error.is_lost() {
            return Err(self.undo(session, error).await);
        }
        if matches!(error, Error::Silent(_)) {
            self.connector.turn_from(self.seen);
        }
        drop(session);
        let Some(line) = ran.lines.first() else {
            return Err(Failed::Whole(StoreError::Unavailable(error.to_string())));
        };
        match settle(&self.connector, (ran.first_seq, line)).await {
            Ok(true) => Ok(ran),
            Ok(false) => Err(Failed::Whole(StoreError::Unavailable(error.to_string()))),
            Err(settling) => Err(Failed::Whole(StoreError::Unknown(format!("{error}; ao verificar: {settling}")))),
        }
    }

    /// The connection, or a new one.
    async fn session(&mut self) -> Result<Session, Failed> {
        if let Some(session) = self.session.take().filter(|session| !session.client.is_closed()) {
            return Ok(session);
        }
        self.seen = self.connector.turned();
        let session = Session::open(&self.connector).await.map_err(|error| {
            if matches!(error, Error::Silent(_)) {
                self.connector.turn_from(self.seen);
            }
            Failed::Whole(StoreError::Unavailable(error.to_string()))
        })?;
        // It may be another server than before.
        let server = schema::check(&session.client, &self.at).await;
        let server = server.map_err(|error| Failed::Whole(StoreError::Unavailable(error.to_string())))?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
        Ok(session)
    }

    /// Undoes a transaction that has failed, and says what that means for its jobs.
    async fn undo(&mut self, session: Session, error: Error) -> Failed {
        if matches!(error, Error::Silent(_)) {
            self.connector.turn_from(self.seen);
            return Failed::Whole(error.into());
        }
        if error.is_lost() {
            // The next try has a new connection.
            return Failed::Passing(error.into());
        }
        self.roll_back(session).await;
        if error.is_the_changes() {
            return Failed::Job(StoreError::Refused(error.to_string()));
        }
        if error.is_passing() { Failed::Passing(error.into()) } else { Failed::Whole(error.into()) }
    }

    /// Ends a transaction that has written nothing, and keeps its connection if that can still be used.
    async fn roll_back(&mut self, session: Session) {
        let ended = tokio::time::timeout(COMMIT_TIMEOUT, session.client.batch_execute("ROLLBACK")).await;
        if matches!(ended, Ok(Ok(()))) {
            self.session = Some(session);
        }
    }
}

/// Why a transaction did not come to its end.
enum Stopped {
    /// By the database.
    By(Error),
    /// By a defect of this program.
    Defect(StoreError),
}

impl<E: Into<Error>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::By(error.into())
    }
}

/// All of a transaction but its end.
async fn run(
    session: &mut Session,
    clock: &Clock,
    remembered: Remembered,
    jobs: &mut [Box<dyn Job>],
) -> Result<Ran, Stopped> {
    let client = &session.client;
    let all = |jobs: &[Box<dyn Job>], view: &View| jobs.iter().flat_map(|job| job.needs(view)).collect();
    let mut loaded = Loaded::begin(client, &session.head, clock, remembered, |view| all(jobs, view)).await?;
    loop {
        let missing = loaded.missing(all(jobs, &loaded.view));
        if missing.is_empty() {
            break;
        }
        loaded.load(client, &missing).await?;
    }
    let mut raised = 0;
    let (mut ran, mut pending) = (Ran { first_seq: loaded.view.head.seq + 1, ..Ran::default() }, Pending::default());
    for job in &mut *jobs {
        // What an earlier change has done may have this one need other rows.
        loop {
            let missing = loaded.missing(job.needs(&loaded.view));
            if missing.is_empty() {
                break;
            }
            raised += i64::from(pending.catalogue);
            Box::pin(apply(client, &std::mem::take(&mut pending), &loaded.view)).await?;
            loaded.load(client, &missing).await?;
        }
        for write in job.decide(&loaded.view).map_err(Stopped::Defect)? {
            pending.note(&write, &loaded.view);
            ran.note(&write);
            loaded.apply(write);
        }
    }
    raised += i64::from(pending.catalogue);
    Box::pin(apply(client, &pending, &loaded.view)).await?;
    ran.remembered = loaded.remember(raised);
    ran.has_written = !ran.lines.is_empty();
    if !ran.has_written && jobs.iter().any(|job| job.touches()) {
        client.batch_execute(TOUCH).await?;
        ran.has_written = true;
    }
    Ok(ran)
}

impl Ran {
    /// Notes what the observer is told of a write.
    fn note(&mut self, write: &Write) {
        match write {
            Write::InsertBooking { request_id, .. } => self.savings.push((Saving::Booking, request_id.clone())),
            Write::UpdateBooking { booking, request_id } => {
                let is_final = booking.status == Status::Cancelled;
                let saving = if is_final { Saving::Cancellation } else { Saving::Alteration };
                self.savings.push((saving, request_id.clone()));
            }
            Write::AppendRecord { line, .. } => self.lines.push(line.clone()),
            _ => {}
        }
    }
}
