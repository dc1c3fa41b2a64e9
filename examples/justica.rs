//! Who clicked first wins, and not who sits nearest: `cargo run --release --example justica [CONTESTS]`
//!
//! Both services run inside this program, in a temporary folder. Ten sites at 2 to 280 ms click within 50 ms, again and again, in three acts: by arrival, by
//! stamps, and by stamps with a liar among them. docs/JUSTICA.md explains what decides.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use sctec::http::client::{Limits, Security, Session, Url};
use sctec::http::prefix::Prefixes;
use sctec::http::server::bind;
use sctec::scheduler::{self, Mode};
use sctec::stress::progress::Progress;
use sctec::stress::report::Look;
use sctec::stress::sites::file::{Claim, Sites};
use sctec::stress::sites::{self, Config, Seen, report};
use sctec::{coordinator, logging};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

const CONTESTS: u32 = 20;
/// The liar: one in the middle.
const LIAR: usize = 4;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let contests = std::env::args().nth(1).map_or(Ok(CONTESTS), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let services = TaskTracker::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = tokio::select! {
        told = acts(folder.path(), &services, contests) => told,
        _ = interrupt.recv() => Err("interrupted".into()),
    };
    // The end, an early one too, is the signal to stop. The folder is removed when nothing writes into it any more.
    services.close();
    services.wait().await;
    told
}

async fn acts(folder: &Path, services: &TaskTracker, contests: u32) -> Result<()> {
    let (_stop, stopped) = watch::channel(());
    let until_stopped = |mut stopped: watch::Receiver<()>| async move { drop(stopped.changed().await) };
    let (locks, agenda) = (bind("127.0.0.1:0".parse()?)?, bind("127.0.0.1:0".parse()?)?);
    let url = Url::parse(&format!("http://{}", agenda.local_addr()?))?;
    let mode = Mode::locked([format!("http://{}", locks.local_addr()?)]);
    let config = coordinator::Config { logging: logging::Config::quiet(), ..coordinator::Config::new(folder) };
    services.spawn(coordinator::serve(locks, config, until_stopped(stopped.clone())));
    // The clients wait instead of being far: the scheduler takes this program for a proxy, which says for whom it asks.
    let prefixes = Prefixes { proxies: vec!["127.0.0.1/32".parse()?].into(), ..Prefixes::default() };
    let logging = logging::Config::quiet();
    let config = scheduler::Config { logging, prefixes, ..scheduler::Config::new(folder, mode) };
    services.spawn(scheduler::serve(agenda, config, until_stopped(stopped)));

    let honest = Sites::parse(include_str!("sites.json"))?;
    println!("ACT ONE: who arrives first wins (rule \"disputa\": \"chegada\")\n");
    decide_by(&url, "chegada").await?;
    let by_arrival = hold(&url, &honest, contests).await?;
    println!("ACT TWO: who clicked first wins, as far as the scheduler can know (\"ordem\")\n");
    decide_by(&url, "ordem").await?;
    let by_stamp = hold(&url, &honest, contests).await?;
    println!("ACT THREE: one in the middle says each time that it clicked an hour ago\n");
    let mut with_liar = honest.clone();
    with_liar.sites[LIAR].claim = Claim::Early;
    let lied = hold(&url, &with_liar, contests).await?;

    let percent = |part: f64| format!("{:.0} %", part * 100.0);
    let [arrival, stamp] = [&by_arrival, &by_stamp].map(|seen| percent(seen.figures.first_won.part()));
    println!("The first click has won {arrival} of the contests by arrival, and {stamp} by stamps.");
    let farther_half = |seen: &Seen| {
        let wins = seen.figures.sites.iter().skip(5).map(|site| site.won.part());
        percent(wins.sum())
    };
    println!(
        "The farther half has won {} by arrival, and {} by stamps.",
        farther_half(&by_arrival),
        farther_half(&by_stamp)
    );
    println!("The liar, whose fair share is 10 %, has won {}.", percent(lied.figures.sites[LIAR].won.part()));
    if [&by_arrival, &by_stamp, &lied].iter().all(|seen| seen.is_as_expected()) {
        Ok(())
    } else {
        Err("a contest had no winner, or more than one".into())
    }
}

/// Holds contests, and prints who won.
async fn hold(url: &Url, sites: &Sites, contests: u32) -> Result<Seen> {
    let security = Security::default();
    let config = Config { url: url.clone(), security, telescope: None, slot: None, contests, sites: sites.clone() };
    let seen = sites::run(&config, &Progress::on_stderr(true)).await?;
    println!("{}", report::human(&config, &seen, Look::default()));
    Ok(seen)
}

/// Sets how the contests of the first telescope are decided.
async fn decide_by(url: &Url, policy: &str) -> Result<()> {
    let limits =
        Limits { connect: Duration::from_secs(10), exchange: Duration::from_secs(10), answer_bytes: 1024 * 1024 };
    let mut session = Session::new(limits, &Security::default());
    let body = format!(r#"{{"regras": {{"disputa": "{policy}"}}}}"#);
    let telescope = url.join("/telescopios/Hubble-Acad")?;
    let (status, answer) = session.send(Method::PATCH, &telescope, Some(body.into())).await?;
    if status.is_success() { Ok(()) } else { Err(String::from_utf8_lossy(&answer).into_owned().into()) }
}
