//! Looking at the running coordinator, for answers, health and metrics.

use std::time::Duration;

use slog::{Logger, o};

use super::Service;
use super::outcome::LockRefused;
use crate::coordinator::events::Hub;
use crate::coordinator::metrics::Now;
use crate::coordinator::table::{
    Counts, ForceTarget, Granted, LeaseId, Listed, NotGranted, NotLive, Resources, Shown, State, Table,
};
use crate::http::request_id::RequestId;
use crate::time::Timestamp;

impl Service {
    /// Looks at the table as of now; what ended by then is told.
    fn look<T>(&self, look: impl FnOnce(&mut Table, Duration) -> T) -> T {
        let mut desk = self.desk.lock();
        let now = desk.now();
        let seen = look(&mut desk.table, now);
        desk.tell();
        seen
    }

    /// A page of the resources that are locked, retained or waited for.
    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> (Vec<Listed>, bool) {
        self.look(|table, now| table.list(now, prefix, after, limit))
    }

    /// One resource closely.
    pub fn show(&self, resource: &str) -> Option<Shown> {
        self.look(|table, now| table.show(now, resource))
    }

    /// The resources of a live lease.
    pub fn resources_of(&self, lease: LeaseId) -> Option<Resources> {
        self.look(|table, now| table.resources_of(now, lease))
    }

    /// The lease or retention that [`Service::force`] would take away now.
    pub fn force_target(&self, resource: &str) -> Option<ForceTarget> {
        self.look(|table, now| table.force_target(now, resource))
    }

    /// What is left of a lease now.
    ///
    /// # Errors
    /// How it ended, where it is not live any more.
    pub fn left_of(&self, granted: &Granted) -> Result<Duration, NotLive> {
        self.look(|table, now| table.left_of(now, granted.lease))
    }

    /// A refusal whose answer leaves some time after the decision, with what is true of it now.
    pub fn as_of_now(&self, refused: LockRefused) -> LockRefused {
        let mut busy = match refused {
            LockRefused::Table(NotGranted::Busy(busy)) => busy,
            LockRefused::Grace(_) => return LockRefused::Grace(self.grace_left()),
            other => return other,
        };
        if let State::Held { token, free_in, .. } | State::Retained { token, free_in, .. } = &mut busy.state {
            *free_in = match self.show(&busy.resource).map(|shown| shown.listed.state) {
                Some(State::Held { token: now, free_in, .. } | State::Retained { token: now, free_in, .. })
                    if now == *token =>
                {
                    free_in
                }
                // The obstacle is gone.
                _ => Duration::ZERO,
            };
        }
        LockRefused::Table(NotGranted::Busy(busy))
    }

    /// The channels of events.
    pub fn hub(&self) -> &Hub {
        &self.desk.journal.hub
    }

    /// A logger for one request.
    pub fn request_log(&self, id: &RequestId) -> Logger {
        self.desk.journal.log.new(o!(id.clone()))
    }

    /// The wall-clock instant that is `span` from now, for people.
    pub fn in_the_future(&self, span: Duration) -> Timestamp {
        self.now().saturating_add(span)
    }

    /// The wall clock, for people.
    pub fn now(&self) -> Timestamp {
        self.desk.journal.clock.now()
    }

    /// Why no token could be given without making a limit durable first, if none could.
    pub fn token_fault(&self) -> Option<String> {
        self.reserve.token_fault()
    }

    /// How much is in the table.
    pub fn counts(&self) -> Counts {
        self.look(Table::counts)
    }

    /// What is measured when the metrics are read.
    pub fn measure(&self) -> Now {
        let counts = self.counts();
        let desk = self.desk.lock();
        Now {
            counts,
            limits: desk.table.limits(),
            last_token: desk.table.last_token(),
            token_limit: desk.table.token_limit(),
            in_grace: !self.grace_left().is_zero(),
        }
    }
}
