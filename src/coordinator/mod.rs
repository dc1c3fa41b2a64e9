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
mod config;
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
use std::sync::Arc;

use rust_i18n::t;
use slog::{error, info};
use tokio::net::TcpListener;

pub use self::config::Config;
use self::duty::Duty;
pub use self::protocol::{SERVICE, TOKENS_ABOVE_MAX};
use self::routes::Callers;
pub use self::routes::endpoints;
use self::routes::force::Forcing;
pub use crate::access::Access;
use crate::access::register::Register;
pub use crate::access::register::RegisterError;
use crate::data_dir;
pub use crate::data_dir::DataDirError;
use crate::http::identity::Identity;
use crate::http::rates::Rates;
use crate::http::server::{self, Manner};
use crate::logging::Logs;
use crate::panics;
use crate::time::Clock;

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
    let mut duty = Duty::begin(&config, &clock, &logs.logger)?;
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
    logs.close();
    Ok(())
}

fn announce(logs: &Logs, listener: &TcpListener, scheme: &str) {
    if let Ok(address) = listener.local_addr() {
        info!(logs.logger, "escutando em {}://{}", scheme, address);
    }
}
