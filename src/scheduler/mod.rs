//! servico-agendamento, the brain: the agenda and the time, over REST with hypermedia.
//!
//! A program embeds it with [`serve`], a listener from [`bind`](crate::http::server::bind) and a [`Config`].
//!
//! # Inside
//! Its endpoints are the table of [`routes`].
//!
//! Read [`book`] for the way of a booking, and [`live`] for the way of the event that tells of it.

mod alteration;
mod app;
mod book;
mod bookings;
mod calendar;
mod catalogue;
mod code;
mod config;
mod contest;
mod entered;
mod gate;
mod giving_back;
mod handlers;
mod hour;
mod idempotency;
mod keys;
mod leased;
mod links;
mod live;
mod maintenance;
mod metrics;
mod open_id;
mod origin;
mod outcome;
mod page;
mod planning;
mod problems;
mod race;
mod refusal;
mod requests;
mod route;
mod routes;
mod sessions;
mod sign_in;
mod timetable;
mod to_its_end;
mod tokens;
mod trail;
mod views;
mod waiting;

use std::future::Future;
use std::sync::Arc;

use slog::{error, info, warn};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use self::app::App;
pub use self::config::{
    Access, AuditConfig, Config, DataDirError, Location, Mode, NOT_USED, OpenError, PostgresError, RACE_DELAY,
    RETENTION_DEFAULT, RegisterError, SERVICE, StartError, StoreError, TTL_DEFAULT,
};
use self::metrics::Metrics;
pub use self::open_id::{Issuer, OpenId, ReturnUrl, WrongUrl};
pub use self::problems::problem_kinds;
pub use self::routes::endpoints;
use crate::data_dir;
use crate::http::answered::Answered;
use crate::http::rates::Rates;
use crate::http::server::{self, Manner};
use crate::panics;
use crate::time::Clock;

/// Serves on `listener` until `shutdown` completes. It then answers the requests that have begun, for eight seconds at the most,
/// writes what is left of the trail and the log, and returns. Stop it before its coordinator, where it releases its locks.
///
/// # Errors
/// [`StartError`], which says what to do.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    config.check()?;
    let found = data_dir::prepare(&config.data_dir)?;
    let logs = data_dir::open_log(SERVICE, &config.data_dir.join(data_dir::SCHEDULER_LOG), &config.logging)?;
    let log = logs.logger.clone();
    found.tell(&config.data_dir, &log);
    let clock = Clock::system();
    let metrics = Arc::new(Metrics::new(Answered::new(endpoints(), problem_kinds())));
    let app = Arc::new(App::start(&config, clock.clone(), &logs, metrics).await?);
    if let Mode::Locked { ttl, .. } = &config.mode
        && config.critical_delay >= *ttl
    {
        warn!(log, "A pausa crítica não cabe no TTL do lock: nenhum agendamento será gravado");
    }
    let address = listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
    app.record_start(&address).await;
    let manner = Manner {
        rates: Rates::new(config.rate, app.identity.identifies()),
        allowed_origins: config.allowed_origins.clone(),
        prefixes: config.prefixes.clone(),
        ..Manner::new(config.tenancy, config.allowed_hosts.clone(), config.tls.clone())
    };
    info!(log, "escutando em {}://{}", manner.scheme(), address);
    let routes = Arc::new(routes::Routes(Arc::clone(&app)));
    let shutdown = async {
        tokio::select! {
            () = shutdown => {}
            why = panics::fallen() => error!(log, "Uma parte do serviço falhou, e por isso o serviço para: {}", why),
        }
        info!(log, "encerrando");
    };
    let removing = AbortOnDropHandle::new(tokio::spawn(idempotency::removed(Arc::downgrade(&app))));
    server::serve(listener, routes, clock, log.clone(), manner, shutdown).await;
    drop(removing);
    App::finish(app).await;
    info!(log, "encerrado");
    logs.close();
    Ok(())
}
