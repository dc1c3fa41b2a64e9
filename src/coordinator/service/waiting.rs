//! Waiters: answering their requests, and cleaning up after a client that has gone.
//!
//! When the handler of a waiting request is dropped, its place in the queue is removed, and a lease that was granted too late
//! is taken back.

use std::sync::Arc;

use slog::Logger;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::desk::{Caller, Closing, Desk, Locked, Pending};
use super::outcome::{LockOutcome, LockRefused};
use crate::coordinator::table::{Granted, Happened, NotGranted, Ticket};
use crate::http::presence::Presence;

/// How many times the same request may wait at its one place.
pub const REPEATS_MAX: usize = 16;

/// A request in the queue, from its handler's side. Dropped before [`QueuedRequest::delivered`], it gives up its place, and its
/// lease if that was granted already.
pub struct QueuedRequest {
    desk: Arc<Desk>,
    ticket: Ticket,
    told: oneshot::Receiver<LockOutcome>,
    outcome: Option<LockOutcome>,
    delivered: bool,
}

impl QueuedRequest {
    /// The request at the place `ticket`, whose outcome comes through `told`.
    pub fn new(desk: Arc<Desk>, ticket: Ticket, told: oneshot::Receiver<LockOutcome>) -> Self {
        Self { desk, ticket, told, outcome: None, delivered: false }
    }

    /// Waits until it is decided.
    pub async fn decided(&mut self) -> LockOutcome {
        if let Some(outcome) = &self.outcome {
            return outcome.clone();
        }
        // A place is told before it is removed; a service that ends tells all of them that it does.
        let outcome = (&mut self.told).await.unwrap_or(Err(LockRefused::Stopping));
        self.outcome = Some(outcome.clone());
        outcome
    }

    /// The outcome, if it is decided by now.
    pub fn outcome(&mut self) -> Option<LockOutcome> {
        if self.outcome.is_none() {
            self.outcome = match self.told.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(TryRecvError::Closed) => Some(Err(LockRefused::Stopping)),
                Err(TryRecvError::Empty) => None,
            };
        }
        self.outcome.clone()
    }

    /// The answer is about to leave, to a client that is there.
    pub fn delivered(mut self) {
        self.delivered = true;
    }
}

impl Drop for QueuedRequest {
    fn drop(&mut self) {
        match &self.outcome {
            _ if self.delivered => {}
            Some(outcome) => self.desk.undo(outcome),
            None => self.desk.leave(self.ticket, &mut self.told),
        }
    }
}

impl Desk {
    /// Undoes a grant whose answer did not leave.
    pub fn undo(&self, outcome: &LockOutcome) {
        let Ok(granted) = outcome else { return };
        let mut desk = self.lock();
        desk.take_back(granted);
        desk.tell();
    }

    /// A waiter's client has gone, perhaps after its outcome was sent.
    fn leave(&self, ticket: Ticket, told: &mut oneshot::Receiver<LockOutcome>) {
        let mut desk = self.lock();
        // Closed under the lock: either the outcome was sent by now, or it never will be.
        told.close();
        if let Ok(outcome) = told.try_recv() {
            drop(desk);
            return self.undo(&outcome);
        }
        let Some(pending) = desk.pending.get_mut(&ticket) else { return };
        pending.callers.retain(|caller| !caller.tell.is_closed());
        if pending.callers.is_empty()
            && let Some(pending) = desk.pending.remove(&ticket)
        {
            let now = desk.now();
            desk.table.leave(now, ticket);
            desk.journal().left(&pending.log);
            desk.tell();
        }
    }
}

impl Locked<'_> {
    /// Lets a request wait at the place `ticket`: its outcome comes through the receiver. `None` where the same request waits there too
    /// often already.
    pub fn wait_at(
        &mut self,
        ticket: Ticket,
        log: &Logger,
        client: &Presence,
    ) -> Option<oneshot::Receiver<LockOutcome>> {
        let (tell, told) = oneshot::channel();
        let pending = self.pending.entry(ticket).or_insert_with(|| Pending { log: log.clone(), callers: Vec::new() });
        pending.callers.retain(|caller| !caller.tell.is_closed());
        if pending.callers.len() >= REPEATS_MAX {
            return None;
        }
        pending.callers.push(Caller { tell, client: client.clone() });
        Some(told)
    }

    /// Tells what the last change brought about for others, until nothing more happens.
    pub fn tell(&mut self) {
        loop {
            let happened = self.table.take_happened();
            if happened.is_empty() {
                return;
            }
            for happened in happened {
                match happened {
                    Happened::Expired(ended) => self.journal().expired(ended),
                    Happened::Granted { ticket, granted } => self.tell_granted(ticket, &granted),
                    Happened::Refused { ticket, refused } => self.tell_refused(ticket, refused),
                }
            }
        }
    }

    fn tell_refused(&mut self, ticket: Ticket, refused: NotGranted) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        let refused = match refused {
            NotGranted::Dismissed => self.closing.map_or(LockRefused::Stopping, Closing::refusal),
            refused => LockRefused::Table(refused),
        };
        self.journal().refused(&pending.log, &refused);
        for caller in pending.callers {
            // A handler that has gone needs no answer.
            let _ = caller.tell.send(Err(refused.clone()));
        }
    }

    /// Tells a waiter of its lease, if its client is still there: it may have gone while the process was paused.
    fn tell_granted(&mut self, ticket: Ticket, granted: &Granted) {
        let Some(pending) = self.pending.remove(&ticket) else {
            return self.take_back(granted);
        };
        let (there, gone): (Vec<_>, Vec<_>) = pending
            .callers
            .into_iter()
            .map(|mut caller| (!caller.tell.is_closed() && !caller.client.is_gone(), caller))
            .partition(|(is_there, _)| *is_there);
        for (_, caller) in gone {
            // Its client may only have closed its sending side, and read on.
            let _ = caller.tell.send(Err(LockRefused::Gone));
        }
        if there.is_empty() {
            // As if it had left its place before: no event tells of a lease that has no holder.
            let now = self.now();
            self.table.take_back(now, granted.lease);
            self.journal().left(&pending.log);
            return;
        }
        self.journal().granted(&pending.log, granted);
        let several = there.len() > 1;
        let mut told = false;
        for (_, caller) in there {
            // If one of several goes now, another still has it.
            let granted = Granted { again: several, ..granted.clone() };
            told |= caller.tell.send(Ok(granted)).is_ok();
        }
        if !told {
            self.take_back(granted);
        }
    }

    fn take_back(&mut self, granted: &Granted) {
        if granted.again {
            return;
        }
        let now = self.now();
        if let Some(ended) = self.table.take_back(now, granted.lease) {
            self.journal().undone(ended);
        }
    }
}
