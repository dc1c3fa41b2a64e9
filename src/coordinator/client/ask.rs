//! An operation on its way to the coordinator, and its answer on the way back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::transport::{EXCHANGE_TIMEOUT, NotServed};
use crate::batch;
use crate::coordinator::protocol::Operation;
use crate::coordinator::protocol::answers::Answer;
use crate::coordinator::table::{LeaseId, Release};
use crate::http::request_id::RequestId;

/// The end of the queue of unlocks into which a lease goes that no caller takes.
pub type Unlocks = Arc<batch::Sender<Ask>>;

/// The answer, or why there is none.
pub type Reply = Result<Answered, NotServed>;

/// One operation, and the caller of its answer.
pub struct Ask {
    /// The request that caused it.
    pub req: RequestId,
    /// The operation.
    pub operation: Operation,
    /// When the caller gives up.
    pub until: Instant,
    /// `None` where no caller needs the answer.
    pub reply: Option<oneshot::Sender<Reply>>,
}

impl Ask {
    /// The unlock of a lease that no caller will use. It is sent once: if that fails, the lease expires by itself.
    pub fn unlock_of(req: RequestId, lease: LeaseId) -> Self {
        let operation = Operation::Unlock(Release::ById { lease, retention: Duration::ZERO });
        Self { req, operation, until: Instant::now() + EXCHANGE_TIMEOUT, reply: None }
    }

    /// Whether it is still to be sent: not after its caller has given up.
    pub fn is_wanted(&self) -> bool {
        self.reply.as_ref().is_none_or(|reply| !reply.is_closed())
    }
}

/// An answer. Its lease is given back if no caller takes it: when it is dropped before it is sent to its caller, on
/// the way, or by a caller that has given up.
pub struct Answered {
    /// `None` once it was taken.
    answer: Option<Answer>,
    sent_at: Instant,
    req: RequestId,
    /// `None` where the answer has no lease.
    unlocks: Option<Unlocks>,
}

impl Answered {
    /// The answer to an operation that the request `req` caused and that was sent at `sent_at`.
    pub fn new(answer: Answer, sent_at: Instant, req: RequestId, unlocks: Option<Unlocks>) -> Self {
        Self { answer: Some(answer), sent_at, req, unlocks }
    }

    /// The answer, for a caller that uses its lease or gives it back itself; and when its operation was sent.
    pub fn take(mut self) -> (Answer, Instant) {
        // `take` is the only one that empties it, and consumes it.
        (self.answer.take().expect("an answer is taken once"), self.sent_at)
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        if let (Some(Answer::Lease(lease)), Some(unlocks)) = (&self.answer, &self.unlocks) {
            // The queue's task ends only with the client.
            let _ = unlocks.send(Ask::unlock_of(self.req.clone(), lease.trava_id));
        }
    }
}
