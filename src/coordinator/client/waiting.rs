//! Locks that may wait at the coordinator, each in an exchange of its own.
//!
//! An exchange is answered when its last operation is decided, so in a batch one lock that waits would hold up all others
//! and every batch after them. Here it holds up nothing: HTTP/1.1 carries one exchange on a connection at a time, so each
//! has a connection of its own from the pool. A booking that is in no contest does not wait: its request is refused at once.
//!
//! - **Bounded**: at most [`PLACES`] of them wait at once. A lock that finds no place until its wait ends is not refused:
//!   it is asked for once more, without waiting.
//! - **In time**: the coordinator sends the head of its answer as soon as it has read the request, so an address that sends
//!   no head within its share of [`EXCHANGE_TIMEOUT`] counts as unreachable, however long the wait is. The whole answer
//!   has [`EXCHANGE_TIMEOUT`] more than the wait.
//! - **Given up**: when its caller goes, the exchange is dropped and its connection closes. The coordinator sees that its
//!   client is gone, and frees the place. A lease that has arrived by then is given back; one whose answer is still in the
//!   network then expires by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Response;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::ask::{Answered, Reply, Unlocks};
use super::exchange::{self, TRIES};
use super::transport::{EXCHANGE_TIMEOUT, NotServed, Transport, not_served, read_whole};
use crate::coordinator::protocol::Operation;
use crate::coordinator::protocol::batch::BatchWriter;
use crate::coordinator::table::Acquire;
use crate::http::request_id::RequestId;
use crate::time::millis;

/// Exchanges that wait at once: each is a connection at the coordinator, which has thousands for all its clients.
pub const PLACES: usize = 256;

/// The exchanges that wait.
pub struct Waiting {
    transport: Arc<Transport>,
    places: Arc<Semaphore>,
    unlocks: Unlocks,
}

/// A place for one exchange.
pub struct Place {
    transport: Arc<Transport>,
    unlocks: Unlocks,
    /// What is left of the wait.
    pub left: Duration,
    _permit: OwnedSemaphorePermit,
}

impl Waiting {
    /// Room for `places` exchanges. Leases that came too late are given back through `unlocks`.
    pub fn new(transport: Arc<Transport>, places: usize, unlocks: Unlocks) -> Self {
        Self { transport, places: Arc::new(Semaphore::new(places)), unlocks }
    }

    /// A place for a lock that may wait this long; `None` if it may not wait, or finds no place until then.
    pub async fn place(&self, wait: Duration) -> Option<Place> {
        if wait.is_zero() {
            return None;
        }
        let until = Instant::now() + wait;
        let permit = tokio::time::timeout(wait, Arc::clone(&self.places).acquire_owned()).await.ok()?;
        // The semaphore is never closed.
        let permit = permit.expect("the semaphore is open");
        let left = until.saturating_duration_since(Instant::now());
        let (transport, unlocks) = (Arc::clone(&self.transport), Arc::clone(&self.unlocks));
        (millis(left) > 0).then_some(Place { transport, unlocks, left, _permit: permit })
    }
}

impl Place {
    /// Asks for a lock that the request `req` needs, and waits for it.
    pub async fn ask(self, req: &RequestId, acquire: Acquire) -> Reply {
        let (reply, answer) = oneshot::channel();
        tokio::spawn(self.run(req.clone(), acquire, reply));
        answer.await.unwrap_or_else(|_| Err("a tarefa do coordenador terminou".to_owned().into()))
    }

    /// The task: it ends with the answer, or when the caller has gone.
    pub(super) async fn run(self, req: RequestId, acquire: Acquire, mut reply: oneshot::Sender<Reply>) {
        tokio::select! {
            biased;
            // A caller that has given up drops the answer, and so gives its lease back.
            answered = self.exchange(&req, acquire) => drop(reply.send(answered)),
            () = reply.closed() => {}
        }
    }

    async fn exchange(&self, req: &RequestId, mut acquire: Acquire) -> Reply {
        let sent_at = Instant::now();
        let (wait_ends, limit) = (sent_at + acquire.wait, acquire.wait + EXCHANGE_TIMEOUT);
        let tries = async {
            let mut tries = TRIES;
            loop {
                // The same request again keeps its place, and waits no longer than it was to wait at first.
                acquire.wait = wait_ends.saturating_duration_since(Instant::now());
                let operation = Operation::Lock(acquire.clone());
                let head = self.head(req, &operation).await?;
                tries -= 1;
                match read_whole(head).await {
                    Ok((_, body)) => {
                        let answer = exchange::read_one(&body, &operation)?;
                        return Ok(Answered::new(answer, sent_at, req.clone(), Some(Arc::clone(&self.unlocks))));
                    }
                    Err(reason) if tries == 0 => return Err(reason.into()),
                    Err(_) => {}
                }
            }
        };
        let late = || format!("o coordenador não respondeu em {} ms", limit.as_millis());
        tokio::time::timeout(limit, tries).await.unwrap_or_else(|_| Err(late().into()))
    }

    /// Sends the operation, and reads the head of its answer.
    async fn head(&self, req: &RequestId, operation: &Operation) -> Result<Response<Incoming>, NotServed> {
        let transport = &self.transport;
        let mut batch = BatchWriter::default();
        batch.add(req, operation);
        let body = batch.finish();
        let once = async |uri| {
            let head = transport.post(uri, &body).await?;
            if head.status().is_success() {
                return Ok(head);
            }
            let (status, body) = read_whole(head).await?;
            Err(not_served(uri, status, &body))
        };
        transport.first_that(EXCHANGE_TIMEOUT, |address| exchange::tried(|| once(&address.batch))).await
    }
}
