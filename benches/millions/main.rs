//! Starts, lists and bookings with an agenda of millions, compared with an empty one: `cargo bench --bench millions`
//!
//! `SCTEC_BENCH_BOOKINGS` sets the number of bookings (default 200,000; five million take some minutes to make and 7 GB in the
//! temporary folder). They are made by the code that makes real records and chains, and `sctec audit --verify --deep` checks them at
//! the end. Then the real executables are measured:
//!
//! - starts, after a clean stop and after a crash under load, until the service accepts connections;
//! - every list and filter, the first page and one from the middle;
//! - bookings over the same connections, in turns with services whose agenda is empty: at consecutive times, scattered over fifty
//!   free years, and scattered among the existing bookings (if there are a million or more).
//!
//! With `SCTEC_TEST_STORE=postgres` the agenda is moved to PostgreSQL (`sctec migrate`) before it is measured, and the empty one is there
//! too. Five million bookings then need 20 GB in the temporary folder.
//!
//! Other programs may load the machine meanwhile. So the figures of bookings are medians of the turns, and the load is printed. With
//! `SCTEC_BENCH_AGAIN=FILE` the agenda stays when it was measured: each time that FILE appears, it is removed and the turns of bookings are
//! measured once more, until the FILE that appears has the text `end`.

mod agenda;
#[path = "../../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
#[path = "../measure/mod.rs"]
mod measure;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Server, Services, http, run, scheduler_command, storage};
use http_body_util::Full;
use hyper::Request;
use measure::{Outcome, last_seq, one_connection, rank, table, told, up_to};
use sctec::time::Timestamp;
use tempfile::TempDir;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 64;
/// Turns of each agenda, and how long one takes.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(3);
/// Starts of each kind.
const STARTS: usize = 3;
/// How often each list is asked for.
const ASKED: usize = 100;
const BOOKINGS_DEFAULT: i64 = 200_000;
/// Between fewer than these there is no room for all that is booked in the turns.
const AMONG_MIN: i64 = 1_000_000;

/// Where the slots are that are booked in the turns.
#[derive(Clone, Copy)]
enum Order {
    /// One after the other.
    InTime,
    /// Over fifty years in which nothing else is.
    Scattered,
    /// Each beside one of the so many bookings of the agenda.
    Among(u64),
}

impl Order {
    const fn name(self) -> &'static str {
        match self {
            Self::InTime => "in time",
            Self::Scattered => "scattered",
            Self::Among(_) => "among others",
        }
    }

    /// Of each number another slot, as long as they are fewer than the slots.
    fn slot(self, nth: u64) -> u64 {
        /// The year 2080, after the agenda's own.
        const FIRST: u64 = 11_571_000;
        /// Fifty years of slots, and a number that shares no divisor with it, nor with a power of ten.
        const SPREAD: u64 = 5_259_600;
        const STEP: u64 = 3_250_001;
        match self {
            Self::InTime => FIRST + nth,
            Self::Scattered => FIRST + 2 * SPREAD + nth * STEP % SPREAD,
            Self::Among(bookings) => agenda::FIRST_SLOT.cast_unsigned() + 1 + 2 * (nth * STEP % bookings),
        }
    }
}

/// The machine's load, as Linux counts it: of the last minute, five and fifteen.
fn machine_load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    let wanted = std::env::var("SCTEC_BENCH_BOOKINGS").ok().map(|text| text.parse()).transpose()?;
    let bookings = wanted.unwrap_or(BOOKINGS_DEFAULT);
    let begun = Instant::now();
    let folder = new_agenda();
    agenda::fill(folder.path(), bookings)?;
    let bytes = std::fs::metadata(folder.path().join("sctec.db"))?.len();
    eprintln!("{bookings} bookings, {} MB of database, made in {:.0?}", bytes / 1_000_000, begun.elapsed());
    // The folder in SQLite is removed when it was moved: the disk need not have room for all of it twice for long.
    let folder = if storage::is_postgres() { moved(folder)? } else { folder };

    let begun = Instant::now();
    let mut services = Services::start_in(folder, &[]);
    eprintln!("first start, with no trail written: {:.0?}", begun.elapsed());
    settle(&services);
    eprintln!("trail written and pages looked at after {:.0?}", begun.elapsed());

    let rows = [starts(&mut services, true)?, starts(&mut services, false)?];
    eprintln!("{}", table(["start, in ms", "least", "most"], rows));
    settle(&services);
    eprintln!("{}", lists(&services)?);

    let empty = Services::start(&["--lock-retention-ms", "0"]);
    assert_eq!(services.scheduler.terminate(), Some(0));
    services.restart_scheduler(&["--lock-retention-ms", "0"]);
    settle(&services);
    let among = (bookings >= AMONG_MIN).then_some(Order::Among(bookings.cast_unsigned()));
    loop {
        for order in [Order::InTime, Order::Scattered].into_iter().chain(among) {
            eprintln!("{}", in_turns([&empty, &services], order)?);
        }
        if !is_asked_again()? {
            break;
        }
        settle(&services);
    }
    drop(empty);
    let folder = services.stop();
    let folder_name = folder.path().display().to_string();
    let begun = Instant::now();
    let deep: &[&str] = if storage::is_postgres() { &[] } else { &["--deep"] };
    let verified = run(&[&["audit", "--verify", "--data-dir", &folder_name], deep].concat());
    eprintln!("{}in {:.0?}", String::from_utf8_lossy(&verified.stdout), begun.elapsed());
    assert!(verified.status.success(), "{verified:?}");
    Ok(())
}

/// Whether the turns are to be measured once more: waits until somebody says so.
fn is_asked_again() -> Outcome<bool> {
    let Some(file) = std::env::var_os("SCTEC_BENCH_AGAIN").map(PathBuf::from) else { return Ok(false) };
    eprintln!("once more when {} appears; with the text `end` in it, no more", file.display());
    loop {
        let is_there = file.exists();
        // Who makes it may still be writing it.
        std::thread::sleep(Duration::from_millis(500));
        if is_there {
            break;
        }
    }
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    Ok(text.trim() != "end")
}

/// A folder with an agenda in SQLite that nobody has used.
fn new_agenda() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = scheduler_command(folder.path(), "http://127.0.0.1:9");
    let mut scheduler = Server::spawn(command.env_remove("SCTEC_STORE"), 1);
    assert_eq!(scheduler.terminate(), Some(0));
    folder
}

/// Moves an agenda to PostgreSQL. Returns the folder of a scheduler that uses it there.
fn moved(from: TempDir) -> Outcome<TempDir> {
    let begun = Instant::now();
    let folder = tempfile::tempdir()?;
    let source = format!("sqlite:{}", from.path().display());
    let moved = run(&["migrate", "--from", &source, "--to", &storage::url(folder.path())]);
    assert!(moved.status.success(), "{moved:?}");
    eprintln!("moved to PostgreSQL in {:.0?}", begun.elapsed());
    from.close()?;
    Ok(folder)
}

/// Waits until nothing goes on in the background, nor on the disk: gigabytes that are being written back would hold up each
/// sync of the services.
fn settle(services: &Services) {
    let begun = Instant::now();
    loop {
        let ready = http("GET", &services.agenda("/pronto"), None).json();
        let head = services.count("SELECT seq FROM trilha") as u64;
        let is_written = last_seq(&services.data_dir().join("audit.jsonl")) == head;
        // That PostgreSQL has no synchronous standby is no work that ends.
        let is_idle =
            ready["avisos"].as_object().is_some_and(|notices| notices.keys().all(|notice| notice == "replica"));
        if is_idle && is_written {
            rustix::fs::sync();
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(1200), "{ready}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// How long the scheduler takes to start again.
fn starts(services: &mut Services, cleanly: bool) -> Outcome<[String; 3]> {
    let mut took = Vec::new();
    for _ in 0..STARTS {
        if cleanly {
            // Its mark is made once the pages were looked at.
            settle(services);
            assert_eq!(services.scheduler.terminate(), Some(0));
        } else {
            load(services, Duration::from_secs(2), Order::InTime, 4)?;
            services.scheduler.kill();
        }
        let begun = Instant::now();
        services.restart_scheduler(&[]);
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let ms = |took: Duration| format!("{:.0}", took.as_secs_f64() * 1e3);
    let name = if cleanly { "after a clean stop" } else { "after kill -9 under load" };
    Ok([name.to_owned(), ms(took[0]), ms(took[STARTS - 1])])
}

/// Every list and filter, each asked for several times.
fn lists(services: &Services) -> Outcome<comfy_table::Table> {
    let mut rows = Vec::new();
    for path in agenda::lists() {
        let (mut took, mut found, mut page) = (Vec::new(), 0, path.clone());
        for nth in 0..ASKED {
            let begun = Instant::now();
            let answer = http("GET", &services.agenda(&page), None);
            took.push(begun.elapsed());
            if answer.status != 200 {
                return Err(format!("{path}: {} {}", answer.status, answer.body).into());
            }
            let answer = answer.json();
            if nth == 0 {
                let list = ["agendamentos", "registros", "livres", "horarios", "cientistas", "telescopios"];
                found = list.iter().find_map(|name| Some(answer[name].as_array()?.len())).unwrap_or_default();
            }
            // On through the pages, where there are more: every one is bounded.
            answer["_links"]["proxima"]["href"].as_str().unwrap_or(&path).clone_into(&mut page);
        }
        let first = took[0];
        took.sort_unstable();
        let ms = |took: Duration| format!("{:.1}", took.as_secs_f64() * 1e3);
        rows.push([path, found.to_string(), ms(first), ms(rank(&took, 50)), ms(rank(&took, 99))]);
    }
    eprintln!("load of the machine: {}", machine_load());
    Ok(table(["list", "on the first page", "first, ms", "median", "p99"], rows))
}

/// Bookings at both, in turns; what a median turn of each had, side by side.
fn in_turns(both: [&Services; 2], order: Order) -> Outcome<comfy_table::Table> {
    for services in both {
        load(services, Duration::from_secs(1), order, CONNECTIONS)?;
    }
    let before = machine_load();
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        for (services, turns) in both.into_iter().zip(&mut turns) {
            let mut latencies = load(services, TURN, order, CONNECTIONS)?;
            latencies.sort_unstable();
            let ms = |percent| rank(&latencies, percent).as_secs_f64() * 1e3;
            turns.push([latencies.len() as f64 / TURN.as_secs_f64(), ms(50), ms(90), ms(99)]);
        }
    }
    let figures = |turns: &[[f64; 4]]| [0, 1, 2, 3].map(|nth| median(turns.iter().map(|turn| turn[nth]).collect()));
    let row = |name: &str, figures: [f64; 4], digits: usize| {
        let [a, b, c, d] = figures.map(|figure| format!("{figure:.digits$}"));
        [format!("{name}, {}", order.name()), a, b, c, d]
    };
    let ratios: Vec<[f64; 4]> =
        turns[0].iter().zip(&turns[1]).map(|(empty, full)| [0, 1, 2, 3].map(|nth| full[nth] / empty[nth])).collect();
    let rows = [
        row("empty", figures(&turns[0]), 1),
        row("full", figures(&turns[1]), 1),
        row("full / empty", figures(&ratios), 2),
    ];
    let heads = ["bookings at 64 connections", "per second", "p50 ms", "p90 ms", "p99 ms"];
    eprintln!("load of the machine before and after: {before}; {}", machine_load());
    Ok(table(heads, rows))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Bookings of slots that nobody has, until the time is up; how long each took.
fn load(services: &Services, time: Duration, order: Order, connections: usize) -> Outcome<Vec<Duration>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let slot = move || {
        let slot = order.slot(NEXT.fetch_add(1, Ordering::Relaxed));
        Timestamp::from_micros(slot.cast_signed() * 300_000_000)
    };
    let request = move || -> Outcome<Request<Full<Bytes>>> {
        let start = slot().ok_or("the slots of all years are used up")?.seconds().to_string();
        let body = format!(r#"{{"cientista_id": 1, "horario_inicio_utc": "{start}"}}"#);
        Ok(Request::post("/agendamentos").header("content-type", "application/json").body(Full::new(body.into()))?)
    };
    let address = services.agenda_address();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let until = Instant::now() + time;
        let mut all = JoinSet::new();
        let request = Arc::new(request);
        for _ in 0..connections {
            let (address, request) = (address.clone(), Arc::clone(&request));
            all.spawn(async move { one_connection(address, up_to(until), 201, move || request()).await });
        }
        let mut latencies = Vec::new();
        for done in all.join_all().await {
            latencies.extend(done?);
        }
        Ok(latencies)
    })
}
