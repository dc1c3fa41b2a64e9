//! The table with what it needs from the world: the time, random identities, durable tokens, and a log.
//!
//! # Locking
//!
//! A std mutex around the plain table: it is held for one decision and the log lines that tell of it, never across an
//! await, so the log's order is the order of the decisions. The token file has a mutex of its own and is written off
//! the async threads, ahead of need.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slog::{Logger, error, info, o, warn};

use super::table::{Acquire, Granted, LeaseId, NotLive, Refused, Release, Released, Table};
use super::tokens::{BLOCK, TokenFile};
use crate::data_dir::DataDirError;
use crate::logging::Word;
use crate::time::{Clock, Timestamp};

/// How often expired leases are looked for when nobody asks.
const SWEEP: Duration = Duration::from_millis(250);

/// How long after a failure the next block of tokens is asked for again.
const RESERVE_RETRY: Duration = Duration::from_secs(1);

/// The running coordinator.
pub struct Service {
    table: Mutex<Table>,
    tokens: Arc<Mutex<TokenFile>>,
    reserving: AtomicBool,
    started: Instant,
    clock: Clock,
    log: Logger,
}

/// Why a lock was not given.
#[derive(Debug)]
pub enum LockRefused {
    /// What the table says.
    Table(Refused),
    /// No durable token is to be had. For the log.
    NoTokens(String),
}

impl Service {
    /// A service whose first tokens are durable.
    ///
    /// # Errors
    /// When they cannot be made so.
    pub fn start(mut tokens: TokenFile, clock: Clock, log: Logger) -> Result<Self, DataDirError> {
        let last_token = tokens.limit();
        let limit = tokens.reserve(last_token + 1).map_err(|error| tokens.start_error(&error))?;
        Ok(Self {
            table: Mutex::new(Table::new(last_token, limit)),
            tokens: Arc::new(Mutex::new(tokens)),
            reserving: AtomicBool::new(false),
            started: Instant::now(),
            clock,
            log,
        })
    }

    /// Decides a lock request.
    ///
    /// # Errors
    /// [`LockRefused`]; nothing was locked.
    pub async fn lock(self: &Arc<Self>, log: &Logger, request: &Acquire) -> Result<Granted, LockRefused> {
        for resource in &request.resources {
            info!(log, "Recebido pedido de lock para recurso {}", Word(resource));
        }
        let id = LeaseId(random_id().map_err(LockRefused::NoTokens)?);
        match self.decide(log, request, id) {
            Err(Refused::TokenLimit(needed)) => {
                self.reserve(needed).await.map_err(|reason| {
                    error!(log, "Limite de tokens não gravado: {}", reason);
                    LockRefused::NoTokens(reason)
                })?;
                self.decide(log, request, id).map_err(LockRefused::Table)
            }
            decided => {
                self.reserve_ahead();
                decided.map_err(LockRefused::Table)
            }
        }
    }

    fn decide(&self, log: &Logger, request: &Acquire, id: LeaseId) -> Result<Granted, Refused> {
        let mut table = self.table();
        let now = self.started.elapsed();
        self.expire(&mut table, now);
        let decided = table.acquire(now, request, id);
        match &decided {
            Ok(granted) => {
                for resource in &request.resources {
                    if granted.again {
                        info!(log, "Lock já concedido a este pedido para recurso {}", Word(resource); "token" => granted.token);
                    } else {
                        info!(log, "Lock concedido para recurso {}", Word(resource); "token" => granted.token);
                    }
                }
            }
            Err(Refused::Busy { resource, retained: false, .. }) => {
                info!(log, "Recurso {} já em uso, negando lock", Word(resource));
            }
            Err(Refused::Busy { resource, retained: true, .. }) => {
                info!(log, "Recurso {} já em uso, negando lock", Word(resource); "retido" => true);
            }
            Err(Refused::TokenLimit(_)) => {}
            Err(Refused::Full) => warn!(log, "Tabela de travas cheia, negando lock"),
        }
        decided
    }

    /// Decides an unlock request.
    pub fn unlock(&self, log: &Logger, request: &Release) -> Released {
        let mut table = self.table();
        let now = self.started.elapsed();
        self.expire(&mut table, now);
        let released = table.release(now, request);
        match &released {
            Released::Freed(resources) => {
                for resource in resources {
                    info!(log, "Recebido pedido de unlock para recurso {}. Lock liberado.", Word(resource));
                }
            }
            Released::Nothing(why) => info!(log, "Recebido pedido de unlock sem efeito: {}", not_live_name(*why)),
            Released::NotOwner { resource } => {
                info!(log, "Recebido pedido de unlock sem efeito: o recurso {} tem dono", Word(resource));
            }
        }
        released
    }

    /// A logger for one request.
    pub fn request_log(&self, id: &Arc<str>) -> Logger {
        self.log.new(o!("req" => Arc::clone(id)))
    }

    /// The wall-clock instant of `deadline`, for people.
    pub fn expires_at(&self, deadline: Duration) -> Timestamp {
        self.clock.now().saturating_add(deadline.saturating_sub(self.started.elapsed()))
    }

    /// How long the service has run.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How many leases are live.
    pub fn live_leases(&self) -> usize {
        let mut table = self.table();
        self.expire(&mut table, self.started.elapsed());
        table.live_leases()
    }

    /// Tells the log of leases that expire while nobody asks. Runs until dropped.
    pub async fn sweep(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            self.expire(&mut self.table(), self.started.elapsed());
        }
    }

    fn expire(&self, table: &mut Table, now: Duration) {
        for expired in table.expire(now) {
            warn!(self.log, "Lock vencido para recurso {}", Word(&expired.resource); "token" => expired.token);
        }
    }

    /// A panic elsewhere cannot leave the table half changed: its methods do not call out.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts making the next block durable once half of this one is used, so that nobody has to wait for it.
    fn reserve_ahead(self: &Arc<Self>) {
        let table = self.table();
        if table.tokens_left() >= BLOCK / 2 || self.reserving.swap(true, Ordering::Relaxed) {
            return;
        }
        let needed = table.token_limit() + 1;
        drop(table);
        let service = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(reason) = service.reserve(needed).await {
                error!(service.log, "Limite de tokens não gravado: {}", reason);
                // Half a block is left: no need to try again at every request.
                tokio::time::sleep(RESERVE_RETRY).await;
            }
            service.reserving.store(false, Ordering::Relaxed);
        });
    }

    async fn reserve(&self, needed: u64) -> Result<(), String> {
        let tokens = Arc::clone(&self.tokens);
        let reserved =
            tokio::task::spawn_blocking(move || tokens.lock().unwrap_or_else(PoisonError::into_inner).reserve(needed));
        let limit = reserved.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        self.table().raise_token_limit(limit);
        Ok(())
    }
}

/// The word for it on the wire and in the log.
pub fn not_live_name(why: NotLive) -> &'static str {
    match why {
        NotLive::AlreadyReleased => "ja_liberado",
        NotLive::Expired => "expirado",
        NotLive::Unknown => "desconhecido",
    }
}

fn random_id() -> Result<u128, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(u128::from_le_bytes(bytes))
}
