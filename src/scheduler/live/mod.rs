//! The agenda as it happens: this scheduler publishes what it committed, and passes on to its listeners what any scheduler
//! published.
//!
//! ```text
//! commit ─▶ publisher ── POST /eventos ─▶ coordinator's channel `agenda` ── GET /eventos ─▶ relay ─▶ listeners
//! refusal ─▶ contests ─┘ (of every scheduler)                              (to every scheduler)
//! ```
//!
//! No booking waits for an event: [`publisher`] has a bounded queue and a task of its own, and replaces the events that
//! find no room by one event that says that some are missing. [`relay`] mirrors the coordinator's channel with its
//! numbers, so an identifier that one scheduler gave is good at another. Without a coordinator, in the race's
//! demonstration, the publisher's events go straight to the listeners.

mod contests;
mod event;
mod heard;
mod publisher;
mod relay;
mod stream;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use slog::Logger;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::contests::Contests;
pub use self::contests::{Contested, RefusedRequest};
use self::event::Event;
use self::heard::Heard;
use self::publisher::{Outlet, Publisher};
use super::hour::openings::Openings;
use super::origin::Origin;
use crate::agenda::{Booking, Place};
use crate::coordinator::client::Feed;
use crate::http::Response;
use crate::http::channel::Channel;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::time::{Clock, Timestamp};

/// How long a stop waits for the events that are not published yet.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// What happens to the agenda, out and in.
pub struct Live {
    publisher: Publisher,
    contests: Arc<Contests>,
    channel: Arc<Channel<Event>>,
    /// Whether the coordinator's channel reaches this scheduler.
    linked: watch::Receiver<bool>,
    /// When a telescope was changed, as far as events tell.
    heard: Arc<Heard>,
    /// Slots that have become free and open in a moment, here or at another scheduler.
    openings: Arc<Openings>,
    /// Events that slow listeners were told they had lost.
    lost: Arc<AtomicU64>,
    closing: CancellationToken,
    publishing: Mutex<Option<JoinHandle<()>>>,
}

impl Live {
    /// Starts to publish and to listen, through the coordinator's `feed`; without one, only for the listeners of this
    /// scheduler. The first event says that some may be missing: a crash may have come between a commit and its event.
    pub fn start(feed: Option<Feed>, clock: Clock, log: &Logger) -> Self {
        let closing = CancellationToken::new();
        let (heard, openings) = (Arc::new(Heard::new()), Arc::new(Openings::new(clock)));
        let (channel, outlet, linked) = if let Some(feed) = feed {
            let channel = Channel::mirror();
            let (link, linked) = watch::channel(false);
            let relay = relay::run(
                feed.clone(),
                Arc::clone(&channel),
                (link, Arc::clone(&heard), Arc::clone(&openings)),
                log.clone(),
            );
            let closing = closing.clone();
            tokio::spawn(async move { closing.run_until_cancelled(relay).await });
            (channel, Outlet::Coordinator(feed), linked)
        } else {
            // The number only tells this start from others: a start does not fail for want of randomness.
            let channel = Channel::new(getrandom::u32().unwrap_or_default());
            // Without its sender the value stays.
            (Arc::clone(&channel), Outlet::Local(channel), watch::channel(true).1)
        };
        let (publisher, publishing) = Publisher::start(outlet, closing.clone(), log.clone());
        let contests = Arc::new(Contests::default());
        let telling = publisher::tell_contests(Arc::clone(&contests), publisher.clone());
        let telling_ends = closing.clone();
        tokio::spawn(async move { telling_ends.run_until_cancelled(telling).await });
        publisher.missing();
        Self {
            publisher,
            contests,
            channel,
            linked,
            heard,
            openings,
            lost: Arc::default(),
            closing,
            publishing: Mutex::new(Some(publishing)),
        }
    }

    /// How many listen to the agenda at this scheduler.
    pub fn listeners(&self) -> usize {
        self.channel.listeners()
    }

    /// A booking was written.
    pub fn created(&self, booking: &Booking, origin: &Origin) {
        self.publisher.booking("criado", booking, None, &origin.cause.request_id);
    }

    /// A booking was changed, which was at the place `from` before.
    pub fn altered(&self, booking: &Booking, from: &Place, origin: &Origin) {
        if let Some(opens_at) = booking.opens_at {
            self.openings.note(from, opens_at);
        }
        self.publisher.booking("alterado", booking, Some(from), &origin.cause.request_id);
    }

    /// A booking was cancelled.
    pub fn cancelled(&self, booking: &Booking, origin: &Origin) {
        if let Some(opens_at) = booking.opens_at {
            self.openings.note(&booking.place(), opens_at);
        }
        self.publisher.booking("cancelado", booking, None, &origin.cause.request_id);
    }

    /// A telescope, its rules, its hours or its maintenance were changed.
    pub fn telescope_changed(&self, code: &str, origin: &Origin) {
        self.publisher.telescope(code, None, &origin.cause.request_id);
    }

    /// A maintenance of a telescope was taken away, and its slots open at that instant, if not at once.
    pub fn reopened(&self, code: &str, opens_at: Option<Timestamp>, origin: &Origin) {
        self.publisher.telescope(code, opens_at, &origin.cause.request_id);
    }

    /// What opens in a moment, or has just opened.
    pub fn openings(&self) -> &Openings {
        &self.openings
    }

    /// Whether an event has said since `instant` that a telescope was changed, here or at another scheduler.
    pub fn telescopes_changed_since(&self, instant: Instant) -> bool {
        self.heard.since(instant)
    }

    /// A booking was refused because a rival was faster.
    pub fn refused(&self, contested: &Contested, start: Timestamp, refused: impl FnOnce() -> RefusedRequest) {
        self.contests.note(contested, start, refused);
    }

    /// `GET /eventos`.
    pub fn listen(&self, request: &Request) -> Result<Response, Problem> {
        stream::listen(request, |since| (self.channel.subscribe(since, &self.lost), self.linked.clone()))
    }

    /// Publishes the events that are left, if that takes no longer than a stop may, and ends the rest.
    pub async fn close(&self) {
        self.closing.cancel();
        let publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(publishing) = publishing {
            // The first event of the next start says that some may be missing.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, publishing).await;
        }
    }
}
