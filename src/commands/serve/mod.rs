//! `serve-scheduler`, `serve-coordinator` and `serve-all`.

mod args;
mod between;
mod election;
mod front;
mod open_id;
mod own;
mod stop;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use rust_i18n::t;
use slog::Level;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use self::args::{AllArgs, CoordinatorArgs, SchedulerArgs};
use self::args::{BoundArgs, CallerArgs, Grace, LockArgs, LogFormat, LogLevel, LogTo, ServerArgs, TrailArgs};
use self::between::own_secret;
use self::front::FrontArgs;
use self::own::{reached_at, refuse_itself};
use self::stop::{reopen, stop_signal};
use super::caller::trust;
use super::outcome::Outcome;
use super::runtime::runtime;
use crate::access::Access;
use crate::http::server::{self, Tenancy};
use crate::http::tls::Trust;
use crate::logging::Stream;
use crate::scheduler::{AuditConfig, Mode};
use crate::{coordinator, logging, panics, scheduler};

/// Serves the scheduler until told to stop.
///
/// # Errors
/// When it cannot start.
pub fn scheduler(args: &SchedulerArgs) -> Outcome {
    let mode = if args.no_lock { Mode::Race } else { locked(args.coordinator.clone(), &args.lock) };
    let config =
        scheduler_config(mode, (&args.lock, &args.trail, &args.front), &args.callers, &args.server, Tenancy::Alone)?;
    let config = scheduler::Config {
        tls: args.tls.read()?,
        coordinator_trust: trust(args.ca.as_ref())?,
        coordinator_secret: args.secret.read()?,
        open_id: args.open_id.read(config.access)?,
        store: args.store.location()?,
        ..config
    };
    panics::install_hook();
    runtime()?.block_on(async {
        let listener = listen(args.listen, "--listen", &args.callers)?;
        if let Mode::Locked { coordinators, .. } = &config.mode {
            refuse_itself(coordinators, listener.local_addr()?)?;
        }
        let stop = stop_signal(&config.logging)?;
        scheduler::serve(listener, config, stop).await?;
        ended_whole()
    })
}

/// Serves the coordinator until told to stop.
///
/// # Errors
/// When it cannot start.
pub fn coordinator(args: &CoordinatorArgs) -> Outcome {
    let grants = (args.grace, args.tokens_above, &args.bounds);
    let config = coordinator_config(grants, &args.callers, &args.server, Tenancy::Alone);
    let secret = args.secret.read()?;
    let config = coordinator::Config { tls: args.tls.read()?, reserves: secret.is_some(), secret, ..config };
    panics::install_hook();
    runtime()?.block_on(async {
        let listener = listen(args.listen, "--listen", &args.callers)?;
        let election = args.election.read(listener.local_addr()?, config.tls.is_some())?;
        let config = coordinator::Config { election, ..config };
        let stop = stop_signal(&config.logging)?;
        coordinator::serve(listener, config, stop).await?;
        ended_whole()
    })
}

/// Serves both until told to stop. They communicate over HTTP, as separate processes do, and share a secret: without a file that has one,
/// a secret of their own, which only makes the scheduler sure of its coordinator. The scheduler stops first, so that it
/// can still release its locks.
///
/// # Errors
/// When either cannot start.
pub fn all(args: &AllArgs) -> Outcome {
    let tls = args.tls.read()?;
    let given = args.secret.read()?;
    let reserves = given.is_some();
    let secret = Some(given.map_or_else(own_secret, Ok)?);
    panics::install_hook();
    runtime()?.block_on(async {
        let coordinator_listener = listen(args.listen_coordinator, "--listen-coordinator", &args.callers)?;
        let scheduler_listener = listen(args.listen, "--listen", &args.callers)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let coordinator_url = format!("{scheme}://{}", reached_at(coordinator_listener.local_addr()?));
        let mode = locked(vec![coordinator_url], &args.lock);
        let config = scheduler_config(
            mode,
            (&args.lock, &args.trail, &args.front),
            &args.callers,
            &args.server,
            Tenancy::Shared,
        )?;
        let config = scheduler::Config {
            // Each reads the files again by itself, and says so in its own log.
            tls: args.tls.read()?,
            open_id: args.open_id.read(config.access)?,
            store: args.store.location()?,
            // The name by which the scheduler calls the coordinator is hardly one of the certificate's.
            coordinator_trust: tls.as_ref().map(Trust::of_own).unwrap_or_default(),
            coordinator_secret: secret.clone(),
            ..config
        };
        let stop = stop_signal(&config.logging)?;
        let (scheduler_gone, mut coordinator_stops) = watch::channel(());
        let grants = (args.grace, args.tokens_above, &args.bounds);
        let coordinator = coordinator::serve(
            coordinator_listener,
            coordinator::Config {
                secret,
                reserves,
                tls,
                ..coordinator_config(grants, &args.callers, &args.server, Tenancy::Shared)
            },
            async move {
                // The dropped sender is the signal to stop.
                let _ = coordinator_stops.changed().await;
            },
        );
        let scheduler = async {
            let served = scheduler::serve(scheduler_listener, config, stop).await;
            drop(scheduler_gone);
            served
        };
        let mut coordinator = std::pin::pin!(coordinator);
        let mut scheduler = std::pin::pin!(scheduler);
        tokio::select! {
            // The coordinator ends first only if it cannot start.
            ended = &mut coordinator => ended?,
            ended = &mut scheduler => {
                ended?;
                coordinator.await?;
            }
        }
        ended_whole()
    })
}

fn locked(coordinators: Vec<String>, lock: &LockArgs) -> Mode {
    Mode::Locked {
        coordinators,
        ttl: Duration::from_millis(lock.lock_ttl_ms),
        retention: Duration::from_millis(lock.lock_retention_ms),
    }
}

fn scheduler_config(
    mode: Mode,
    (lock, trail, front): (&LockArgs, &TrailArgs, &FrontArgs),
    callers: &CallerArgs,
    server: &ServerArgs,
    tenancy: Tenancy,
) -> anyhow::Result<scheduler::Config> {
    let default = scheduler::Config::new(&server.data_dir, mode);
    let config = scheduler::Config {
        logging: logging_config(server),
        critical_delay: lock.critical_delay_ms.map_or(default.critical_delay, Duration::from_millis),
        audit: AuditConfig { refusals: trail.audit_refusals, rotate_mb: trail.audit_rotate_mb },
        tenancy,
        access: callers.access(),
        rate: callers.rate(),
        allowed_hosts: callers.hosts(),
        allowed_origins: front.origins(),
        prefixes: front.prefixes(),
        ..default
    };
    config.check()?;
    Ok(config)
}

fn coordinator_config(
    (grace, tokens_above, bounds): (Grace, u64, &BoundArgs),
    callers: &CallerArgs,
    server: &ServerArgs,
    tenancy: Tenancy,
) -> coordinator::Config {
    coordinator::Config {
        grace: grace == Grace::Auto,
        tokens_above,
        limits: bounds.limits(),
        quota_on_loopback: bounds.on_loopback(),
        tenancy,
        access: callers.access(),
        rate: callers.rate(),
        allowed_hosts: callers.hosts(),
        logging: logging_config(server),
        ..coordinator::Config::new(&server.data_dir)
    }
}

fn logging_config(server: &ServerArgs) -> logging::Config {
    logging::Config {
        level: match server.log_level {
            LogLevel::Debug => Level::Debug,
            LogLevel::Info => Level::Info,
            LogLevel::Warning => Level::Warning,
            LogLevel::Error => Level::Error,
        },
        format: match server.log_format {
            LogFormat::Text => logging::Format::Text,
            LogFormat::Json => logging::Format::Json,
        },
        file: matches!(server.log_to, LogTo::Both | LogTo::File),
        console: matches!(server.log_to, LogTo::Both | LogTo::Console),
        rotate_mb: server.log_rotate_mb,
        reopen: reopen(),
        stream: Stream::of_the_process(),
    }
}

/// The exit status after the services have stopped: success after a signal, an error after a panic.
fn ended_whole() -> Outcome {
    match panics::why_fallen() {
        None => Ok(ExitCode::SUCCESS),
        Some(why) => {
            bail!("{}", t!("the service stopped because a part of it failed: %{why}; start it again", why = why))
        }
    }
}

/// Binds the address that `flag` gives. As long as no client has to say who it is, only `--open` binds one that other machines
/// can reach.
fn listen(address: SocketAddr, flag: &str, callers: &CallerArgs) -> anyhow::Result<TcpListener> {
    if !callers.open && callers.access() == Access::Open && !address.ip().to_canonical().is_loopback() {
        bail!(
            "{}",
            t!(
                "%{flag} %{address} lets other machines in, and no client has to say who it is: everybody who reaches the port could book, cancel and take locks; give --access token to ask for tokens, listen on 127.0.0.1:%{port}, or give --open (SCTEC_OPEN=true) to allow it",
                flag = flag,
                address = address,
                port = address.port()
            )
        );
    }
    server::bind(address).map_err(|error| {
        if error.kind() == io::ErrorKind::AddrNotAvailable {
            return anyhow!(
                "{}",
                t!(
                    "cannot listen on %{address}: %{ip} is not an address of this machine; choose another with %{flag}",
                    address = address,
                    ip = address.ip(),
                    flag = flag
                )
            );
        }
        anyhow::Error::new(error).context(t!(
            "cannot listen on %{address}; stop what uses it, or choose another with %{flag} (port 0 is any free port)",
            address = address,
            flag = flag
        ))
    })
}
