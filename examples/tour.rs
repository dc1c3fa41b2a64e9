//! The assignment's demonstration, with the real services: `cargo run --release --example tour`
//!
//! Both services run inside this program, in a temporary folder. Ten astronomers request the same slot: first without locks, then
//! with the coordinator. In between, Cristian's algorithm corrects two clocks.

use std::error::Error;
use std::path::Path;

use comfy_table::{Table, presets};
use sctec::clock::client::Client;
use sctec::clock::cristian;
use sctec::http::client::{Security, Url};
use sctec::http::server::bind;
use sctec::scheduler::{self, Mode};
use sctec::stress::progress::Progress;
use sctec::stress::stats::Expectation;
use sctec::stress::{self, Seen, report};
use sctec::time::{Clock, Timestamp};
use sctec::{coordinator, logging};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

const SLOT: &str = "2025-12-01T03:00:00Z";
const ASTRONOMERS: u32 = 10;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let services = TaskTracker::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = tokio::select! {
        told = tour(folder.path(), &services) => told,
        _ = interrupt.recv() => Err("interrupted".into()),
    };
    // The end of the tour, an early one too, is the signal to stop. The folder is removed when nothing writes into it any more.
    services.close();
    services.wait().await;
    told
}

#[expect(clippy::too_many_lines, reason = "a tour, told in its order")]
async fn tour(folder: &Path, services: &TaskTracker) -> Result<()> {
    let (stop, stopped) = watch::channel(());

    let until_stopped = |mut stopped: watch::Receiver<()>| async move { drop(stopped.changed().await) };
    let locks = bind("127.0.0.1:0".parse()?)?;
    let locks_url = format!("http://{}", locks.local_addr()?);
    let config =
        coordinator::Config { logging: logging::Config::quiet(), ..coordinator::Config::new(folder.join("locked")) };
    let locks = services.spawn(coordinator::serve(locks, config, until_stopped(stopped.clone())));

    println!("ACT ONE: ten astronomers request one slot, without locks (--no-lock)\n");
    let race_folder = folder.join("race");
    let race = bind("127.0.0.1:0".parse()?)?;
    let race_url = format!("http://{}", race.local_addr()?);
    let config = scheduler_config(&race_folder, Mode::Race);
    let race = services.spawn(scheduler::serve(race, config, until_stopped(stopped.clone())));
    let without = contest(&race_url, Expectation::Race).await?;
    println!("Each request checked the slot before any other had saved, so each found it free:\n");
    show_lines(&race_folder.join("app.log"), &["Iniciando", "Salvando"], 14)?;

    println!("\nACT TWO: the clocks\n");
    for (city, skew_s) in [("São Paulo", 2), ("Tóquio", -1)] {
        clocks(&race_url, city, skew_s).await?;
    }

    println!("\nACT THREE: the same ten requests, with the coordinator's locks\n");
    let locked_folder = folder.join("locked");
    let agenda = bind("127.0.0.1:0".parse()?)?;
    let agenda_url = format!("http://{}", agenda.local_addr()?);
    let config = scheduler_config(&locked_folder, Mode::locked([locks_url]));
    let agenda = services.spawn(scheduler::serve(agenda, config, until_stopped(stopped)));
    let with = contest(&agenda_url, Expectation::One).await?;

    // Services that have stopped have written all their logs.
    stop.send(())?;
    race.await??;
    agenda.await??;
    locks.await??;
    println!("What the coordinator logged:\n");
    show_lines(&locked_folder.join("coordenador.log"), &["Lock concedido", "negando lock", "Lock liberado"], 12)?;

    println!("\nSIDE BY SIDE\n");
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["", "without lock", "with lock"]);
    let answered = |seen: &Seen, status| seen.summary.statuses.get(&status).copied().unwrap_or_default();
    let logged = |folder: &Path, text: &str| -> Result<usize> {
        Ok(std::fs::read_to_string(folder.join("app.log"))?.lines().filter(|line| line.contains(text)).count())
    };
    for (what, left, right) in [
        ("told \"booked\" (201)", answered(&without, 201), answered(&with, 201)),
        ("told \"taken\" (409)", answered(&without, 409), answered(&with, 409)),
        ("bookings of the one slot", without.listed.len(), with.listed.len()),
        (
            "AGENDAMENTO_CRIADO in app.log",
            logged(&race_folder, "AGENDAMENTO_CRIADO")?,
            logged(&locked_folder, "AGENDAMENTO_CRIADO")?,
        ),
        ("locks acquired", logged(&race_folder, "Lock adquirido")?, logged(&locked_folder, "Lock adquirido")?),
        ("locks refused", logged(&race_folder, "Falha ao adquirir")?, logged(&locked_folder, "Falha ao adquirir")?),
    ] {
        table.add_row([what.to_owned(), left.to_string(), right.to_string()]);
    }
    println!("{table}");
    if without.verdict.as_expected && with.verdict.as_expected {
        println!("As expected: a race without locks, exactly one winner with locks.");
        Ok(())
    } else {
        Err(format!("not as it should be: {:?} and {:?}", without.verdict, with.verdict).into())
    }
}

/// Log lines go to the files alone: this program has its own output.
fn scheduler_config(data_dir: &Path, mode: Mode) -> scheduler::Config {
    scheduler::Config { logging: logging::Config::quiet(), ..scheduler::Config::new(data_dir, mode) }
}

/// Sends ten requests for the slot at one instant, and prints the result of each.
async fn contest(url: &str, expectation: Expectation) -> Result<Seen> {
    let config = stress::Config {
        security: Security::default(),
        url: Url::parse(url)?,
        n: ASTRONOMERS,
        connections: ASTRONOMERS,
        slot: Some(Timestamp::parse_rfc3339(SLOT)?),
        distinct: false,
        scientist: 7,
        telescope: None,
        expectation,
    };
    let seen = stress::run(&config, &Progress::on_stderr(false)).await?;
    println!("{}", report::human(&config, &seen, report::Look::default()));
    Ok(seen)
}

/// What Cristian's algorithm tells an astronomer whose clock is off by `skew_s` seconds.
async fn clocks(url: &str, city: &str, skew_s: i64) -> Result<()> {
    let url = url.to_owned();
    // The clock's client waits for its answers, so it gets a thread where that is fine.
    let measured = tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(&url, &Security::default(), Clock::system(), skew_s * 1_000_000)?;
        let samples = (0..8).map(|_| client.sample()).collect::<std::result::Result<Vec<_>, _>>()?;
        Ok::<_, sctec::clock::client::ClientError>(cristian::estimate(&samples))
    });
    let estimate = measured.await??.ok_or("no samples")?;
    println!(
        "{city}: the local clock is set {skew_s:+} s; the server says to add {:+.3} s (± {:.3} ms),",
        estimate.offset_us as f64 / 1e6,
        estimate.error_bound_us as f64 / 1e3
    );
    let click = Timestamp::parse_rfc3339(SLOT)?.as_micros() + skew_s * 1_000_000;
    // To the nearest millisecond.
    let shown =
        |micros: i64| Timestamp::from_micros(micros + 500).map_or_else(String::new, |at| at.millis().to_string());
    println!("  so a click at {} by that clock is sent as {}", shown(click), shown(click + estimate.offset_us));
    Ok(())
}

/// The first lines of a log that have one of `words`.
fn show_lines(log: &Path, words: &[&str], most: usize) -> Result<()> {
    let text = std::fs::read_to_string(log)?;
    let wanted = text.lines().filter(|line| words.iter().any(|word| line.contains(word)));
    for line in wanted.take(most) {
        println!("  {line}");
    }
    Ok(())
}
