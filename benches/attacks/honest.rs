//! Honest clients: one of another address than the attackers', and one of theirs. Each asks, reads the answer, and asks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;

use crate::Target;
use crate::measure::{Outcome, rank};
use crate::sockets::{ATTACKER, connect_from};

/// The address of the client that has nothing to do with the attackers.
const ELSEWHERE: &str = "127.0.0.1";
/// How long a client thinks.
const PAUSE: Duration = Duration::from_millis(2);
/// Without an answer for so long, a client gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the honest clients ask for, by the number of the request: a function of a path's number gives method, path and body.
pub type Requests = fn(usize) -> (&'static str, String, String);

/// What one client met.
#[derive(Debug, Default)]
pub struct Met {
    /// How long each request took until its answer was read, the waiting for a connection included.
    pub times: Vec<Duration>,
    /// Answers that were refusals.
    pub refused: usize,
    /// Requests without an answer.
    pub lost: usize,
}

/// Clients at work.
pub struct Honest {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<[Met; 2]>,
}

impl Honest {
    pub fn begin(target: &Target) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let ends = Arc::new(AtomicBool::new(false));
        let (told, target) = (Arc::clone(&ends), target.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let client = |from: &'static str| client(from, &target, &told, &NEXT);
                let (elsewhere, same) = tokio::join!(client(ELSEWHERE), client(ATTACKER));
                [elsewhere, same]
            })
        });
        Self { ends, thread }
    }

    /// What both met: the one elsewhere, and the one of the attackers' address.
    pub fn end(self) -> [Met; 2] {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().expect("an honest client does not panic")
    }
}

async fn client(from: &str, target: &Target, ends: &AtomicBool, next: &AtomicUsize) -> Met {
    let (mut met, mut sender) = (Met::default(), None);
    while !ends.load(Ordering::Relaxed) {
        let (method, path, body) = (target.requests)(next.fetch_add(1, Ordering::Relaxed));
        let begun = Instant::now();
        let asked = async {
            // A connection that was idle may have made room: then the request is repeated on a new one, as HTTP says.
            for _ in 0..2 {
                if let Ok((status, _)) = ask(&mut sender, from, &target.address, (method, &path, &body)).await {
                    return Some(status);
                }
                sender = None;
            }
            None
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(status)) if status < 400 => met.times.push(begun.elapsed()),
            Ok(Some(_)) => met.refused += 1,
            _ => met.lost += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
    met
}

/// One request on an open connection, or on a new one, and its answer.
pub async fn ask(
    sender: &mut Option<SendRequest<Full<Bytes>>>,
    from: &str,
    address: &str,
    (method, path, body): (&str, &str, &str),
) -> Outcome<(u16, Bytes)> {
    if sender.is_none() {
        let (opened, connection) = http1::handshake(TokioIo::new(connect_from(from, address).await?)).await?;
        tokio::spawn(connection);
        *sender = Some(opened);
    }
    let request =
        Request::builder().method(method).uri(path).header(HOST, address).header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body.to_owned())))?;
    let Some(opened) = sender else { return Err("no connection".into()) };
    opened.ready().await?;
    let answer = opened.send_request(request).await?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

/// A client's 99th percentile without and with an attack, and how they compare; then what it did not get.
pub fn compared(before: &Met, during: &Met) -> (String, String) {
    let p99 = |met: &Met| {
        let mut sorted = met.times.clone();
        sorted.sort_unstable();
        rank(&sorted, 99).as_secs_f64() * 1000.0
    };
    let (without, with) = (p99(before), p99(during));
    let mut words = format!("{without:.1} → {with:.1}");
    if during.refused + during.lost > 0 {
        let all = during.refused + during.lost + during.times.len();
        words = format!(
            "{words}
{} refused, {} lost of {all}",
            during.refused, during.lost
        );
    }
    (words, format!("{:.1}", with / without))
}
