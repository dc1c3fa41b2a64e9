//! The durable limits: tokens and TTL are made durable before they are given, ahead of need where that is possible.
//!
//! # Locking
//!
//! The durable state has a mutex of its own, since writing it takes its time. It is taken before the desk's, never after, and only
//! off the async threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use slog::{Logger, info, warn};

use super::desk::Desk;
use super::journal::Journal;
use crate::coordinator::state::{BLOCK, DurableState, Hold, StateError, ttl_step};
use crate::panics;
use crate::stirring::Stirring;
use crate::time::millis;

/// How long after a failure the next block of tokens is asked for again. The sweeper does that, if no request does it before.
const RESERVE_RETRY: Duration = Duration::from_secs(1);
/// How long a look at the hold counts for the next operations of the same batch. Each request looks for itself.
const LOOK_LASTS: Duration = Duration::from_millis(1);

/// When a request found the hold and its record in their place.
#[derive(Default)]
pub struct Looked(Option<Instant>);

/// The limits at a start.
pub struct Beginning {
    /// The last token that may have been given before.
    pub last_token: u64,
    /// The limit that is durable now.
    pub token_limit: u64,
    /// For how long a lease from before may be live.
    pub owed: Duration,
}

impl Beginning {
    /// Makes the first tokens durable, larger than `tokens_above`.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn reserve(state: &mut dyn DurableState, tokens_above: u64, log: &Logger) -> Result<Self, StateError> {
        let known = state.limits().token_limit;
        let last_token = known.max(tokens_above);
        if last_token > known {
            warn!(
                log,
                "Tokens a partir de {}, por ordem do operador; o estado gravado ia até {}",
                last_token + 1,
                known
            );
        }
        let owed = state.limits().longest_ttl;
        let token_limit = state.reserve_tokens(last_token + 1)?;
        Ok(Self { last_token, token_limit, owed })
    }
}

/// Keeps what the table may give within what is durable.
pub struct Reserve {
    desk: Arc<Desk>,
    state: Mutex<Box<dyn DurableState>>,
    hold: Arc<dyn Hold>,
    reserving: AtomicBool,
    owed: Duration,
    observe_grace: bool,
}

impl Reserve {
    /// With `observe_grace` no lock is given while a lease from before the start may be live, for `owed`.
    pub fn new(desk: Arc<Desk>, state: Box<dyn DurableState>, owed: Duration, observe_grace: bool) -> Self {
        let log = &desk.journal.log;
        match (millis(owed), observe_grace) {
            (0, _) => {}
            (owed_ms, true) => warn!(log, "Nenhuma trava nova por {} ms, até que vençam as de antes", owed_ms),
            (owed_ms, false) => {
                warn!(log, "Sem carência, embora travas de antes possam valer por mais {} ms", owed_ms);
            }
        }
        let hold = state.hold();
        Self { desk, state: Mutex::new(state), hold, reserving: AtomicBool::new(false), owed, observe_grace }
    }

    /// For how long no lock is given yet.
    pub fn grace_left(&self) -> Duration {
        if self.observe_grace { self.owed_left() } else { Duration::ZERO }
    }

    /// For how long a lease from before this start may be live.
    fn owed_left(&self) -> Duration {
        self.owed.saturating_sub(self.desk.uptime())
    }

    /// Why no token can be given without making a limit durable first, if none can.
    pub fn token_fault(&self) -> Option<String> {
        let used_up = || self.desk.lock().table.tokens_left() == 0;
        self.hold.lost().or_else(|| used_up().then(|| "o limite de tokens não pôde ser gravado".to_owned()))
    }

    /// Why nothing may be given now, if nothing may: another process may have the durable limits. Where only their record was taken
    /// away, it is put back first, since a start without it would give the same tokens again.
    pub async fn check_hold(self: &Arc<Self>, looked: &mut Looked) -> Result<(), String> {
        if looked.0.is_some_and(|at| at.elapsed() < LOOK_LASTS) {
            return Ok(());
        }
        let now = Instant::now();
        if let Some(reason) = self.hold.lost() {
            return Err(reason);
        }
        if !self.hold.has_state() {
            self.write(|_, state| state.put_back()).await?;
        }
        looked.0 = Some(now);
        Ok(())
    }

    /// Wakes the sweeper each time that the record of the limits may have been taken away. This ends when the returned value is dropped.
    pub fn watch(&self) -> Option<Stirring> {
        let desk = Arc::clone(&self.desk);
        self.hold.watch(Box::new(move || desk.look_sooner()))
    }

    /// Makes the token `needed` available.
    pub async fn tokens(self: &Arc<Self>, needed: u64) -> Result<(), String> {
        self.write(move |reserve, state| {
            let limit = state.reserve_tokens(needed)?;
            let mut desk = reserve.desk.lock();
            let now = desk.now();
            desk.table.allow_tokens(now, limit);
            desk.tell();
            Ok(())
        })
        .await
    }

    /// Makes `ttl` available.
    pub async fn ttl(self: &Arc<Self>, ttl: Duration) -> Result<(), String> {
        self.write(move |reserve, state| {
            let longest = state.reserve_ttl(ttl)?;
            reserve.desk.lock().table.allow_ttl(longest);
            Ok(())
        })
        .await
    }

    /// Starts making the next block durable once half of this one is used, so that no request has to wait for it.
    pub fn ahead(self: &Arc<Self>) {
        self.ahead_or_anew(true);
    }

    /// The same, and also when the record was taken away: it is written anew by that. For the sweeper; a request has looked for the record
    /// before ([`Self::check_hold`]).
    pub fn look_after(self: &Arc<Self>) {
        self.ahead_or_anew(self.hold.has_state());
    }

    fn ahead_or_anew(self: &Arc<Self>, has_state: bool) {
        let desk = self.desk.lock();
        if (desk.table.tokens_left() >= BLOCK / 2 && has_state) || self.reserving.swap(true, Ordering::Relaxed) {
            return;
        }
        let needed = desk.table.token_limit() + 1;
        drop(desk);
        let reserve = Arc::clone(self);
        tokio::spawn(async move {
            let written = reserve.tokens(needed).await;
            if let Err(reason) = &written {
                Journal::not_durable(&reserve.desk.journal.log, reason);
                // Half a block is left: no need to try again at every request.
                tokio::time::sleep(RESERVE_RETRY).await;
            }
            reserve.reserving.store(false, Ordering::Relaxed);
            if written.is_err() {
                reserve.desk.look_sooner();
            }
        });
    }

    /// Lets the durable TTL shrink to what is needed, so that a crash costs no longer grace than it has to.
    pub async fn settle_ttl(self: &Arc<Self>) {
        let lowered = self.write(|reserve, state| {
            let needed = reserve.desk.lock().table.settle_ttl(ttl_step);
            state.lower_ttl(needed.max(reserve.owed_left()))
        });
        if let Err(reason) = lowered.await {
            // The longer one stays, which is safe.
            warn!(self.desk.journal.log, "Estado sem confirmação de gravação: {}", reason);
        }
    }

    /// Writes down how long a lease may live past a clean stop. From here on no lease is prolonged.
    pub fn end(&self) {
        let log = &self.desk.journal.log;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = {
            let mut desk = self.desk.lock();
            desk.ended = true;
            let now = desk.now();
            desk.table.longest_left(now).max(self.owed_left())
        };
        if let Err(error) = state.lower_ttl(owed) {
            warn!(log, "Parada limpa sem confirmação de gravação do estado: {}", error);
        } else if !owed.is_zero() {
            info!(log, "Travas ainda podem valer por {} ms: a próxima partida as espera", millis(owed));
        }
    }

    /// Changes the durable state, and by it what the table may give, under the state's mutex: so the table is never allowed what
    /// a write that comes in between takes away. Off the async threads. After [`Self::end`] nothing is written: the data folder may be
    /// another process's then, or be removed.
    async fn write(
        self: &Arc<Self>,
        write: impl FnOnce(&Self, &mut dyn DurableState) -> Result<(), StateError> + Send + 'static,
    ) -> Result<(), String> {
        let reserve = Arc::clone(self);
        let written = panics::blocking(move || {
            let mut state = reserve.state.lock().unwrap_or_else(PoisonError::into_inner);
            if reserve.desk.lock().ended {
                return Err("o serviço parou".to_owned());
            }
            write(&reserve, &mut **state).map_err(|error| error.to_string())
        });
        written.await.map_err(|error| error.to_string())?
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;
    use crate::coordinator::events::Hub;
    use crate::coordinator::metrics::Metrics;
    use crate::coordinator::state::memory::MemoryState;
    use crate::coordinator::table::{Acquire, Acquired, LeaseId, Limits, NotGranted, Table};
    use crate::time::Clock;

    const S: Duration = Duration::from_secs(1);

    fn start(state: &MemoryState, observe_grace: bool) -> Arc<Reserve> {
        let log = Logger::root(Discard, o!());
        let beginning = Beginning::reserve(&mut state.clone(), 0, &log).unwrap();
        let mut table = Table::new(beginning.last_token, Limits::default());
        table.allow_tokens(Duration::ZERO, beginning.token_limit);
        let journal = Journal { clock: Clock::system(), log, hub: Hub::new(1), metrics: Metrics::new() };
        let desk = Arc::new(Desk::new(table, journal));
        Arc::new(Reserve::new(desk, Box::new(state.clone()), beginning.owed, observe_grace))
    }

    fn lock(reserve: &Reserve, resource: &str, ttl: Duration) -> Result<u64, NotGranted> {
        let request = Acquire {
            resources: [Arc::from(resource)].into(),
            owner: None,
            request_id: None,
            ttl,
            wait: Duration::ZERO,
            min_token: 0,
            despite_retention: false,
            contest: None,
        };
        let mut desk = reserve.desk.lock();
        let now = desk.now();
        let Acquired::Granted(granted) = desk.table.acquire(now, &request, LeaseId(resource.len() as u128))? else {
            panic!("it does not wait")
        };
        Ok(granted.token)
    }

    #[tokio::test]
    async fn a_token_and_a_ttl_are_given_once_they_are_durable() {
        let state = MemoryState::default();
        let reserve = start(&state, true);
        assert_eq!(lock(&reserve, "a", 60 * S), Err(NotGranted::TtlLimit));
        state.contents().fault = Some("EIO".to_owned());
        assert_eq!(reserve.ttl(60 * S).await, Err("EIO".to_owned()));
        assert_eq!(lock(&reserve, "a", 60 * S), Err(NotGranted::TtlLimit));
        state.contents().fault = None;
        reserve.ttl(60 * S).await.unwrap();
        assert_eq!((lock(&reserve, "a", 60 * S), state.limits().longest_ttl), (Ok(1), 60 * S));
        assert_eq!(lock(&reserve, "bb", S), Err(NotGranted::TokenLimit(2)));
        reserve.tokens(2).await.unwrap();
        assert_eq!(lock(&reserve, "bb", S), Ok(2));
        assert!(reserve.token_fault().is_some(), "no further token is durable");
    }

    #[tokio::test]
    async fn the_sweeper_tries_again_soon_after_a_write_that_failed() {
        let state = MemoryState::default();
        let reserve = start(&state, true);
        state.contents().fault = Some("EIO".to_owned());
        reserve.ahead();
        assert!(reserve.reserving.load(Ordering::Relaxed));
        // What wakes the sweeper, which calls `look_after` each time. Nothing ends here.
        tokio::time::timeout(60 * S, reserve.desk.sooner()).await.expect("it is woken");
        assert!(!reserve.reserving.load(Ordering::Relaxed));
        state.contents().fault = None;
        reserve.ahead();
        let written = async {
            while state.limits().token_limit < 2 || reserve.reserving.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(60 * S, written).await.expect("it is written");
    }

    #[tokio::test]
    async fn nothing_is_given_under_a_lost_hold_and_a_record_that_was_taken_away_is_put_back() {
        let state = MemoryState::default();
        let reserve = start(&state, true);
        state.contents().taken_away = true;
        let mut looked = Looked::default();
        reserve.check_hold(&mut looked).await.unwrap();
        assert!(!state.contents().taken_away && looked.0.is_some());
        state.contents().lost = true;
        assert_eq!(reserve.check_hold(&mut Looked::default()).await, Err("perdido".to_owned()));
        std::thread::sleep(LOOK_LASTS);
        assert_eq!(reserve.check_hold(&mut looked).await, Err("perdido".to_owned()), "it counts no longer");
        assert_eq!(reserve.token_fault(), Some("perdido".to_owned()));
    }

    #[tokio::test]
    async fn the_durable_ttl_shrinks_to_the_live_leases_and_a_start_owes_what_it_found() {
        let state = MemoryState::default();
        let reserve = start(&state, true);
        assert_eq!(reserve.grace_left(), Duration::ZERO);
        reserve.ttl(300 * S).await.unwrap();
        lock(&reserve, "a", 60 * S).unwrap();
        reserve.settle_ttl().await;
        assert_eq!(state.limits().longest_ttl, 60 * S);
        let next = start(&state, true);
        assert!(next.grace_left() > 59 * S);
        next.settle_ttl().await;
        assert!(state.limits().longest_ttl > 59 * S, "still owed, though this start gave nothing");
        assert_eq!(start(&state, false).grace_left(), Duration::ZERO);
        reserve.end();
        assert!(reserve.desk.lock().ended && state.limits().longest_ttl > 59 * S, "the lease is still live");
        // A task that the stop did not wait for.
        assert_eq!(reserve.ttl(300 * S).await, Err("o serviço parou".to_owned()));
        assert!(state.limits().longest_ttl <= 60 * S);
    }
}
