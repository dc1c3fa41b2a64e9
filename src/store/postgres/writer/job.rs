//! What the writer is asked to do: a change, inside a transaction that it shares with others.

use std::time::Instant;

use tokio::sync::oneshot;

use crate::panics;
use crate::store::StoreError;
use crate::store::decide::{Change, Decision, Need, View, Write, needs};

/// What the writer is asked to do.
pub trait Job: Send {
    /// When it was asked for.
    fn asked(&self) -> Instant;
    /// The rows that it needs to be decided, as far as the view tells. Some may be named twice.
    fn needs(&self, view: &View) -> Vec<Need>;
    /// Decides, and gives what is to be written. It may be called again after the transaction was undone.
    ///
    /// # Errors
    /// When that is a defect of this program.
    fn decide(&mut self, view: &View) -> Result<Vec<Write>, StoreError>;
    /// Whether something has to be written even if nothing changes.
    fn touches(&self) -> bool;
    /// Gives the caller the answer of the last decision, or the reason why there is none.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// A change with the caller's end of its answer.
pub struct Changing<C: Change> {
    change: C,
    asked: Instant,
    answer: Option<C::Answer>,
    reply: oneshot::Sender<Result<C::Answer, StoreError>>,
}

impl<C: Change> Changing<C> {
    /// A change that is asked for now.
    pub fn new(change: C, reply: oneshot::Sender<Result<C::Answer, StoreError>>) -> Self {
        Self { change, asked: Instant::now(), answer: None, reply }
    }
}

impl<C: Change> Job for Changing<C> {
    fn asked(&self) -> Instant {
        self.asked
    }

    fn needs(&self, view: &View) -> Vec<Need> {
        needs(&self.change, view)
    }

    fn decide(&mut self, view: &View) -> Result<Vec<Write>, StoreError> {
        // A panic in one decision must not end the writer, which all others need.
        let decided = panics::guarded_call(|| self.change.decide(view));
        let Decision { answer, writes } =
            decided.map_err(|panicked| StoreError::Refused(format!("um defeito do serviço ao gravar: {panicked}")))?;
        self.answer = Some(answer);
        Ok(writes)
    }

    fn touches(&self) -> bool {
        false
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let missing = || StoreError::Unknown("a gravação não deixou resultado".to_owned());
        let Self { answer, reply, .. } = *self;
        // The caller may have gone away; what was committed stays.
        let _ = reply.send(committed.and_then(|()| answer.ok_or_else(missing)));
    }
}

/// A write that changes nothing: whether the database takes writes.
pub struct Probing {
    asked: Instant,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Probing {
    /// One that is asked for now.
    pub fn new(reply: oneshot::Sender<Result<(), StoreError>>) -> Self {
        Self { asked: Instant::now(), reply }
    }
}

impl Job for Probing {
    fn asked(&self) -> Instant {
        self.asked
    }

    fn needs(&self, _: &View) -> Vec<Need> {
        Vec::new()
    }

    fn decide(&mut self, _: &View) -> Result<Vec<Write>, StoreError> {
        Ok(Vec::new())
    }

    fn touches(&self) -> bool {
        true
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let _ = self.reply.send(committed);
    }
}
