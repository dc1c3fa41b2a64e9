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
//! server. After that [`settle`] finds out what has become of it; if the transaction was not committed, and can no longer be, the jobs are tried
//! again too.
//!
//! # A bound
//!
//! All of that ends in time ([`Due`]), counted from when the oldest of the jobs was asked for: each wait is cut by it, and so are the tries.
//!
//! # Round trips
//!
//! As long as this transaction has the lock on the trail's head, every other scheduler waits. So COMMIT is sent with the statements that write,
//! without waiting for their answers. The server makes a ROLLBACK of it if one of them has failed.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::apply::apply;
use super::super::connect::Connector;
use super::super::errors::Error;
use super::super::load::{Loaded, Remembered};
use super::super::pending::Pending;
use super::super::schema::{self, Server};
use super::due::Due;
use super::job::Job;
use super::part::{Part, Waiting};
use super::session::Session;
use super::settle::{TOUCH, settle};
use crate::agenda::Status;
use crate::http::request_id::RequestId;
use crate::store::StoreError;
use crate::store::decide::{View, Write};
use crate::store::observer::{Observer, Saving};
use crate::time::Clock;

/// How long it may take until a new connection can be used.
const SESSION_TIMEOUT: Duration = Duration::from_secs(7);
/// How long the statements of a transaction may take, with the wait for the lock on the trail's head.
const RUN_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a COMMIT may take: it may wait for a standby.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(6);
/// The tries of a transaction that did not come to its COMMIT.
const TRIES: u32 = 3;
/// The steps of a try, the last one that of an uncertain outcome.
#[cfg(test)]
pub const STEPS: [Duration; 4] = [SESSION_TIMEOUT, RUN_TIMEOUT, COMMIT_TIMEOUT, super::settle::TRY_TIMEOUT];

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
    /// What the observer was told of transactions of the same batch that were not committed: it is told of each change once.
    pub told: Vec<(Saving, RequestId)>,
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

/// A transaction that is ready for its last statements and its COMMIT.
struct Ready {
    loaded: Loaded,
    pending: Pending,
    /// How many times the catalogue's edition was raised before what is pending.
    raised: i64,
    savings: Vec<(Saving, RequestId)>,
    first_seq: u64,
    lines: Vec<String>,
    /// Whether something has to be written even if nothing changes.
    touches: bool,
}

/// What a transaction has done.
struct Ran {
    /// The audit lines, if it has written any.
    lines: Vec<String>,
    has_written: bool,
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
    /// One transaction for all `jobs`, as far as the database takes them. Those that are `late` join it, at the end of `jobs`.
    pub async fn commit(&mut self, jobs: &mut Vec<Box<dyn Job>>, mut late: Option<&mut Waiting>) -> Committed {
        let due = Due::of(jobs.first().map_or_else(Instant::now, |oldest| oldest.asked()));
        let mut committed = Committed { outcomes: Vec::new(), lines: Vec::new(), has_written: false, failure: None };
        self.told.clear();
        // The last one is the next.
        let mut parts = Vec::from_iter([Range { start: 0, end: jobs.len() }]);
        while let Some(range) = parts.pop() {
            let mut part = Part { all: jobs, range, late: late.take() };
            let ran = self.patiently(&mut part, due).await;
            let part = part.range;
            let not_run = || Err(StoreError::Unavailable("a gravação não foi tentada".to_owned()));
            committed.outcomes.resize_with(jobs.len(), not_run);
            match ran {
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
    async fn patiently(&mut self, part: &mut Part<'_>, due: Due) -> Result<Ran, Failed> {
        let mut last = Failed::Whole(StoreError::Unavailable(Due::reason()));
        for _ in 0..TRIES {
            if due.is_past_trying(Instant::now()) {
                break;
            }
            match self.attempt(part, due).await {
                Err(failed @ Failed::Passing(_)) => last = failed,
                other => return other,
            }
        }
        Err(last)
    }

    async fn attempt(&mut self, part: &mut Part<'_>, due: Due) -> Result<Ran, Failed> {
        let mut session = self.session(due).await?;
        let running = run(&mut session, &self.clock, std::mem::take(&mut self.remembered), part);
        let within = due.within(RUN_TIMEOUT, Instant::now());
        let ready = tokio::time::timeout(within, running).await;
        let ready = match ready.unwrap_or_else(|_| Err(Stopped::By(Error::Silent(within)))) {
            Ok(ready) => ready,
            Err(Stopped::Defect(error)) => {
                self.roll_back(session, due).await;
                return Err(Failed::Job(error));
            }
            Err(Stopped::By(error)) => return Err(self.undo(session, error, due).await),
        };
        if ready.lines.is_empty() && !ready.touches {
            self.remembered = ready.loaded.remember(ready.raised);
            self.roll_back(session, due).await;
            return Ok(Ran { lines: Vec::new(), has_written: false });
        }
        let ended = self.end(session, &ready, due).await;
        match ended {
            Ok(session) => {
                let raised = ready.raised + i64::from(ready.pending.catalogue);
                (self.session, self.remembered) = (session, ready.loaded.remember(raised));
                Ok(Ran { lines: ready.lines, has_written: true })
            }
            Err(failed) => {
                self.told.extend(ready.savings);
                Err(failed)
            }
        }
    }

    /// Tells the observer what is about to be committed, or is on its way to be, as far as it was not told before.
    fn tell(&mut self, savings: &[(Saving, RequestId)]) {
        for saving in savings {
            match self.told.iter().position(|told| told == saving) {
                Some(told) => drop(self.told.swap_remove(told)),
                None => self.observer.saving(saving.0, &saving.1),
            }
        }
    }

    /// The last statements and the COMMIT, in one round trip, and what is to be said of it. Gives the connection, if it can still be used.
    async fn end(&mut self, session: Session, ready: &Ready, due: Due) -> Result<Option<Session>, Failed> {
        drop(session.warnings.take());
        let within = due.within(COMMIT_TIMEOUT, Instant::now());
        let writing = tokio::time::timeout(within, Box::pin(write_and_commit(&session, ready)));
        let telling = async {
            // The connection's task sends first, so that the server works while the lines are written.
            tokio::task::yield_now().await;
            self.tell(&ready.savings);
        };
        let (committed, ()) = tokio::join!(biased; writing, telling);
        let error = match committed {
            Ok(Ok(())) => match session.warnings.take() {
                None => return Ok(Some(session)),
                // It is on the primary, and nobody knows whether on the standby.
                Some(warning) => Error::NoConnection(warning),
            },
            Ok(Err(error)) => error,
            Err(_) => Error::Silent(within),
        };
        if !error.is_lost() {
            return Err(self.undo(session, error, due).await);
        }
        if matches!(error, Error::Silent(_)) {
            self.connector.turn_from(self.seen);
        }
        drop(session);
        let Some(line) = ready.lines.first() else {
            return Err(Failed::Whole(StoreError::Unavailable(error.to_string())));
        };
        match settle(&self.connector, due, (ready.first_seq, line)).await {
            Ok(true) => Ok(None),
            // It has been undone, and the next try may lead to another server.
            Ok(false) => Err(Failed::Passing(StoreError::Unavailable(error.to_string()))),
            Err(settling) => Err(Failed::Whole(StoreError::Unknown(format!("{error}; ao verificar: {settling}")))),
        }
    }

    /// The connection, or a new one.
    async fn session(&mut self, due: Due) -> Result<Session, Failed> {
        if let Some(session) = self.session.take().filter(|session| !session.client.is_closed()) {
            return Ok(session);
        }
        self.seen = self.connector.turned();
        // A server may greet, and say no more.
        let begun = Instant::now();
        let within = due.within(SESSION_TIMEOUT, begun);
        let opened = tokio::time::timeout(within, Session::open(&self.connector)).await;
        let session = opened.unwrap_or(Err(Error::Silent(within))).map_err(|error| {
            if matches!(error, Error::Silent(_)) {
                self.connector.turn_from(self.seen);
            }
            Failed::Whole(StoreError::Unavailable(error.to_string()))
        })?;
        // It may be another server than before.
        let left = within.saturating_sub(begun.elapsed());
        let server = match tokio::time::timeout(left, schema::check(&session.client, &self.at)).await {
            Ok(Ok(server)) => server,
            Ok(Err(error)) => return Err(Failed::Whole(StoreError::Unavailable(error.to_string()))),
            Err(_) => return Err(Failed::Whole(Error::Silent(within).into())),
        };
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
        Ok(session)
    }

    /// Undoes a transaction that has failed, and says what that means for its jobs.
    async fn undo(&mut self, session: Session, error: Error, due: Due) -> Failed {
        if matches!(error, Error::Silent(_)) {
            self.connector.turn_from(self.seen);
            return Failed::Whole(error.into());
        }
        if error.is_lost() {
            // The next try has a new connection.
            return Failed::Passing(error.into());
        }
        self.roll_back(session, due).await;
        if error.is_the_changes() {
            return Failed::Job(StoreError::Refused(error.to_string()));
        }
        if error.is_passing() { Failed::Passing(error.into()) } else { Failed::Whole(error.into()) }
    }

    /// Ends a transaction that has written nothing, and keeps its connection if that can still be used.
    async fn roll_back(&mut self, session: Session, due: Due) {
        let within = due.within(COMMIT_TIMEOUT, Instant::now());
        let ended = tokio::time::timeout(within, session.client.batch_execute("ROLLBACK")).await;
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

/// All of a transaction but its last statements.
async fn run(
    session: &mut Session,
    clock: &Clock,
    remembered: Remembered,
    part: &mut Part<'_>,
) -> Result<Ready, Stopped> {
    let all = |jobs: &[Box<dyn Job>], view: &View| jobs.iter().flat_map(|job| job.needs(view)).collect();
    let needs = |view: &View, is_locked: bool| all(if is_locked { part.join() } else { part.jobs() }, view);
    let mut loaded = session.begin(clock, remembered, needs).await?;
    let client = &session.client;
    let jobs = part.jobs();
    loop {
        let missing = loaded.missing(all(jobs, &loaded.view));
        if missing.is_empty() {
            break;
        }
        loaded.load(client, &missing).await?;
    }
    let mut ready = Ready {
        first_seq: loaded.view.head.seq + 1,
        loaded,
        pending: Pending::default(),
        raised: 0,
        savings: Vec::new(),
        lines: Vec::new(),
        touches: jobs.iter().any(|job| job.touches()),
    };
    for job in jobs {
        // What an earlier change has done may have this one need other rows.
        loop {
            let missing = ready.loaded.missing(job.needs(&ready.loaded.view));
            if missing.is_empty() {
                break;
            }
            ready.raised += i64::from(ready.pending.catalogue);
            Box::pin(apply(client, &std::mem::take(&mut ready.pending), &ready.loaded.view)).await?;
            ready.loaded.load(client, &missing).await?;
        }
        for write in job.decide(&ready.loaded.view).map_err(Stopped::Defect)? {
            ready.note(write);
        }
    }
    Ok(ready)
}

/// All that is left of a transaction, sent at once: what is polled first is sent first.
async fn write_and_commit(session: &Session, ready: &Ready) -> Result<(), Error> {
    let client = &session.client;
    let written = async {
        if ready.lines.is_empty() {
            return Ok(client.batch_execute(TOUCH).await?);
        }
        Box::pin(apply(client, &ready.pending, &ready.loaded.view)).await
    };
    let committed = async { Ok(client.batch_execute("COMMIT").await?) };
    tokio::try_join!(biased; written, committed)?;
    Ok(())
}

impl Ready {
    /// Notes a write that was decided.
    fn note(&mut self, write: Write) {
        self.pending.note(&write, &self.loaded.view);
        match &write {
            Write::InsertBooking { request_id, .. } => self.savings.push((Saving::Booking, request_id.clone())),
            Write::UpdateBooking { booking, request_id } => {
                let is_final = booking.status == Status::Cancelled;
                let saving = if is_final { Saving::Cancellation } else { Saving::Alteration };
                self.savings.push((saving, request_id.clone()));
            }
            Write::AppendRecord { line, .. } => self.lines.push(line.clone()),
            _ => {}
        }
        self.loaded.apply(write);
    }
}
