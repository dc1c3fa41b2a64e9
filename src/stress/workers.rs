//! The connections and their requests: all are prepared first, and then released at one instant.
//!
//! A request whose connection is not open at the release would arrive late and be no rival. So before anything is sent
//! every connection is open, and every worker has built its first request and waits on one `watch`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use indicatif::ProgressBar;
use rust_i18n::t;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::config::Config;
use super::opening::{Place, open_all};
use super::outcome::{Outcome, Reason};
use super::progress::Progress;
use super::stats::Fate;
use super::target::{Slots, Target, wire_instant};
use super::wire::{ANSWER_MAX, REQUEST_TIMEOUT};
use crate::http::client::{Connection, Security, Url};
use crate::http::kind;
use crate::language::{chain, io_message};
use crate::text::is_unsafe;

/// The longest outcome that is copied from an answer.
const OUTCOME_MAX_CHARS: usize = 64;
/// The code of a request that was refused because the scheduler does not reach its coordinator.
const NO_COORDINATOR: &str = "coordenador_indisponivel";
/// The longest reason.
const REASON_MAX_CHARS: usize = 300;

/// The requests of a run.
pub struct Plan {
    url: Url,
    security: Security,
    method: Method,
    /// One per request.
    bodies: Vec<Bytes>,
    /// The identifier of the run.
    run: String,
    connections: u32,
    /// How long a worker waits for an answer.
    patience: Duration,
}

/// The body of a booking request.
#[derive(Serialize)]
struct BookingRequest<'a> {
    cientista_id: i64,
    horario_inicio_utc: String,
    telescopio: &'a str,
}

/// The members of an answer that are used here; which of them it has depends on its status.
#[derive(Default, Deserialize)]
struct Answer {
    #[serde(default)]
    id: Option<i64>,
    #[serde(default)]
    codigo: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    erros: Vec<WrongField>,
    #[serde(default)]
    carencia_resta_ms: Option<u64>,
}

/// A field that the server found wrong.
#[derive(Deserialize)]
struct WrongField {
    campo: String,
    mensagem: String,
}

impl Answer {
    /// Why a request was refused: how long the coordinator still waits after a restart, or the first wrong field.
    fn reason(&self) -> Option<Reason> {
        if let Some(left_ms) = self.carencia_resta_ms {
            return Some(Reason::Grace(Duration::from_millis(left_ms)));
        }
        let field = self.erros.first().map(|wrong| format!("{}: {}", wrong.campo, wrong.mensagem));
        let reason = field.or_else(|| self.detail.clone())?;
        let reason = printable(&reason, REASON_MAX_CHARS);
        Some(match self.codigo.as_deref() {
            Some(NO_COORDINATOR) => Reason::NoCoordinator(reason),
            Some(code) if code == kind::TOO_FAST.code() => Reason::TooFast(reason),
            _ => Reason::Said(reason),
        })
    }
}

impl Plan {
    /// Every request of a run, ready to be sent.
    ///
    /// # Errors
    /// When the link's method and URL make no request.
    pub fn new(config: &Config, target: &Target, slots: &Slots, run: &str) -> anyhow::Result<Self> {
        let body = |index: u32| -> anyhow::Result<Bytes> {
            let request = BookingRequest {
                cientista_id: config.scientist,
                horario_inicio_utc: wire_instant(slots.of_request(index as usize)),
                telescopio: &target.telescope,
            };
            Ok(serde_json::to_vec(&request)?.into())
        };
        Ok(Self {
            url: target.book.clone(),
            security: config.security.clone(),
            method: target.book_method.clone(),
            bodies: (0..config.n).map(body).collect::<anyhow::Result<_>>()?,
            run: run.to_owned(),
            connections: config.connections,
            patience: REQUEST_TIMEOUT,
        })
    }

    /// The X-Request-Id of a request.
    fn request_id(&self, index: usize) -> String {
        format!("{}-{}", self.run, index + 1)
    }

    fn request(&self, index: usize) -> Result<Request<Full<Bytes>>, Outcome> {
        self.url
            .request(self.security.authorization(&self.url))
            .method(self.method.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("x-request-id", self.request_id(index))
            .body(Full::new(self.bodies[index].clone()))
            .map_err(|error| failed(&error.to_string(), &error.to_string()))
    }
}

/// Opens the connections, releases the requests, and gives the result of each, by number.
///
/// # Errors
/// When not all connections can be opened.
pub async fn run(plan: Plan, progress: &Progress) -> anyhow::Result<Vec<Fate>> {
    let place = Arc::new(Place::find(&plan.url, &plan.security).await?);
    let connections = open_all(&place, plan.connections, progress).await?;
    let bar = progress.bar(t!("requests"), u32::try_from(plan.bodies.len()).unwrap_or(u32::MAX));
    let plan = Arc::new(plan);
    let (release, released) = watch::channel(None);
    // Nothing is sent on it: it closes when the last worker is ready.
    let (ready, mut all_ready) = mpsc::channel::<()>(1);
    let mut workers = JoinSet::new();
    for (first, connection) in connections.into_iter().enumerate() {
        let worker = Worker {
            plan: Arc::clone(&plan),
            place: Arc::clone(&place),
            connection: Some(connection),
            timed_out: false,
            bar: bar.clone(),
            progress: progress.clone(),
        };
        workers.spawn(worker.run(first, ready.clone(), released.clone()));
    }
    drop(ready);
    all_ready.recv().await;
    progress.release();
    release.send_replace(Some(Instant::now()));
    let mut fates = Vec::with_capacity(plan.bodies.len());
    while let Some(done) = workers.join_next().await {
        fates.extend(done.context(t!("a worker failed"))?);
    }
    bar.finish_and_clear();
    fates.sort_unstable_by_key(|fate| fate.number);
    Ok(fates)
}

/// One connection, and the requests that it carries one after the other.
struct Worker {
    plan: Arc<Plan>,
    place: Arc<Place>,
    /// `None` after a request that failed on it; the next one opens another.
    connection: Option<Connection>,
    /// Whether an answer did not come in time: the requests that are left are not sent, since a server that hangs would take
    /// as long for each of them.
    timed_out: bool,
    bar: ProgressBar,
    progress: Progress,
}

impl Worker {
    /// Waits for the release, then sends request `first` and every `connections`-th after it.
    async fn run(
        mut self,
        first: usize,
        ready: mpsc::Sender<()>,
        mut released: watch::Receiver<Option<Instant>>,
    ) -> Vec<Fate> {
        let mut next_request = self.plan.request(first);
        drop(ready);
        // The sender outlives the workers.
        let released_at = released.wait_for(Option::is_some).await.ok().and_then(|at| *at).unwrap_or_else(Instant::now);
        let mut fates = Vec::new();
        let mut sent_at = released_at;
        let mut index = first;
        loop {
            let answer = match next_request {
                Ok(request) => self.exchange(request).await,
                Err(outcome) => Err(outcome),
            };
            let done_at = Instant::now();
            if answer.is_ok() {
                self.progress.answer();
            }
            let request_id = self.plan.request_id(index);
            fates.push(fate(index, request_id, answer, done_at - sent_at, done_at - released_at));
            self.bar.inc(1);
            index += self.plan.connections as usize;
            if index >= self.plan.bodies.len() {
                return fates;
            }
            next_request = if self.timed_out { Err(Outcome::NotSent) } else { self.plan.request(index) };
            sent_at = Instant::now();
        }
    }

    /// Sends one request, on a new connection if the last one is closed. It is never sent twice: an attempt that failed may
    /// have booked.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Outcome> {
        let kept = self.connection.take().filter(Connection::is_open);
        let attempt = async {
            let mut connection = if let Some(connection) = kept {
                connection
            } else {
                self.place.connect().await.map_err(|error| failed(&error.to_string(), &io_message(&error)))?
            };
            let answer = connection.exchange(request, ANSWER_MAX).await;
            let answer = answer.map_err(|error| failed(&error.to_string(), &chain(&error)))?;
            Ok((connection, answer))
        };
        match tokio::time::timeout(self.plan.patience, attempt).await {
            Ok(Ok((connection, answer))) => {
                self.connection = Some(connection);
                Ok(answer)
            }
            Ok(Err(outcome)) => Err(outcome),
            Err(_) => {
                self.timed_out = true;
                Err(Outcome::NoAnswer(self.plan.patience.as_secs()))
            }
        }
    }
}

/// The result of the request at `index`.
fn fate(
    index: usize,
    request_id: String,
    answer: Result<(StatusCode, Bytes), Outcome>,
    latency: Duration,
    finished: Duration,
) -> Fate {
    let mut reason = None;
    let (status, outcome, booking_id) = match answer {
        Ok((status, body)) => {
            let answer: Answer = serde_json::from_slice(&body).unwrap_or_default();
            // A taken slot needs no reason, and with thousands of rivals the parsing would cost time.
            if !matches!(status, StatusCode::CREATED | StatusCode::CONFLICT) {
                reason = answer.reason();
            }
            let outcome = match (status, answer.codigo) {
                (StatusCode::CREATED, _) => Outcome::Booked,
                (_, Some(code)) => Outcome::Answered(printable(&code, OUTCOME_MAX_CHARS)),
                (status, None) => Outcome::Answered(status.canonical_reason().unwrap_or("no codigo").to_owned()),
            };
            (Some(status.as_u16()), outcome, answer.id.filter(|_| status == StatusCode::CREATED))
        }
        Err(outcome) => (None, outcome, None),
    };
    Fate { number: index + 1, request_id, status, outcome, reason, booking_id, latency, finished }
}

/// The outcome of a connection that failed.
fn failed(text: &str, said: &str) -> Outcome {
    Outcome::Failed { text: printable(text, OUTCOME_MAX_CHARS), said: printable(said, OUTCOME_MAX_CHARS) }
}

/// A text of the server, safe for a terminal and a table.
fn printable(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(answer: Result<(StatusCode, &'static str), &str>) -> (Option<u16>, String, Option<i64>) {
        let answer = answer.map(|(status, body)| (status, Bytes::from_static(body.as_bytes())));
        let answer = answer.map_err(|text| failed(text, text));
        let fate = fate(0, "r-1".into(), answer, Duration::ZERO, Duration::ZERO);
        (fate.status, fate.outcome.text().into_owned(), fate.booking_id)
    }

    #[tokio::test]
    async fn each_connection_waits_once_for_a_server_that_hangs() {
        // It accepts connections and reads nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/agendamentos", silent.local_addr().unwrap())).unwrap();
        let (bodies, patience) = (vec![Bytes::from_static(b"{}"); 1000], Duration::from_secs(1));
        let plan = Plan {
            url,
            security: Security::default(),
            method: Method::POST,
            bodies,
            run: "r".into(),
            connections: 2,
            patience,
        };
        let fates = run(plan, &Progress::on_stderr(false)).await.unwrap();
        let count = |outcome: &str| fates.iter().filter(|fate| fate.outcome.text().contains(outcome)).count();
        assert_eq!((fates.len(), count("no answer within 1 s"), count("not sent")), (1000, 2, 998));
        assert!(fates.iter().all(|fate| fate.finished < Duration::from_secs(60)), "one wait after the other");
    }

    #[test]
    fn every_answer_is_an_outcome() {
        assert_eq!(outcome(Ok((StatusCode::CREATED, r#"{"id": 7}"#))), (Some(201), "booked".to_owned(), Some(7)));
        assert_eq!(outcome(Ok((StatusCode::CREATED, "?"))), (Some(201), "booked".to_owned(), None));
        let busy = r#"{"codigo": "recurso_ocupado", "id": 7}"#;
        assert_eq!(outcome(Ok((StatusCode::CONFLICT, busy))), (Some(409), "recurso_ocupado".to_owned(), None));
        assert_eq!(outcome(Ok((StatusCode::BAD_GATEWAY, "<p>"))), (Some(502), "Bad Gateway".to_owned(), None));
        let hostile = "{\"codigo\": \"a\\u001b[2J\"}";
        assert_eq!(outcome(Ok((StatusCode::CONFLICT, hostile))), (Some(409), "a\u{fffd}[2J".to_owned(), None));
        let wrong = br#"{"codigo": "campos_invalidos", "detail": "d", "erros": [{"campo": "c", "mensagem": "m"}]}"#;
        let reason = |body: &'static [u8]| {
            let answer = Ok((StatusCode::UNPROCESSABLE_ENTITY, Bytes::from_static(body)));
            fate(0, "r-1".into(), answer, Duration::ZERO, Duration::ZERO)
                .reason
                .map(|reason| reason.text().into_owned())
        };
        assert_eq!(reason(wrong).as_deref(), Some("c: m"));
        assert_eq!(reason(br#"{"codigo": "x", "detail": "d"}"#).as_deref(), Some("d"));
        let grace = br#"{"codigo": "coordenador_indisponivel", "detail": "d", "carencia_resta_ms": 7100}"#;
        assert!(reason(grace).unwrap().ends_with(": 8 s left"));
        let alone = br#"{"codigo": "coordenador_indisponivel", "detail": "Tente de novo."}"#;
        assert_eq!(reason(alone).as_deref(), Some("Tente de novo."));
        assert_eq!(reason(b"?"), None);
        assert_eq!(outcome(Err("reset")), (None, "error: reset".to_owned(), None));
    }
}
