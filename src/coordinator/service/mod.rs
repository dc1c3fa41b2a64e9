//! The running coordinator: decides each operation under the desk's mutex, and gives the pure table what it lacks: the time,
//! random identities ([`ids`]), durable limits ([`reserve`]), waiters ([`waiting`]) and a log ([`journal`]).

mod desk;
mod ids;
mod journal;
pub mod outcome;
mod reserve;
mod view;
pub mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::Logger;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub use self::desk::Closing;
use self::desk::Desk;
use self::ids::LeaseIds;
use self::journal::Journal;
use self::outcome::{LockOutcome, LockRefused, RenewRefused};
pub use self::reserve::Looked;
use self::reserve::{Beginning, Reserve};
use self::waiting::{QueuedRequest, REPEATS_MAX};
use super::events::Hub;
use super::metrics::Metrics;
use super::quotas::Quotas;
use super::state::{DurableState, StateError};
use super::table::{
    Acquire, Acquired, Bound, Busy, Client, ForceTarget, Granted, LeaseId, Limits, Measure, NotGranted, NotRenewed,
    Release, Released, State, Table,
};
use crate::access::Caller;
use crate::http::presence::Presence;
use crate::time::Clock;

/// How often it is seen whether the durable TTL is longer than it needs to be.
const SETTLE_TTL_EVERY: Duration = Duration::from_secs(300);
/// How often one request may meet a limit that has to be made durable first: its token, its TTL, and each once more
/// because other requests were faster.
const RESERVATIONS: u32 = 4;

/// The most operations of batches with an operation that waits, of all batches together. An answer waits for those before it, and
/// meanwhile it is in memory.
pub const ANSWERS_MAX: usize = 16_384;

/// The running coordinator.
pub struct Service {
    desk: Arc<Desk>,
    reserve: Arc<Reserve>,
    quotas: Quotas,
    ids: LeaseIds,
    answers: Arc<Semaphore>,
    /// Held while a list of resources is made.
    lists: Mutex<()>,
    /// Cancelled when no lock is given any more.
    over: CancellationToken,
}

/// The client of a lock request.
pub struct Requester<'a> {
    /// Whether it is still connected.
    pub presence: &'a mut Presence,
    /// In whose quota the request counts, if it counts in one.
    pub client: Option<&'a Client>,
    /// When the request found the durable limits to be this coordinator's.
    pub looked: &'a mut Looked,
}

/// What became of a lock request at once.
pub enum Begun {
    /// It is decided.
    Decided(LockOutcome),
    /// It waits in the queue.
    Queued(QueuedRequest),
}

impl Service {
    /// A service whose first tokens are durable, and larger than `tokens_above`. With `observe_grace` it gives no lock while a lease
    /// from before the start may be live; without, the next start still does not.
    ///
    /// # Errors
    /// When the first tokens cannot be made durable.
    pub fn start(
        mut state: Box<dyn DurableState>,
        (limits, quotas): (Limits, Quotas),
        observe_grace: bool,
        tokens_above: u64,
        (clock, log, metrics): (Clock, Logger, Metrics),
    ) -> Result<Self, StateError> {
        let Beginning { last_token, token_limit, owed } = Beginning::reserve(&mut *state, tokens_above, &log)?;
        let mut table = Table::new(last_token, limits);
        table.allow_tokens(Duration::ZERO, token_limit);
        table.allow_ttl(owed);
        // It only tells this start's events from another's: no randomness is worth failing for.
        let epoch = getrandom::u32().unwrap_or_else(|_| u32::try_from(last_token & 0xffff_ffff).unwrap_or(0));
        let journal = Journal { clock, log, hub: Hub::new(epoch), metrics };
        let desk = Arc::new(Desk::new(table, journal));
        let reserve = Arc::new(Reserve::new(Arc::clone(&desk), state, owed, observe_grace));
        let over = CancellationToken::new();
        let answers = Arc::new(Semaphore::new(ANSWERS_MAX));
        Ok(Self { desk, reserve, quotas, ids: LeaseIds::default(), answers, lists: Mutex::new(()), over })
    }

    /// The client in whose quota a caller's requests count, if they count in one.
    pub fn client(&self, caller: &Caller) -> Option<Client> {
        self.quotas.client(caller)
    }

    /// Room for so many answers of a batch that wait for an earlier one, if there is any.
    pub fn room_for_answers(&self, log: &Logger, answers: usize) -> Option<OwnedSemaphorePermit> {
        let answers = u32::try_from(answers).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.answers).try_acquire_many_owned(answers).ok();
        if room.is_none() {
            self.desk.journal.no_room_for_answers(log, ANSWERS_MAX);
        }
        room
    }

    /// Waits for the turn to make a list of resources. It ends with what is returned.
    pub async fn turn_of_lists(&self) -> MutexGuard<'_, ()> {
        self.lists.lock().await
    }

    /// Begins a lock request: it is decided at once, or it waits in the queue.
    pub async fn begin(&self, log: &Logger, request: &Acquire, requester: Requester<'_>) -> Begun {
        Journal::requested(log, request);
        let begun = self.try_to_lock(log, request, requester).await;
        begun.unwrap_or_else(|refused| {
            self.desk.journal.refused(log, &refused);
            Begun::Decided(Err(refused))
        })
    }

    async fn try_to_lock(
        &self,
        log: &Logger,
        request: &Acquire,
        requester: Requester<'_>,
    ) -> Result<Begun, LockRefused> {
        self.reserve.check_hold(requester.looked).await.map_err(LockRefused::NotDurable)?;
        let id = self.ids.next().map_err(|error| LockRefused::NotDurable(error.to_string()))?;
        for _ in 0..RESERVATIONS {
            // A process that was paused finds requests of clients that went long ago, and the disk may take its time too.
            if requester.presence.is_gone() {
                return Err(LockRefused::Gone);
            }
            let reserved = match self.decide_lock(log, request, id, &requester) {
                Err(LockRefused::Table(NotGranted::TokenLimit(needed))) => self.reserve.tokens(needed).await,
                Err(LockRefused::Table(NotGranted::TtlLimit)) => self.reserve.ttl(request.ttl).await,
                begun => {
                    if begun.is_ok() {
                        self.reserve.ahead();
                    }
                    return begun;
                }
            };
            reserved.map_err(LockRefused::NotDurable)?;
        }
        Err(LockRefused::NotDurable("outros pedidos tomam todos os tokens".to_owned()))
    }

    fn decide_lock(
        &self,
        log: &Logger,
        request: &Acquire,
        id: LeaseId,
        requester: &Requester<'_>,
    ) -> Result<Begun, LockRefused> {
        let mut desk = self.desk.lock();
        if let Some(closing) = desk.closing {
            return Err(closing.refusal());
        }
        let (now, grace) = (desk.now(), self.grace_left());
        if !grace.is_zero() {
            return Err(LockRefused::Grace(grace));
        }
        let decided = desk.table.acquire_for(now, request, requester.client, id);
        desk.tell();
        match decided.map_err(LockRefused::Table)? {
            Acquired::Granted(granted) => {
                desk.journal().granted(log, &granted);
                Ok(Begun::Decided(Ok(granted)))
            }
            Acquired::Queued { .. } if request.wait.is_zero() => {
                // The same request waits in the queue, and this one may not: the place stays, and the answer is the obstacle.
                let first = &request.resources[0];
                let listed = desk.table.show(now, first).map(|shown| shown.listed);
                let (state, queue) = listed.map_or((State::Promised, 0), |listed| (listed.state, listed.queue));
                let busy = Busy { resource: Arc::clone(first), state, queue, waited: Duration::ZERO };
                Err(LockRefused::Table(NotGranted::Busy(busy)))
            }
            Acquired::Queued { ticket, again } => {
                let told = desk.wait_at(ticket, log, requester.presence).ok_or_else(|| {
                    let bound = Bound { measure: Measure::Count, most: REPEATS_MAX };
                    LockRefused::Table(NotGranted::QueueFull(bound))
                })?;
                Journal::queued(log, request, again);
                Ok(Begun::Queued(QueuedRequest::new(Arc::clone(&self.desk), ticket, told)))
            }
        }
    }

    /// Prolongs a lease.
    ///
    /// # Errors
    /// [`RenewRefused`]; nothing was changed.
    pub async fn renew(&self, log: &Logger, id: LeaseId, ttl: Option<Duration>) -> Result<Granted, RenewRefused> {
        let not_durable = |reason: String| {
            Journal::not_durable(log, &reason);
            RenewRefused::NotDurable
        };
        self.reserve.check_hold(&mut Looked::default()).await.map_err(not_durable)?;
        for _ in 0..RESERVATIONS {
            let renewed = {
                let mut desk = self.desk.lock();
                if desk.ended {
                    return Err(RenewRefused::Stopping);
                }
                let now = desk.now();
                let renewed = desk.table.renew(now, id, ttl);
                desk.tell();
                if let Ok(granted) = &renewed {
                    desk.journal().renewed(log, granted);
                }
                renewed
            };
            match renewed {
                Ok(granted) => return Ok(granted),
                Err(NotRenewed::NotLive(why)) => {
                    Journal::not_renewed(log, why);
                    return Err(RenewRefused::NotLive(why));
                }
                Err(NotRenewed::Lapsed) => {
                    return Err(not_durable("a eleição não foi confirmada a tempo".to_owned()));
                }
                // Without a TTL of its own the renewal keeps one that is durable.
                Err(NotRenewed::TtlLimit) => {
                    self.reserve.ttl(ttl.unwrap_or_default()).await.map_err(not_durable)?;
                }
            }
        }
        Err(RenewRefused::NotDurable)
    }

    /// Decides an unlock request.
    pub fn unlock(&self, log: &Logger, request: &Release) -> Released {
        let mut desk = self.desk.lock();
        let now = desk.now();
        // What ended before is told before.
        desk.table.expire(now);
        desk.tell();
        let released = desk.table.release(now, request);
        desk.journal().released(log, request, &released);
        desk.tell();
        released
    }

    /// Takes a lease or a retention away, for the operator, if it still is the one that was recorded. Whether it was.
    pub fn force(&self, log: &Logger, resource: &str, recorded: &ForceTarget) -> bool {
        let mut desk = self.desk.lock();
        let now = desk.now();
        // What ended before is told before.
        desk.table.expire(now);
        desk.tell();
        if desk.table.force_target(now, resource).as_ref() != Some(recorded) {
            return false;
        }
        desk.table.force(now, resource);
        desk.journal().forced(log, recorded);
        desk.tell();
        true
    }

    /// Undoes a grant whose answer did not leave.
    pub fn undo(&self, outcome: &LockOutcome) {
        self.desk.undo(outcome);
    }

    /// How long no lock will be given yet, because a lease from before the start may be live.
    pub fn grace_left(&self) -> Duration {
        self.reserve.grace_left()
    }

    /// Gives locks for as long as `left` says, and no longer before this is called again.
    pub fn give_for(&self, left: impl FnOnce() -> Duration) {
        // Read before: a pause in between makes the time shorter, and not longer.
        let now = self.desk.uptime();
        let until = now + left();
        let mut desk = self.desk.lock();
        let now = desk.now();
        desk.table.give_until(now, until);
        desk.tell();
    }

    /// Cancelled when no lock is given any more.
    pub fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Ends leases and waits when their time comes, though no request comes. Runs until dropped.
    pub async fn sweep(self: Arc<Self>) {
        let mut settled = Instant::now();
        let _watched = self.reserve.watch();
        loop {
            let pause = {
                let mut desk = self.desk.lock();
                let now = desk.now();
                desk.table.expire(now);
                desk.tell();
                desk.pause(now)
            };
            if settled.elapsed() >= SETTLE_TTL_EVERY {
                settled = Instant::now();
                // A disk that stalls must not keep leases from ending.
                let reserve = Arc::clone(&self.reserve);
                tokio::spawn(async move { reserve.settle_ttl().await });
            }
            // For the waiters: they come only once.
            self.reserve.look_after();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.desk.sooner() => {}
            }
        }
    }

    /// Stops giving locks, and sends all waiters away.
    pub fn close(&self, why: Closing) {
        self.over.cancel();
        let mut desk = self.desk.lock();
        desk.closing = Some(why);
        let now = desk.now();
        desk.table.dismiss(now);
        desk.tell();
    }

    /// A clean stop: writes down how long a lease may still live. From here on no lease is prolonged.
    pub fn end(&self) {
        self.reserve.end();
    }
}
