//! How many locks a second the coordinator gives and takes back, and how far that is from what its HTTP server could do
//! at all: `cargo bench --bench locks`
//!
//! The real executable, logging to its file as always. In one run, on one machine, in turns of some seconds so that a
//! machine that becomes slower does so for all, over the same number of kept-alive connections:
//!
//! - alone: `POST /lock`, then `POST /unlock`, each connection for a name of its own;
//! - in batches: the same through `POST /lote`, each batch for as many names;
//! - constant: the requests of "alone" to a hyper server in another process that reads a body and answers always the
//!   same text: the measure of the others.
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
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Server, coordinator_command, http};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use measure::{Outcome, cpu_us, rank, table, told};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 32;
/// Operations of one batch.
const BATCH: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);
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

/// One way to lock and unlock, and what it did in each round.
struct Way {
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
        return tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(constant_server());
    }
    let folder = tempfile::tempdir()?;
    // Three log lines for each pair also go to its console: this process would spend its time reading them.
    let log = folder.path().join("coordenador.log");
    let coordinator = Server::spawn_unread(&mut coordinator_command(folder.path(), "127.0.0.1:0"), &log);
    let constant = Server::spawn(Command::new(std::env::current_exe()?).arg(CONSTANT_SERVER), 1);
    let ways = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut ways = [
            Way::new("alone", &coordinator, 1).await?,
            Way::new("in batches", &coordinator, BATCH).await?,
            Way::new("constant server", &constant, 1).await?,
        ];
        for way in &mut ways {
            way.round(WARM_UP).await?;
        }
        for _ in 0..ROUNDS {
            for way in &mut ways {
                let round = way.round(ROUND).await?;
                way.rounds.push(round);
            }
        }
        Outcome::Ok(ways)
    })?;
    let health = http("GET", &format!("{}/saude", coordinator.url()), None).json();
    assert_eq!(health["travas"], 0, "a lease outlived its unlock: {health}");

    let [.., constant] = &ways;
    let rows = ways.iter().map(|way| {
        let of_constant = way.rounds.iter().zip(&constant.rounds).map(|(own, its)| own.per_second / its.per_second);
        [
            way.name.to_owned(),
            format!("{:.0}", way.median(|round| round.per_second)),
            format!("{:.3}", median(of_constant.collect())),
            format!("{:.2}", way.median(|round| round.p50.as_secs_f64() * 1e3)),
            format!("{:.2}", way.median(|round| round.p99.as_secs_f64() * 1e3)),
            format!("{:.1}", way.median(|round| round.server_us)),
            format!("{:.1}", way.median(|round| round.client_us)),
        ]
    });
    let header = ["", "pairs/s", "of constant", "p50 ms", "p99 ms", "CPU µs server", "CPU µs client"];
    let seconds = ROUND.as_secs();
    eprintln!(
        "{CONNECTIONS} connections, medians of {ROUNDS} rounds of {seconds} s; the client runs on the same machine"
    );
    eprintln!("{}", table(header, rows));
    eprintln!("a pair is a lock and its unlock; in batches of {BATCH}, each takes as long as its batch");
    Ok(())
}

impl Way {
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

/// hyper with the settings of `http::server`, and nothing to decide. Until it is killed.
async fn constant_server() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("escutando em http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(60))
                .max_buf_size(16 * 1024)
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service_fn(constant_answer)),
        );
    }
}

async fn constant_answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    // A body that breaks off ends its connection, and with it the measurement.
    let _ = request.into_body().collect().await;
    let mut answer = Response::new(Full::new(Bytes::from_static(CONSTANT_ANSWER.as_bytes())));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}
