//! The server inside the test's process: panics of handlers and streams, stops, and the date of an answer.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;
use crate::http::Response;
use crate::http::problem::Problem;
use crate::http::{self, body, sse};
use crate::logging::{self, Logs};
use crate::time::Timestamp;

/// Answers, or panics, by what the path says.
struct Faulty;

struct PanicsAfter(u32);

impl sse::Source for PanicsAfter {
    async fn next(&mut self) -> bytes::Bytes {
        self.0 = self.0.checked_sub(1).expect("nothing is left");
        sse::encode("1", "a", "1")
    }
}

impl Handler for Faulty {
    async fn handle(&self, request: &mut Request) -> Result<Response, Problem> {
        match request.head.uri.path() {
            "/panic" => panic!("na resposta"),
            "/thread" => {
                let thread = crate::panics::blocking(|| panic!("numa thread")).await;
                thread.map_err(|error| Problem::internal(error.to_string()))
            }
            "/stream" => Ok(sse::respond(PanicsAfter(2), request.hosting.admit()?, request.pass.clone())),
            "/slow" => {
                tokio::time::sleep(STOP_PATIENCE * 3).await;
                Ok(http::text("text/plain", "feito".to_owned()))
            }
            "/body" => {
                let bytes = body::read_json(&request.head.headers, &mut request.body, 100).await?;
                Ok(http::text("text/plain", String::from_utf8_lossy(&bytes).into_owned()))
            }
            _ => Ok(http::text("text/plain", "bem".to_owned())),
        }
    }
}

/// A running server, and what it logs.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
    logs: Logs,
    folder: tempfile::TempDir,
    bounds: Arc<Bounds>,
}

impl Running {
    fn start() -> Self {
        Self::start_at(Clock::system())
    }

    fn start_at(clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open("teste", &folder.path().join("log"), &logging::Config::quiet()).unwrap();
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let log = logs.logger.clone();
        let manner = Manner::default();
        let bounds = Arc::clone(&manner.bounds);
        let served = tokio::spawn(serve(listener, Arc::new(Faulty), clock, log, manner, shutdown));
        Self { address, stop, served, logs, folder, bounds }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The log's lines that contain `text`.
    fn logged(&self, text: &str) -> Vec<String> {
        self.logs.flush();
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn get(stream: &mut TcpStream, path: &str) -> String {
    send(stream, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: meu{}\r\n\r\n", &path[1..])).await;
    let mut answer = String::new();
    // To the end of the body, whose length the head says.
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "the connection was closed: {answer}");
        answer += std::str::from_utf8(&piece[..read]).unwrap();
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            return answer;
        }
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    rest
}

#[tokio::test]
async fn a_panic_while_answering_is_a_500_that_is_logged_once_and_the_connection_goes_on() {
    let server = Running::start();
    let mut stream = server.connect().await;
    for (path, words) in [("/panic", "na resposta"), ("/thread", "numa thread")] {
        let answer = get(&mut stream, path).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("\"erro_interno\""), "{answer}");
        assert!(answer.contains(&format!("x-client-request-id: meu{}\r\n", &path[1..])), "{answer}");
        let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        assert!(answer.contains(&format!("\"urn:sctec:req:{id}\"")), "{answer}");
        assert!(!answer.contains(words), "what went wrong is for the log: {answer}");
        let logged = server.logged(words);
        assert_eq!(logged.len(), 1, "{logged:?}");
        assert!(
            logged[0].starts_with("ERROR:") && logged[0].contains(&format!(" req={id} req_cliente=meu{} ", &path[1..])),
            "{logged:?}"
        );
    }
    assert!(get(&mut stream, "/").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_panic_in_a_stream_ends_the_stream_and_is_logged_once() {
    let server = Running::start();
    let mut stream = server.connect().await;
    send(&mut stream, "GET /stream HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: fluxo-1\r\nConnection: close\r\n\r\n")
        .await;
    let said = rest(&mut stream).await;
    assert_eq!(said.matches("event: a").count(), 2, "{said}");
    let logged = server.logged("nothing is left");
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(logged[0].starts_with("ERROR:") && logged[0].contains(" req_cliente=fluxo-1 "), "{logged:?}");
}

#[tokio::test]
async fn a_stop_answers_what_has_begun_and_not_what_has_not_come_whole() {
    let server = Running::start();
    let (mut begun, mut idle) = (server.connect().await, server.connect().await);
    let (mut head, mut body) = (server.connect().await, server.connect().await);
    assert!(get(&mut idle, "/").await.starts_with("HTTP/1.1 200 "));
    send(&mut head, "GET / HT").await;
    send(&mut body, "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{").await;
    send(&mut begun, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    // They are all known to the server once a later one is answered.
    for _ in 0..3 {
        get(&mut server.connect().await, "/").await;
    }
    let Running { stop, served, .. } = server;
    stop.send(()).unwrap();
    let (begun, idle, head, body) = tokio::join!(rest(&mut begun), rest(&mut idle), rest(&mut head), rest(&mut body));
    assert!(begun.starts_with("HTTP/1.1 200 ") && begun.ends_with("feito"), "{begun}");
    assert_eq!((idle.as_str(), head.as_str()), ("", ""));
    assert!(body.starts_with("HTTP/1.1 503 ") && body.contains("\"encerrando\""), "{body}");
    served.await.unwrap();
}

#[tokio::test]
async fn what_is_on_its_way_when_a_stop_comes_arrives() {
    let server = Running::start();
    let (mut head, mut body) = (server.connect().await, server.connect().await);
    send(&mut head, "GET / HT").await;
    send(&mut body, "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{").await;
    for _ in 0..3 {
        get(&mut server.connect().await, "/").await;
    }
    let Running { stop, served, .. } = server;
    stop.send(()).unwrap();
    tokio::task::yield_now().await;
    send(&mut head, "TP/1.1\r\nHost: localhost\r\n\r\n").await;
    send(&mut body, "}").await;
    let (head, body) = tokio::join!(rest(&mut head), rest(&mut body));
    assert!(head.ends_with("bem") && body.ends_with("{}"), "{head} {body}");
    served.await.unwrap();
}

#[tokio::test]
async fn the_date_of_an_answer_is_the_official_time_also_when_that_is_set_back() {
    let clock = Clock::held_at(Timestamp::MAX);
    let server = Running::start_at(clock.clone());
    let mut stream = server.connect().await;
    assert!(get(&mut stream, "/").await.contains("\r\ndate: Thu, 31 Dec 9998 23:59:59 GMT\r\n"));
    clock.set(Timestamp::parse_rfc3339("2025-12-01T03:00:00Z").unwrap());
    let answer = get(&mut stream, "/").await;
    assert!(answer.contains("\r\ndate: Mon, 01 Dec 2025 03:00:00 GMT\r\n"), "{answer}");
    assert_eq!(answer.matches("date: ").count(), 1, "{answer}");
    clock.set(Timestamp::MIN);
    assert!(get(&mut stream, "/panic").await.contains("\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
}

#[test]
fn an_address_is_bound_inside_of_a_runtime_only() {
    let error = bind("127.0.0.1:0".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
}

#[tokio::test]
async fn an_idle_connection_goes_on_after_it_gave_its_buffers_back() {
    let server = Running::start();
    let (mut idle, mut half) = (server.connect().await, server.connect().await);
    assert!(get(&mut idle, "/").await.ends_with("bem"));
    // With its first request comes the beginning of the second one, which waits in hyper's buffer.
    send(&mut half, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /ha").await;
    while server.bounds.parked() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while server.bounds.parked() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(get(&mut idle, "/").await.ends_with("bem"));
    send(&mut half, "lf HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    let said = rest(&mut half).await;
    assert_eq!(said.matches("HTTP/1.1 200 ").count(), 2, "{said}");
    // A connection that never said anything has no buffers to give back.
    let _silent = server.connect().await;
    while server.bounds.connections() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
