//! servico-coordenador, the gatekeeper: gives and takes locks on named resources, and knows nothing of what they name.
//!
//! A program embeds it with [`serve`], a listener from [`bind`](crate::http::server::bind) and a [`Config`]; [`client`] locks from the
//! same or another process.
//!
//! # Inside
//! Its endpoints are the table of [`routes`].
//!
//! [`table`] decides and is pure; [`service`] gives it the time, random identities, durable limits and waiters;
//! [`client`] is how the scheduler locks with it, publishes and listens. [`office`] has the service that gives locks now: always the same,
//! or that of the present term of an [`election`].

pub mod advice;
pub mod client;
mod duty;
pub mod election;
mod events;
pub mod kinds;
mod metrics;
mod office;
pub(crate) mod protocol;
mod quotas;
mod routes;
mod service;
mod state;
pub mod table;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use rust_i18n::t;
use slog::{error, info};
use tokio::net::TcpListener;

use self::duty::Duty;
use self::election::ElectionConfig;
pub use self::protocol::{SERVICE, TOKENS_ABOVE_MAX};
use self::routes::Callers;
pub use self::routes::endpoints;
use self::routes::force::Forcing;
pub use crate::access::Access;
use crate::access::register::Register;
pub use crate::access::register::RegisterError;
use crate::access::secret::Secret;
use crate::data_dir;
pub use crate::data_dir::DataDirError;
use crate::http::guard::AllowedHost;
use crate::http::identity::Identity;
use crate::http::rates::{RateLimit, Rates};
use crate::http::server::{self, Manner, Tenancy};
use crate::http::tls::Tls;
use crate::logging::{self, Logs};
use crate::panics;
use crate::time::Clock;

/// What a coordinator runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where `coordenador.log` and `coordenador.json` are; made if missing. A scheduler may have the same folder.
    pub data_dir: PathBuf,
    /// Where and how it logs.
    pub logging: logging::Config,
    /// Whether it gives no lock while a lease from before its start may still be live.
    pub grace: bool,
    /// Every token will be larger than this, below 2^53; for an operator to whom the count was lost. At the most
    /// [`TOKENS_ABOVE_MAX`].
    pub tokens_above: u64,
    /// Whether callers have to say who they are.
    pub access: Access,
    /// What it shares with its schedulers, so that they believe it. A scheduler has to have the same.
    pub secret: Option<Secret>,
    /// With a secret: whether the channel `agenda`, names of the form `TELESCOPE_INSTANT`, `token_minimo` and `DELETE /locks` are for
    /// those alone who have it. With [`Access::Token`] each caller's own rights count in any case.
    pub reserves: bool,
    /// How much the lock table takes, and how much of it each client may use.
    pub limits: table::Limits,
    /// Whether a client of this machine that does not say who it is has a quota too.
    pub quota_on_loopback: bool,
    /// How many requests each client may make. Those who have the secret may make any number; and if there is no secret, and no
    /// caller has to say who it is, only a limit that is given applies.
    pub rate: RateLimit,
    /// Whether it has the process to itself.
    pub tenancy: Tenancy,
    /// The names by which clients may call it, beside `localhost` and the addresses of this machine.
    pub allowed_hosts: Vec<AllowedHost>,
    /// Its certificate, if it speaks TLS.
    pub tls: Option<Tls>,
    /// The election of one of several coordinators, if it takes part in one.
    pub election: Option<ElectionConfig>,
}

impl Config {
    /// As the executable runs by default, with its data in `data_dir`.
    ///
    /// ```
    /// use sctec::{coordinator, logging};
    ///
    /// let config = coordinator::Config::new("sctec-data");
    /// assert!(config.grace);
    /// // Log lines go to the file alone: standard output stays the program's own.
    /// let config = coordinator::Config { logging: logging::Config::quiet(), ..config };
    /// # assert!(!config.logging.console);
    /// ```
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            logging: logging::Config::default(),
            grace: true,
            tokens_above: 0,
            access: Access::Open,
            secret: None,
            reserves: false,
            limits: table::Limits::default(),
            quota_on_loopback: false,
            rate: RateLimit::default(),
            tenancy: Tenancy::Shared,
            allowed_hosts: Vec::new(),
            tls: None,
            election: None,
        }
    }
}

/// A coordinator cannot start. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The register of tokens cannot be used.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A process needs an identity that nobody can guess. Shown by the command line.
    #[error("{}", t!("the system gives no random numbers: %{reason}", reason = .0))]
    Random(getrandom::Error),
}

/// Serves on `listener` until `shutdown` completes. It then answers the requests that have begun, for eight seconds at the most,
/// and returns. A coordinator that is dropped before that is as one that crashed: its next start waits until earlier locks have
/// expired.
///
/// # Errors
/// When the data folder cannot be used, as when another coordinator uses it; the error says what to do.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let found = data_dir::prepare(&config.data_dir)?;
    let log_path = config.data_dir.join(data_dir::COORDINATOR_LOG);
    let logs = data_dir::open_log(SERVICE, &log_path, &config.logging)?;
    found.tell(&config.data_dir, &logs.logger);
    let clock = Clock::system();
    let duty = Duty::begin(&config, &clock, &logs.logger)?;
    let identity = match config.access {
        Access::Open => Identity::Open,
        Access::Token => Identity::Tokens(Arc::new(Register::start(&config.data_dir, clock.clone(), &logs.logger)?)),
    };
    let rates = Rates::of_coordinator(config.rate, identity.identifies(), config.secret.is_some());
    let callers = Callers::new(identity, config.secret, config.reserves).map_err(StartError::Random)?;
    let manner = Manner { rates, ..Manner::new(config.tenancy, config.allowed_hosts.clone(), config.tls.clone()) };
    announce(&logs, &listener, manner.scheme());
    let forcing = Forcing::new(log_path, logs.clone());
    let routes = Arc::new(routes::Routes { office: Arc::clone(duty.office()), forcing, callers });
    let mut duty = duty;
    let shutdown = async {
        tokio::select! {
            () = shutdown => {}
            why = panics::fallen() => error!(logs.logger, "Uma parte do serviço falhou, e por isso o serviço para: {}", why),
        }
        info!(logs.logger, "encerrando");
        duty.close().await;
    };
    server::serve(listener, routes, clock, logs.logger.clone(), manner, shutdown).await;
    duty.end();
    info!(logs.logger, "encerrado");
    logs.flush();
    Ok(())
}

fn announce(logs: &Logs, listener: &TcpListener, scheme: &str) {
    if let Ok(address) = listener.local_addr() {
        info!(logs.logger, "escutando em {}://{}", scheme, address);
    }
}
