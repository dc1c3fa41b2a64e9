//! servico-coordenador, the gatekeeper: gives and takes locks on named resources, and knows nothing of what they name.
//!
//! | endpoint | |
//! |---|---|
//! | `POST /lock` | asks for a lease on one or several resources |
//! | `POST /unlock` | gives it back |
//! | `POST /lote` | several of these in one exchange, each decided on its own |
//! | `GET /saude` | alive |
//!
//! [`table`] decides and is pure; [`service`] gives it the time, randomness and durable tokens; [`client`] is how the
//! scheduler speaks with it.

pub mod client;
pub mod protocol;
mod routes;
mod service;
pub mod table;
mod tokens;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use slog::info;
use tokio::net::TcpListener;

use self::service::Service;
use crate::data_dir::{self, DataDirError};
use crate::http::server;
use crate::logging::{self, Logs};
use crate::time::Clock;

/// The service's name in logs and answers.
pub const SERVICE: &str = "servico-coordenador";

/// What a coordinator runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where `coordenador.log` and `coordenador.json` are.
    pub data_dir: PathBuf,
    /// Where and how it logs.
    pub logging: logging::Config,
}

/// Serves on `listener` until `shutdown` completes.
///
/// # Errors
/// When the data folder cannot be used; the error says what to do.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DataDirError> {
    data_dir::create(&config.data_dir)?;
    let logs = data_dir::open_log(SERVICE, &config.data_dir.join("coordenador.log"), &config.logging)?;
    let clock = Clock::system();
    let tokens = tokens::TokenFile::open(&config.data_dir)?;
    let service = Arc::new(Service::start(tokens, clock.clone(), logs.logger.clone())?);
    let sweeper = tokio::spawn(Arc::clone(&service).sweep());
    announce(&logs, &listener);
    server::serve(listener, Arc::new(routes::Routes(service)), clock, logs.logger.clone(), shutdown).await;
    sweeper.abort();
    info!(logs.logger, "encerrado");
    logs.flush();
    Ok(())
}

fn announce(logs: &Logs, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        info!(logs.logger, "escutando em http://{}", address);
    }
}
