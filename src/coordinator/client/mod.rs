//! The scheduler's end of the coordinator's protocol: [`Client`] locks, [`Feed`] publishes events and listens to them, and
//! both go over one `transport`.
//!
//! A lock travels in a batch with others (`batched`) or, if it may wait, in an exchange of its own (`waiting`); `ask` is an
//! operation on its way and its answer, `exchange` one `POST /lote`. With a secret, each connection begins with a `challenge`. An answer that many ask for is `kept`.

mod ask;
mod batched;
mod challenge;
mod exchange;
mod feed;
mod kept;
mod locks;
mod ready;
#[cfg(test)]
mod tests;
mod transport;
mod waiting;

pub use self::feed::{Block, EventBatch, Feed, NotPublished};
pub use self::locks::{Client, Lease, LockError, LockRequest, StartError, Unlocked, Won};
pub use self::ready::NotReady;
pub use self::transport::Expected;
