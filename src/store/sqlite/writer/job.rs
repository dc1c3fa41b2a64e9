//! What the writing thread runs: a job, inside a transaction that it shares with others.

use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::audit::chain::ChainHead;
use crate::audit::record::Event;
use crate::store::StoreError;
use crate::store::sqlite::trail;
use crate::time::Timestamp;

/// What a job has while it runs: the open transaction and what goes with it.
pub struct Tx<'a> {
    /// The connection, inside a transaction.
    pub connection: &'a Connection,
    /// The instant that this transaction's rows and records carry.
    pub now: Timestamp,
    /// When it began, on the monotonic clock.
    pub began: Instant,
    /// The chain's head as of the job that runs.
    pub(super) head: ChainHead,
    /// The lines of the records that were made.
    pub(super) lines: Vec<String>,
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

pub trait Job: Send {
    /// Runs inside a transaction; may be called again after a rollback.
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    /// Gives the caller the answer of the last run, or the reason why there is none.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// A closure as a job, with the caller's end of the answer.
pub struct Call<F, T> {
    run: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Call<F, T> {
    pub fn new(run: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { run, result: None, reply }
    }
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

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let missing = || StoreError::Unknown("a gravação não deixou resultado".to_owned());
        let Self { result, reply, .. } = *self;
        // The caller may have gone away; what was committed stays.
        let _ = reply.send(committed.and_then(|()| result.ok_or_else(missing)));
    }
}
