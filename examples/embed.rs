//! The smallest program that embeds both services: `cargo run --example embed`, then Ctrl-C.
//!
//! A service is a library function. It takes a bound listener, a configuration, and a future that ends when it is to stop.

use std::path::PathBuf;
use std::time::Duration;

use sctec::coordinator;
use sctec::http::server::{Tenancy, bind};
use sctec::logging;
use sctec::scheduler::{self, AuditConfig, Mode};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data_dir = PathBuf::from("sctec-data");
    let locks = bind("127.0.0.1:0".parse()?)?;
    let agenda = bind("127.0.0.1:0".parse()?)?;
    let mode = Mode::Locked {
        coordinators: vec![format!("http://{}", locks.local_addr()?)],
        ttl: Duration::from_secs(10),
        retention: Duration::from_secs(1),
    };
    let coordinator = coordinator::Config::new(&data_dir, logging::Config::default());
    let scheduler = scheduler::Config {
        data_dir,
        logging: logging::Config::default(),
        mode,
        critical_delay: Duration::ZERO,
        audit: AuditConfig::default(),
        tenancy: Tenancy::Shared,
    };

    let locks = tokio::spawn(coordinator::serve(locks, coordinator, std::future::pending()));
    // Whatever completes the last argument stops the service, which then finishes what is running.
    scheduler::serve(agenda, scheduler, async { drop(tokio::signal::ctrl_c().await) }).await?;
    locks.abort();
    Ok(())
}
