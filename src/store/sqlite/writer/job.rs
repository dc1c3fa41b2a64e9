//! What the writing thread runs: a job, inside a transaction that it shares with others.

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::agenda::Status;
use crate::audit::chain::ChainHead;
use crate::http::request_id::RequestId;
use crate::store::StoreError;
use crate::store::decide::{Change, Decision, Write};
use crate::store::observer::Saving;
use crate::store::sqlite::apply::apply;
use crate::store::sqlite::load::{Known, Loaded};
use crate::store::sqlite::statements::Statements;
use crate::time::Timestamp;

/// What a job has while it runs: the open transaction and what goes with it.
pub struct Tx<'a> {
    /// The connection, inside a transaction.
    pub connection: &'a Connection,
    statements: Statements<'a>,
    /// The rows that the changes so far were decided by, as those changes have left them.
    loaded: Loaded,
    /// The changes of bookings that were made.
    savings: Vec<(Saving, RequestId)>,
    /// The lines of the records that were made.
    lines: Vec<String>,
    /// The largest fencing token that slots have seen.
    largest_token: Option<u64>,
}

/// A point of a transaction to which it can be rolled back.
pub struct Mark {
    head: ChainHead,
    next_booking_id: i64,
    savings: usize,
    lines: usize,
    largest_token: Option<u64>,
}

impl<'a> Tx<'a> {
    /// What goes with a transaction that has begun.
    pub(super) fn begin(connection: &'a Connection, now: Timestamp, known: Known) -> rusqlite::Result<Self> {
        let (statements, loaded) = (Statements::of(connection), Loaded::begin(connection, now, known)?);
        Ok(Self { connection, statements, loaded, savings: Vec::new(), lines: Vec::new(), largest_token: None })
    }

    /// Loads the rows that `change` touches, decides, and writes what was decided.
    pub fn carry_out<C: Change>(&mut self, change: &C) -> rusqlite::Result<C::Answer> {
        self.loaded.load(&mut self.statements, change)?;
        let Decision { answer, writes } = change.decide(&self.loaded.view);
        for mut write in writes {
            apply(&mut self.statements, &self.loaded, &write)?;
            match &mut write {
                Write::InsertBooking { request_id, .. } => self.savings.push((Saving::Booking, request_id.clone())),
                Write::UpdateBooking { booking, request_id } => {
                    let is_final = booking.status == Status::Cancelled;
                    let saving = if is_final { Saving::Cancellation } else { Saving::Alteration };
                    self.savings.push((saving, request_id.clone()));
                }
                Write::AppendRecord { line, .. } => self.lines.push(std::mem::take(line)),
                Write::ClaimSlots { token, .. } => self.largest_token = self.largest_token.max(Some(*token)),
                Write::FreeSlots { token, .. } => self.largest_token = self.largest_token.max(*token),
                Write::InsertWait { .. }
                | Write::UpdateWait { .. }
                | Write::InsertTelescope { .. }
                | Write::UpdateTelescope { .. }
                | Write::InsertProposal { .. }
                | Write::UpdateProposal { .. }
                | Write::InsertMaintenance { .. }
                | Write::RemoveMaintenance { .. }
                | Write::KeepAnswer { .. }
                | Write::InsertScientist { .. }
                | Write::UpdateScientist { .. } => {}
            }
            self.loaded.view.apply(write);
        }
        Ok(answer)
    }

    /// The chain's head after the changes so far.
    pub(super) fn head(&self) -> &ChainHead {
        &self.loaded.view.head
    }

    /// Where the transaction is now.
    pub(super) fn mark(&self) -> Mark {
        let view = &self.loaded.view;
        Mark {
            head: view.head.clone(),
            next_booking_id: view.next_booking_id,
            savings: self.savings.len(),
            lines: self.lines.len(),
            largest_token: self.largest_token,
        }
    }

    /// Forgets what was done since `mark`: the database was rolled back to it.
    pub(super) fn return_to(&mut self, mark: Mark) {
        self.loaded.restart(mark.head, mark.next_booking_id);
        self.savings.truncate(mark.savings);
        self.lines.truncate(mark.lines);
        self.largest_token = mark.largest_token;
    }

    /// The changes of bookings that were made.
    pub(super) fn savings(&self) -> &[(Saving, RequestId)] {
        &self.savings
    }

    /// The largest fencing token that slots have seen, if any was written.
    pub(super) fn largest_token(&self) -> Option<u64> {
        self.largest_token
    }

    /// Whether no record was made.
    pub(super) fn has_no_records(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines of the records that were made, and what is known of the catalogue once the transaction is committed.
    pub(super) fn into_parts(self) -> (Vec<String>, Known) {
        (self.lines, self.loaded.into_known())
    }
}

/// What the writing thread is asked to do.
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
