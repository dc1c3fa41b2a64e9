//! What the services do under load, beside a server that only parses JSON: `cargo bench --bench load`
//!
//! One command builds and starts all: for each kind of request a coordinator and a scheduler of the real executable, and the floor, a bare hyper
//! server in another process that parses each body and counts in a table. They are measured in turns, each row's turn right before the
//! floor's over as many connections, so that a machine that becomes slower does so for both. Printed are medians over the rounds, and the
//! ratio of each row to the floor in the same round. Then listeners of the agenda are told of bookings, and the memory is shown.
//!
//! Every answer is checked, and at the end each slot has to be booked once. Figures depend on the machine and its disk, and the client
//! runs on it too: the ratios are what to compare.
//!
//! With `SCTEC_TEST_STORE=postgres` each scheduler has its agenda in a database of a PostgreSQL server that the bench starts, with `fsync` and
//! `synchronous_commit` on; the server's processor time is then shown beside that of the services.
//!
//! `SCTEC_BENCH_SECONDS` is the length of a turn, `SCTEC_BENCH_ROUNDS` the number of turns. With
//! `SCTEC_BENCH_SECONDS=0.3 SCTEC_BENCH_ROUNDS=1` the whole takes a few seconds. The names of rows choose among them (`-- booking time`).

#[path = "../../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod hearing;
#[path = "../measure/mod.rs"]
mod measure;
mod side;

use std::process::Command;
use std::time::Duration;

use common::{Server, storage};
use measure::floor::floor;
use measure::rows::Row;
use measure::{Outcome, rank, resident_kib, table, told};
use side::{Side, Turn};
use tokio::runtime::{Builder, Runtime};

/// The argument that makes this executable the floor.
const FLOOR: &str = "--floor";
const SECONDS_DEFAULT: f64 = 2.0;
const ROUNDS_DEFAULT: usize = 5;
/// All turns of the refusals, and of the floor between them, take no longer: the slot is retained for a minute.
const REFUSALS_MAX: Duration = Duration::from_secs(40);

/// What is measured: its name in the table, the kind of request, and the number of connections.
const ROWS: [(&str, Row, usize); 9] = [
    ("bookings, own slots", Row::Booking, 64),
    ("one booking alone", Row::Booking, 1),
    ("the same with a token", Row::BookingWithToken, 64),
    ("the same with all rules", Row::BookingWithRules, 64),
    ("refusals of one slot", Row::Refusal, 64),
    ("lock or unlock", Row::Lock, 32),
    ("GET /time", Row::Time, 64),
    ("GET /cientistas/1", Row::Reading, 64),
    ("the same with a token", Row::ReadingWithToken, 64),
];

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    if told(FLOOR) {
        return Builder::new_multi_thread().enable_all().build()?.block_on(floor());
    }
    let seconds: f64 = from_environment("SCTEC_BENCH_SECONDS", SECONDS_DEFAULT)?;
    let rounds: usize = from_environment("SCTEC_BENCH_ROUNDS", ROUNDS_DEFAULT)?;
    let time = Duration::try_from_secs_f64(seconds)?;
    let chosen = |row: Row| told(row.name()) || !Row::ALL.iter().any(|row| told(row.name()));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let floor = Server::spawn(Command::new(std::env::current_exe()?).arg(FLOOR), 1);
    let (mut sides, mut rows) = (Vec::<Side>::new(), Vec::new());
    for (name, row, connections) in ROWS.into_iter().filter(|(_, row, _)| chosen(*row)) {
        if sides.last().is_none_or(|side| side.row() != row) {
            sides.push(Side::start(row)?);
        }
        let side = sides.last().ok_or("no services")?;
        let turns = measured(&runtime, (side, &floor), connections, time, rounds.max(1))?;
        rows.push(shown(name, connections, &turns));
    }
    let header = [
        "",
        "connections",
        "per second",
        "of the floor",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "floor's",
        "PostgreSQL's",
        "bytes of log",
    ];
    let store = if storage::is_postgres() { "PostgreSQL" } else { "SQLite" };
    eprintln!(
        "medians of {rounds} turns of {seconds} s; the agenda is in {store}; the client runs on the same machine"
    );
    eprintln!("{}", table(header, rows));
    if chosen(Row::Booking) {
        eprintln!("{}", hearing::measured(time)?);
    }
    let memory = sides.iter().map(|side| {
        let mib = |kib: f64| format!("{:.1}", kib / 1024.0);
        let [[scheduler, coordinator], [scheduler_now, coordinator_now]] = [side.memory_at_first(), side.memory_kib()];
        [side.row().name().to_owned(), mib(scheduler), mib(scheduler_now), mib(coordinator), mib(coordinator_now)]
    });
    let header = ["memory, MiB", "scheduler, before", "after", "coordinator, before", "after"];
    eprintln!("{}", table(header, memory));
    eprintln!("the floor has {:.1} MiB after that", resident_kib(floor.pid()) / 1024.0);
    sides.iter().try_for_each(Side::check)
}

/// A number that the environment gives, or the usual one.
fn from_environment<T: std::str::FromStr>(name: &str, usual: T) -> Outcome<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name} is no number: {text}").into()),
        Err(_) => Ok(usual),
    }
}

/// A row's turns, each with the floor's. The first of them only warms up.
fn measured(
    runtime: &Runtime,
    (side, floor): (&Side, &Server),
    connections: usize,
    time: Duration,
    rounds: usize,
) -> Outcome<Vec<[Turn; 2]>> {
    let time = if side.row() == Row::Refusal { time.min(REFUSALS_MAX / u32::try_from(2 * rounds)?) } else { time };
    let mut turns = Vec::new();
    for round in 0..=rounds {
        let length = if round == 0 { time / 4 } else { time };
        let pair = [side.turn(runtime, connections, length)?, side.floors_turn(runtime, floor, connections, length)?];
        if round > 0 {
            turns.push(pair);
        }
    }
    Ok(turns)
}

/// The medians of a row.
fn shown(name: &str, connections: usize, turns: &[[Turn; 2]]) -> [String; 10] {
    let of = |figure: &dyn Fn(&[Turn; 2]) -> f64| median(turns.iter().map(figure).collect());
    let millis = |percent| of(&move |[own, _]| rank(&own.done.latencies, percent).as_secs_f64() * 1e3);
    [
        name.to_owned(),
        connections.to_string(),
        format!("{:.0}", of(&|[own, _]| own.done.per_second())),
        format!("{:.3}", of(&|[own, floor]| own.done.per_second() / floor.done.per_second())),
        format!("{:.2}", millis(50)),
        format!("{:.2}", millis(99)),
        format!("{:.1}", of(&|[own, _]| own.done.cpu_us)),
        format!("{:.1}", of(&|[_, floor]| floor.done.cpu_us)),
        format!("{:.1}", of(&|[own, _]| own.database_cpu_us)),
        format!("{:.0}", of(&|[own, _]| own.log_bytes)),
    ]
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
