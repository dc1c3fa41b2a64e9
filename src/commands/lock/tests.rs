//! The place in the queue is kept over several requests, and a lease is never believed for longer than it lasts.

use std::io::{Read, Write};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::http::client::Security;
use crate::http::server::bind;
use crate::{coordinator, logging};

const TTL: Duration = Duration::from_secs(60);
/// Half of it is the time in which a request has to arrive, also on a busy machine.
const ONE_WAIT: Duration = Duration::from_secs(4);

/// A coordinator that stops when this is dropped.
struct Coordinator {
    url: String,
    folder: TempDir,
    _stop: oneshot::Sender<()>,
}

impl Coordinator {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config =
            coordinator::Config { logging: logging::Config::quiet(), ..coordinator::Config::new(folder.path()) };
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(coordinator::serve(listener, config, async { drop(stopped.await) }));
        Self { url, folder, _stop: stop }
    }

    fn gate(&self, owner: &str) -> Gate {
        let client = Client::new(std::slice::from_ref(&self.url), &Security::default()).unwrap();
        Gate { client, names: vec!["X".into()], owner: owner.into(), request_id: owner.into(), ttl: TTL }
    }

    /// Waits until `count` requests wait.
    async fn wait_for_queue(&self, count: u64) {
        loop {
            let Asked::Busy(Holder { fila, .. }) = at_once(&self.gate("looks")).await else { panic!("X is free") };
            if fila == count {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the same request has come again `count` times.
    async fn wait_for_repetitions(&self, count: usize) {
        let log = || std::fs::read_to_string(self.folder.path().join("coordenador.log")).unwrap_or_default();
        while log().matches("no lugar que já tinha").count() < count {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn at_once(gate: &Gate) -> Asked {
    gate.lock(Duration::ZERO, Instant::now()).await.unwrap()
}

fn granted(asked: Asked) -> Lease {
    match asked {
        Asked::Granted(lease) => lease,
        Asked::Busy(holder) => panic!("{holder:?}"),
        Asked::Later(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_the_queue_outlives_many_requests() {
    let coordinator = Arc::new(Coordinator::start());
    let first = granted(at_once(&coordinator.gate("first")).await);
    let waits = |owner: &'static str, one_wait| {
        let gate = coordinator.gate(owner);
        tokio::spawn(async move {
            let lease = granted(queue::wait(&gate, None, one_wait).await.unwrap());
            (lease, Instant::now())
        })
    };
    let second = waits("second", ONE_WAIT);
    coordinator.wait_for_queue(1).await;
    let third = waits("third", Duration::from_secs(60));
    coordinator.wait_for_queue(2).await;
    // With the third repetition the first request is gone: the place no longer depends on it.
    coordinator.wait_for_repetitions(3).await;
    coordinator.wait_for_queue(2).await;
    assert!(!second.is_finished() && !third.is_finished());
    let freed = Instant::now();
    assert!(coordinator.gate("first").release(first.id).await.unwrap().is_none());
    let (second, heard) = second.await.unwrap();
    // It counts from the grant, and not from the first request.
    assert!(second.term.ends() > freed + TTL / 2 && second.term.ends() <= heard + TTL);
    assert!(!third.is_finished(), "the third was served before the second");
    coordinator.gate("second").release(second.id).await.unwrap();
    assert!(third.await.unwrap().0.token > second.token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_in_time_and_says_who_has_it() {
    let coordinator = Coordinator::start();
    granted(at_once(&coordinator.gate("first")).await);
    let until = Instant::now() + Duration::from_secs(1);
    let asked = queue::wait(&coordinator.gate("second"), Some(until), Duration::from_millis(300)).await.unwrap();
    let Asked::Busy(holder) = asked else { panic!("it was granted") };
    assert!(Instant::now() >= until);
    let now = Timestamp::parse_rfc3339("2025-10-26T18:00:00Z").unwrap();
    let text = said(&Holder { expira_em_ms: Some(8_812), ..holder }, now);
    let expected =
        "X is held by first until 2025-10-26T18:00:08Z (8.8 s from now) or longer, if it is renewed; token 1";
    assert_eq!(text, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_tried_again_counts_from_its_beginning() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(&[format!("http://{}", listener.local_addr().unwrap())], &Security::default()).unwrap();
    let gate = Gate { client, names: vec!["X".into()], owner: "o".into(), request_id: "p".into(), ttl: TTL };
    let (sender, waits) = std::sync::mpsc::channel();
    // It refuses the first request, and closes the connection of each later one without an answer.
    std::thread::spawn(move || {
        for number in 0.. {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            while !request.ends_with('}') {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "a whole request");
                request += str::from_utf8(&buffer[..read]).unwrap();
            }
            let body: serde_json::Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
            if sender.send(body["espera_ms"].as_u64().unwrap()).is_err() {
                return;
            }
            if number == 0 {
                let busy = r#"{"codigo":"ocupado","detail":"d","recurso":"X","retido":false,"fila":0}"#;
                let head = "HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length:";
                stream.write_all(format!("{head} {}\r\n\r\n{busy}", busy.len()).as_bytes()).unwrap();
            }
        }
    });
    let waiting = tokio::spawn(async move { acquire(&gate, Some(Some(Duration::from_secs(30)))).await.is_ok() });
    let next = |_| waits.recv_timeout(Duration::from_secs(60)).expect("it tries again");
    let waits: Vec<u64> = (0..4).map(next).collect();
    waiting.abort();
    assert!(waits[0] == 0 && waits[1] <= 30_000, "{waits:?}");
    // Each try waits for what is left, which is less by the pause before it.
    assert!(waits[1..].windows(2).all(|pair| pair[1] + 499 <= pair[0]), "{waits:?}");
}

#[test]
fn the_default_owner_fits_the_protocol() {
    let long = default_owner(&OsString::from(format!("/bin/{}\n", "ç".repeat(200))));
    assert!(
        long.len() <= NAME_MAX_BYTES && long.len() > NAME_MAX_BYTES - 4 && !long.contains(char::is_control),
        "{long}"
    );
    assert!(default_owner(&OsString::from("./backup.sh")).starts_with("backup.sh@"));
}
