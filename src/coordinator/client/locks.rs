//! The scheduler's end of the lock protocol.
//!
//! Two tasks speak with the coordinator, one for locks and one for unlocks, so that neither waits for the other's
//! exchange. Each takes every request that waits, sends them as one batch (`POST /lote`), and hands each its own answer.
//! Alone, a request waits for nobody.
//!
//! A request is answered within [`EXCHANGE_TIMEOUT`] of its own asking, however many are before it: that nobody answered is
//! an answer too. What nobody waits for any more is not sent; and a lease that comes too late is given back.
//!
//! A lease's deadline is counted here, on this process's monotonic clock, from *before* the request was sent: it is
//! never later than the coordinator's own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Request;
use tokio::sync::oneshot;

use super::feed::Feed;
use super::transport::{AddressError, CONNECT_TIMEOUT, EXCHANGE_TIMEOUT, Transport, read_whole};
use crate::batch;
use crate::coordinator::protocol::batch::{Answer, Answers, BatchWriter};
use crate::coordinator::protocol::replies::{BusyReply, LeaseReply, ReleasedReply};
use crate::coordinator::protocol::{Operation, TOKEN_MAX, TOO_FAR};
use crate::coordinator::table::{Acquire, LeaseId, Release};

/// Tries of one exchange at one address: a kept-alive connection may have been closed just then, and the same request
/// again gets the same lease again.
const TRIES: usize = 2;

/// The request and, with the owner, the resource by which it is seen whether tokens are acceptable again.
const PROBE: &str = "pronto";
/// How long that resource is locked at the most.
const PROBE_TTL: Duration = Duration::from_secs(1);

/// A granted lease.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Its fencing token.
    pub token: u64,
    /// Nothing is begun under it past this.
    pub deadline: Instant,
    id: LeaseId,
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
    #[error(transparent)]
    Url(#[from] AddressError),
    /// Requests need identifiers that nobody can guess.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Speaks with the coordinator.
pub struct Client {
    locks: batch::Sender<Ask>,
    unlocks: batch::Sender<Ask>,
    transport: Arc<Transport>,
    owner: Arc<str>,
    /// The first part of every request's identifier: who can guess one can ask for our lease.
    secret: u64,
    next_request: AtomicU64,
    highest_token: AtomicU64,
    /// Why no token was acceptable the last time that one was asked for: waiting does not mend that, an operator does.
    ///
    /// A std lock around a text, held to read or to replace it.
    token_fault: Mutex<Option<String>>,
}

/// An answer, and when what it answers was sent.
type Reply = Result<(Answer, Instant), String>;

/// One operation and who waits for its answer.
struct Ask {
    /// The request that caused it.
    req: String,
    operation: Operation,
    /// When the one who waits is told that there is no answer.
    until: Instant,
    /// `None` where nobody waits.
    reply: Option<oneshot::Sender<Reply>>,
}

impl Ask {
    /// Whether it is still of use: someone waits, or nobody ever did.
    fn is_wanted(&self) -> bool {
        self.reply.as_ref().is_none_or(|reply| !reply.is_closed())
    }
}

impl Client {
    /// A client of the coordinator at any of `urls`. `highest_token` is the largest token seen so far: the next will be
    /// larger, even if the coordinator lost its state. Spawns the tasks that speak; they end when the client is dropped.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(urls: &[String], highest_token: u64) -> Result<Self, StartError> {
        let transport = Arc::new(Transport::new(urls)?);
        // Each ask stands for a request in flight, and those are bounded by the connections.
        let (locks, lock_batches) = batch::queue(usize::MAX);
        let (unlocks, unlock_batches) = batch::queue(usize::MAX);
        tokio::spawn(speak(Arc::clone(&transport), lock_batches, Some(unlocks.clone())));
        tokio::spawn(speak(Arc::clone(&transport), unlock_batches, None));
        Ok(Self {
            locks,
            unlocks,
            transport,
            owner: format!("agendamento-{:08x}", getrandom::u32().map_err(StartError::Random)?).into(),
            secret: getrandom::u64().map_err(StartError::Random)?,
            next_request: AtomicU64::new(1),
            highest_token: AtomicU64::new(highest_token),
            token_fault: Mutex::default(),
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
        let seen = self.highest_token.load(Ordering::Relaxed);
        if seen >= TOKEN_MAX - 1 {
            return Err(self.no_token(format!(
                "o banco já viu o token {seen}, e abaixo de 2^53 não há outro maior: alguém o alterou; volte à última cópia"
            )));
        }
        // Ours and not the request's own, which a client may have chosen, and chosen twice.
        let own_id = format!("{:016x}-{:x}", self.secret, self.next_request.fetch_add(1, Ordering::Relaxed));
        let operation = Operation::Lock(Acquire {
            resources: resources.into_iter().map(Arc::from).collect(),
            owner: Some(Arc::clone(&self.owner)),
            request_id: Some(own_id.into()),
            ttl,
            wait: Duration::ZERO,
            min_token: seen,
            despite_retention,
        });
        let (answer, sent_at) = ask(&self.locks, request_id, operation).await.map_err(LockError::Unavailable)?;
        match answer {
            Answer::Lease(LeaseReply { trava_id: id, token, ttl_ms, resta_ms, .. }) => {
                if token <= seen || token >= TOKEN_MAX {
                    let _ = self.unlocks.send(unlock_of(request_id, id));
                    let reason =
                        format!("a trava veio com o token {token}, e teria de ser maior que {seen} e menor que 2^53");
                    return Err(self.no_token(reason));
                }
                self.saw_token(token);
                *self.token_fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
                // One that was granted to the first try of this request has less left than its TTL. And nobody is believed who
                // gives more than was asked for.
                let left = Duration::from_millis(resta_ms.unwrap_or(ttl_ms)).min(ttl);
                Ok(Lease { token, deadline: sent_at + left, id })
            }
            Answer::Busy(BusyReply { recurso: resource, .. }) => {
                Err(LockError::Busy { resource: resource.to_string() })
            }
            Answer::Problem(problem) if problem.codigo.as_deref() == Some(TOO_FAR) => {
                Err(self.no_token(problem.to_string()))
            }
            other => Err(LockError::Unavailable(unexpected(&other))),
        }
    }

    /// There is no acceptable token, and will not be before someone does something.
    fn no_token(&self, reason: String) -> LockError {
        *self.token_fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        LockError::Unavailable(reason)
    }

    /// Gives a lease back; its resources stay refused for `retention`. Whether it was still there to be given back.
    ///
    /// # Errors
    /// In words, when the coordinator could not be told: the lease then expires by itself.
    pub async fn unlock(&self, request_id: &str, lease: &Lease, retention: Duration) -> Result<Unlocked, String> {
        let operation = Operation::Unlock(Release::ById { lease: lease.id, retention });
        let (answer, _) = ask(&self.unlocks, request_id, operation).await?;
        match answer {
            Answer::Released(ReleasedReply { liberado: true, .. }) => Ok(Unlocked::Freed),
            Answer::Released(ReleasedReply { motivo, .. }) => Ok(Unlocked::WasGone(motivo.unwrap_or_default().into())),
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
    /// In words, when it cannot: what the address that would be asked next says, or what was wrong with the last token.
    pub async fn ready(&self) -> Result<(), String> {
        self.transport
            .first_that(CONNECT_TIMEOUT, |address| async move {
                let answer = self.transport.get(Request::get(&address.ready)).await?;
                let status = answer.status();
                if status.is_success() { Ok(()) } else { Err(format!("{} respondeu {status}", address.ready)) }
            })
            .await?;
        if self.token_fault.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Ok(());
        }
        // Only a lock that is granted shows whether that is mended. It is asked for here, because no booking may come while the
        // service says that it is not ready.
        match self.lock(PROBE, vec![format!("{PROBE}-{}", self.owner)], PROBE_TTL, false).await {
            Ok(lease) => self.unlock(PROBE, &lease, Duration::ZERO).await.map(drop),
            Err(LockError::Unavailable(reason)) => Err(reason),
            // The lock of the look before this one, which is not given back yet.
            Err(LockError::Busy { .. }) => Ok(()),
        }
    }

    /// The coordinator's channels of events, by the same way.
    pub fn feed(&self) -> Feed {
        Feed::new(Arc::clone(&self.transport))
    }
}

/// Asks, and waits for the answer until it would be too late.
async fn ask(asks: &batch::Sender<Ask>, request_id: &str, operation: Operation) -> Reply {
    let (reply, mut answer) = oneshot::channel();
    let gone = || "a tarefa do coordenador terminou".to_owned();
    let until = Instant::now() + EXCHANGE_TIMEOUT;
    asks.send(Ask { req: request_id.to_owned(), operation, until, reply: Some(reply) }).map_err(|_| gone())?;
    if let Ok(answered) = tokio::time::timeout_at(until.into(), &mut answer).await {
        return answered.map_err(|_| gone())?;
    }
    // Closed first, and then looked at once more: an answer that comes after this finds the channel closed, and its lease is
    // given back.
    answer.close();
    let late = || Err(format!("o coordenador não respondeu em {} ms", EXCHANGE_TIMEOUT.as_millis()));
    answer.try_recv().unwrap_or_else(|_| late())
}

/// Gives back a lease that nobody will use. It is sent once: if that fails, the lease expires by itself.
fn unlock_of(request_id: &str, lease: LeaseId) -> Ask {
    let operation = Operation::Unlock(Release::ById { lease, retention: Duration::ZERO });
    Ask { req: request_id.to_owned(), operation, until: Instant::now() + EXCHANGE_TIMEOUT, reply: None }
}

/// An answer that belongs to another kind of operation, or a problem.
fn unexpected(answer: &Answer) -> String {
    match answer {
        Answer::Problem(problem) => problem.to_string(),
        other => format!("resposta de outra operação: {other:?}"),
    }
}

/// The task: everything that waits is one batch. Leases that came too late are given back through `unlocks`.
async fn speak(transport: Arc<Transport>, mut batches: batch::Batches<Ask>, unlocks: Option<batch::Sender<Ask>>) {
    let mut batch = Vec::new();
    while batches.next_async(&mut batch).await.is_some() {
        // Looked at when its turn comes: those before it may have taken all its time.
        let mut waiting = batch.drain(..).filter(Ask::is_wanted).peekable();
        while waiting.peek().is_some() {
            let mut body = BatchWriter::default();
            let mut asks = Vec::new();
            while let Some(ask) = waiting.next_if(|_| body.has_room()) {
                body.add(&ask.req, &ask.operation);
                asks.push(ask);
            }
            exchange_for(&transport, &body.finish(), asks, unlocks.as_ref()).await;
        }
    }
}

/// One exchange: sends the body of `asks` and tells each its answer.
async fn exchange_for(transport: &Transport, body: &Bytes, asks: Vec<Ask>, unlocks: Option<&batch::Sender<Ask>>) {
    let sent_at = Instant::now();
    // As long as anyone waits for it.
    let until = asks.iter().map(|ask| ask.until).max().unwrap_or(sent_at);
    match exchange(transport, body, &asks, until.saturating_duration_since(sent_at)).await {
        Ok(answers) => {
            for (ask, answer) in asks.into_iter().zip(answers) {
                let unheard = match ask.reply {
                    None => None,
                    Some(reply) => reply.send(Ok((answer, sent_at))).err(),
                };
                if let (Some(Ok((Answer::Lease(lease), _))), Some(unlocks)) = (unheard, unlocks) {
                    // The task is gone only when the client is.
                    let _ = unlocks.send(unlock_of(&ask.req, lease.trava_id));
                }
            }
        }
        Err(reason) => {
            for reply in asks.into_iter().filter_map(|ask| ask.reply) {
                let _ = reply.send(Err(reason.clone()));
            }
        }
    }
}

/// Sends one batch to the first address that answers, and reads its answers, one each.
async fn exchange(transport: &Transport, body: &Bytes, asks: &[Ask], time: Duration) -> Result<Vec<Answer>, String> {
    transport
        .first_that(time, |address| async move {
            let mut result = exchange_once(transport, &address.batch, body, asks).await;
            for _ in 1..TRIES {
                if result.is_ok() {
                    break;
                }
                result = exchange_once(transport, &address.batch, body, asks).await;
            }
            result
        })
        .await
}

async fn exchange_once(
    transport: &Transport,
    uri: &hyper::Uri,
    body: &Bytes,
    asks: &[Ask],
) -> Result<Vec<Answer>, String> {
    let (status, bytes) = read_whole(transport.post(uri, body).await?).await?;
    if !status.is_success() {
        return Err(format!("{uri} respondeu {status}"));
    }
    let other = |error| format!("{uri} respondeu outra coisa: {error}");
    let answers: Answers<'_> = serde_json::from_slice(&bytes).map_err(other)?;
    if answers.respostas.len() != asks.len() {
        return Err(format!("{uri} respondeu {} de {} operações", answers.respostas.len(), asks.len()));
    }
    let answers = asks.iter().zip(answers.respostas).map(|(ask, answer)| Answer::read(&ask.operation, answer));
    answers.collect::<Result<_, _>>().map_err(other)
}
