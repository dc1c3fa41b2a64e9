//! How many locks a second the coordinator gives and takes back, and how far that is from what its HTTP server could do
//! at all: `cargo bench --bench locks`
//!
//! The real executable, logging to its file as alworkloads. In one run, on one machine, in turns of some seconds so that a
//! machine that becomes slower does so for all, over the same number of kept-alive connections:
//!
//! - alone: `POST /lock`, then `POST /unlock`, each connection for a name of its own;
//! - in batches: the same through `POST /lote`, each batch for as many names;
//! - constant: the requests of "alone" to a hyper server in another process that reads a body and answers alworkloads the
//!   same text: the measure of the others.
//!
//! Then the scheduler's lock client, with and without one lock that waits two seconds for a held resource, again and again:
//! whether the waiting lock delays the others.
//!
//! Every answer is checked. Figures depend on the machine; the ratios are what to compare.

#[path = "../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod measure;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::ops::Range;
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Server, coordinator_command, http, wait_until};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use measure::{Outcome, cpu_us, floor, rank, table, told};
use memchr::memmem;
use sctec::coordinator::client::{Client, Expected, Lease, LockError, LockRequest, Unlocked};
use sctec::http::request_id::RequestId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 32;
/// Operations of one batch.
const BATCH: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);
/// A resource that is held throughout, and how long a lock waits for it in vain.
const HELD: &str = "ocupado";
const WAIT: Duration = Duration::from_secs(2);
/// The argument that makes this executable the constant server.
const CONSTANT_SERVER: &str = "--constant-server";
/// What the constant server says to everything: a grant and a release in one, so that the same client can check it.
const CONSTANT_ANSWER: &str = concat!(
    r#"{"situacao":"concedido","recursos":["bancada-0-0"],"trava_id":"7f3c0a5e9b1d4c268e02a6f1d95b3370","#,
    r#""token":4711,"dono":null,"ttl_ms":10000,"expira_em_utc":"2025-10-26T18:00:15.123456Z","esperou_ms":0,"#,
    r#""_links":{"renovar":{"href":"/renew","method":"POST","title":"Renovar esta trava"},"#,
    r#""liberar":{"href":"/unlock","method":"POST","title":"Liberar esta trava"}},"liberado":true}"#,
);
const GRANTED: &[u8] = br#""situacao":"concedido""#;
const FREED: &[u8] = br#""liberado":true"#;
const LEASE: &[u8] = br#""trava_id":""#;
/// The length of a `trava_id`.
const LEASE_BYTES: usize = 32;

/// One kind of requests that lock and unlock, and the figures of each round.
struct Workload {
    name: &'static str,
    pid: u32,
    /// Locks in one request.
    batch: usize,
    connections: Vec<Connection>,
    rounds: Vec<Round>,
}

/// What one round measured.
struct Round {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    server_us: f64,
    client_us: f64,
}

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    if told(CONSTANT_SERVER) {
        return tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(floor::serve(constant_answer));
    }
    let folder = tempfile::tempdir()?;
    // Three log lines for each pair also go to its console: this process would spend its time reading them.
    let log = folder.path().join("coordenador.log");
    let coordinator = Server::spawn_unread(&mut coordinator_command(folder.path(), "127.0.0.1:0"), &log);
    let constant = Server::spawn(Command::new(std::env::current_exe()?).arg(CONSTANT_SERVER), 1);
    let workloads = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut workloads = [
            Workload::new("alone", &coordinator, 1).await?,
            Workload::new("in batches", &coordinator, BATCH).await?,
            Workload::new("constant server", &constant, 1).await?,
        ];
        for workload in &mut workloads {
            workload.round(WARM_UP).await?;
        }
        for _ in 0..ROUNDS {
            for workload in &mut workloads {
                let round = workload.round(ROUND).await?;
                workload.rounds.push(round);
            }
        }
        Outcome::Ok(workloads)
    })?;
    let (alone, beside_waiting) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(beside_waiting(coordinator.url()))?;
    let health = http("GET", &format!("{}/saude", coordinator.url()), None).json();
    assert_eq!(health["travas"], 0, "a lease outlived its unlock: {health}");

    report(&workloads);
    let rows = [("no lock waits", &alone), ("one lock waits 2 s", &beside_waiting)].map(|(name, rounds)| {
        let millis = |percent| format!("{:.2}", median_rank(rounds, percent));
        [name.to_owned(), millis(50), millis(99), format!("{:.2}", median_rank(rounds, 99) / median_rank(&alone, 99))]
    });
    let seconds = ROUND.as_secs();
    eprintln!("{CONNECTIONS} callers of the scheduler's lock client, medians of {ROUNDS} rounds of {seconds} s");
    eprintln!("{}", table(["", "p50 ms", "p99 ms", "p99, ratio"], rows));
    Ok(())
}

/// Prints the figures of each workload, with the last one's as the measure.
fn report(workloads: &[Workload; 3]) {
    let [.., constant] = workloads;
    let rows = workloads.iter().map(|workload| {
        let of_constant =
            workload.rounds.iter().zip(&constant.rounds).map(|(own, its)| own.per_second / its.per_second);
        [
            workload.name.to_owned(),
            format!("{:.0}", workload.median(|round| round.per_second)),
            format!("{:.3}", median(of_constant.collect())),
            format!("{:.2}", workload.median(|round| round.p50.as_secs_f64() * 1e3)),
            format!("{:.2}", workload.median(|round| round.p99.as_secs_f64() * 1e3)),
            format!("{:.1}", workload.median(|round| round.server_us)),
            format!("{:.1}", workload.median(|round| round.client_us)),
        ]
    });
    let header = ["", "pairs/s", "of constant", "p50 ms", "p99 ms", "CPU µs server", "CPU µs client"];
    let seconds = ROUND.as_secs();
    eprintln!(
        "{CONNECTIONS} connections, medians of {ROUNDS} rounds of {seconds} s; the client runs on the same machine"
    );
    eprintln!("{}", table(header, rows));
    eprintln!("a pair is a lock and its unlock; in batches of {BATCH}, each takes as long as its batch");
}

/// The latencies of the locks of each round, sorted: without a lock that waits, and with one at all times.
async fn beside_waiting(url: String) -> Outcome<(Vec<Vec<Duration>>, Vec<Vec<Duration>>)> {
    let client = Arc::new(Client::start(std::slice::from_ref(&url), Expected::default(), 0)?);
    let held = lock(&client, HELD, Duration::ZERO).await.map_err(|refused| in_words(&refused))?;
    client_round(&client, WARM_UP).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(client_round(&client, ROUND).await?);
        let waiter = Arc::clone(&client);
        let waiting = tokio::spawn(async move {
            loop {
                let Err(refused) = lock(&waiter, HELD, WAIT).await else {
                    return "the held resource was granted".to_owned();
                };
                let LockError::Busy { .. } = &refused else { return in_words(&refused) };
            }
        });
        let measured = client_round(&client, ROUND).await;
        if waiting.is_finished() {
            return Err(waiting.await?.into());
        }
        waiting.abort();
        beside.push(measured?);
    }
    // The coordinator notices a moment later that the last waiter is gone, and may give it the resource until then.
    let nobody_waits = move || http("GET", &format!("{url}/saude"), None).json()["esperando"] == 0;
    tokio::task::spawn_blocking(|| wait_until("the last waiter's place is free", nobody_waits)).await?;
    client.unlock(&BENCH, &held, Duration::ZERO).await?;
    Ok((alone, beside))
}

/// All callers at once, each one lock and its unlock after the other; how long the locks took.
async fn client_round(client: &Arc<Client>, time: Duration) -> Outcome<Vec<Duration>> {
    let until = Instant::now() + time;
    let mut callers = JoinSet::new();
    for number in 0..CONNECTIONS {
        let (client, resource) = (Arc::clone(client), format!("cliente-{number}"));
        callers.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < until {
                let asked = Instant::now();
                let lease = lock(&client, &resource, Duration::ZERO).await.map_err(|refused| in_words(&refused))?;
                latencies.push(asked.elapsed());
                let unlocked = client.unlock(&BENCH, &lease, Duration::ZERO).await?;
                assert_eq!(unlocked, Unlocked::Freed, "{resource}");
            }
            Outcome::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    for caller in callers.join_all().await {
        latencies.extend(caller?);
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// The request in whose name the lock client asks.
static BENCH: LazyLock<RequestId> = LazyLock::new(|| RequestId::parse("bancada").expect("it has letters"));

async fn lock(client: &Client, resource: &str, wait: Duration) -> Result<Lease, LockError> {
    let request = LockRequest {
        request_id: &BENCH,
        resources: vec![resource.to_owned()],
        ttl: Duration::from_secs(300),
        wait,
        despite_retention: false,
        contest: None,
    };
    client.lock(request).await
}

fn in_words(refused: &LockError) -> String {
    format!("{refused:?}")
}

/// A percentile of each round, in milliseconds, and of those the median.
fn median_rank(rounds: &[Vec<Duration>], percent: usize) -> f64 {
    median(rounds.iter().map(|round| rank(round, percent).as_secs_f64() * 1e3).collect())
}

impl Workload {
    async fn new(name: &'static str, server: &Server, batch: usize) -> Outcome<Self> {
        let url = server.url();
        let address = &url["http://".len()..];
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for number in 0..CONNECTIONS {
            connections.push(Connection::open(address, number, batch).await?);
        }
        Ok(Self { name, pid: server.pid(), batch, connections, rounds: Vec::new() })
    }

    /// All connections at once, each one pair after the other, until the time is up.
    async fn round(&mut self, time: Duration) -> Outcome<Round> {
        let pids = [self.pid, std::process::id()];
        let cpu_before = pids.map(cpu_us);
        let begun = Instant::now();
        let until = begun + time;
        let mut running = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            running.spawn(async move {
                let latencies = connection.pairs(until).await;
                (connection, latencies)
            });
        }
        let mut latencies = Vec::new();
        for (connection, done) in running.join_all().await {
            latencies.extend(done.map_err(|error| format!("{}: {error}", self.name))?);
            self.connections.push(connection);
        }
        let elapsed = begun.elapsed();
        let cpu_after = pids.map(cpu_us);
        latencies.sort_unstable();
        let pairs = (latencies.len() * self.batch) as f64;
        let [server_us, client_us] = [0, 1].map(|index| (cpu_after[index] - cpu_before[index]) / pairs);
        Ok(Round {
            per_second: pairs / elapsed.as_secs_f64(),
            p50: rank(&latencies, 50),
            p99: rank(&latencies, 99),
            server_us,
            client_us,
        })
    }

    fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure).collect())
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A kept-alive connection, with its two requests as bytes: the client shares the processors with what it measures.
struct Connection {
    stream: TcpStream,
    lock: Vec<u8>,
    unlock: Vec<u8>,
    /// Where in `unlock` each `trava_id` goes.
    leases: Vec<Range<usize>>,
    /// What was read last, from the start of an answer.
    answer: Vec<u8>,
}

impl Connection {
    async fn open(address: &str, number: usize, batch: usize) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let blank = "-".repeat(LEASE_BYTES);
        let (lock, unlock) = if batch == 1 {
            let lock = format!(r#"{{"recurso": "bancada-{number}"}}"#);
            let unlock = format!(r#"{{"trava_id": "{blank}"}}"#);
            (request(address, "/lock", &lock), request(address, "/unlock", &unlock))
        } else {
            let [mut locks, mut unlocks] = [String::new(), String::new()];
            for index in 0..batch {
                let comma = if index == 0 { "" } else { ", " };
                write!(locks, r#"{comma}{{"op": "lock", "recurso": "bancada-{number}-{index}"}}"#)?;
                write!(unlocks, r#"{comma}{{"op": "unlock", "trava_id": "{blank}"}}"#)?;
            }
            let of = |operations: &str| request(address, "/lote", &format!(r#"{{"operacoes": [{operations}]}}"#));
            (of(&locks), of(&unlocks))
        };
        let leases = memmem::find_iter(&unlock, &blank).map(|at| at..at + LEASE_BYTES).collect();
        Ok(Self { stream, lock, unlock, leases, answer: Vec::new() })
    }

    /// How long each pair took.
    async fn pairs(&mut self, until: Instant) -> Outcome<Vec<Duration>> {
        let mut latencies = Vec::new();
        while Instant::now() < until {
            let begun = Instant::now();
            self.pair().await?;
            latencies.push(begun.elapsed());
        }
        Ok(latencies)
    }

    /// Locks, and unlocks what it was given.
    async fn pair(&mut self) -> Outcome<()> {
        let body = exchange(&mut self.stream, &self.lock, &mut self.answer).await?;
        expect(body, GRANTED, self.leases.len())?;
        expect(body, LEASE, self.leases.len())?;
        for (at, place) in memmem::find_iter(body, LEASE).zip(&self.leases) {
            let id = body.get(at + LEASE.len()..at + LEASE.len() + LEASE_BYTES).ok_or("half a trava_id")?;
            self.unlock[place.clone()].copy_from_slice(id);
        }
        let body = exchange(&mut self.stream, &self.unlock, &mut self.answer).await?;
        expect(body, FREED, self.leases.len())
    }
}

fn request(address: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Fails unless `text` is in `body` that often.
fn expect(body: &[u8], text: &[u8], times: usize) -> Outcome<()> {
    let found = memmem::find_iter(body, text).count();
    if found == times {
        return Ok(());
    }
    let (text, body) = (String::from_utf8_lossy(text), String::from_utf8_lossy(body));
    Err(format!("{text} is there {found} times, not {times}: {body}").into())
}

/// Sends a request and reads its answer, which has to be a 200 with a Content-Length; its body.
async fn exchange<'a>(stream: &mut TcpStream, request: &[u8], answer: &'a mut Vec<u8>) -> Outcome<&'a [u8]> {
    stream.write_all(request).await?;
    answer.clear();
    let body = loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(format!("the connection ended after {:?}", String::from_utf8_lossy(answer)).into());
        }
        if let Some(end) = memmem::find(answer, b"\r\n\r\n") {
            let start = end + 4;
            break start..start + content_length(&answer[..end])?;
        }
    };
    while answer.len() < body.end {
        if stream.read_buf(answer).await? == 0 {
            return Err("the connection ended inside an answer".into());
        }
    }
    if !answer.starts_with(b"HTTP/1.1 200 ") || answer.len() > body.end {
        return Err(format!("not one answer of status 200: {}", String::from_utf8_lossy(answer)).into());
    }
    Ok(&answer[body])
}

fn content_length(head: &[u8]) -> Outcome<usize> {
    let head = std::str::from_utf8(head)?;
    let mut headers = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.ok_or_else(|| format!("no Content-Length: {head}"))?;
    Ok(length.trim().parse()?)
}

async fn constant_answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // A body that breaks off ends its connection, and with it the measurement.
    let _ = request.into_body().collect().await;
    Ok(floor::json(CONSTANT_ANSWER))
}
