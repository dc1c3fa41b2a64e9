//! Bookings a second on PostgreSQL, compared with SQLite and with what PostgreSQL does by itself: `cargo bench --bench stores`
//!
//! In one run, in turns of a second each, over 64 and over 256 connections:
//!
//! - a scheduler whose agenda is in SQLite;
//! - a scheduler whose agenda is in PostgreSQL;
//! - two schedulers with one agenda in PostgreSQL, with half of the connections each;
//! - `pgbench`, which writes the rows of as many bookings in transactions of the size that the schedulers' had, over one connection for
//!   each scheduler. It has no HTTP, no lock of a slot, no chain of records and no file of the trail;
//! - the same, while as much processor time is used beside it in a second as the services and the clients had used beside PostgreSQL, on
//!   memory that fills a processor's second-level cache.
//!
//! The server is one of the tests, with `fsync` and `synchronous_commit` on, on the same machine as its clients. Every booking is of a
//! slot of its own. At the end the database has to have each booking once.
//!
//! `SCTEC_BENCH_ROUNDS` chooses the number of turns of each. `SCTEC_BENCH_COMMIT_US` makes each commit of PostgreSQL wait so many
//! microseconds more (`commit_delay`), as a slower disk or a distant standby does: then the processors are not what bounds.

mod burden;
#[path = "../../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
#[path = "../measure/mod.rs"]
mod measure;
mod pgbench;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use common::postgres::Database;
use common::{Server, Services, scheduler_command, wait_until};
use http_body_util::Full;
use hyper::Request;
use measure::database::server_cpu_us;
use measure::turns::{TURN, one_turn_over};
use measure::{Outcome, cpu_us, last_seq, table, told};
use sctec::time::Timestamp;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const ROUNDS_DEFAULT: usize = 10;
const CONNECTIONS: [usize; 2] = [64, 256];

/// Schedulers that share an agenda, with their coordinator.
struct Side {
    name: &'static str,
    services: Services,
    second: Option<(Server, TempDir)>,
    /// Where the agenda is, if it is in PostgreSQL.
    database: Option<Database>,
}

/// What was done, turn by turn.
#[derive(Default)]
struct Measured {
    /// Bookings a second.
    rates: Vec<f64>,
    /// Bookings for each transaction, where that is known.
    batches: Vec<f64>,
    /// Processor time of the schedulers and the coordinator, in microseconds per booking.
    cpu_us: Vec<f64>,
    /// Processor time of PostgreSQL, in microseconds per booking.
    database_cpu_us: Vec<f64>,
    /// Processor time of all but PostgreSQL, the clients too, in seconds per second.
    beside: Vec<f64>,
}

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    let rounds = std::env::var("SCTEC_BENCH_ROUNDS").ok().map(|text| text.parse()).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sides = [sqlite(), postgres("PostgreSQL, one scheduler", false), postgres("PostgreSQL, two schedulers", true)];
    let direct = postgres("the tables alone", false).stopped();
    if let Ok(text) = std::env::var("SCTEC_BENCH_COMMIT_US") {
        slow_commits(&direct, text.parse()?)?;
    }
    let next = Arc::new(AtomicU64::new(0));
    for connections in CONNECTIONS {
        let mut measured: [Measured; 3] = Default::default();
        let mut alone: [Measured; 2] = Default::default();
        let mut burdened: [Measured; 2] = Default::default();
        // The first round only warms up.
        for round in 0..=rounds.unwrap_or(ROUNDS_DEFAULT) {
            let is_warm = round > 0;
            for (side, measured) in sides.iter().zip(&mut measured) {
                side.turn(&runtime, connections, &next, is_warm.then_some(measured))?;
            }
            for writers in [1, 2] {
                let (batch, line) = (sides[writers].last_batch(), sides[writers].line_bytes());
                let rate = pgbench::turn(&direct, writers, batch, line)?;
                // The last turn of those that are compared; a first one has none.
                let beside = measured[writers].beside.last().copied().unwrap_or_default();
                let (slowed, used) = burden::beside(beside, || pgbench::turn(&direct, writers, batch, line));
                if is_warm {
                    alone[writers - 1].add(rate, batch, 0.0);
                    burdened[writers - 1].add(slowed?, batch, used);
                }
            }
        }
        eprintln!("{connections} connections, turns of {} s each; all on one machine", TURN.as_secs());
        eprintln!("{}", report(&sides, &measured, &alone, &burdened));
    }
    for side in &sides {
        side.check();
    }
    Ok(())
}

/// Has each commit of the server wait so many microseconds more.
fn slow_commits(database: &Database, micros: u32) -> Outcome<()> {
    for statement in [
        // By default only a commit waits that has five others beside it.
        "ALTER SYSTEM SET commit_siblings = 0",
        &format!("ALTER SYSTEM SET commit_delay = {micros}"),
        "SELECT pg_reload_conf()",
    ] {
        database.rows(statement)?;
    }
    wait_until("the server has its new settings", || {
        database.rows("SHOW commit_siblings").is_ok_and(|rows| rows == [[Some("0".to_owned())]])
    });
    eprintln!("each commit of PostgreSQL waits {micros} µs more");
    Ok(())
}

/// One row for each side, and one for each pgbench. Ratios are medians over the rounds: each round's turns follow each other.
fn report(
    sides: &[Side; 3],
    measured: &[Measured; 3],
    alone: &[Measured; 2],
    burdened: &[Measured; 2],
) -> comfy_table::Table {
    let or_none = |values: &[f64], digits: usize| match values {
        [] => "-".to_owned(),
        values => format!("{:.digits$}", median(values)),
    };
    let sqlite = &measured[0];
    let row = |name: &str, measured: &Measured, writers: usize| {
        let of = |pgbench: &[Measured; 2]| match writers {
            0 => "-".to_owned(),
            writers => format!("{:.2}", ratio(measured, &pgbench[writers - 1])),
        };
        [
            name.to_owned(),
            or_none(&measured.rates, 0),
            or_none(&measured.batches, 0),
            or_none(&measured.cpu_us, 0),
            or_none(&measured.database_cpu_us, 0),
            or_none(&measured.beside, 2),
            format!("{:.2}", ratio(measured, sqlite)),
            of(alone),
            of(burdened),
        ]
    };
    let header = [
        "",
        "bookings a second",
        "in a transaction",
        "CPU µs of the services",
        "of PostgreSQL",
        "processors beside",
        "of SQLite",
        "of pgbench",
        "of pgbench burdened",
    ];
    let rows = [
        row(sides[0].name, sqlite, 0),
        row(sides[1].name, &measured[1], 1),
        row(sides[2].name, &measured[2], 2),
        row("pgbench, one connection", &alone[0], 1),
        row("pgbench, two connections", &alone[1], 2),
        row("pgbench burdened, one connection", &burdened[0], 1),
        row("pgbench burdened, two connections", &burdened[1], 2),
    ];
    table(header, rows)
}

impl Measured {
    /// Adds a turn of pgbench.
    fn add(&mut self, rate: f64, batch: usize, beside: f64) {
        self.rates.push(rate);
        self.batches.push(batch as f64);
        self.beside.push(beside);
    }
}

fn ratio(of: &Measured, to: &Measured) -> f64 {
    let ratios: Vec<f64> = of.rates.iter().zip(&to.rates).map(|(of, to)| of / to).collect();
    median(&ratios)
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn sqlite() -> Side {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    Side { name: "SQLite", services, second: None, database: None }
}

fn postgres(name: &'static str, with_second: bool) -> Side {
    let database = Database::create();
    let url = database.url();
    let args = ["--lock-retention-ms", "0", "--store", &url];
    let services = Services::start(&args);
    let second = with_second.then(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        (Server::spawn(scheduler_command(folder.path(), &services.coordinator.url()).args(args), 1), folder)
    });
    Side { name, services, second, database: Some(database) }
}

impl Side {
    /// The database alone, with its tables.
    fn stopped(self) -> Database {
        drop(self.services.stop());
        self.database.expect("it is in PostgreSQL")
    }

    fn schedulers(&self) -> impl Iterator<Item = &Server> {
        [&self.services.scheduler].into_iter().chain(self.second.as_ref().map(|(server, _)| server))
    }

    /// One turn of bookings, and the wait until the files of the trail have all of it.
    fn turn(
        &self,
        runtime: &Runtime,
        connections: usize,
        next: &Arc<AtomicU64>,
        measured: Option<&mut Measured>,
    ) -> Outcome<()> {
        let addresses: Vec<String> = self.schedulers().map(|server| server.url().replace("http://", "")).collect();
        let addresses: Vec<String> = addresses.into_iter().cycle().take(connections).collect();
        let mut pids: Vec<u32> = self.schedulers().map(Server::pid).collect();
        pids.push(self.services.coordinator.pid());
        let next = Arc::clone(next);
        let request = move || post(next.fetch_add(1, Ordering::Relaxed));
        let all: Vec<u32> = pids.iter().copied().chain([std::process::id()]).collect();
        let used = || all.iter().map(|pid| cpu_us(*pid)).sum::<f64>();
        let database = || self.database.as_ref().map(|_| server_cpu_us());
        let (before, database_before, begun) = (used(), database(), Instant::now());
        let (rate, cpu_us) = runtime.block_on(one_turn_over(&addresses, &pids, 201, request))?;
        let seconds = begun.elapsed().as_secs_f64();
        let beside = (used() - before) / 1e6 / seconds;
        let database_cpu_us = database().zip(database_before).map(|(now, before)| (now - before) / (rate * seconds));
        let folders =
            [self.services.data_dir()].into_iter().chain(self.second.as_ref().map(|(_, folder)| folder.path()));
        let trails: Vec<PathBuf> = folders.map(|folder| folder.join("audit.jsonl")).collect();
        let head = self.value("SELECT seq FROM trilha") as u64;
        wait_until("each scheduler has written its trail", || trails.iter().all(|trail| last_seq(trail) >= head));
        if let Some(measured) = measured {
            measured.rates.push(rate);
            measured.cpu_us.push(cpu_us);
            measured.database_cpu_us.extend(database_cpu_us);
            measured.beside.push(beside);
            measured.batches.extend(self.database.as_ref().map(|_| self.last_batch() as f64));
        }
        Ok(())
    }

    /// A value of the agenda.
    fn value(&self, sql: &str) -> usize {
        let Some(database) = &self.database else { return self.services.count(sql) };
        let rows = database.rows(&format!("SET search_path = sctec; {sql}")).expect("the database answers");
        rows[0][0].as_deref().and_then(|value| value.parse().ok()).expect("a number")
    }

    /// The mean number of bookings in the transactions of the newest thousand records.
    fn last_batch(&self) -> usize {
        self.value(
            "SELECT ceil(count(*)::numeric / count(DISTINCT xmin::text))::bigint FROM auditoria
             WHERE seq > (SELECT seq - 1000 FROM trilha)",
        )
    }

    /// How long the newest record is.
    fn line_bytes(&self) -> usize {
        self.value("SELECT length(linha) FROM auditoria WHERE seq = (SELECT seq FROM trilha)")
    }

    /// Each booking is there once, with its record.
    fn check(&self) {
        let bookings = self.value("SELECT count(*) FROM agendamentos");
        assert_eq!(bookings, self.value("SELECT count(*) FROM horarios"), "{}: a slot was booked twice", self.name);
        let records = self.value("SELECT count(*) FROM auditoria WHERE linha LIKE '%\"AGENDAMENTO_CRIADO\"%'");
        assert_eq!(bookings, records, "{}: a booking without its record", self.name);
    }
}

fn post(nth: u64) -> Outcome<Request<Full<Bytes>>> {
    /// The year 2030.
    const FIRST: i64 = 6_311_520;
    let start = Timestamp::from_micros((FIRST + nth.cast_signed()) * 300_000_000);
    let start = start.ok_or("the slots of all years are used up")?.seconds().to_string();
    let body = format!(r#"{{"cientista_id": 1, "horario_inicio_utc": "{start}"}}"#);
    Ok(Request::post("/agendamentos").header("content-type", "application/json").body(Full::new(body.into()))?)
}
