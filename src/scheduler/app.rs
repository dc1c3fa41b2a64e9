//! The state that the handlers share, from its start to its end.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use slog::{Logger, error, info, warn};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::config::{Access, Config, Mode, StartError, VERSION};
use super::gate::{Gate, Locking};
use super::giving_back;
use super::hour::history::History;
use super::hour::seeds::Seeds;
use super::hour::vouching::Vouching;
use super::hour::windows::Windows;
use super::links::CrowdLinks;
use super::live::Live;
use super::metrics::{Metrics, Now};
use super::open_id::Provider;
use crate::access::register::Register;
use crate::access::register::records::{Folder, Place};
use crate::agenda::room::{Counting, Rooms};
use crate::agenda::{Catalogue, NewBooking, opening};
use crate::audit::export::{self, Bell, Exporter};
use crate::audit::record::Process;
use crate::audit::{RACE_TRAIL_FILE, TRAIL_FILE};
use crate::coordinator::client::{Client, Expected};
use crate::coordinator::protocol::WINDOW_MS_MAX;
use crate::data_dir::{DATABASE_FILE, DataDirError, RACE_DATABASE_FILE};
use crate::http::identity::Identity;
use crate::http::request_id::RequestId;
use crate::logging::Logs;
use crate::store::postgres::{PostgresStore, SharedRegister};
use crate::store::sqlite::SqliteStore;
use crate::store::{Counted, DatabaseKind, Observer, Saving, Store, StoreError};
use crate::time::Clock;

/// Bytes in a megabyte, as `--audit-rotate-mb` counts them.
const MEGABYTE: u64 = 1_000_000;
/// How long the catalogue is used as it was read. What another scheduler changes in it is right here within a second.
const CATALOGUE_RECENT: Duration = Duration::from_millis(500);
/// How long the metrics wait for the database. They are answered without it, too.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a stop waits for the bookings and cancellations under way, and then for its own record.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a stop waits for leases to be given back. The rest expire by themselves.
const UNLOCKS_TIMEOUT: Duration = Duration::from_secs(1);

/// The scheduler's state. Everything that lasts is in the store.
pub struct App {
    /// The agenda.
    pub store: Box<dyn Store>,
    /// How rivals are kept apart.
    pub gate: Gate,
    /// The events of the agenda, out and in.
    pub live: Live,
    /// What signs and checks time tokens.
    pub vouching: Vouching,
    /// The round trips of its clients.
    pub history: History,
    /// How long a contest waits for their clicks.
    pub windows: Windows,
    /// What it draws with.
    pub seeds: Seeds,
    /// A pause inside the critical section.
    critical_delay: Duration,
    /// The official time.
    pub clock: Clock,
    /// When the service started.
    pub started: Instant,
    /// Bookings and cancellations under way. They run to their end, also when their client has gone away.
    pub tasks: TaskTracker,
    /// Who the callers are.
    pub identity: Identity,
    /// The identity provider at which people sign in, if there is one.
    pub provider: Option<Provider>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The links of refusals.
    pub crowd_links: CrowdLinks,
    /// Whether refused bookings are recorded too.
    pub audits_refusals: bool,
    /// This process, as its records name it.
    process: OnceLock<Process>,
    /// Scientists and telescopes as last read.
    ///
    /// A std lock around a pointer: it is held to clone or to replace it.
    /// As last read, and when that was asked for.
    catalogue: RwLock<(Arc<Catalogue>, Instant)>,
    /// Whose turn it is to read them again. A tokio lock, since it is held while they are read.
    reloading: tokio::sync::Mutex<()>,
    /// The room that bookings surely have.
    ///
    /// A std lock around a small map: held for a look and a subtraction.
    rooms: Mutex<Rooms>,
    exporter: Exporter,
    /// The service's logger.
    pub log: Logger,
}

impl App {
    /// Opens the store, brings the audit file up to date, and makes ready to lock.
    pub async fn start(config: &Config, clock: Clock, logs: &Logs, metrics: Arc<Metrics>) -> Result<Self, StartError> {
        // Checking the database and completing the trail's file may take a while, so a thread that may block does it.
        let (config_of_files, clock_of_files) = (config.clone(), clock.clone());
        let told = (logs.clone(), Arc::clone(&metrics));
        let opened = tokio::task::spawn_blocking(move || open_files(&config_of_files, clock_of_files, told));
        let (store, exporter) = opened.await.map_err(|error| StoreError::Unavailable(error.to_string()))??;
        let catalogue = Arc::new(store.catalogue().await?);
        let gate = match &config.mode {
            Mode::Race => Gate::Race,
            Mode::Locked { coordinators, ttl, retention } => {
                let (trust, secret) = (config.coordinator_trust.clone(), config.coordinator_secret.clone());
                let seen = store.highest_token().await?;
                let client = Arc::new(Client::start(coordinators, Expected { trust, secret }, seen)?);
                Gate::Locked(Locking { client, unlocks: TaskTracker::new(), ttl: *ttl, retention: *retention })
            }
        };
        let identity = match config.access {
            Access::Open => Identity::Open,
            Access::Token => Identity::Sessions(Arc::new(open_register(config, &clock, logs).await?)),
        };
        let live = Live::start(gate.locking().map(|locking| locking.client.feed()), clock.clone(), &logs.logger);
        let vouching = Vouching::start(&*store, clock.now(), &logs.logger).await;
        Ok(Self {
            store,
            gate,
            live,
            vouching,
            history: History::default(),
            windows: Windows::default(),
            seeds: Seeds::default(),
            critical_delay: config.critical_delay,
            clock,
            started: Instant::now(),
            tasks: TaskTracker::new(),
            provider: config.open_id.clone().map(|settings| Provider::new(settings, logs.logger.clone())),
            identity,
            metrics,
            crowd_links: CrowdLinks::default(),
            audits_refusals: config.audit.refusals,
            process: OnceLock::new(),
            catalogue: RwLock::new((catalogue, Instant::now())),
            reloading: tokio::sync::Mutex::default(),
            rooms: Mutex::default(),
            exporter,
            log: logs.logger.clone(),
        })
    }

    /// Scientists and telescopes as last read.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Scientists and telescopes as they were in the database less than [`CATALOGUE_RECENT`] ago: another scheduler may have changed
    /// them, and an event of that may have come.
    pub async fn recent_catalogue(&self) -> Result<Arc<Catalogue>, StoreError> {
        let (known, read_at) = self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_recent = read_at.elapsed() < CATALOGUE_RECENT && !self.live.telescopes_changed_since(read_at);
        if is_recent { Ok(known) } else { self.reload_catalogue().await }
    }

    /// Scientists and telescopes as they are in the database now.
    ///
    /// Of a large catalogue this takes a while, and many requests may ask at once: one reads, and the others take what it has read after
    /// they asked.
    pub async fn reload_catalogue(&self) -> Result<Arc<Catalogue>, StoreError> {
        let wanted_at = Instant::now();
        let _turn = self.reloading.lock().await;
        let (known, read_at) = self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone();
        if read_at >= wanted_at {
            return Ok(known);
        }
        let asked_at = Instant::now();
        let fresh = self.store.catalogue_unless(known.edition()).await?.map_or(known, Arc::new);
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = (Arc::clone(&fresh), asked_at);
        Ok(fresh)
    }

    /// Whether there surely is room for a booking, by the rules of this edition of the catalogue. The room is then used up.
    pub fn takes_room(&self, new: &NewBooking, edition: i64) -> bool {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).take(new, edition, self.clock.now())
    }

    /// Remembers for how many more bookings there is room, beside one for which this was counted and that breaks no rule.
    pub fn remember_room(&self, new: &NewBooking, counted: &Counted, known: &Catalogue) {
        let proposal = new.proposal_id.and_then(|id| known.proposal(id));
        let left_min = proposal.map(|proposal| proposal.left_min(&new.telescope.code, counted.used_min));
        let counting = Counting { edition: counted.edition, held: &counted.held, left_min };
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).remember(new, counting, self.clock.now());
    }

    /// Why the audit trail cannot be written now, if it cannot.
    pub fn audit_fault(&self) -> Option<String> {
        self.exporter.fault()
    }

    /// How far the audit trail's file is behind, where the process that writes it is another one and is paused. Bookings go on.
    pub fn audit_behind(&self) -> Option<String> {
        self.exporter.behind()
    }

    /// How long before they open slots become free now.
    pub fn lead(&self) -> Duration {
        let window = self.windows.window(self.clock.now());
        opening::lead(window, self.live.listeners(), Duration::from_millis(WINDOW_MS_MAX))
    }

    /// What is read when the metrics are.
    pub async fn now(&self) -> Now {
        // Read first: what is exported meanwhile is not behind.
        let exported = self.exporter.exported();
        let read = tokio::time::timeout(READ_TIMEOUT, async {
            tokio::join!(self.store.latest_record(), self.store.described())
        });
        let (latest, database) = read.await.map_or((None, None), |(latest, database)| (latest.ok(), database.ok()));
        let head = latest.map(|latest| latest.head.seq);
        Now {
            uptime: self.started.elapsed(),
            database,
            log_bytes: self.store.log_bytes(),
            behind: head.map(|head| head.saturating_sub(exported)),
            tasks: self.tasks.len(),
        }
    }

    /// The pause inside the critical section, where one is asked for.
    pub async fn pause(&self) {
        if !self.critical_delay.is_zero() {
            tokio::time::sleep(self.critical_delay).await;
        }
    }

    /// Records that the service has started. When this fails the service starts all the same: bookings will be refused, and
    /// readings may still work.
    pub async fn record_start(&self, address: &str) {
        let process = self.process.get_or_init(|| Process {
            version: VERSION,
            mode: self.gate.mode(),
            pid: std::process::id(),
            address: address.to_owned(),
        });
        if let Err(error) = self.store.record_start(process.clone()).await {
            not_recorded(&self.log, "SERVICO_INICIADO", &error);
        }
    }

    /// Records that the service stops, within [`FINISH_TIMEOUT`].
    async fn record_stop(&self) {
        let Some(process) = self.process.get() else { return };
        let up_ms = crate::time::millis(self.started.elapsed());
        let recorded = tokio::time::timeout(FINISH_TIMEOUT, self.store.record_stop(process.clone(), up_ms)).await;
        match recorded {
            Ok(Ok(())) => {}
            Ok(Err(error)) => not_recorded(&self.log, "SERVICO_PARADO", &error),
            Err(_) => error!(self.log, "SERVICO_PARADO sem confirmação: o banco não respondeu a tempo"),
        }
    }

    /// Waits for the bookings under way, within [`FINISH_TIMEOUT`], then exports the last records and closes the database.
    pub async fn finish(app: Arc<Self>) {
        app.tasks.close();
        if tokio::time::timeout(FINISH_TIMEOUT, app.tasks.wait()).await.is_err() {
            warn!(app.log, "{} operações ainda em curso ao encerrar", app.tasks.len());
        }
        let unlocks = async {
            if let Some(locking) = app.gate.locking() {
                giving_back::finish(&locking.unlocks, UNLOCKS_TIMEOUT, &app.log).await;
            }
        };
        tokio::join!(unlocks, app.live.close());
        app.record_stop().await;
        // Dropping the state waits for threads, so a thread that may block does it. If a task still holds the state, its
        // records are exported at the next start.
        if let Some(app) = Arc::into_inner(app) {
            drop(tokio::task::spawn_blocking(move || drop(app)).await);
        }
    }
}

/// Logs that a record was not made, or that its outcome is unknown.
pub fn not_recorded(log: &Logger, event_type: &'static str, error: &StoreError) {
    match error {
        StoreError::Unknown(_) => error!(log, "{} sem confirmação: {}", event_type, error),
        StoreError::Unavailable(_) | StoreError::Refused(_) => error!(log, "{} não registrado: {}", event_type, error),
    }
}

/// Opens the register of tokens, which is where the agenda is: a token that is revoked at one of several schedulers ends at all.
async fn open_register(config: &Config, clock: &Clock, logs: &Logs) -> Result<Register, StartError> {
    let place: Arc<dyn Place> = match &config.store {
        None => Arc::new(Folder::new(&config.data_dir)),
        Some(location) => Arc::new(SharedRegister::new(location, Handle::current())?),
    };
    let (clock, log) = (clock.clone(), logs.logger.clone());
    let opened = tokio::task::spawn_blocking(move || Register::start_at(place, clock, &log));
    Ok(opened.await.map_err(|error| StoreError::Unavailable(error.to_string()))??)
}

/// Opens the store, and brings the audit file up to date.
fn open_files(
    config: &Config,
    clock: Clock,
    (logs, metrics): (Logs, Arc<Metrics>),
) -> Result<(Box<dyn Store>, Exporter), StartError> {
    let (kind, database, trail_file) = match config.mode {
        Mode::Locked { .. } => (DatabaseKind::Agenda, DATABASE_FILE, TRAIL_FILE),
        Mode::Race => (DatabaseKind::Race, RACE_DATABASE_FILE, RACE_TRAIL_FILE),
    };
    let (bell, rings) = export::bell();
    let log = logs.logger.clone();
    let told = Told { logs, bell: bell.clone(), metrics };
    let store: Box<dyn Store> = match &config.store {
        None => Box::new(SqliteStore::open(&config.data_dir.join(database), kind, clock, &log, told)?),
        Some(location) => Box::new(PostgresStore::open(location.clone(), kind, clock, told)?),
    };
    let rotate_bytes = config.audit.rotate_mb.map(|mb| mb.saturating_mul(MEGABYTE));
    let trail_path = config.data_dir.join(trail_file);
    let exporter = Exporter::start(&trail_path, store.outbox(&trail_path)?, rotate_bytes, (bell, rings), log)
        .map_err(|error| DataDirError::access(&trail_path, &error))?;
    Ok((store, exporter))
}

/// Writes what the store tells to the log, counts it, and wakes the audit exporter.
struct Told {
    logs: Logs,
    bell: Bell,
    metrics: Arc<Metrics>,
}

impl Observer for Told {
    fn saving(&mut self, change: Saving, request_id: &RequestId) {
        let log = &self.logs.logger;
        match change {
            Saving::Booking => info!(log, "Salvando novo agendamento no BD"; request_id),
            Saving::Alteration => info!(log, "Salvando alteração no BD"; request_id),
            Saving::Cancellation => info!(log, "Salvando cancelamento no BD"; request_id),
        }
    }

    fn committed(&mut self, lines: &[String]) {
        for line in lines {
            self.logs.raw(line);
        }
        self.bell.committed(lines);
    }

    fn ended(&mut self, changes: usize, took: Duration) {
        self.metrics.committed(changes, took);
    }
}
