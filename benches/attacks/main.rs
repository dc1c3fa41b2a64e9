//! Attacks on the memory and the places of both services, with clients that go on meanwhile: `cargo bench --bench attacks`
//!
//! The attacks on the scheduler follow each other, so that one finds what another has left; each on the coordinator meets one of its own.
//! Two honest clients make requests one after the other, first without the attack and then during
//! it: one of another address than the attackers', and one of the same address, which has only what they leave of their share. Printed
//! are the service's memory, the kernel's for all sockets of this machine, each honest client's 99th percentile with the attack and
//! without, and what the service counted. The run fails when a service takes 256 MiB or more.
//!
//! Attackers, honest clients and services share this machine. Attackers have the lowest priority, as if they had machines of their own:
//! what an honest client waits for is the service, and the processors' caches.
//! `SCTEC_BENCH_ATTACK` chooses the attacks whose names contain its text, `SCTEC_BENCH_SECONDS` how long each is measured.

mod agenda;
#[path = "../../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod coordinator;
mod honest;
#[path = "../measure/mod.rs"]
mod measure;
mod sockets;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::http;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use measure::{Outcome, resident_kib, table, told};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::honest::{Honest, Requests};

/// What `compose.yml` grants a service, in KiB.
const MOST_KIB: f64 = 256.0 * 1024.0;
/// The image sets this for its services: each arena of the C library keeps some of the memory that was given back to it.
const ARENAS: (&str, &str) = ("MALLOC_ARENA_MAX", "2");
const SECONDS_DEFAULT: u64 = 6;
/// How often the memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A service under attack.
#[derive(Clone)]
pub struct Target {
    /// Its address and port.
    pub address: String,
    /// Its process.
    pub pid: u32,
    /// The prefix of its metrics.
    pub name: &'static str,
    /// What the honest clients ask of it.
    pub requests: Requests,
}

/// What an attack keeps up as long as it is measured, and what it reached.
pub struct Kept {
    /// Its sockets and tasks.
    pub held: Vec<Box<dyn Send>>,
    /// What it reached, for people.
    pub reached: String,
}

/// No attack: two threads of this program that compute. It shows what an honest client loses because it has to share the processors, with
/// any other program as with a service that is attacked.
pub const BUSY: Attack =
    Attack { name: "no attack, two busy processors", begin: |_| std::future::ready(Ok(busy())).boxed() };

/// Begins threads that compute until what is returned is dropped.
fn busy() -> Kept {
    struct Ends(Arc<AtomicBool>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let ends = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let told = Arc::clone(&ends);
        // By the main thread, whose priority is the usual one: a thread has that of its parent.
        std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
    }
    Kept { held: vec![Box::new(Ends(ends))], reached: "for comparison".to_owned() }
}

/// One attack.
pub struct Attack {
    /// What it does, for people.
    pub name: &'static str,
    /// Begins it. It goes on as long as its result is kept.
    pub begin: fn(Target) -> BoxFuture<'static, Outcome<Kept>>,
}

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    if std::env::var_os(ARENAS.0).is_none() {
        let again = Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .env(ARENAS.0, ARENAS.1)
            .status()?;
        return if again.success() {
            Ok(())
        } else {
            Err("the attacks took too much, or could not be measured".into())
        };
    }
    let files = raise_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(lowest_priority)
        .enable_all()
        .build()?;
    let named = std::env::var("SCTEC_BENCH_ATTACK").unwrap_or_default();
    let seconds = std::env::var("SCTEC_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let measured = Duration::from_secs(seconds.unwrap_or(SECONDS_DEFAULT));
    eprintln!("each attack is measured for {} s; this process may open {files} files", measured.as_secs());
    let is_wanted = |attack: &&Attack| attack.name.contains(&named);
    let mut rows = Vec::new();
    let mut too_large = Vec::new();
    let mut measure = |attack: &Attack, target: Target| -> Outcome<()> {
        let row = one(&runtime, attack, &target, measured)?;
        if row.peak_kib >= MOST_KIB {
            too_large.push(format!("{}: {:.0} MiB", attack.name, row.peak_kib / 1024.0));
        }
        rows.push(row.cells);
        Ok(())
    };
    if agenda::ATTACKS.iter().any(|attack| is_wanted(&attack)) {
        let services = agenda::services()?;
        for attack in [&BUSY].into_iter().chain(agenda::ATTACKS.iter().filter(is_wanted)) {
            measure(attack, agenda::target(&services))?;
        }
    }
    let wanted: Vec<_> = coordinator::ATTACKS.iter().filter(is_wanted).collect();
    for attack in (!wanted.is_empty()).then_some(&BUSY).into_iter().chain(wanted) {
        let locks = coordinator::locks(attack);
        measure(attack, coordinator::target(&locks))?;
    }
    let header = [
        "attack",
        "service MiB",
        "kernel MiB",
        "p99 ms elsewhere",
        "ratio",
        "p99 ms same address",
        "ratio",
        "turned away",
    ];
    eprintln!("{}", table(header, rows));
    if too_large.is_empty() { Ok(()) } else { Err(format!("256 MiB or more: {}", too_large.join("; ")).into()) }
}

/// Lets this thread run only when no other wants to, with the policy `SCHED_IDLE`, which Linux has for each thread. A niceness of 19
/// alone is not enough: such a thread keeps the processor for the rest of its slice, some 3 ms, when another wakes.
fn lowest_priority() {
    // Without it the figures are worse.
    let _ = rustix::process::nice(19);
    // PID/task/TID
    if let Some(thread) = std::fs::read_link("/proc/thread-self").ok().as_deref().and_then(Path::file_name) {
        let _ = Command::new("chrt").args(["--idle", "--pid", "0"]).arg(thread).status();
    }
}

/// Raises the number of files that this process may open as far as it is allowed, and returns it.
fn raise_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

struct Row {
    peak_kib: f64,
    cells: [String; 8],
}

/// Measures one attack.
fn one(runtime: &tokio::runtime::Runtime, attack: &Attack, target: &Target, measured: Duration) -> Outcome<Row> {
    eprintln!("{} …", attack.name);
    let before = Honest::begin(target);
    std::thread::sleep(measured / 2);
    let before = before.end();
    let memory = resident_kib(target.pid);
    let counted = turned_away(target);
    let watch = Watch::begin(target.pid);
    let during = Honest::begin(target);
    let begun = std::time::Instant::now();
    let kept = runtime.block_on(runtime.spawn((attack.begin)(target.clone())))??;
    std::thread::sleep(measured.saturating_sub(begun.elapsed()).max(measured / 2));
    let during = during.end();
    let (peak_kib, kernel_kib) = watch.end();
    let counted: Vec<String> = turned_away(target)
        .into_iter()
        .map(|(reason, count)| {
            (count - counted.iter().find(|(known, _)| *known == reason).map_or(0, |known| known.1), reason)
        })
        .filter(|(count, _)| *count > 0)
        .map(|(count, reason)| format!("{reason} {count}"))
        .collect();
    let _entered = runtime.enter();
    drop(kept.held);
    let [elsewhere, same] = [0, 1].map(|client| honest::compared(&before[client], &during[client]));
    Ok(Row {
        peak_kib,
        cells: [
            format!("{}\n  {}", attack.name, kept.reached),
            format!("{:.0} → {:.0}", memory / 1024.0, peak_kib / 1024.0),
            format!("{:.0}", kernel_kib / 1024.0),
            elsewhere.0,
            elsewhere.1,
            same.0,
            same.1,
            if counted.is_empty() { "nobody".to_owned() } else { counted.join("\n") },
        ],
    })
}

/// Whom a service has turned away so far, and what it has refused, by reason.
fn turned_away(target: &Target) -> Vec<(String, u64)> {
    let text = http("GET", &format!("http://{}/metrics", target.address), None).body;
    let families = ["_turned_away_total{reason=\"", "_locks_refused_total{reason=\""];
    let lines = text.lines().filter_map(|line| {
        let (_, rest) = families.iter().find_map(|family| line.split_once(family))?;
        let (reason, count) = rest.split_once("\"} ")?;
        Some((reason.to_owned(), count.parse().ok()?))
    });
    lines.collect()
}

/// Looks at the memory of a process and of the kernel's sockets, and keeps the most of each.
struct Watch {
    ends: Arc<AtomicBool>,
    most: Arc<[AtomicU64; 2]>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn begin(pid: u32) -> Self {
        let (ends, most) = (Arc::new(AtomicBool::new(false)), Arc::new([AtomicU64::new(0), AtomicU64::new(0)]));
        let (told, highest) = (Arc::clone(&ends), Arc::clone(&most));
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                highest[0].fetch_max(whole(resident_kib(pid)), Ordering::Relaxed);
                highest[1].fetch_max(sockets_kib(), Ordering::Relaxed);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Self { ends, most, thread }
    }

    /// The most KiB of the process and of the kernel.
    fn end(self) -> (f64, f64) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        let [process, kernel] = [0, 1].map(|index: usize| self.most[index].load(Ordering::Relaxed) as f64);
        (process, kernel)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "Linux counts whole KiB")]
fn whole(kib: f64) -> u64 {
    kib as u64
}

/// The kernel's memory for what TCP sockets have not read or not sent, in KiB.
fn sockets_kib() -> u64 {
    /// Linux counts in pages of this size on most platforms.
    const PAGE_KIB: u64 = 4;
    let text = std::fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let pages =
        text.lines().find(|line| line.starts_with("TCP:")).and_then(|line| line.rsplit(' ').next()?.parse().ok());
    pages.unwrap_or(0) * PAGE_KIB
}
