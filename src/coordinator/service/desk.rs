//! The lock table and its waiters behind one mutex, with the journal that their decisions are told in.
//!
//! # Locking
//!
//! A std mutex: held for one decision and what tells of it, never across an await. Time is read while it is held, so the table's
//! time does not go back. It goes on while the machine sleeps, as the time of a lease does for everybody else. When the guard is dropped, it compares what ends next with when the sweeper wakes, and wakes the sweeper if
//! that is later: no operation has to remember to.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slog::Logger;
use tokio::sync::{Notify, oneshot};

use super::journal::Journal;
use super::outcome::{LockOutcome, LockRefused};
use crate::coordinator::table::{Table, Ticket};
use crate::http::presence::Presence;
use crate::time::since_boot;

/// How late the end of a lease may be noticed when no request comes and none waits. While a request waits, the sweeper looks so often: its
/// sleep stands still while the machine is suspended, and what has ended meanwhile is to be noticed soon after that.
const SWEEP: Duration = Duration::from_millis(250);
/// How long the sweeper sleeps when nothing ends and no request waits.
const REST: Duration = Duration::from_secs(30);
/// How soon after one sweep the next may come when a request waits.
const SWEEP_PAUSE: Duration = Duration::from_millis(1);

/// The desk: what the mutex guards, and what may be used without it.
pub struct Desk {
    contents: Mutex<Contents>,
    sooner: Notify,
    /// On the clock of [`since_boot`]. `Instant` stands still while the machine sleeps: after that, leases that have ended for their holders
    /// would be live here, and a term that is over would not be.
    started: Duration,
    pub journal: Journal,
}

/// What the mutex guards.
pub struct Contents {
    pub table: Table,
    pub pending: HashMap<Ticket, Pending>,
    /// Why no lock is given any more.
    pub closing: Option<Closing>,
    /// Whether the longest life of a live lease was written down: none may live longer from here on.
    pub ended: bool,
    /// When the sweeper wakes by itself.
    sweep_at: Duration,
    /// Whether the sweeper knows that a request waits, or is told.
    waits_known: bool,
}

/// Why no lock is given any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The service stops.
    Stopping,
    /// Another coordinator is elected, or may be.
    Deposed,
}

impl Closing {
    /// What is said to those who asked for a lock.
    pub fn refusal(self) -> LockRefused {
        match self {
            Self::Stopping => LockRefused::Stopping,
            Self::Deposed => LockRefused::NotElected,
        }
    }
}

/// The requests at one place in the queue: one, or the same that came again.
pub struct Pending {
    pub log: Logger,
    pub callers: Vec<Caller>,
}

/// The handler of one of them, and whether its client is still there.
pub struct Caller {
    pub tell: oneshot::Sender<LockOutcome>,
    pub client: Presence,
}

/// The desk while it is locked.
pub struct Locked<'a> {
    contents: MutexGuard<'a, Contents>,
    desk: &'a Desk,
}

impl Desk {
    pub fn new(table: Table, journal: Journal) -> Self {
        let contents = Contents {
            table,
            pending: HashMap::new(),
            closing: None,
            ended: false,
            sweep_at: Duration::ZERO,
            waits_known: false,
        };
        Self { contents: Mutex::new(contents), sooner: Notify::new(), started: since_boot(), journal }
    }

    /// A poisoned mutex is still usable: no method of the table panics half way through a change.
    pub fn lock(&self) -> Locked<'_> {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { contents, desk: self }
    }

    /// How long the service has run, the time that the machine slept included.
    pub fn uptime(&self) -> Duration {
        since_boot().saturating_sub(self.started)
    }

    /// Lets the sweeper look now.
    pub fn look_sooner(&self) {
        self.sooner.notify_one();
    }

    /// Completes when something ends sooner than the sweeper knows.
    pub async fn sooner(&self) {
        self.sooner.notified().await;
    }
}

impl<'a> Locked<'a> {
    /// The table's time.
    pub fn now(&self) -> Duration {
        self.desk.uptime()
    }

    pub fn journal(&self) -> &'a Journal {
        &self.desk.journal
    }
}

impl Contents {
    /// When the sweeper has to look next, if something ends. Where a request waits it must be on time to the millisecond; else there is
    /// no hurry, and what ends soon after is looked for together.
    fn next_ending(&self) -> Option<Duration> {
        let hurry = if self.pending.is_empty() { SWEEP } else { Duration::ZERO };
        Some(self.table.next_ending()? + hurry)
    }

    /// How long the sweeper may sleep from `now` on.
    pub fn pause(&mut self, now: Duration) -> Duration {
        self.waits_known = !self.pending.is_empty();
        let latest = now + if self.waits_known { SWEEP } else { REST };
        self.sweep_at = self.next_ending().map_or(latest, |at| at.min(latest));
        self.sweep_at.saturating_sub(now).max(SWEEP_PAUSE)
    }
}

impl Deref for Locked<'_> {
    type Target = Contents;

    fn deref(&self) -> &Contents {
        &self.contents
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Contents {
        &mut self.contents
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let sooner = self.contents.next_ending().filter(|at| *at < self.contents.sweep_at);
        if let Some(at) = sooner {
            self.contents.sweep_at = at;
        }
        let first_waits = !self.contents.waits_known && !self.contents.pending.is_empty();
        self.contents.waits_known |= first_waits;
        if sooner.is_some() || first_waits {
            self.desk.sooner.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use slog::{Discard, o};

    use super::*;
    use crate::coordinator::events::Hub;
    use crate::coordinator::metrics::Metrics;
    use crate::coordinator::table::{Acquire, Acquired, LeaseId, Limits, Release};
    use crate::time::Clock;

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
            contest: None,
        }
    }

    #[test]
    fn what_nobody_waits_for_is_noticed_a_moment_later_and_not_before_its_end() {
        let mut table = Table::new(0, Limits::default());
        table.allow_tokens(Duration::ZERO, 100);
        table.allow_ttl(300_000 * MS);
        let log = Logger::root(Discard, o!());
        let journal = Journal { clock: Clock::system(), log, hub: Hub::new(1), metrics: Metrics::new() };
        let desk = Desk::new(table, journal);
        assert_eq!(desk.lock().pause(Duration::ZERO), REST, "nothing ends");
        desk.lock().table.acquire(Duration::ZERO, &Acquire { ttl: 5000 * MS, ..request("a") }, LeaseId(1)).unwrap();
        assert!(desk.sooner().now_or_never().is_some());
        assert_eq!(desk.lock().pause(Duration::ZERO), 5000 * MS + SWEEP);
        desk.lock()
            .table
            .acquire(
                Duration::ZERO,
                &Acquire { ttl: 5100 * MS, resources: [Arc::from("Y")].into(), ..request("b") },
                LeaseId(2),
            )
            .unwrap();
        assert!(desk.sooner().now_or_never().is_none(), "both ends are looked for together");
    }

    #[test]
    fn the_sweeper_hears_of_every_earlier_end_and_of_no_later_one() {
        let mut table = Table::new(0, Limits::default());
        table.allow_tokens(Duration::ZERO, 100);
        table.allow_ttl(300_000 * MS);
        table.acquire(Duration::ZERO, &request("holder"), LeaseId(1)).unwrap();
        let log = Logger::root(Discard, o!());
        let journal = Journal { clock: Clock::system(), log, hub: Hub::new(1), metrics: Metrics::new() };
        let desk = Desk::new(table, journal);
        let heard = || desk.sooner().now_or_never().is_some();
        assert_eq!(desk.lock().pause(Duration::ZERO), REST);
        {
            let mut locked = desk.lock();
            let waiting = locked.table.acquire(Duration::ZERO, &request("waiter"), LeaseId(2)).unwrap();
            let Acquired::Queued { ticket, .. } = waiting else { panic!("{waiting:?}") };
            locked.pending.insert(ticket, Pending { log: Logger::root(Discard, o!()), callers: Vec::new() });
        }
        assert!(heard(), "a request waits, which the sweeper did not know");
        assert_eq!(desk.lock().pause(Duration::ZERO), SWEEP, "the machine may be suspended before the lease ends");
        assert!(!heard(), "what ends in a minute is no reason to look sooner than that");
        desk.lock().table.renew(MS, LeaseId(1), Some(100 * MS)).unwrap();
        assert!(heard());
        assert_eq!(desk.lock().pause(MS), 100 * MS);
        desk.lock().table.renew(2 * MS, LeaseId(1), Some(50_000 * MS)).unwrap();
        assert!(!heard(), "a later end");
        desk.lock().table.release(3 * MS, &Release::ById { lease: LeaseId(1), retention: 20 * MS });
        assert!(heard());
        assert!(!heard(), "once is enough");
        // What is due at once is looked at after the shortest pause, without waking itself again and again.
        let mut locked = desk.lock();
        assert_eq!(locked.pause(23 * MS), MS);
        locked.pending.clear();
        drop(locked);
        assert!(!heard());
        let mut locked = desk.lock();
        locked.table.expire(200_000 * MS);
        assert_eq!(locked.pause(200_000 * MS), REST, "nobody waits any more");
    }
}
