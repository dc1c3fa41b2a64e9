//! What the rules of a telescope cost, and what it costs to be measured: `cargo bench --bench rules`
//!
//! Two pairs of services run at once, with ten thousand scientists each. The telescope of one has no rules; that of the other has all of
//! them: the longest booking, notice, a horizon, both quotas, weekly hours, and a proposal that every booking is charged to, of each
//! scientist one. Both are measured in turns of a second each. After a few pairs all services start anew: two processes of the same
//! program differ by some percent. Then the services without rules are measured against themselves, while somebody reads `/metrics`
//! once a second. Printed are the ratios, and the time of a processor that one reading of `/metrics` takes.
//!
//! `SCTEC_BENCH_PAIRS` chooses the number of pairs.

#[path = "../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod measure;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Services, http};
use measure::turns::{self, CONNECTIONS, TURN, Turns};
use measure::{Outcome, cpu_us, ruled, table, told};

const PAIRS_DEFAULT: usize = 20;
/// The pairs of turns for which services live.
const EACH_ROUND: usize = 4;
const SCIENTISTS: u64 = 10_000;
/// The readings of `/metrics` whose time is taken, one after the other.
const READINGS: u32 = 200;

/// A pair of services, and what the bookings there name.
struct Side {
    services: Services,
    /// The scheduler's. To ask for it takes long once the services have printed much.
    address: String,
    /// Whether a booking names its scientist's proposal, which has the same number.
    with_proposal: bool,
}

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    let pairs: usize =
        std::env::var("SCTEC_BENCH_PAIRS").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(PAIRS_DEFAULT);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut rules, mut metrics) = (Turns::default(), Turns::default());
    let mut reading_us = Vec::new();
    for round in 0..pairs.div_ceil(EACH_ROUND) {
        let sides = sides(round)?;
        let next = Arc::new(AtomicU64::new(0));
        // The first pair only warms up.
        for pair in 0..=EACH_ROUND {
            for turn in 0..2 {
                let side = (pair + turn) % 2;
                let done = runtime.block_on(one_turn(&sides[side], &next))?;
                if pair > 0 {
                    rules.add(side, done);
                }
            }
        }
        for pair in 0..EACH_ROUND {
            for turn in 0..2 {
                let side = (pair + turn) % 2;
                metrics.add(side, runtime.block_on(one_turn_read(&sides[0], side == 1, &next))?);
            }
        }
        reading_us.push(one_reading_us(&sides[0]));
    }
    let header =
        ["", "first, per second", "second, per second", "second / first", "median of pairs", "CPU µs", "CPU µs"];
    eprintln!(
        "{CONNECTIONS} connections, {pairs} pairs of turns of {} s; the client runs on the same machine",
        TURN.as_secs()
    );
    let rows = [
        rules.row("bookings (201): without rules, with all"),
        metrics.row("bookings (201): alone, /metrics read once a second"),
    ];
    eprintln!("{}", table(header, rows));
    let reading_us = reading_us.iter().sum::<f64>() / reading_us.len() as f64;
    let share = reading_us / Duration::from_secs(15).as_micros() as f64 * 100.0;
    eprintln!("GET /metrics: {reading_us:.0} µs of a processor; read every 15 s, {share:.4} % of one");
    Ok(())
}

/// Services without rules, and others with all; in turns, one or the other starts first.
fn sides(round: usize) -> Outcome<[Side; 2]> {
    let first = round % 2 == 1;
    let [one, other] = [side(first)?, side(!first)?];
    Ok(if first { [other, one] } else { [one, other] })
}

fn side(with_rules: bool) -> Outcome<Side> {
    let services = Services::start(&[]);
    ruled::add_scientists(&services, SCIENTISTS);
    if with_rules {
        ruled::set_all_rules(&services)?;
    }
    Ok(Side { address: services.agenda_address(), services, with_proposal: with_rules })
}

/// Books over all connections for one turn.
async fn one_turn(side: &Side, next: &Arc<AtomicU64>) -> Outcome<(f64, f64)> {
    let pids = [side.services.scheduler.pid(), side.services.coordinator.pid()];
    let (next, with_proposal) = (Arc::clone(next), side.with_proposal);
    let request = move || ruled::booking(next.fetch_add(1, Ordering::Relaxed), SCIENTISTS, with_proposal);
    turns::one_turn(&side.address, &pids, 201, request).await
}

/// The same, while somebody reads `/metrics` once in the turn, if `is_read`.
async fn one_turn_read(side: &Side, is_read: bool, next: &Arc<AtomicU64>) -> Outcome<(f64, f64)> {
    let url = side.services.agenda("/metrics");
    let reading = tokio::task::spawn_blocking(move || {
        if is_read {
            std::thread::sleep(TURN / 2);
            assert_eq!(http("GET", &url, None).status, 200);
        }
    });
    let done = one_turn(side, next).await?;
    reading.await?;
    Ok(done)
}

/// The processor time of one reading of `/metrics`, in microseconds.
fn one_reading_us(side: &Side) -> f64 {
    let url = side.services.agenda("/metrics");
    let before = cpu_us(side.services.scheduler.pid());
    for _ in 0..READINGS {
        assert_eq!(http("GET", &url, None).status, 200);
    }
    (cpu_us(side.services.scheduler.pid()) - before) / f64::from(READINGS)
}
