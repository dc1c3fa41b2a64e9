//! The scheduler's end of the lock protocol.
//!
//! Two tasks speak with the coordinator, one for locks and one for unlocks, so that neither waits for the other's
//! exchange. Each takes every request that waits, sends them as one batch (`POST /lote`), and hands each its own answer.
//! Alone, a request waits for nobody.
//!
//! A lease's deadline is counted here, on this process's monotonic clock, from *before* the request was sent: it is
//! never later than the coordinator's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Request;
use serde::Deserialize;
use tokio::sync::oneshot;

use super::feed::Feed;
use super::protocol::{BATCH_MAX, BODY_BYTES, MIN_TOKEN_MAX, Operation};
use super::way::{CONNECT_TIMEOUT, EXCHANGE_TIMEOUT, Way};
use crate::batch;

/// Tries of one exchange at one address: a kept-alive connection may have been closed just then, and the same request
/// again gets the same lease again.
const TRIES: usize = 2;

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

impl Client {
    /// A client of the coordinator at any of `urls`. `highest_token` is the largest token seen so far: the next will be
    /// larger, even if the coordinator lost its state. Spawns the tasks that speak; they end when the client is dropped.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(urls: &[String], highest_token: u64) -> Result<Self, StartError> {
        let way = Arc::new(Way::new(urls)?);
        // Each ask stands for a request in flight, and those are bounded by the connections.
        let (locks, lock_batches) = batch::queue(usize::MAX);
        let (unlocks, unlock_batches) = batch::queue(usize::MAX);
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
        self.way
            .first_that(CONNECT_TIMEOUT, |address| async move {
                let answer = self.way.get(Request::get(&address.ready)).await?;
                let status = answer.status();
                if status.is_success() { Ok(()) } else { Err(format!("{} respondeu {status}", address.ready)) }
            })
            .await
    }

    /// The coordinator's channels of events, by the same way.
    pub fn feed(&self) -> Feed {
        Feed::new(Arc::clone(&self.way))
    }
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
            while let Some(ask) = waiting.next_if(|_| replies.len() < BATCH_MAX && body.len() < BODY_BYTES) {
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
    way.first_that(EXCHANGE_TIMEOUT, |address| async move {
        let mut result = exchange_once(way, &address.batch, body, count).await;
        for _ in 1..TRIES {
            if result.is_ok() {
                break;
            }
            result = exchange_once(way, &address.batch, body, count).await;
        }
        result
    })
    .await
}

async fn exchange_once(way: &Way, uri: &hyper::Uri, body: &Bytes, count: usize) -> Result<Vec<Answer>, String> {
    let (status, bytes) = way.post(uri, body).await?;
    if !status.is_success() {
        return Err(format!("{uri} respondeu {status}"));
    }
    let answers: Answers =
        serde_json::from_slice(&bytes).map_err(|error| format!("{uri} respondeu outra coisa: {error}"))?;
    if answers.respostas.len() != count {
        return Err(format!("{uri} respondeu {} de {count} operações", answers.respostas.len()));
    }
    Ok(answers.respostas)
}
