//! How many bookings a second the services make, and which steps the time of one takes: `cargo bench`
//!
//! The real executable runs as two processes, a coordinator and a scheduler. In one run, each of these is measured for some seconds
//! over the same number of connections:
//!
//! - bookings, each of a slot of its own: lock, commit on disk, audit record, unlock;
//! - refusals: all request one slot that is retained, so the coordinator refuses it;
//! - `GET /saude`: the HTTP server alone, with which the others are compared.
//!
//! Figures depend on the machine and its disk. Compare the ratios.

#[path = "../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod measure;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::Services;
use http_body_util::Full;
use hyper::Request;
use measure::{Outcome, cpu_us, one_connection, rank, table, told, up_to};
use sctec::time::Timestamp;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 64;
const SECONDS: u64 = 5;
/// Refused requests must stay refused for the whole run.
const RETENTION_MS: &str = "60000";

/// What one kind of request did.
struct Measured {
    name: &'static str,
    per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Processor time per request: the scheduler's and the coordinator's, in microseconds.
    cpu_us: [f64; 2],
}

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    let services = Services::start(&["--lock-retention-ms", RETENTION_MS]);
    let address = services.agenda_address();
    let pids = [services.scheduler.pid(), services.coordinator.pid()];
    let taken = "2020-01-01T00:00:00Z";
    assert_eq!(services.book(1, taken).0, 201);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let next_slot = Arc::new(AtomicU64::new(0));
    let bookings = runtime.block_on(measure("bookings (201)", &address, pids, 201, move || {
        let slot = 6_000_000 + next_slot.fetch_add(1, Ordering::Relaxed);
        post(Timestamp::from_micros(slot.cast_signed() * 300_000_000).map(|at| at.seconds().to_string()))
    }))?;
    let refusals = runtime.block_on(measure("refusals (409)", &address, pids, 409, || post(Some(taken.to_owned()))))?;
    let health = runtime.block_on(measure("GET /saude", &address, pids, 200, || {
        Request::get("/saude").body(Full::default()).map_err(Into::into)
    }))?;

    let booked = services.count("SELECT count(*) FROM agendamentos");
    let slots = services.count("SELECT count(DISTINCT inicio_us) FROM agendamentos");
    let records = services.count("SELECT count(*) FROM auditoria WHERE linha LIKE '%\"AGENDAMENTO_CRIADO\"%'");
    drop(services);

    let header = ["", "per second", "of GET /saude", "p50 ms", "p99 ms", "CPU µs scheduler", "CPU µs coordinator"];
    let rows = [&bookings, &refusals, &health].map(|measured| {
        [
            measured.name.to_owned(),
            format!("{:.0}", measured.per_second),
            format!("{:.3}", measured.per_second / health.per_second),
            format!("{:.2}", measured.p50.as_secs_f64() * 1e3),
            format!("{:.2}", measured.p99.as_secs_f64() * 1e3),
            format!("{:.1}", measured.cpu_us[0]),
            format!("{:.1}", measured.cpu_us[1]),
        ]
    });
    eprintln!("{CONNECTIONS} connections, {SECONDS} s each; the client runs on the same machine");
    eprintln!("{}", table(header, rows));
    eprintln!("{booked} bookings of {slots} different slots, {records} audit records");
    assert_eq!(booked, slots, "a slot was booked twice");
    assert_eq!(booked, records, "a booking without its record");
    Ok(())
}

fn post(start: Option<String>) -> Outcome<Request<Full<Bytes>>> {
    let start = start.ok_or("the slots of all years are used up")?;
    let body = format!(r#"{{"cientista_id": 1, "horario_inicio_utc": "{start}"}}"#);
    Ok(Request::post("/agendamentos").header("content-type", "application/json").body(Full::new(body.into()))?)
}

/// Sends what `request` makes over all connections until the time is up; every answer has to have `status`.
async fn measure(
    name: &'static str,
    address: &str,
    pids: [u32; 2],
    status: u16,
    request: impl Fn() -> Outcome<Request<Full<Bytes>>> + Clone + Send + 'static,
) -> Outcome<Measured> {
    let cpu_before = pids.map(cpu_us);
    let begun = Instant::now();
    let until = begun + Duration::from_secs(SECONDS);
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(one_connection(address.to_owned(), up_to(until), status, request.clone()));
    }
    let mut latencies = Vec::new();
    for done in connections.join_all().await {
        latencies.extend(done.map_err(|error| format!("{name}: {error}"))?);
    }
    let elapsed = begun.elapsed();
    latencies.sort_unstable();
    let count = latencies.len() as f64;
    let cpu_after = pids.map(cpu_us);
    Ok(Measured {
        name,
        per_second: count / elapsed.as_secs_f64(),
        p50: rank(&latencies, 50),
        p99: rank(&latencies, 99),
        cpu_us: [0, 1].map(|index| (cpu_after[index] - cpu_before[index]) / count),
    })
}
