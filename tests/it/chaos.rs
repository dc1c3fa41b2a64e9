//! Chaos: two schedulers on one folder and a coordinator, each killed, paused and stopped at random, while clients book and
//! cancel through both. Afterwards the answers that the clients got are compared with the database and the audit trail.
//!
//! `SCTEC_TEST_CHAOS_SECONDS` is the duration (20 by default). `SCTEC_TEST_CHAOS_SEED` repeats the random choices of a run, whose
//! seed is printed. The order in which the operating system runs the processes cannot be repeated.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::bookers::{Booker, Dice, Ledger, Replayed, agent, granted, setting, tokens_grow};
use crate::common::{Server, run, sctec, signal, storage, wait_until};

/// The number of clients.
const CLIENTS: u64 = 6;
/// The number of slots that they compete for.
const SLOTS: u64 = 150;
/// The timeout of a client. After it the client does not know the result of its request.
const CLIENT_PATIENCE: Duration = Duration::from_secs(4);
/// The least time for which the clients continue after the last kill, pause or stop.
const CALM: Duration = Duration::from_secs(2);

/// One of the three processes. It restarts at the same address.
struct Target {
    name: &'static str,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    server: Mutex<Option<Server>>,
    pid: AtomicU64,
}

impl Target {
    fn new(name: &'static str, command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        let target = Self { name, command: Box::new(command), server: Mutex::default(), pid: AtomicU64::new(0) };
        target.start();
        target
    }

    fn start(&self) {
        let server = Server::spawn(&mut (self.command)(), 1);
        self.pid.store(u64::from(server.pid()), Ordering::Relaxed);
        *self.server.lock().unwrap() = Some(server);
    }

    /// Kills, pauses or stops the process, and brings it back.
    fn strike(&self, dice: &mut Dice, blows: &Blows) {
        let mut server = self.server.lock().unwrap().take().expect("it runs");
        match dice.below(10) {
            0..4 => {
                blows.killed.fetch_add(1, Ordering::Relaxed);
                server.kill();
            }
            4..8 => {
                blows.paused.fetch_add(1, Ordering::Relaxed);
                // One pause in eight is longer than every timeout of the other processes.
                let pause = if dice.below(8) == 0 { dice.millis(5500, 8000) } else { dice.millis(20, 2500) };
                signal(server.pid(), "STOP");
                std::thread::sleep(pause);
                signal(server.pid(), "CONT");
                *self.server.lock().unwrap() = Some(server);
                return;
            }
            _ => {
                blows.stopped.fetch_add(1, Ordering::Relaxed);
                assert_eq!(server.terminate(), Some(0), "{} does not stop cleanly", self.name);
            }
        }
        drop(server);
        std::thread::sleep(dice.millis(0, 500));
        self.start();
    }

    fn stop(&self) {
        let mut server = self.server.lock().unwrap().take().expect("it runs");
        assert_eq!(server.terminate(), Some(0), "{} does not stop cleanly", self.name);
    }
}

#[derive(Default)]
struct Blows {
    killed: AtomicU64,
    paused: AtomicU64,
    stopped: AtomicU64,
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The processes: a coordinator that listens on `gate`, and its two schedulers.
fn targets(data_dir: &Path, gate: &str, [first, second]: [&str; 2]) -> [Target; 3] {
    let coordinator = {
        let (data_dir, gate) = (data_dir.to_owned(), gate.to_owned());
        let starts = AtomicU64::new(0);
        Target::new("the coordinator", move || {
            let mut command = crate::common::coordinator_command(&data_dir, &gate);
            // Every other start has no grace period: it is killed so often that it would otherwise be in one most of the time.
            let grace = if starts.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { "0" } else { "auto" };
            command.args(["--grace", grace]);
            command
        })
    };
    let scheduler = |name, address: &str| {
        let (data_dir, gate, address) = (data_dir.to_owned(), format!("http://{gate}"), address.to_owned());
        Target::new(name, move || {
            let mut command = sctec();
            command.args(["serve-scheduler", "--listen", &address, "--coordinator", &gate]);
            command.args(["--lock-ttl-ms", "1500", "--lock-retention-ms", "100", "--audit-rotate-mb", "1"]);
            command.arg("--data-dir").arg(&data_dir);
            storage::choose(&mut command, &data_dir);
            command
        })
    };
    [coordinator, scheduler("the first scheduler", first), scheduler("the second scheduler", second)]
}

#[test]
fn under_kill_pause_and_stop_no_slot_is_booked_twice_and_every_answer_is_true() {
    let seconds = setting("SCTEC_TEST_CHAOS_SECONDS").unwrap_or(20);
    let seed = setting("SCTEC_TEST_CHAOS_SEED")
        .unwrap_or_else(|| u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos()));
    eprintln!("SCTEC_TEST_CHAOS_SEED={seed} SCTEC_TEST_CHAOS_SECONDS={seconds}");
    let folder = tempfile::tempdir().unwrap();
    let [gate, first, second] = std::array::from_fn(|_| free_address());
    let targets = targets(folder.path(), &gate, [&first, &second]);
    let urls = [format!("http://{first}"), format!("http://{second}")];
    let (ledger, blows, end) = (Ledger::default(), Blows::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (ledger, blows, end, urls) = (&ledger, &blows, &end, &urls);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let dice = Dice::new(seed ^ ((number + 1) << 32));
                let (name, agent) = (format!("c{number}"), agent(CLIENT_PATIENCE));
                let client = Booker { dice, name, urls, slots: SLOTS, ledger, agent, requests: 0 };
                scope.spawn(move || client.run(end))
            })
            .collect();
        let until = Instant::now() + Duration::from_secs(seconds);
        let strikers: Vec<_> = targets
            .iter()
            .zip(0u64..)
            .map(|(target, number)| {
                let mut dice = Dice::new(seed ^ ((number + 1001) << 32));
                scope.spawn(move || {
                    while Instant::now() < until {
                        std::thread::sleep(dice.millis(100, 3000));
                        target.strike(&mut dice, blows);
                    }
                })
            })
            .collect();
        let struck: Vec<_> = strikers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        std::thread::sleep(CALM);
        end.store(true, Ordering::Relaxed);
        let ran: Vec<_> = clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        for ended in struck.into_iter().chain(ran) {
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    for url in &urls {
        let ready =
            || crate::common::try_http("GET", &format!("{url}/pronto"), None).is_ok_and(|answer| answer.status == 200);
        wait_until("all is well again", ready);
    }
    for target in targets.iter().rev() {
        target.stop();
    }
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    eprintln!("{} killed, {} paused, {} stopped", read(&blows.killed), read(&blows.paused), read(&blows.stopped));
    eprintln!("{}", ledger.told().join("\n"));
    judge(folder.path(), &ledger);
    let log = std::fs::read(folder.path().join("coordenador.log")).unwrap();
    let tokens = granted(&String::from_utf8_lossy(&log));
    eprintln!("{} grants, tokens grow up to {}", tokens.len(), tokens_grow(&tokens));
    assert!(tokens.len() > 20);
}

/// Compares the answers that clients got with the database and the trail.
fn judge(folder: &Path, ledger: &Ledger) {
    let verified = run(&["audit", "--verify", "--data-dir", folder.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&verified.stderr));

    let rows = |sql: &str| storage::rows(folder, "sctec.db", sql).into_iter();
    let lines = rows("SELECT linha FROM auditoria ORDER BY seq").flatten().flatten();
    let records: Vec<Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
    let replayed = Replayed::of(&records, ledger);
    replayed.keeps(ledger);
    // The database agrees with its trail.
    let booking =
        |row: Vec<Option<String>>| (row[0].as_ref().unwrap().parse().unwrap(), row[1].as_deref() == Some("AGENDADO"));
    let rows: HashMap<i64, bool> = rows("SELECT id, status FROM agendamentos").map(booking).collect();
    replayed.is(&rows);
    let active = rows.values().filter(|active| **active).count();
    assert_eq!(
        crate::common::count(
            &folder.join("sctec.db"),
            "SELECT count(*) FROM horarios WHERE agendamento_id IS NOT NULL"
        ),
        active
    );
    eprintln!(
        "{} bookings acknowledged, {} recorded, {} cancelled, {} records: 0 slots twice, 0 lost; {}",
        ledger.acknowledged(),
        replayed.created.len(),
        replayed.cancelled.len(),
        records.len(),
        said.lines().last().unwrap_or_default()
    );
    assert!(ledger.acknowledged() > 20, "there were too few bookings for a test");
}
