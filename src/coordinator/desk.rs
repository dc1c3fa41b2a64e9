//! The table with those who wait at it, behind one lock.
//!
//! # Locking
//!
//! A std mutex: held for one decision and what tells of it, never across an await. When the guard is
//! dropped, after any change, it looks whether something ends sooner than the sweeper will wake, and wakes it then: so no
//! change can forget to.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slog::Logger;
use tokio::sync::{Notify, oneshot};

use super::table::{Table, Ticket};
use super::waiting::Told;
use crate::http::presence::Presence;

/// How often expired leases are looked for when nobody asks and nobody waits.
const SWEEP: Duration = Duration::from_millis(250);
/// How soon after one sweep the next may come when somebody waits.
const SWEEP_PAUSE: Duration = Duration::from_millis(1);

/// What the lock guards.
pub struct Desk {
    pub table: Table,
    pub waiting: HashMap<Ticket, Waiting>,
    /// Whether no lock is given any more.
    pub closing: bool,
    /// Whether what is owed was written down: nothing may live longer from here on.
    pub ended: bool,
    /// When the sweeper wakes by itself.
    sweep_at: Duration,
}

/// Requests that wait for one place: one, or the same that came again.
pub struct Waiting {
    pub log: Logger,
    pub tell: Vec<Teller>,
}

/// How one of them is told, and whether it is still there to be told.
pub struct Teller {
    pub told: oneshot::Sender<Told>,
    pub client: Presence,
}

/// The desk and its lock.
pub struct Lock {
    desk: Mutex<Desk>,
    sooner: Notify,
}

/// The desk while it is locked.
pub struct Locked<'a> {
    desk: MutexGuard<'a, Desk>,
    sooner: &'a Notify,
}

impl Desk {
    /// When the sweeper has to look next. Where somebody waits it must be on time to the millisecond; else there is no hurry.
    fn next_ending(&self) -> Option<Duration> {
        if self.waiting.is_empty() { None } else { self.table.next_ending() }
    }

    /// How long the sweeper may sleep from `now` on.
    pub fn pause(&mut self, now: Duration) -> Duration {
        self.sweep_at = self.next_ending().map_or(now + SWEEP, |at| at.min(now + SWEEP));
        self.sweep_at.saturating_sub(now).max(SWEEP_PAUSE)
    }
}

impl Lock {
    pub fn new(table: Table) -> Self {
        let desk = Desk { table, waiting: HashMap::new(), closing: false, ended: false, sweep_at: Duration::ZERO };
        Self { desk: Mutex::new(desk), sooner: Notify::new() }
    }

    /// A panic elsewhere cannot leave the table half changed: its methods do not call out.
    pub fn lock(&self) -> Locked<'_> {
        let desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { desk, sooner: &self.sooner }
    }

    /// Completes when something ends sooner than the sweeper knows.
    pub async fn sooner(&self) {
        self.sooner.notified().await;
    }
}

impl Deref for Locked<'_> {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Desk {
        &mut self.desk
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.desk.next_ending().filter(|at| *at < self.desk.sweep_at) {
            self.desk.sweep_at = at;
            self.sooner.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use slog::{Discard, o};

    use super::*;
    use crate::coordinator::table::{Acquire, Acquired, LeaseId, Limits, Release};

    const MS: Duration = Duration::from_millis(1);

    fn request(owner: &str) -> Acquire {
        Acquire {
            resources: [Arc::from("X")].into(),
            owner: Some(Arc::from(owner)),
            request_id: None,
            ttl: 60_000 * MS,
            wait: 60_000 * MS,
            min_token: 0,
            despite_retention: false,
        }
    }

    #[test]
    fn the_sweeper_hears_of_every_earlier_end_and_of_no_later_one() {
        let mut table = Table::new(0, Limits::default());
        table.allow_tokens(Duration::ZERO, 100);
        table.allow_ttl(300_000 * MS);
        table.acquire(Duration::ZERO, &request("holder"), LeaseId(1)).unwrap();
        let lock = Lock::new(table);
        let heard = || lock.sooner().now_or_never().is_some();
        assert_eq!(lock.lock().pause(Duration::ZERO), SWEEP);
        {
            let mut desk = lock.lock();
            let waiting = desk.table.acquire(Duration::ZERO, &request("waiter"), LeaseId(2)).unwrap();
            let Acquired::Waiting { ticket, .. } = waiting else { panic!("{waiting:?}") };
            desk.waiting.insert(ticket, Waiting { log: Logger::root(Discard, o!()), tell: Vec::new() });
        }
        assert!(!heard(), "what ends in a minute is no reason to look sooner than in a quarter of a second");
        lock.lock().table.renew(MS, LeaseId(1), Some(100 * MS)).unwrap();
        assert!(heard());
        assert_eq!(lock.lock().pause(MS), 100 * MS);
        lock.lock().table.renew(2 * MS, LeaseId(1), Some(50_000 * MS)).unwrap();
        assert!(!heard(), "a later end");
        lock.lock().table.release(3 * MS, &Release::ById { lease: LeaseId(1), retention: 20 * MS });
        assert!(heard());
        assert!(!heard(), "once is enough");
        // What is due at once is looked at after the shortest pause, without waking itself again and again.
        let mut desk = lock.lock();
        assert_eq!(desk.pause(23 * MS), MS);
        drop(desk);
        assert!(!heard());
    }
}
