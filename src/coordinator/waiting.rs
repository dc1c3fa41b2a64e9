//! A request that waits, from its handler's side: if the handler goes, its place goes, and a grant that came too late is
//! undone.

use std::sync::Arc;

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::service::{LockRefused, Service};
use super::table::{Granted, Ticket};

/// What a waiter is told in the end.
pub type Told = Result<Granted, LockRefused>;

/// A place in the queue. Dropped before [`Wait::delivered`], it is given up, and with it the lease if it came already.
pub struct Wait {
    service: Arc<Service>,
    ticket: Ticket,
    told: oneshot::Receiver<Told>,
    outcome: Option<Told>,
    delivered: bool,
}

impl Wait {
    /// The place `ticket`, whose holder is told through `told`.
    pub fn new(service: Arc<Service>, ticket: Ticket, told: oneshot::Receiver<Told>) -> Self {
        Self { service, ticket, told, outcome: None, delivered: false }
    }

    /// Waits until it is decided.
    pub async fn decided(&mut self) -> Told {
        if let Some(outcome) = &self.outcome {
            return outcome.clone();
        }
        // A place is told before it is forgotten; a service that ends tells all of them that it does.
        let outcome = (&mut self.told).await.unwrap_or(Err(LockRefused::Stopping));
        self.outcome = Some(outcome.clone());
        outcome
    }

    /// What it was told, if it was told by now.
    pub fn told(&mut self) -> Option<Told> {
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

impl Drop for Wait {
    fn drop(&mut self) {
        match &self.outcome {
            _ if self.delivered => {}
            Some(outcome) => self.service.undo(outcome),
            None => self.service.left(self.ticket, &mut self.told),
        }
    }
}
