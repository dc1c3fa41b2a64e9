//! Chaos: two schedulers on one folder and a coordinator, each killed, paused and stopped at random, while clients book and
//! cancel through both. Afterwards the answers that the clients got are compared with the database and the audit trail.
//!
//! `SCTEC_TEST_CHAOS_SECONDS` is the duration (20 by default). `SCTEC_TEST_CHAOS_SEED` repeats the random choices of a run, whose
//! seed is printed. The order in which the operating system runs the processes cannot be repeated.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Asked, Server, run, sctec, signal, wait_until};

/// The number of clients.
const CLIENTS: u64 = 6;
/// The number of slots that they compete for.
const SLOTS: u64 = 150;
/// The timeout of a client. After it the client does not know the result of its request.
const CLIENT_PATIENCE: Duration = Duration::from_secs(4);
/// The least time for which the clients continue after the last kill, pause or stop.
const CALM: Duration = Duration::from_secs(2);

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }
}

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

/// The answers that a client got about one booking.
#[derive(Clone, Debug)]
struct Told {
    slot: String,
    /// `None` before its cancellation was requested; then whether the cancellation was acknowledged.
    cancelled: Option<bool>,
    /// Whether a client is requesting the cancellation now.
    in_hand: bool,
}

/// The answers that all clients got.
#[derive(Default)]
struct Ledger {
    /// Acknowledged bookings by their number.
    booked: Mutex<HashMap<i64, Told>>,
    /// Requests that were refused with the answer that nothing was written.
    refused: Mutex<HashSet<String>>,
    /// The number of times of each answer.
    counts: Mutex<BTreeMap<String, u64>>,
}

fn slot(index: u64) -> String {
    let (day, minute) = (1 + index / 288, index % 288 * 5);
    format!("2031-05-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

struct Client<'a> {
    dice: Dice,
    name: String,
    urls: &'a [String],
    ledger: &'a Ledger,
    agent: ureq::Agent,
    requests: u64,
}

impl Client<'_> {
    /// Sends one request with its own identifier. `None` if its result is unknown.
    fn send(&mut self, method: &str, path: &str, body: &str) -> (String, Option<(u16, Value)>) {
        let url = &self.urls[usize::try_from(self.dice.below(self.urls.len() as u64)).unwrap()];
        self.requests += 1;
        let id = format!("{}-{}", self.name, self.requests);
        let request = ureq::http::Request::builder().method(method).uri(format!("{url}{path}"));
        let request = request.header("X-Request-Id", &id).header("Content-Type", "application/json");
        let answer = self.agent.run(request.body(body.to_owned()).unwrap()).ok().and_then(|mut answer| {
            let status = answer.status().as_u16();
            let body = answer.body_mut().read_to_string().ok()?;
            Some((status, serde_json::from_str::<Value>(&body).ok()?))
        });
        let what = match &answer {
            None => {
                // Without a pause, the clients of a dead process would take the CPU time of the others.
                std::thread::sleep(Duration::from_millis(10));
                "no answer".to_owned()
            }
            Some((status, body)) => format!("{status} {}", body["codigo"].as_str().unwrap_or(method)),
        };
        *self.ledger.counts.lock().unwrap().entry(what).or_default() += 1;
        if let Some((status, body)) = &answer
            && *status >= 400
            && !matches!(body["codigo"].as_str(), Some("resultado_incerto" | "erro_interno"))
        {
            self.ledger.refused.lock().unwrap().insert(id.clone());
        }
        (id, answer)
    }

    fn book(&mut self) {
        let start = slot(self.dice.below(SLOTS));
        let scientist = 1 + i64::try_from(self.dice.below(10)).unwrap();
        let body = Asked::by(scientist, &start).text();
        if let (_, Some((201, booking))) = self.send("POST", "/agendamentos", &body) {
            let id = booking["id"].as_i64().expect("a booking has a number");
            assert_eq!(booking["horario_inicio_utc"], start);
            let told = Told { slot: start, cancelled: None, in_hand: false };
            assert!(self.ledger.booked.lock().unwrap().insert(id, told).is_none(), "booking {id} was given twice");
        }
    }

    fn cancel(&mut self) {
        let (id, asked_before) = {
            let mut booked = self.ledger.booked.lock().unwrap();
            // A booking whose cancellation was not acknowledged, and that no other client is cancelling.
            let free = |told: &Told| !told.in_hand && told.cancelled != Some(true);
            let Some((id, told)) = booked.iter_mut().find(|(_, told)| free(told)) else { return };
            told.in_hand = true;
            // From now on it may be cancelled.
            (*id, told.cancelled.replace(false))
        };
        let (request, answer) = self.send("DELETE", &format!("/agendamentos/{id}"), "");
        let mut booked = self.ledger.booked.lock().unwrap();
        let told = booked.get_mut(&id).expect("it is never removed");
        told.in_hand = false;
        match answer {
            Some((200, _)) => told.cancelled = Some(true),
            Some((409, body)) if body["codigo"] == "ja_cancelado" => {
                assert_eq!(asked_before, Some(false), "booking {id} was cancelled without a request");
                told.cancelled = Some(true);
            }
            // This request changed nothing.
            Some(_) if self.ledger.refused.lock().unwrap().contains(&request) => told.cancelled = asked_before,
            _ => {}
        }
    }

    fn run(mut self, end: &AtomicBool) {
        while !end.load(Ordering::Relaxed) {
            if self.dice.below(100) < 55 { self.book() } else { self.cancel() }
        }
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
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
            command
        })
    };
    [coordinator, scheduler("the first scheduler", first), scheduler("the second scheduler", second)]
}

/// A client's connections.
fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    config.timeout_global(Some(CLIENT_PATIENCE)).build().into()
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
                let dice = Dice(seed ^ ((number + 1) << 32));
                let client = Client { dice, name: format!("c{number}"), urls, ledger, agent: agent(), requests: 0 };
                scope.spawn(move || client.run(end))
            })
            .collect();
        let until = Instant::now() + Duration::from_secs(seconds);
        let strikers: Vec<_> = targets
            .iter()
            .zip(0u64..)
            .map(|(target, number)| {
                let mut dice = Dice(seed ^ ((number + 1001) << 32));
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
    for (what, count) in ledger.counts.lock().unwrap().iter() {
        eprintln!("{count:>8}  {what}");
    }
    judge(folder.path(), &ledger);
    tokens_grow(folder.path());
}

/// Compares the answers that clients got with the database and the trail.
fn judge(folder: &Path, ledger: &Ledger) {
    let verified = run(&["audit", "--verify", "--data-dir", folder.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&verified.stderr));

    let database = rusqlite::Connection::open(folder.join("sctec.db")).unwrap();
    let mut statement = database.prepare("SELECT linha FROM auditoria ORDER BY seq").unwrap();
    let records: Vec<Value> = statement
        .query_map((), |row| row.get::<_, String>(0))
        .unwrap()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    let (created, cancelled) = replay(&records, ledger);
    let booked = ledger.booked.lock().unwrap();
    for (id, told) in booked.iter() {
        assert_eq!(created.get(id).copied(), Some(told.slot.as_str()), "booking {id} was acknowledged and is lost");
        match told.cancelled {
            None => assert!(!cancelled.contains(id), "booking {id} was cancelled without any request"),
            Some(true) => assert!(cancelled.contains(id), "booking {id} was acknowledged as cancelled and is not"),
            Some(false) => {}
        }
    }
    // The database agrees with its trail.
    let mut statement = database.prepare("SELECT id, status FROM agendamentos").unwrap();
    let rows: HashMap<i64, bool> = statement
        .query_map((), |row| Ok((row.get(0)?, row.get::<_, String>(1)? == "AGENDADO")))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), created.len());
    for (id, active) in &rows {
        assert_eq!(*active, !cancelled.contains(id), "booking {id}");
    }
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
        booked.len(),
        created.len(),
        cancelled.len(),
        records.len(),
        said.lines().last().unwrap_or_default()
    );
    assert!(booked.len() > 20, "there were too few bookings for a test");
}

/// Replays the trail: the slot of each booking that was created, and the bookings that were cancelled.
fn replay<'a>(records: &'a [Value], ledger: &Ledger) -> (HashMap<i64, &'a str>, HashSet<i64>) {
    // The booking of each slot, and the last token that wrote to it.
    let (mut holders, mut tokens): (HashMap<&str, i64>, HashMap<&str, u64>) = (HashMap::new(), HashMap::new());
    let (mut created, mut cancelled) = (HashMap::new(), HashSet::new());
    for record in records {
        let (event, details) = (record["event_type"].as_str().unwrap(), &record["details"]);
        if !event.starts_with("AGENDAMENTO_") {
            continue;
        }
        let request = record["req_cliente"].as_str().unwrap();
        assert!(!ledger.refused.lock().unwrap().contains(request), "{request} was refused, and yet: {record}");
        let id = details["agendamento_id"].as_i64().unwrap();
        let start = details["horario_inicio_utc"].as_str().unwrap();
        let token = details["token"].as_u64().expect("it was written under a lock");
        if let Some(before) = tokens.insert(start, token) {
            assert!(token > before, "slot {start}: token {token} wrote after {before}");
        }
        if event == "AGENDAMENTO_CRIADO" {
            assert_eq!(holders.insert(start, id), None, "slot {start} was booked twice: {record}");
            assert!(created.insert(id, start).is_none(), "booking {id} was made twice");
        } else {
            assert_eq!(holders.remove(start), Some(id), "{record}");
            cancelled.insert(id);
        }
    }
    (created, cancelled)
}

/// The token of a whole line, which ends with the microseconds of its stamp.
fn token_of(line: &str) -> Option<u64> {
    let (before, _) = line.rsplit_once(" us=")?;
    before.rsplit_once(" token=")?.1.parse().ok()
}

/// Checks that the tokens in the coordinator's log grow. Each kill may have lost some lines of the log.
fn tokens_grow(folder: &Path) {
    let log = std::fs::read(folder.join("coordenador.log")).unwrap();
    let (mut last, mut grants) = (0, 0);
    for line in String::from_utf8_lossy(&log).lines().filter(|line| line.contains("Lock concedido para recurso")) {
        // The last line of a killed process may be torn.
        let Some(token) = token_of(line) else {
            continue;
        };
        assert!(token > last, "token {token} was given after {last}: {line}");
        (last, grants) = (token, grants + 1);
    }
    eprintln!("{grants} grants, tokens grow up to {last}");
    assert!(grants > 20);
}
