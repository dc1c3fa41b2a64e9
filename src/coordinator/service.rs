//! The table with what it needs from the world: the time, random identities, durable limits, a log, counters, and those
//! who wait.
//!
//! # Locking
//!
//! The desk's mutex is held for one decision, the log lines and events that tell of it, and never across an await, so
//! the log's order is the order of the decisions. The state file has a mutex of its own and is written off the async
//! threads, tokens ahead of need; it is taken before the other one, never after.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use slog::{Logger, debug, error, info, o, warn};
use tokio::sync::oneshot;

use super::desk::{self, Desk, Teller, Waiting};
use super::events::{Event, Hub, LockNews};
use super::hold::Hold;
use super::metrics::{Metrics, Now, Reason};
use super::protocol::names;
use super::state_file::{BLOCK, StateFile, ttl_step};
use super::table::{
    Acquire, Acquired, Busy, Counts, Ended, Forced, Granted, Happened, LeaseId, Limits, Listed, NotLive, NotRenewed,
    Refused, Release, Released, Resources, Shown, State, Table, Ticket,
};
use super::waiting::{Told, Wait};
use crate::data_dir::DataDirError;
use crate::http::presence::Presence;
use crate::logging::Several;
use crate::panics;
use crate::text::{Word, Words};
use crate::time::{Clock, Timestamp, millis};

/// How often it is seen whether the durable TTL is longer than it needs to be.
const SETTLE_TTL_EVERY: Duration = Duration::from_secs(300);
/// How long after a failure the next block of tokens is asked for again.
const RESERVE_RETRY: Duration = Duration::from_secs(1);
/// How often one request may meet a limit that has to be made durable first: its token, its TTL, and each once more
/// because others were faster.
const RESERVATIONS: u32 = 4;

/// How many times the same request may wait for its one place.
const REPEATS_MAX: usize = 16;

/// The running coordinator.
pub struct Service {
    desk: desk::Lock,
    state_file: Mutex<StateFile>,
    hold: Arc<Hold>,
    reserving: AtomicBool,
    started: Instant,
    /// For how long after the start someone may still believe in a lease of before.
    owed: Duration,
    /// Whether no lock is given for that long.
    observe_grace: bool,
    clock: Clock,
    log: Logger,
    /// What others may listen to.
    pub hub: Hub,
    /// What is counted.
    pub metrics: Metrics,
}

/// Why a lock was not given.
#[derive(Clone, Debug)]
pub enum LockRefused {
    /// What the table says.
    Table(Refused),
    /// What it takes cannot be made durable. For the log.
    NotDurable(String),
    /// Someone may still believe in a lease of before this start, for this long.
    Grace(Duration),
    /// Who asked has gone.
    Gone,
    /// The service is stopping.
    Stopping,
}

/// Why a lease was not renewed.
#[derive(Clone, Copy, Debug)]
pub enum RenewRefused {
    /// It is not live.
    NotLive(NotLive),
    /// The TTL cannot be made durable.
    NotDurable,
    /// The service has stopped: what is owed is written down.
    Stopping,
}

/// What became of a lock request at once.
pub enum Begun {
    /// It is decided.
    Decided(Result<Granted, LockRefused>),
    /// It waits.
    Waits(Wait),
}

impl Service {
    /// A service whose first tokens are durable, and larger than `tokens_above`. With `observe_grace` it gives no lock for
    /// as long as someone may still believe in one of before; without, that is still remembered for the next start.
    ///
    /// # Errors
    /// When the state cannot be made durable, or there is no randomness.
    pub fn start(
        mut state_file: StateFile,
        limits: Limits,
        observe_grace: bool,
        tokens_above: u64,
        clock: Clock,
        log: Logger,
    ) -> Result<Self, DataDirError> {
        let known = state_file.token_limit();
        let last_token = known.max(tokens_above);
        if last_token > known {
            warn!(
                log,
                "Tokens a partir de {}, por ordem do operador; o arquivo de estado ia até {}",
                last_token + 1,
                known
            );
        }
        let owed = state_file.longest_ttl();
        let limit = state_file.reserve_tokens(last_token + 1).map_err(|error| state_file.start_error(&error))?;
        let mut table = Table::new(last_token, limits);
        table.allow_tokens(Duration::ZERO, limit);
        table.allow_ttl(owed);
        let owed_ms = millis(owed);
        match (owed_ms, observe_grace) {
            (0, _) => {}
            (_, true) => warn!(log, "Nenhuma trava nova por {} ms, até que vençam as de antes", owed_ms),
            (_, false) => warn!(log, "Sem carência, embora travas de antes possam valer por mais {} ms", owed_ms),
        }
        // Only told apart from other starts' by it; no randomness is worth failing for.
        let epoch = getrandom::u32().unwrap_or_else(|_| u32::try_from(last_token & 0xffff_ffff).unwrap_or(0));
        Ok(Self {
            desk: desk::Lock::new(table),
            hold: state_file.hold(),
            state_file: Mutex::new(state_file),
            reserving: AtomicBool::new(false),
            started: Instant::now(),
            owed,
            observe_grace,
            clock,
            log,
            hub: Hub::new(epoch),
            metrics: Metrics::new(),
        })
    }

    /// Begins a lock request of `client`'s: decided at once, or waiting.
    pub async fn begin(self: &Arc<Self>, log: &Logger, request: &Acquire, client: &mut Presence) -> Begun {
        info!(log, "Recebido pedido de lock para recurso {}", first(&request.resources); several(&request.resources));
        if request.resources.len() > 1 {
            // Once for each request and not on each line: so the log grows no faster than the requests' bytes come in.
            debug!(log, "Recursos do pedido: {}", Words(&request.resources));
        }
        if let Err(reason) = self.check_hold().await {
            return self.refuse(log, LockRefused::NotDurable(reason));
        }
        let id = match random_id() {
            Ok(id) => LeaseId(id),
            Err(reason) => return self.refuse(log, LockRefused::NotDurable(reason)),
        };
        for _ in 0..RESERVATIONS {
            // A process that was paused finds requests of clients that went long ago, and the disk may take its time too.
            if client.is_gone() {
                return self.refuse(log, LockRefused::Gone);
            }
            let reserved = match self.decide(log, request, id, client) {
                Err(LockRefused::Table(Refused::TokenLimit(needed))) => self.reserve_tokens(needed).await,
                Err(LockRefused::Table(Refused::TtlLimit)) => self.reserve_ttl(request.ttl).await,
                Ok(begun) => {
                    self.reserve_ahead();
                    return begun;
                }
                Err(refused) => return self.refuse(log, refused),
            };
            if let Err(reason) = reserved {
                return self.refuse(log, LockRefused::NotDurable(reason));
            }
        }
        self.refuse(log, LockRefused::NotDurable("outros pedidos tomam todos os tokens".to_owned()))
    }

    fn decide(
        self: &Arc<Self>,
        log: &Logger,
        request: &Acquire,
        id: LeaseId,
        client: &Presence,
    ) -> Result<Begun, LockRefused> {
        let mut desk = self.desk.lock();
        if desk.closing {
            return Err(LockRefused::Stopping);
        }
        let (now, grace) = (self.started.elapsed(), self.grace_left());
        if !grace.is_zero() {
            return Err(LockRefused::Grace(grace));
        }
        let decided = desk.table.acquire(now, request, id);
        self.tell(&mut desk);
        match decided.map_err(LockRefused::Table)? {
            Acquired::Granted(granted) => {
                self.log_granted(log, &granted);
                Ok(Begun::Decided(Ok(granted)))
            }
            Acquired::Waiting { .. } if request.wait.is_zero() => {
                // It waits already, and this time it will not: the place stays, and it is told what stands in the way.
                let first = &request.resources[0];
                let listed = desk.table.show(now, first).map(|shown| shown.listed);
                let (state, queue) = listed.map_or((State::Promised, 0), |listed| (listed.state, listed.queue));
                let busy = Busy { resource: Arc::clone(first), state, queue, waited: Duration::ZERO };
                Err(LockRefused::Table(Refused::Busy(busy)))
            }
            Acquired::Waiting { ticket, again } => {
                let (tell, told) = oneshot::channel();
                let waiting =
                    desk.waiting.entry(ticket).or_insert_with(|| Waiting { log: log.clone(), tell: Vec::new() });
                waiting.tell.retain(|teller| !teller.told.is_closed());
                if waiting.tell.len() >= REPEATS_MAX {
                    return Err(LockRefused::Table(Refused::QueueFull));
                }
                waiting.tell.push(Teller { told: tell, client: client.clone() });
                let (resource, several) = (first(&request.resources), several(&request.resources));
                if again {
                    info!(log, "Na fila, no lugar que já tinha, por recurso {}", resource; several);
                } else {
                    info!(log, "Na fila por recurso {}", resource; "espera_ms" => millis(request.wait), several);
                }
                Ok(Begun::Waits(Wait::new(Arc::clone(self), ticket, told)))
            }
        }
    }

    /// Logs and counts a refusal.
    fn refuse(&self, log: &Logger, refused: LockRefused) -> Begun {
        self.log_refused(log, &refused);
        Begun::Decided(Err(refused))
    }

    /// Prolongs a lease.
    ///
    /// # Errors
    /// [`RenewRefused`]; nothing was changed.
    pub async fn renew(
        self: &Arc<Self>,
        log: &Logger,
        id: LeaseId,
        ttl: Option<Duration>,
    ) -> Result<Granted, RenewRefused> {
        if let Err(reason) = self.check_hold().await {
            error!(log, "Estado sem confirmação de gravação: {}", reason);
            return Err(RenewRefused::NotDurable);
        }
        for _ in 0..RESERVATIONS {
            let renewed = {
                let mut desk = self.desk.lock();
                if desk.ended {
                    return Err(RenewRefused::Stopping);
                }
                let renewed = desk.table.renew(self.started.elapsed(), id, ttl);
                self.tell(&mut desk);
                if let Ok(granted) = &renewed {
                    self.metrics.renewed.inc();
                    let resources = &granted.resources;
                    info!(log, "Lock renovado para recurso {}", first(resources);
                        "token" => granted.token, several(resources));
                    self.publish("renovada", granted.ended(), |news| news.ttl = Some(granted.ttl));
                }
                renewed
            };
            match renewed {
                Ok(granted) => return Ok(granted),
                Err(NotRenewed::NotLive(why)) => {
                    info!(log, "Recebido pedido de renovação sem efeito: {}", names::not_live(why));
                    return Err(RenewRefused::NotLive(why));
                }
                // Without a TTL of its own it keeps one that is durable.
                Err(NotRenewed::TtlLimit) => {
                    if let Err(reason) = self.reserve_ttl(ttl.unwrap_or_default()).await {
                        error!(log, "Estado sem confirmação de gravação: {}", reason);
                        return Err(RenewRefused::NotDurable);
                    }
                }
            }
        }
        Err(RenewRefused::NotDurable)
    }

    /// Decides an unlock request.
    pub fn unlock(&self, log: &Logger, request: &Release) -> Released {
        let mut desk = self.desk.lock();
        let now = self.started.elapsed();
        // What ended before is told before.
        desk.table.expire(now);
        self.tell(&mut desk);
        let released = desk.table.release(now, request);
        match &released {
            Released::Freed(ended) => {
                self.metrics.released.inc();
                info!(log, "Recebido pedido de unlock para recurso {}. Lock liberado.", first(&ended.resources);
                    several(&ended.resources));
                let (Release::ById { retention, .. } | Release::ByName { retention, .. }) = request;
                self.publish("liberada", ended.clone(), |news| news.retention = Some(*retention));
            }
            Released::Nothing(why) => info!(log, "Recebido pedido de unlock sem efeito: {}", names::not_live(*why)),
            Released::NotOwner { resource } => {
                info!(log, "Recebido pedido de unlock sem efeito: o recurso {} tem dono", Word(resource));
            }
        }
        self.tell(&mut desk);
        released
    }

    /// What [`Service::force`] would take away now.
    pub fn would_force(&self, resource: &str) -> Option<Forced> {
        let mut desk = self.desk.lock();
        let forced = desk.table.would_force(self.started.elapsed(), resource);
        self.tell(&mut desk);
        forced
    }

    /// Takes a lease or a retention away, for the operator, if it still is the one that was recorded. Whether it was.
    pub fn force(&self, log: &Logger, resource: &str, recorded: &Forced) -> bool {
        let mut desk = self.desk.lock();
        let now = self.started.elapsed();
        // What ended before is told before.
        desk.table.expire(now);
        self.tell(&mut desk);
        if desk.table.would_force(now, resource).as_ref() != Some(recorded) {
            return false;
        }
        desk.table.force(now, resource);
        self.metrics.forced.inc();
        let resources = &recorded.ended.resources;
        warn!(log, "Lock retirado à força do recurso {}", first(resources);
            "token" => recorded.ended.token, several(resources));
        self.publish("forcada", recorded.ended.clone(), |_| {});
        self.tell(&mut desk);
        true
    }

    /// A waiter's client has gone, before it was told anything or after. Whether the grant it was told of is undone.
    pub(super) fn left(&self, ticket: Ticket, told: &mut oneshot::Receiver<Told>) {
        let mut desk = self.desk.lock();
        // Closed under the lock: either it was told by now, or it never will be.
        told.close();
        if let Ok(told) = told.try_recv() {
            drop(desk);
            return self.undo(&told);
        }
        let Some(waiting) = desk.waiting.get_mut(&ticket) else { return };
        waiting.tell.retain(|teller| !teller.told.is_closed());
        if waiting.tell.is_empty()
            && let Some(waiting) = desk.waiting.remove(&ticket)
        {
            desk.table.leave(self.started.elapsed(), ticket);
            self.metrics.left.inc();
            info!(waiting.log, "Quem esperava se foi");
            self.tell(&mut desk);
        }
    }

    /// Undoes a grant that nobody heard of.
    pub(super) fn undo(&self, told: &Told) {
        let Ok(granted) = told else { return };
        let mut desk = self.desk.lock();
        self.take_back(&mut desk, granted);
        self.tell(&mut desk);
    }

    fn take_back(&self, desk: &mut Desk, granted: &Granted) {
        if granted.again {
            return;
        }
        if let Some(ended) = desk.table.take_back(self.started.elapsed(), granted.lease) {
            info!(self.log, "Lock desfeito, quem esperava se foi: recurso {}", first(&ended.resources);
                "token" => ended.token, several(&ended.resources));
            self.publish("desfeita", ended, |_| {});
        }
    }

    /// Tells those whom the last change concerned, until nothing more happens.
    fn tell(&self, desk: &mut Desk) {
        loop {
            let happened = desk.table.take_happened();
            if happened.is_empty() {
                return;
            }
            for happened in happened {
                match happened {
                    Happened::Expired(ended) => {
                        self.metrics.expired.inc();
                        warn!(self.log, "Lock vencido para recurso {}", first(&ended.resources);
                            "token" => ended.token, several(&ended.resources));
                        self.publish("vencida", ended, |_| {});
                    }
                    Happened::Granted { ticket, granted } => self.tell_granted(desk, ticket, &granted),
                    Happened::Refused { ticket, refused } => {
                        let Some(waiting) = desk.waiting.remove(&ticket) else { continue };
                        let refused = match refused {
                            Refused::Dismissed => LockRefused::Stopping,
                            refused => LockRefused::Table(refused),
                        };
                        self.log_refused(&waiting.log, &refused);
                        for teller in waiting.tell {
                            // Who has gone needs no answer.
                            let _ = teller.told.send(Err(refused.clone()));
                        }
                    }
                }
            }
        }
    }

    /// Tells a waiter of its lease, if it is still there: it may have gone while the process was paused.
    fn tell_granted(&self, desk: &mut Desk, ticket: Ticket, granted: &Granted) {
        let Some(waiting) = desk.waiting.remove(&ticket) else {
            return self.take_back(desk, granted);
        };
        let (there, gone): (Vec<_>, Vec<_>) = waiting
            .tell
            .into_iter()
            .map(|mut teller| (!teller.told.is_closed() && !teller.client.is_gone(), teller))
            .partition(|(is_there, _)| *is_there);
        for (_, teller) in gone {
            // It may only have closed its sending side, and read on.
            let _ = teller.told.send(Err(LockRefused::Gone));
        }
        if there.is_empty() {
            // As if it had left its place before: nobody hears of a lease that nobody has.
            desk.table.take_back(self.started.elapsed(), granted.lease);
            self.metrics.left.inc();
            info!(waiting.log, "Quem esperava se foi");
            return;
        }
        self.log_granted(&waiting.log, granted);
        let several = there.len() > 1;
        let mut told = false;
        for (_, teller) in there {
            // If one of several goes now, another still has it.
            let granted = Granted { again: several, ..granted.clone() };
            told |= teller.told.send(Ok(granted)).is_ok();
        }
        if !told {
            self.take_back(desk, granted);
        }
    }

    fn log_granted(&self, log: &Logger, granted: &Granted) {
        let (token, waited) = (granted.token, millis(granted.waited));
        let (resource, several) = (first(&granted.resources), several(&granted.resources));
        if granted.again {
            info!(log, "Lock já concedido a este pedido para recurso {}", resource; "token" => token, several);
        } else if waited > 0 {
            info!(log, "Lock concedido para recurso {}", resource;
                "token" => token, "esperou_ms" => waited, several);
        } else {
            info!(log, "Lock concedido para recurso {}", resource; "token" => token, several);
        }
        if granted.again {
            return;
        }
        self.metrics.granted.inc();
        if !granted.waited.is_zero() {
            self.metrics.waited(granted.waited.as_secs_f64());
        }
        self.publish("concedida", granted.ended(), |news| {
            news.ttl = Some(granted.ttl);
            news.waited = Some(granted.waited);
        });
    }

    fn log_refused(&self, log: &Logger, refused: &LockRefused) {
        let reason = match refused {
            LockRefused::Table(Refused::Busy(Busy { resource, state, waited, .. })) => {
                let resource = Word(resource);
                match (state, waited.is_zero()) {
                    (State::Retained { .. }, true) => {
                        info!(log, "Recurso {} já em uso, negando lock", resource; "retido" => true);
                    }
                    (State::Promised, true) => {
                        info!(log, "Recurso {} já em uso, negando lock", resource; "prometido" => true);
                    }
                    (State::Held { .. }, true) => info!(log, "Recurso {} já em uso, negando lock", resource),
                    (_, false) => {
                        info!(log, "Recurso {} já em uso, negando lock", resource; "esperou_ms" => millis(*waited));
                    }
                }
                if waited.is_zero() { Reason::Busy } else { Reason::WaitedInVain }
            }
            LockRefused::Table(Refused::Full) => {
                warn!(log, "Tabela de travas cheia, negando lock");
                Reason::TableFull
            }
            LockRefused::Table(Refused::QueueFull) => {
                warn!(log, "Fila de espera cheia, negando lock");
                Reason::QueueFull
            }
            LockRefused::Table(Refused::Dismissed) | LockRefused::Stopping => {
                info!(log, "Encerrando, negando lock");
                Reason::Stopping
            }
            LockRefused::Grace(_) => {
                info!(log, "Em carência, negando lock");
                Reason::Grace
            }
            LockRefused::Gone => {
                info!(log, "Quem pedia já se foi, negando lock");
                Reason::Gone
            }
            LockRefused::Table(Refused::TokenLimit(_) | Refused::TtlLimit) => {
                error!(log, "Estado não gravado a tempo, negando lock");
                Reason::NoTokens
            }
            LockRefused::Table(Refused::TooFar { min_token, last_token }) => {
                warn!(log, "token_minimo longe demais do último token, negando lock";
                    "token_minimo" => min_token, "ultimo_token" => last_token);
                Reason::TooFar
            }
            LockRefused::NotDurable(reason) => {
                error!(log, "Estado sem confirmação de gravação: {}", reason);
                Reason::NoTokens
            }
        };
        self.metrics.refuse(reason);
    }

    fn publish(&self, event: &'static str, lease: Ended, add: impl FnOnce(&mut LockNews)) {
        let mut news = LockNews { at: self.clock.now(), lease, ttl: None, waited: None, retention: None };
        add(&mut news);
        self.hub.locks().publish([Event::Lock { name: event, news }]);
    }

    /// A page of what is locked, retained or waited for.
    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> (Vec<Listed>, bool) {
        let mut desk = self.desk.lock();
        let page = desk.table.list(self.started.elapsed(), prefix, after, limit);
        self.tell(&mut desk);
        page
    }

    /// One resource closely.
    pub fn show(&self, resource: &str) -> Option<Shown> {
        let mut desk = self.desk.lock();
        let shown = desk.table.show(self.started.elapsed(), resource);
        self.tell(&mut desk);
        shown
    }

    /// A logger for one request.
    pub fn request_log(&self, id: &Arc<str>) -> Logger {
        self.log.new(o!("req" => Arc::clone(id)))
    }

    /// What is left of a lease now.
    ///
    /// # Errors
    /// How it ended, where it is not live any more.
    pub fn left_of(&self, granted: &Granted) -> Result<Duration, NotLive> {
        let mut desk = self.desk.lock();
        let left = desk.table.left_of(self.started.elapsed(), granted.lease);
        self.tell(&mut desk);
        left
    }

    /// A refusal that is said later than it was decided, with what is true of it now.
    pub fn as_of_now(&self, refused: LockRefused) -> LockRefused {
        let mut busy = match refused {
            LockRefused::Table(Refused::Busy(busy)) => busy,
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
                // What was in the way is there no more.
                _ => Duration::ZERO,
            };
        }
        LockRefused::Table(Refused::Busy(busy))
    }

    /// The wall-clock instant that is `span` from now, for people.
    pub fn in_the_future(&self, span: Duration) -> Timestamp {
        self.clock.now().saturating_add(span)
    }

    /// The wall clock, for people.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How long the service has run.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long no lock will be given yet, because someone may still believe in one of before.
    pub fn grace_left(&self) -> Duration {
        if self.observe_grace { self.owed_left() } else { Duration::ZERO }
    }

    /// How long someone may still believe in a lease of before this start.
    fn owed_left(&self) -> Duration {
        self.owed.saturating_sub(self.started.elapsed())
    }

    /// Why no token could be given without writing to the disk first, if none could.
    pub fn token_fault(&self) -> Option<String> {
        let used_up = || self.desk.lock().table.tokens_left() == 0;
        self.hold.lost().or_else(|| used_up().then(|| "o limite de tokens não pôde ser gravado".to_owned()))
    }

    /// How much is in the table.
    pub fn counts(&self) -> Counts {
        let mut desk = self.desk.lock();
        let counts = desk.table.counts(self.started.elapsed());
        self.tell(&mut desk);
        counts
    }

    /// What the metrics are about.
    pub fn measure(&self) -> Now {
        let counts = self.counts();
        let desk = self.desk.lock();
        Now {
            counts,
            last_token: desk.table.last_token(),
            token_limit: desk.table.token_limit(),
            in_grace: !self.grace_left().is_zero(),
            uptime_s: self.uptime().as_secs_f64(),
        }
    }

    /// Ends leases and waiting when their time comes, though nobody asks. Runs until dropped.
    pub async fn sweep(self: Arc<Self>) {
        let mut settled = Instant::now();
        loop {
            let pause = {
                let mut desk = self.desk.lock();
                let now = self.started.elapsed();
                desk.table.expire(now);
                self.tell(&mut desk);
                desk.pause(now)
            };
            if settled.elapsed() >= SETTLE_TTL_EVERY {
                settled = Instant::now();
                // A disk that stalls must not keep leases from ending.
                let service = Arc::clone(&self);
                tokio::spawn(async move { service.settle_ttl().await });
            }
            // For those who wait: they ask only once.
            self.reserve_ahead();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.desk.sooner() => {}
            }
        }
    }

    /// Stops giving locks, and sends those away who wait.
    pub fn close(&self) {
        let mut desk = self.desk.lock();
        desk.closing = true;
        desk.table.dismiss(self.started.elapsed());
        self.tell(&mut desk);
    }

    /// Writes down for how long someone may still believe in a lease: a clean stop. From here on none lives longer.
    pub fn end(&self) {
        let mut state_file = self.state_file.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = {
            let mut desk = self.desk.lock();
            desk.ended = true;
            desk.table.longest_left(self.started.elapsed()).max(self.owed_left())
        };
        if let Err(error) = state_file.lower_ttl(owed) {
            warn!(self.log, "Parada limpa sem confirmação no arquivo de estado: {}", error);
        } else if !owed.is_zero() {
            info!(self.log, "Travas ainda podem valer por {} ms: a próxima partida as espera", millis(owed));
        }
    }

    /// Starts making the next block durable once half of this one is used, so that nobody has to wait for it.
    fn reserve_ahead(self: &Arc<Self>) {
        // A state file that was taken away is written anew by that.
        let has_state = self.hold.has_state();
        let desk = self.desk.lock();
        if (desk.table.tokens_left() >= BLOCK / 2 && has_state) || self.reserving.swap(true, Ordering::Relaxed) {
            return;
        }
        let needed = desk.table.token_limit() + 1;
        drop(desk);
        let service = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(reason) = service.reserve_tokens(needed).await {
                error!(service.log, "Estado sem confirmação de gravação: {}", reason);
                // Half a block is left: no need to try again at every request.
                tokio::time::sleep(RESERVE_RETRY).await;
            }
            service.reserving.store(false, Ordering::Relaxed);
        });
    }

    /// Why nothing may be given now, if nothing may: this process may not be the folder's coordinator any more. A state file that
    /// was taken away is put back first, since a start without it would give the same tokens again.
    async fn check_hold(self: &Arc<Self>) -> Result<(), String> {
        if let Some(reason) = self.hold.lost() {
            return Err(reason);
        }
        if self.hold.has_state() {
            return Ok(());
        }
        self.write_state(|_, file| file.put_back()).await
    }

    async fn reserve_tokens(self: &Arc<Self>, needed: u64) -> Result<(), String> {
        self.write_state(move |service, file| {
            let limit = file.reserve_tokens(needed)?;
            let mut desk = service.desk.lock();
            desk.table.allow_tokens(service.started.elapsed(), limit);
            service.tell(&mut desk);
            Ok(())
        })
        .await
    }

    async fn reserve_ttl(self: &Arc<Self>, ttl: Duration) -> Result<(), String> {
        self.write_state(move |service, file| {
            let longest = file.reserve_ttl(ttl)?;
            service.desk.lock().table.allow_ttl(longest);
            Ok(())
        })
        .await
    }

    /// Lets the durable TTL shrink to what is needed, so that a crash costs no longer grace than it has to.
    async fn settle_ttl(self: &Arc<Self>) {
        let lowered = self.write_state(|service, file| {
            let needed = service.desk.lock().table.settle_ttl(ttl_step);
            file.lower_ttl(needed.max(service.owed_left()))
        });
        if let Err(reason) = lowered.await {
            // The longer one stays, which is safe.
            warn!(self.log, "Estado sem confirmação de gravação: {}", reason);
        }
    }

    /// Changes the file, and what the table may do by it, under the file's lock: so the table is never allowed what a
    /// write that comes in between takes away. Off the async threads.
    async fn write_state(
        self: &Arc<Self>,
        write: impl FnOnce(&Self, &mut StateFile) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), String> {
        let service = Arc::clone(self);
        let written = panics::blocking(move || {
            let mut file = service.state_file.lock().unwrap_or_else(PoisonError::into_inner);
            write(&service, &mut file)
        });
        written.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

/// The resource that a line names.
fn first(resources: &Resources) -> Word<'_> {
    // There is at least one, or it is no operation.
    Word(resources.first().map_or("", |resource| resource))
}

/// How many resources a line is about, if there are more than the one that it names.
fn several(resources: &Resources) -> Several {
    Several(resources.len())
}

fn random_id() -> Result<u128, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(u128::from_le_bytes(bytes))
}
