//! The lock client: what a scheduler asks of the coordinator, and what it may believe of the answer.
//!
//! # How operations travel
//! Locks that may not wait share their exchanges ([`batched`]); unlocks do so among themselves, so that neither holds up
//! the other. A lock that may wait has an exchange of its own ([`waiting`]), and so delays no other.
//!
//! # What a caller may rely on
//! - **In time.** Every call returns within `EXCHANGE_TIMEOUT` and, of a lock, its wait: silence is an error too. The time
//!   counts from the call on, however many calls are before it.
//! - **Given up.** A request whose caller has given up is not sent, and one that waits at the coordinator leaves its queue.
//!   A lease that is granted all the same is given back.
//! - **Safe.** A lease's deadline counts on this process's monotonic clock, from *before* the request was sent (and from the
//!   end of its wait, where it waited): it is never later than the coordinator's own. A token is larger than all tokens
//!   that were seen when it was asked for, or there is no lease.
//!
//! [`batched`]: super::batched
//! [`waiting`]: super::waiting

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::Request;

use super::ask::{Ask, Unlocks};
use super::batched::{self, ask};
use super::feed::Feed;
use super::kept::Kept;
use super::ready::NotReady;
use super::transport::{AddressError, CONNECT_TIMEOUT, Expected, NotServed, Transport, read_whole};
use super::waiting::{PLACES, Waiting};
use crate::batch;
use crate::coordinator::protocol::answers::Answer;
use crate::coordinator::protocol::replies::{
    BusyReply, ContenderReply, DrawReply, LeaseReply, ProblemReply, ReleasedReply,
};
use crate::coordinator::protocol::{DECISION, Operation, TOKEN_MAX, TOO_FAR};
use crate::coordinator::table::{Acquire, Contest, LeaseId, Release};
use crate::http::request_id::RequestId;
use rust_i18n::t;

/// The name of the request, and with the owner of the resource, whose lock shows whether tokens are acceptable again.
const PROBE: &str = "pronto";
/// The life of that lock.
const PROBE_TTL: Duration = Duration::from_secs(1);

/// For how long the coordinator is not asked again whether it is ready, so that a flood of questions here is none there.
const READY_FOR: Duration = Duration::from_secs(1);

/// A lock that is asked for.
#[derive(Clone, Debug)]
pub struct LockRequest<'a> {
    /// The request that needs it, for the coordinator's log.
    pub request_id: &'a RequestId,
    /// The resources: all of them are locked, or none.
    pub resources: Vec<String>,
    /// The lease's life.
    pub ttl: Duration,
    /// How long to wait for them, up to a minute. Zero does not wait.
    pub wait: Duration,
    /// Whether a retention of the resources is passed over.
    pub despite_retention: bool,
    /// What it brings to a contest, in which it waits for the decision alone.
    pub contest: Option<Contest>,
}

/// A granted lease.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Its fencing token.
    pub token: u64,
    /// When it ends at the earliest: nothing is begun under it past this.
    pub deadline: Instant,
    /// The contest that was won for it, if there was one.
    pub won: Option<Won>,
    id: LeaseId,
}

/// A contest that was won.
#[derive(Clone, Debug)]
pub struct Won {
    /// Who was in it: this request, and then the others by their stamps.
    pub contenders: Vec<ContenderReply>,
    /// How the winner was drawn, if there was a tie.
    pub draw: Option<DrawReply>,
}

/// What became of an unlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// The lease was live, and has ended now.
    Freed,
    /// The lease had ended before: the coordinator's word for how.
    WasGone(String),
}

/// Why there is no lease.
#[derive(Clone, Debug)]
pub enum LockError {
    /// A rival holds this resource, or it is retained.
    Busy {
        /// The resource.
        resource: String,
    },
    /// The coordinator was restarted, and grants nothing for this long.
    Grace {
        /// The rest of it.
        left: Duration,
    },
    /// The coordinator has a rate, and this scheduler has used it up. In words, for the log.
    TooFast(String),
    /// The coordinator does not answer, or can grant nothing now. In words, for the log.
    Unavailable(String),
}

impl From<NotServed> for LockError {
    fn from(NotServed { reason, too_fast, .. }: NotServed) -> Self {
        if too_fast { Self::TooFast(reason) } else { Self::Unavailable(reason) }
    }
}

/// Why a client cannot be started. Shown by the command line, hence in English.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that is not a coordinator's.
    #[error(transparent)]
    Url(#[from] AddressError),
    /// Requests need identifiers that nobody can guess.
    #[error("{}", t!("the system gives no random numbers: %{reason}", reason = .0))]
    Random(getrandom::Error),
}

/// Locks and unlocks at the coordinator.
pub struct Client {
    locks: batch::Sender<Ask>,
    unlocks: Unlocks,
    waiting: Waiting,
    transport: Arc<Transport>,
    owner: Arc<str>,
    /// The first part of every `pedido_id`: a client that could guess one could ask for its lease.
    secret: u64,
    next_request: AtomicU64,
    highest_token: AtomicU64,
    /// Why the last lock had no acceptable token. Time does not mend that, an operator does.
    ///
    /// A std mutex around a text, held to read or to replace it.
    token_fault: Mutex<Option<String>>,
    /// Whether the coordinator is ready.
    readiness: Kept<Result<(), NotReady>>,
    /// Whether the last lock was answered as by one that is.
    answered: AtomicBool,
}

impl Client {
    /// A client of the coordinator at any of `urls`, which has to show what is `expected`. `highest_token` is the largest token seen so
    /// far: the next will be larger, even if the coordinator lost its state. Spawns the tasks that send batches; they end when the client
    /// is dropped.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(urls: &[String], expected: Expected, highest_token: u64) -> Result<Self, StartError> {
        let transport = Arc::new(Transport::new(urls, expected)?);
        // Each entry belongs to a request in flight, and those are bounded by the scheduler's connections.
        let (locks, lock_batches) = batch::queue(usize::MAX);
        let (unlocks, unlock_batches) = batch::queue(usize::MAX);
        let unlocks = Arc::new(unlocks);
        tokio::spawn(batched::send_all(Arc::clone(&transport), lock_batches, Some(Arc::clone(&unlocks))));
        tokio::spawn(batched::send_all(Arc::clone(&transport), unlock_batches, None));
        Ok(Self {
            waiting: Waiting::new(Arc::clone(&transport), PLACES, Arc::clone(&unlocks)),
            locks,
            unlocks,
            transport,
            owner: format!("agendamento-{:08x}", getrandom::u32().map_err(StartError::Random)?).into(),
            secret: getrandom::u64().map_err(StartError::Random)?,
            next_request: AtomicU64::new(1),
            highest_token: AtomicU64::new(highest_token),
            token_fault: Mutex::default(),
            readiness: Kept::default(),
            answered: AtomicBool::new(true),
        })
    }

    /// Asks for a lease, and waits for it if the request may wait.
    ///
    /// # Errors
    /// [`LockError`]. No lease is held then, or one that ends by itself.
    pub async fn lock(&self, request: LockRequest<'_>) -> Result<Lease, LockError> {
        let locked = self.ask_for(request).await;
        let answered = matches!(locked, Ok(_) | Err(LockError::Busy { .. }));
        if !self.answered.swap(answered, Ordering::Relaxed) || !answered {
            self.readiness.doubts().raise();
        }
        locked
    }

    async fn ask_for(&self, request: LockRequest<'_>) -> Result<Lease, LockError> {
        let LockRequest { request_id, resources, ttl, wait, despite_retention, contest } = request;
        let wait = contest.as_ref().map_or(wait, |contest| contest.window + DECISION);
        let seen = self.highest_token.load(Ordering::Relaxed);
        if seen >= TOKEN_MAX - 1 {
            return Err(self.no_token(format!(
                "o banco já viu o token {seen}, e abaixo de 2^53 não há outro maior: alguém o alterou; volte à última cópia"
            )));
        }
        // Not the request's own identifier: a client may have chosen that, and may choose it twice.
        let own_id = format!("{:016x}-{:x}", self.secret, self.next_request.fetch_add(1, Ordering::Relaxed));
        let mut acquire = Acquire {
            resources: resources.into_iter().map(Arc::from).collect(),
            owner: Some(Arc::clone(&self.owner)),
            request_id: Some(own_id.into()),
            ttl,
            wait: Duration::ZERO,
            min_token: seen,
            despite_retention,
            contest,
        };
        let answered = if let Some(place) = self.waiting.place(wait).await {
            acquire.wait = place.left;
            place.ask(request_id, acquire).await
        } else {
            acquire.contest = None;
            ask(&self.locks, request_id, Operation::Lock(acquire)).await
        };
        let (answer, sent_at) = answered.map_err(LockError::from)?.take();
        match answer {
            Answer::Lease(lease) => {
                let deadline = lease.deadline(sent_at, Instant::now(), ttl);
                self.checked(request_id, &lease, seen, deadline)
            }
            Answer::Busy(BusyReply { recurso: resource, .. }) => {
                Err(LockError::Busy { resource: resource.to_string() })
            }
            Answer::Problem(problem) if problem.codigo.as_deref() == Some(TOO_FAR) => {
                Err(self.no_token(problem.to_string()))
            }
            Answer::Problem(ProblemReply { carencia_resta_ms: Some(left_ms), .. }) => {
                Err(LockError::Grace { left: Duration::from_millis(left_ms) })
            }
            other => Err(LockError::Unavailable(unexpected(&other))),
        }
    }

    /// The lease, if its token is larger than `seen`; else it is given back.
    fn checked(
        &self,
        request_id: &RequestId,
        lease: &LeaseReply,
        seen: u64,
        deadline: Instant,
    ) -> Result<Lease, LockError> {
        let LeaseReply { trava_id: id, token, ref disputa, ref sorteio, .. } = *lease;
        if token <= seen || token >= TOKEN_MAX {
            let _ = self.unlocks.send(Ask::unlock_of(request_id.clone(), id));
            let reason = format!("a trava veio com o token {token}, e teria de ser maior que {seen} e menor que 2^53");
            return Err(self.no_token(reason));
        }
        self.saw_token(token);
        *self.token_fault.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let won = disputa.clone().map(|contenders| Won { contenders, draw: sorteio.clone() });
        Ok(Lease { token, deadline, won, id })
    }

    /// Notes that there is no acceptable token, and will be none before an operator acts.
    fn no_token(&self, reason: String) -> LockError {
        *self.token_fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        LockError::Unavailable(reason)
    }

    /// Gives a lease back; its resources stay refused for `retention`.
    ///
    /// # Errors
    /// In words, when the coordinator does not confirm it: the lease then expires by itself.
    pub async fn unlock(&self, request_id: &RequestId, lease: &Lease, retention: Duration) -> Result<Unlocked, String> {
        let operation = Operation::Unlock(Release::ById { lease: lease.id, retention });
        let (answer, _) = ask(&self.unlocks, request_id, operation).await.map_err(|not| not.reason)?.take();
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

    /// Whether the coordinator can give locks, as it was at most [`READY_FOR`] ago. The answer is not kept past the end of a grace, nor after
    /// a lock that failed, nor after the first that did not fail again, nor when the stream of events begins or ends.
    ///
    /// # Errors
    /// When it cannot: what its current address answers, or why the last token was not acceptable.
    pub async fn ready(self: &Arc<Self>) -> Result<(), NotReady> {
        let client = Arc::clone(self);
        let question = || async move {
            let answer = client.ask_whether_ready().await;
            let grace_left = answer.as_ref().err().and_then(|fault| fault.grace_left);
            (answer, grace_left.map_or(READY_FOR, |left| left.min(READY_FOR)))
        };
        let answer = self.readiness.get(question).await;
        answer.unwrap_or_else(|| Err("uma falha interna interrompeu a pergunta ao coordenador".to_owned().into()))
    }

    async fn ask_whether_ready(&self) -> Result<(), NotReady> {
        let answered = self.transport.first_that(CONNECT_TIMEOUT, |address| async move {
            let (status, body) = read_whole(self.transport.get(Request::get(&address.ready)).await?).await?;
            NotReady::read(&address.ready, status, &body).map_or(Ok(()), Err)
        });
        let answered: Result<(), NotReady> = answered.await;
        let token_fault = self.token_fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(token_fault) = token_fault else { return answered };
        // The end of the grace will not mend the tokens.
        answered.map_err(|not_ready| not_ready.and(format!("no último pedido de trava: {token_fault}")))?;
        // Only a lock that is granted shows whether that is mended. The lock is asked for here, because no booking comes while
        // the service says that it is not ready.
        let request_id = RequestId::parse(PROBE).expect("it has letters");
        let probe = LockRequest {
            request_id: &request_id,
            resources: vec![format!("{PROBE}-{}", self.owner)],
            ttl: PROBE_TTL,
            wait: Duration::ZERO,
            despite_retention: false,
            contest: None,
        };
        match self.lock(probe).await {
            Ok(lease) => Ok(self.unlock(&request_id, &lease, Duration::ZERO).await.map(drop)?),
            Err(LockError::TooFast(reason) | LockError::Unavailable(reason)) => Err(reason.into()),
            Err(LockError::Grace { left }) => Err(NotReady::in_grace(left)),
            // The lock of the probe before this one, which is not given back yet.
            Err(LockError::Busy { .. }) => Ok(()),
        }
    }

    /// The channel of events that the schedulers share, over the same connections.
    pub fn feed(&self) -> Feed {
        Feed::new(Arc::clone(&self.transport), self.readiness.doubts().clone())
    }
}

/// An answer that belongs to another kind of operation, or a problem.
fn unexpected(answer: &Answer) -> String {
    match answer {
        Answer::Problem(problem) => problem.to_string(),
        other => format!("resposta de outra operação: {other:?}"),
    }
}
