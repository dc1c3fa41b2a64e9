//! The scheduler's end of the lock protocol.
//!
//! Two tasks speak with the coordinator, one for locks and one for unlocks, so that neither waits for the other's
//! exchange. Each takes every request that waits, sends them as one batch (`POST /lote`), and hands each its own answer.
//! Alone, a request waits for nobody.
//!
//! Of several addresses one is spoken with until it does not answer; then the next is. All have to lead to the same
//! coordinator: two that each give locks of their own would leave only the database between rivals.
//!
//! A lease's deadline is counted here, on this process's monotonic clock, from *before* the request was sent: it is
//! never later than the coordinator's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::protocol::{BATCH_MAX, MIN_TOKEN_MAX, Operation};
use crate::batch;
use crate::http::in_words;

/// How long one exchange may take, with all its tries, before the coordinator counts as unreachable.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Idle connections are dropped before the server drops them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Tries of one exchange at one address: a kept-alive connection may have been closed just then, and the same request
/// again gets the same lease again.
const TRIES: usize = 2;
/// Bytes of operations in one batch, safely below the coordinator's limit of 1 MiB.
const BATCH_BYTES: usize = 900 * 1024;
/// The most bytes of an answer.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// A granted lease.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Its fencing token.
    pub token: u64,
    /// Nothing is begun under it past this.
    pub deadline: Instant,
    id: String,
}

/// What became of an unlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// The lease was live and is no more.
    Freed,
    /// It had ended already: the coordinator's word for how.
    WasGone(String),
}

/// Why there is no lease.
#[derive(Clone, Debug)]
pub enum LockError {
    /// Someone else has this resource.
    Busy {
        /// The resource.
        resource: String,
    },
    /// The coordinator cannot be asked, or cannot grant anything now. For the log.
    Unavailable(String),
}

/// A client cannot be started. Shown by the command line, hence in English.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that is not a coordinator's.
    #[error("{0:?} is not the URL of a coordinator; it should look like http://127.0.0.1:3000")]
    Url(String),
    /// Requests need identifiers that nobody can guess.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Speaks with the coordinator.
pub struct Client {
    locks: batch::Sender<Ask>,
    unlocks: batch::Sender<Ask>,
    way: Arc<Way>,
    owner: String,
    /// The first part of every request's identifier: whoever could guess one could ask for our lease.
    secret: u64,
    next_request: AtomicU64,
    highest_token: AtomicU64,
}

/// How to reach the coordinator.
struct Way {
    http: Http,
    addresses: Vec<Address>,
    /// The one that answered last.
    current: AtomicUsize,
}

struct Address {
    batch: Uri,
    ready: Uri,
}

impl Way {
    /// The addresses from the current one on, with their places.
    fn addresses(&self) -> impl Iterator<Item = (usize, &Address)> {
        let (first, count) = (self.current.load(Ordering::Relaxed), self.addresses.len());
        (0..count).map(move |step| {
            let place = (first + step) % count;
            (place, &self.addresses[place])
        })
    }

    /// The share of `whole` that one address may take, so that the last is tried too.
    fn share(&self, whole: Duration) -> Duration {
        whole / u32::try_from(self.addresses.len()).unwrap_or(u32::MAX)
    }
}

/// One operation and who waits for its answer.
struct Ask {
    operation: Operation,
    reply: oneshot::Sender<Result<(Answer, Instant), String>>,
}

/// The members of every kind of answer; which are there depends on the status.
#[derive(Debug, Deserialize)]
struct Answer {
    status: u16,
    #[serde(default)]
    trava_id: Option<String>,
    #[serde(default)]
    token: Option<u64>,
    #[serde(default)]
    ttl_ms: Option<u64>,
    #[serde(default)]
    recurso: Option<String>,
    #[serde(default)]
    liberado: Option<bool>,
    #[serde(default)]
    motivo: Option<String>,
    #[serde(default)]
    codigo: Option<String>,
    #[serde(default)]
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Answers {
    respostas: Vec<Answer>,
}

type Http = HttpClient<HttpConnector, Full<Bytes>>;

impl Client {
    /// A client of the coordinator at any of `urls`. `highest_token` is the largest token seen so far: the next will be
    /// larger, even if the coordinator lost its state. Spawns the tasks that speak; they end when the client is dropped.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(urls: &[String], highest_token: u64) -> Result<Self, StartError> {
        let addresses = urls.iter().map(|url| address(url)).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(StartError::Url(String::new()));
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        // Each ask stands for a request in flight, and those are bounded by the connections.
        let (locks, lock_batches) = batch::queue(usize::MAX);
        let (unlocks, unlock_batches) = batch::queue(usize::MAX);
        let way = Arc::new(Way { http, addresses, current: AtomicUsize::new(0) });
        tokio::spawn(speak(Arc::clone(&way), lock_batches));
        tokio::spawn(speak(Arc::clone(&way), unlock_batches));
        Ok(Self {
            locks,
            unlocks,
            way,
            owner: format!("agendamento-{:08x}", getrandom::u32().map_err(StartError::Random)?),
            secret: getrandom::u64().map_err(StartError::Random)?,
            next_request: AtomicU64::new(1),
            highest_token: AtomicU64::new(highest_token),
        })
    }

    /// Asks for a lease on all of `resources`, for `ttl`.
    ///
    /// # Errors
    /// [`LockError`]; nothing is held, or it expires by itself.
    pub async fn lock(
        &self,
        request_id: &str,
        resources: Vec<String>,
        ttl: Duration,
        despite_retention: bool,
    ) -> Result<Lease, LockError> {
        let operation = Operation::Lock {
            req: request_id.to_owned(),
            recursos: resources,
            dono: self.owner.clone(),
            // Ours and not the request's own, which a client may have chosen, and chosen twice.
            pedido_id: format!("{:016x}-{:x}", self.secret, self.next_request.fetch_add(1, Ordering::Relaxed)),
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            token_minimo: self.highest_token.load(Ordering::Relaxed).min(MIN_TOKEN_MAX),
            apesar_da_retencao: despite_retention,
        };
        let (answer, sent_at) = ask(&self.locks, operation).await.map_err(LockError::Unavailable)?;
        match answer {
            Answer { status: 200, trava_id: Some(id), token: Some(token), ttl_ms, .. } => {
                self.saw_token(token);
                let ttl = ttl_ms.map_or(ttl, Duration::from_millis);
                Ok(Lease { token, deadline: sent_at + ttl, id })
            }
            Answer { status: 409, recurso: Some(resource), .. } => Err(LockError::Busy { resource }),
            other => Err(LockError::Unavailable(unexpected(&other))),
        }
    }

    /// Gives a lease back; its resources stay refused for `retention`. Whether it was still there to be given back.
    ///
    /// # Errors
    /// In words, when the coordinator could not be told: the lease then expires by itself.
    pub async fn unlock(&self, request_id: &str, lease: &Lease, retention: Duration) -> Result<Unlocked, String> {
        let operation = Operation::Unlock {
            req: request_id.to_owned(),
            trava_id: lease.id.clone(),
            retencao_ms: u64::try_from(retention.as_millis()).unwrap_or(u64::MAX),
        };
        let (answer, _) = ask(&self.unlocks, operation).await?;
        match answer {
            Answer { status: 200, liberado: Some(true), .. } => Ok(Unlocked::Freed),
            Answer { status: 200, motivo, .. } => Ok(Unlocked::WasGone(motivo.unwrap_or_default())),
            other => Err(unexpected(&other)),
        }
    }

    /// Notes a token that was seen elsewhere: the next will be larger.
    pub fn saw_token(&self, token: u64) {
        self.highest_token.fetch_max(token, Ordering::Relaxed);
    }

    /// Whether the coordinator can give locks now.
    ///
    /// # Errors
    /// In words, when it cannot: what the address that would be asked next says.
    pub async fn ready(&self) -> Result<(), String> {
        let mut fault = None;
        for (_, Address { ready, .. }) in self.way.addresses() {
            let answer = tokio::time::timeout(self.way.share(CONNECT_TIMEOUT), self.way.http.get(ready.clone())).await;
            let said = match answer {
                Ok(Ok(answer)) if answer.status().is_success() => return Ok(()),
                Ok(Ok(answer)) => format!("{ready} respondeu {}", answer.status()),
                Ok(Err(error)) => format!("{ready} não respondeu: {}", in_words(&error)),
                Err(_) => format!("{ready} não respondeu a tempo"),
            };
            fault.get_or_insert(said);
        }
        Err(fault.unwrap_or_default())
    }
}

fn address(url: &str) -> Result<Address, StartError> {
    let base = url.trim().trim_end_matches('/');
    let uri = |path: &str| -> Result<Uri, StartError> {
        let uri: Uri = format!("{base}{path}").parse().map_err(|_| StartError::Url(url.to_owned()))?;
        let plain_http = uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty());
        if plain_http { Ok(uri) } else { Err(StartError::Url(url.to_owned())) }
    };
    Ok(Address { batch: uri("/lote")?, ready: uri("/pronto")? })
}

async fn ask(asks: &batch::Sender<Ask>, operation: Operation) -> Result<(Answer, Instant), String> {
    let (reply, answer) = oneshot::channel();
    let gone = || "a tarefa do coordenador terminou".to_owned();
    asks.send(Ask { operation, reply }).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

fn unexpected(answer: &Answer) -> String {
    let code = answer.codigo.as_deref().unwrap_or("sem código");
    format!("resposta {} {code}: {}", answer.status, answer.detail.as_deref().unwrap_or_default())
}

/// The task: everything that waits is one batch.
async fn speak(way: Arc<Way>, mut batches: batch::Batches<Ask>) {
    let mut batch = Vec::new();
    while batches.next_async(&mut batch).await.is_some() {
        let mut waiting = batch.drain(..).peekable();
        while waiting.peek().is_some() {
            let mut body = b"{\"operacoes\":[".to_vec();
            let mut replies = Vec::new();
            while let Some(ask) = waiting.next_if(|_| replies.len() < BATCH_MAX && body.len() < BATCH_BYTES) {
                if !replies.is_empty() {
                    body.push(b',');
                }
                // A struct of texts, numbers and lists: serialising it to memory cannot fail.
                serde_json::to_writer(&mut body, &ask.operation).expect("an operation serialises");
                replies.push(ask.reply);
            }
            body.extend_from_slice(b"]}");
            let sent_at = Instant::now();
            match exchange(&way, &body.into(), replies.len()).await {
                Ok(answers) => {
                    for (reply, answer) in replies.into_iter().zip(answers) {
                        // Whoever asked may be gone; a lease that it was granted expires by itself.
                        let _ = reply.send(Ok((answer, sent_at)));
                    }
                }
                Err(reason) => {
                    for reply in replies {
                        let _ = reply.send(Err(reason.clone()));
                    }
                }
            }
        }
    }
}

/// Sends one batch to the first address that answers, and reads its answers, one each.
async fn exchange(way: &Way, body: &Bytes, count: usize) -> Result<Vec<Answer>, String> {
    let mut fault = None;
    for (place, Address { batch: uri, .. }) in way.addresses() {
        let tries = async {
            let mut result = exchange_once(&way.http, uri, body, count).await;
            for _ in 1..TRIES {
                if result.is_ok() {
                    break;
                }
                result = exchange_once(&way.http, uri, body, count).await;
            }
            result
        };
        let share = way.share(EXCHANGE_TIMEOUT);
        let result = tokio::time::timeout(share, tries).await;
        match result.unwrap_or_else(|_| Err(format!("{uri} não respondeu em {} ms", share.as_millis()))) {
            Ok(answers) => {
                way.current.store(place, Ordering::Relaxed);
                return Ok(answers);
            }
            Err(reason) => drop(fault.get_or_insert(reason)),
        }
    }
    Err(fault.unwrap_or_default())
}

async fn exchange_once(http: &Http, uri: &Uri, body: &Bytes, count: usize) -> Result<Vec<Answer>, String> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(body.clone()))
        .map_err(|error| error.to_string())?;
    let answer = http.request(request).await.map_err(|error| format!("{uri} não respondeu: {}", in_words(&error)))?;
    let status = answer.status();
    let bytes = Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(|error| error.to_string())?;
    if !status.is_success() {
        return Err(format!("{uri} respondeu {status}"));
    }
    let answers: Answers =
        serde_json::from_slice(&bytes.to_bytes()).map_err(|error| format!("{uri} respondeu outra coisa: {error}"))?;
    if answers.respostas.len() != count {
        return Err(format!("{uri} respondeu {} de {count} operações", answers.respostas.len()));
    }
    Ok(answers.respostas)
}
