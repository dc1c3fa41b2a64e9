//! The smallest program that embeds both services: `cargo run --example embed [DATA_DIR]`, then Ctrl-C.
//!
//! A service is a library function. It takes a bound listener, a configuration, and a future whose end is the signal to stop. It then
//! finishes what is running, and returns. So the data folder is clean when this program ends.

use std::error::Error;

use sctec::coordinator;
use sctec::http::server::bind;
use sctec::panics;
use sctec::scheduler::{self, Mode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data_dir = std::env::args_os().nth(1).unwrap_or_else(|| "sctec-data".into());
    // Without it, a part of a service that panics would end without notice.
    panics::install_hook();
    // Port 0 is any free port. The services log which one they got.
    let locks = bind("127.0.0.1:0".parse()?)?;
    let agenda = bind("127.0.0.1:0".parse()?)?;
    let mode = Mode::locked([format!("http://{}", locks.local_addr()?)]);

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let told_to_stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    // The coordinator stops last: the scheduler releases its locks there until its own end.
    let (scheduler_runs, scheduler_ended) = oneshot::channel::<()>();
    let coordinator = async {
        let stop = async { drop(scheduler_ended.await) };
        coordinator::serve(locks, coordinator::Config::new(&data_dir), stop).await.map_err(Box::<dyn Error>::from)
    };
    let scheduler = async {
        let served = scheduler::serve(agenda, scheduler::Config::new(&data_dir, mode), told_to_stop).await;
        drop(scheduler_runs);
        served.map_err(Box::<dyn Error>::from)
    };
    // If one of them cannot start, the program ends with that error.
    tokio::try_join!(coordinator, scheduler)?;
    match panics::why_fallen() {
        None => Ok(()),
        Some(why) => Err(format!("a service stopped because a part of it failed: {why}").into()),
    }
}
