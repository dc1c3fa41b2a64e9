//! What contests cost who is in none: `cargo bench --bench contests`
//!
//! The assignment's client has no time token. Where no token lives, nobody waits for rivals, and a booking on a telescope with contests should be as fast
//! as on one without (rule `disputa: chegada`). Two pairs of services are measured in turns of a second each, in an order that changes, and started anew
//! after a few pairs; printed is the ratio of what they did: of all turns, and the median of the pairs. The target is 0.98.
//!
//! Then, how long a lock waits beside a contest: the 99th percentile of locks of other names, while the windows of contests are open one after the other,
//! and while there is none.
//!
//! `SCTEC_BENCH_PAIRS` chooses the number of pairs.

#[path = "../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod measure;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Locks, Services, http};
use http_body_util::Full;
use hyper::Request;
use measure::turns::{self, CONNECTIONS, TURN, Turns};
use measure::{Outcome, table, told};
use sctec::time::Timestamp;
use serde_json::json;

const PAIRS_DEFAULT: usize = 20;
/// The pairs of turns for which services live.
const EACH_ROUND: usize = 4;
/// The locks whose latencies are measured, with contests and without.
const LOCKS: usize = 2000;
/// The contests that are open at once.
const CONTESTS: u64 = 16;

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    let pairs: usize =
        std::env::var("SCTEC_BENCH_PAIRS").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(PAIRS_DEFAULT);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let next_slot = Arc::new(AtomicU64::new(0));
    let mut turns = Turns::default();
    for round in 0..pairs.div_ceil(EACH_ROUND) {
        let sides = sides(round)?;
        // The first pair only warms up.
        for pair in 0..=EACH_ROUND {
            for turn in 0..2 {
                let side = (pair + turn) % 2;
                let pids = [sides[side].scheduler.pid(), sides[side].coordinator.pid()];
                let next_slot = Arc::clone(&next_slot);
                let booking = move || booking(&next_slot);
                let done = runtime.block_on(turns::one_turn(&sides[side].agenda_address(), &pids, 201, booking))?;
                if pair > 0 {
                    turns.add(side, done);
                }
            }
        }
    }
    let header = [
        "",
        "chegada, per second",
        "ordem, per second",
        "ordem / chegada",
        "median of pairs",
        "CPU µs chegada",
        "CPU µs ordem",
    ];
    eprintln!(
        "{CONNECTIONS} connections, {pairs} pairs of turns of {} s; the client runs on the same machine",
        TURN.as_secs()
    );
    eprintln!("{}", table(header, vec![turns.row("bookings without a token")]));
    beside_contests();
    Ok(())
}

/// Services without contests, and services with them; in turns, one or the other starts first.
fn sides(round: usize) -> Outcome<[Services; 2]> {
    let mut sides = [Services::start(&[]), Services::start(&[])];
    if round % 2 == 1 {
        sides.swap(0, 1);
    }
    let body = json!({"regras": {"disputa": "chegada"}}).to_string();
    let url = sides[0].agenda("/telescopios/Hubble-Acad");
    let changed = http("PATCH", &url, Some(("application/merge-patch+json", &body)));
    if changed.status == 200 { Ok(sides) } else { Err(changed.body.into()) }
}

/// The assignment's payload, for the next slot.
fn booking(next_slot: &AtomicU64) -> Outcome<Request<Full<bytes::Bytes>>> {
    let slot = 6_000_000 + next_slot.fetch_add(1, Ordering::Relaxed);
    let start = Timestamp::from_micros(slot.cast_signed() * 300_000_000).ok_or("the slots of all years are used up")?;
    let body = format!(r#"{{"cientista_id": 1, "horario_inicio_utc": "{}"}}"#, start.seconds());
    Ok(Request::post("/agendamentos").header("content-type", "application/json").body(Full::new(body.into()))?)
}

/// Prints how long locks take while contests are open, and while there is none.
fn beside_contests() {
    let locks = Locks::start();
    let alone = latencies(&locks, "a");
    let ends = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        for contest in 0..CONTESTS {
            let (locks, ends) = (&locks, &ends);
            scope.spawn(move || {
                for round in 0.. {
                    if ends.load(Ordering::Relaxed) {
                        return;
                    }
                    let disputed = json!({"carimbo_us": 1, "janela_ms": 150});
                    locks.lock(&json!({"recurso": format!("disputado-{contest}-{round}"), "disputa": disputed}));
                }
            });
        }
        let beside = latencies(&locks, "b");
        ends.store(true, Ordering::Relaxed);
        beside
    });
    let rows = [("no contest", alone), ("16 contests open", beside)].map(|(name, sorted)| {
        let at = |percent: usize| {
            format!("{:.2}", sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)].as_secs_f64() * 1e3)
        };
        [name.to_owned(), at(50), at(99), at(100)]
    });
    eprintln!("{}", table(["a lock of another name", "p50 ms", "p99 ms", "max ms"], rows.to_vec()));
}

/// How long each of many locks took, from the shortest to the longest.
fn latencies(locks: &Locks, prefix: &str) -> Vec<Duration> {
    let one = |nth: usize| {
        let begun = Instant::now();
        let (status, answer) = locks.lock(&json!({"recurso": format!("{prefix}-{nth}")}));
        assert_eq!(status, 200, "{answer}");
        begun.elapsed()
    };
    let mut all: Vec<Duration> = (0..LOCKS).map(one).collect();
    all.sort_unstable();
    all
}
