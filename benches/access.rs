//! What it costs to know who asks: `cargo bench --bench access`
//!
//! Two pairs of services run at once. The scheduler of one asks nobody who they are, that of the other asks for tokens. Both count each
//! client's requests in a rate that none of them uses up, as an operator asks for it: of an address here, of a principal there. Both get
//! the same requests, with a token, which the first of them ignores: what it costs the client of this bench to send 60 bytes more is not
//! a cost of the service. They are measured in turns of a second each, in an order that changes (open, token, token, open, …), so that what else the machine does
//! meets both alike. After a few pairs all services start anew: two processes of the same program differ by some percent, as chance lays out their
//! memory. Printed is the ratio of what they did: of all turns, and the median of the pairs.
//!
//! `SCTEC_BENCH_PAIRS` chooses the number of pairs. `SCTEC_BENCH_RATE=0` measures both without rates, and
//! `SCTEC_BENCH_RATE_OPEN=0` what tokens and rates cost together.

#[path = "../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod measure;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common::{Services, run};
use http_body_util::Full;
use hyper::Request;
use measure::turns::{self, CONNECTIONS, TURN, Turns};
use measure::{Outcome, table, told};
use sctec::time::Timestamp;

const PAIRS_DEFAULT: usize = 20;
/// The pairs of turns for which services live.
const EACH_ROUND: usize = 4;

/// One of the two pairs of services.
struct Side {
    services: Services,
    /// The scheduler's. To ask for it takes long once the services have printed much.
    address: String,
    /// The header that each request has.
    bearer: String,
}

/// What is asked for.
#[derive(Clone, Copy)]
enum Kind {
    Booking,
    Reading,
}

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    let pairs: usize =
        std::env::var("SCTEC_BENCH_PAIRS").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(PAIRS_DEFAULT);
    let rate = std::env::var("SCTEC_BENCH_RATE").unwrap_or_else(|_| "1000000".to_owned());
    let rate_open = std::env::var("SCTEC_BENCH_RATE_OPEN").unwrap_or_else(|_| rate.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let next_slot = Arc::new(AtomicU64::new(0));
    let kinds = [("bookings (201)", Kind::Booking), ("GET /cientistas/1", Kind::Reading)];
    let mut measured = kinds.map(|_| Turns::default());
    for round in 0..pairs.div_ceil(EACH_ROUND) {
        let sides = sides([&rate_open, &rate], round)?;
        for ((_, kind), turns) in kinds.iter().zip(&mut measured) {
            // The first pair only warms up.
            for pair in 0..=EACH_ROUND {
                for turn in 0..2 {
                    let side = (pair + turn) % 2;
                    let done = runtime.block_on(one_turn(&sides[side], *kind, &next_slot))?;
                    if pair > 0 {
                        turns.add(side, done);
                    }
                }
            }
        }
    }
    let rows: Vec<_> = kinds.iter().zip(&measured).map(|((name, _), turns)| turns.row(name)).collect();
    let header =
        ["", "open, per second", "token, per second", "token / open", "median of pairs", "CPU µs open", "CPU µs token"];
    eprintln!(
        "{CONNECTIONS} connections, {pairs} pairs of turns of {} s; the client runs on the same machine",
        TURN.as_secs()
    );
    eprintln!("{}", table(header, rows));
    Ok(())
}

/// Services that ask nobody who they are, and others that ask; in turns, one or the other starts first.
fn sides([rate_open, rate]: [&str; 2], round: usize) -> Outcome<[Side; 2]> {
    let start = |asks: bool| {
        let args = if asks { ["--access", "token", "--rate", rate] } else { ["--access", "open", "--rate", rate_open] };
        Services::start(&args)
    };
    let first = round % 2 == 1;
    let services = [start(first), start(!first)];
    let [open, token] = if first {
        let [token, open] = services;
        [open, token]
    } else {
        services
    };
    let dir = token.data_dir().to_str().ok_or("a folder's name")?.to_owned();
    let made = run(&["token", "create", "ana", "--role", "cientista", "--scientist", "1", "--data-dir", &dir]);
    let bearer = format!("Bearer {}", String::from_utf8(made.stdout)?.trim());
    let side = |services: Services| Side { address: services.agenda_address(), services, bearer: bearer.clone() };
    Ok([side(open), side(token)])
}

/// Asks over all connections for one turn.
async fn one_turn(side: &Side, kind: Kind, next_slot: &Arc<AtomicU64>) -> Outcome<(f64, f64)> {
    let pids = [side.services.scheduler.pid(), side.services.coordinator.pid()];
    let (next_slot, bearer) = (Arc::clone(next_slot), side.bearer.clone());
    let status = if matches!(kind, Kind::Booking) { 201 } else { 200 };
    let asked = move || request(kind, &bearer, &next_slot);
    turns::one_turn(&side.address, &pids, status, asked).await
}

fn request(kind: Kind, bearer: &str, next_slot: &AtomicU64) -> Outcome<Request<Full<Bytes>>> {
    let request = match kind {
        Kind::Reading => Request::get("/cientistas/1"),
        Kind::Booking => Request::post("/agendamentos").header("content-type", "application/json"),
    };
    let body = match kind {
        Kind::Reading => Full::default(),
        Kind::Booking => {
            let slot = 6_000_000 + next_slot.fetch_add(1, Ordering::Relaxed);
            let start =
                Timestamp::from_micros(slot.cast_signed() * 300_000_000).ok_or("the slots of all years are used up")?;
            Full::new(format!(r#"{{"cientista_id": 1, "horario_inicio_utc": "{}"}}"#, start.seconds()).into())
        }
    };
    Ok(request.header("authorization", bearer).body(body)?)
}
