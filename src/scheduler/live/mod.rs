//! The agenda as it happens: what is written is published, and what any scheduler published is passed on to whoever
//! listens here.
//!
//! ```text
//! commit ─▶ publisher ── POST /eventos ─▶ coordinator's channel `agenda` ── GET /eventos ─▶ relay ─▶ listeners
//! refusal ─▶ contests ─┘ (of every scheduler)                              (to every scheduler)
//! ```
//!
//! Nothing here is ever waited for by a booking: [`publisher`] has a bounded queue and a task of its own, and what it
//! cannot hold it replaces by one event that says that some are missing. [`relay`] mirrors the coordinator's channel with
//! its numbers, so an identifier that one scheduler gave is good at another. Without a coordinator, in the race's
//! demonstration, the publisher's events go straight to the listeners.

mod contests;
mod publisher;
mod relay;
mod stream;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use slog::Logger;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::contests::Contests;
pub use self::contests::{Contested, RefusedRequest};
use self::publisher::{Outlet, Publisher};
pub use self::stream::listen;
use super::origin::Origin;
use crate::agenda::Booking;
use crate::coordinator::client::{Feed, SHARED_CHANNEL};
use crate::http::channel::{self, Channel, Position};
use crate::http::sse::encode;
use crate::time::Timestamp;

/// The coordinator's channel that the schedulers share.
const CHANNEL: &str = SHARED_CHANNEL;
/// How long a stop waits for what is still to be published.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// What happens to the agenda, out and in.
pub struct Live {
    publisher: Publisher,
    contests: Arc<Contests>,
    channel: Arc<Channel<Event>>,
    /// Whether the channel reaches us.
    linked: watch::Receiver<bool>,
    /// Events that slow listeners were told they had lost.
    lost: Arc<AtomicU64>,
    closing: CancellationToken,
    publishing: Mutex<Option<JoinHandle<()>>>,
}

/// An event as the listeners have it.
#[derive(Debug)]
pub enum Event {
    /// As it came from the coordinator, whole.
    Relayed(Bytes),
    /// Our own, where there is no coordinator.
    Own {
        /// Its name.
        name: &'static str,
        /// Its data: JSON on one line.
        data: String,
    },
}

impl channel::Event for Event {
    fn encode(&self, id: Position) -> Bytes {
        match self {
            Self::Relayed(bytes) => bytes.clone(),
            Self::Own { name, data } => encode(&id.to_string(), name, data),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Relayed(bytes) => bytes.len(),
            Self::Own { data, .. } => data.len(),
        }
    }
}

impl Live {
    /// Starts to publish and to listen; by the coordinator's `feed`, or without one only for those who listen here. The
    /// first event says that some may be missing: a crash may have come between a commit and its event.
    pub fn start(feed: Option<Feed>, log: &Logger) -> Self {
        let closing = CancellationToken::new();
        let (channel, outlet, linked) = if let Some(feed) = feed {
            let channel = Channel::mirror();
            let (link, linked) = watch::channel(false);
            let relay = relay::run(feed.clone(), Arc::clone(&channel), link, log.clone());
            let closing = closing.clone();
            tokio::spawn(async move { closing.run_until_cancelled(relay).await });
            (channel, Outlet::Coordinator(feed), linked)
        } else {
            // Only told apart from other starts' by it; no randomness is worth failing for.
            let channel = Channel::new(getrandom::u32().unwrap_or_default());
            // Without its sender the value stays.
            (Arc::clone(&channel), Outlet::Local(channel), watch::channel(true).1)
        };
        let (publisher, publishing) = Publisher::start(outlet, closing.clone(), log.clone());
        let contests = Arc::new(Contests::default());
        let telling = contests::tell(Arc::clone(&contests), publisher.clone());
        let telling_ends = closing.clone();
        tokio::spawn(async move { telling_ends.run_until_cancelled(telling).await });
        publisher.missing();
        Self {
            publisher,
            contests,
            channel,
            linked,
            lost: Arc::default(),
            closing,
            publishing: Mutex::new(Some(publishing)),
        }
    }

    /// A booking was written.
    pub fn created(&self, booking: &Booking, origin: &Origin) {
        self.publisher.booking("criado", booking, &origin.request_id);
    }

    /// A booking was cancelled.
    pub fn cancelled(&self, booking: &Booking, origin: &Origin) {
        self.publisher.booking("cancelado", booking, &origin.request_id);
    }

    /// A booking was refused because someone else was faster.
    pub fn refused(&self, contested: &Contested, start: Timestamp, refused: impl FnOnce() -> RefusedRequest) {
        self.contests.note(contested, start, refused);
    }

    /// Publishes what is left, if that takes no longer than a stop may, and ends the rest.
    pub async fn close(&self) {
        self.closing.cancel();
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(publishing) = publishing {
            // What could not be published is made up for by the next start's first event.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, publishing).await;
        }
    }
}
