//! The scheduler's end of the coordinator's protocol: [`Client`] locks, [`Feed`] publishes events and listens to them, and
//! both go over one `transport`.

mod feed;
mod locks;
mod transport;

pub use self::feed::{Block, EventBatch, Feed, NotPublished};
pub use self::locks::{Client, Lease, LockError, StartError, Unlocked};
