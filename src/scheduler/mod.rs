//! servico-agendamento, the brain: the agenda and the time, over REST with hypermedia.
//!
//! Its endpoints are the table of [`routes`].
//!
//! Read [`book`] for the way of a booking, and [`live`] for the way of the event that tells of it.

mod app;
mod book;
mod giving_back;
mod handlers;
mod links;
mod live;
mod origin;
mod page;
mod problems;
mod refusal;
mod requests;
mod routes;
mod timetable;
mod trail;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use slog::{error, info, warn};
use tokio::net::TcpListener;

use self::app::App;
pub use self::problems::problem_kinds;
pub use self::routes::endpoints;
use crate::coordinator::client;
use crate::coordinator::protocol::{RETENTION_MS_MAX, TTL_MS_MAX, TTL_MS_MIN};
use crate::data_dir::{self, DataDirError};
use crate::http::server::{self, Tenancy};
use crate::logging;
use crate::panics;
use crate::store::StoreError;
use crate::store::sqlite::OpenError;
use crate::time::Clock;

/// The service's name in logs and answers.
pub const SERVICE: &str = "servico-agendamento";

/// What a scheduler runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database and the logs are.
    pub data_dir: PathBuf,
    /// Where and how it logs.
    pub logging: logging::Config,
    /// With the coordinator's locks, or without any.
    pub mode: Mode,
    /// A pause inside the critical section, to widen the race or to hold a lock in a test.
    pub critical_delay: Duration,
    /// What the audit trail records, and in how many files.
    pub audit: AuditConfig,
    /// Whether it has the process to itself.
    pub tenancy: Tenancy,
}

/// How the audit trail is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditConfig {
    /// Whether refused bookings are recorded too.
    pub refusals: bool,
    /// The size at which a file is closed and the next one begun, in millions of bytes; `None` is a single file.
    pub rotate_mb: Option<u64>,
}

/// How rivals are kept apart.
#[derive(Clone, Debug)]
pub enum Mode {
    /// By the coordinator's locks: the real agenda.
    Locked {
        /// The ways to the coordinator: URLs, the next of which is tried when one does not answer.
        coordinators: Vec<String>,
        /// A lease's life.
        ttl: Duration,
        /// How long a slot stays refused after it was booked.
        retention: Duration,
    },
    /// Not at all: the demonstration of the race, on a database of its own.
    Race,
}

/// A scheduler cannot start. Shown by the command line, hence in English; it says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database was opened but cannot be read.
    #[error("cannot read the database: {0}")]
    Read(#[from] StoreError),
    /// The way to the coordinator cannot be prepared.
    #[error(transparent)]
    Coordinator(#[from] client::StartError),
    /// A duration is out of bounds.
    #[error("{name} must be between {min} and {max} ms, not {found}")]
    OutOfBounds {
        /// Which.
        name: &'static str,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
        /// What it was.
        found: u128,
    },
}

impl Config {
    /// Checks what can be checked before any IO.
    ///
    /// # Errors
    /// [`StartError::OutOfBounds`].
    pub fn check(&self) -> Result<(), StartError> {
        let within = |name, duration: Duration, min: u64, max: u64| {
            let found = duration.as_millis();
            if (u128::from(min)..=u128::from(max)).contains(&found) {
                Ok(())
            } else {
                Err(StartError::OutOfBounds { name, min, max, found })
            }
        };
        if let Mode::Locked { ttl, retention, .. } = &self.mode {
            within("the lock's TTL", *ttl, TTL_MS_MIN, TTL_MS_MAX)?;
            within("the lock's retention", *retention, 0, RETENTION_MS_MAX)?;
        }
        Ok(())
    }
}

/// Serves on `listener` until `shutdown` completes.
///
/// # Errors
/// [`StartError`], which says what to do.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    config.check()?;
    data_dir::create(&config.data_dir)?;
    let logs = data_dir::open_log(SERVICE, &config.data_dir.join("app.log"), &config.logging)?;
    let log = logs.logger.clone();
    let clock = Clock::system();
    let app = Arc::new(App::start(&config, clock.clone(), &logs).await?);
    if let Mode::Locked { ttl, .. } = &config.mode
        && config.critical_delay >= *ttl
    {
        warn!(log, "A pausa crítica não cabe no TTL do lock: nenhum agendamento será gravado");
    }
    let address = listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
    app.record_start(&address).await;
    info!(log, "escutando em http://{}", address);
    let routes = Arc::new(routes::Routes(Arc::clone(&app)));
    let shutdown = async {
        tokio::select! {
            () = shutdown => {}
            why = panics::fallen() => error!(log, "Uma parte do serviço falhou, e ele para: {}", why),
        }
    };
    server::serve(listener, routes, clock, log.clone(), config.tenancy, shutdown).await;
    App::finish(app).await;
    info!(log, "encerrado");
    logs.flush();
    Ok(())
}
