//! Publishes the agenda's events: a bounded queue, and a task that sends all waiting events in one exchange.
//!
//! While the coordinator does not answer, events wait, up to a limit. Past it they are dropped, and one event `perdidos`
//! takes their place: a page that receives it reads the agenda anew. If an answer is lost on its way, its events are sent
//! twice; no event is missing unannounced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;
use slog::{Logger, error, info, warn};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::contests::{Contest, Contests};
use super::event::Event;
use crate::agenda::{Booking, Place};
use crate::batch;
use crate::coordinator::client::{EventBatch, Feed, NotPublished};
use crate::http::channel::Channel;
use crate::http::request_id::RequestId;
use crate::json;
use crate::scheduler::views;
use crate::time::{Rfc3339, Timestamp};

/// Events that wait to be published.
const WAITING_MAX: usize = 4096;
/// Room for the JSON of most events.
const USUAL_BYTES: usize = 1024;
/// The pause between two exchanges: an exchange costs much more than an event, and the pause is too short to be seen. An
/// event that comes alone does not wait.
const PAUSE: Duration = Duration::from_millis(5);
/// The pause before events are sent again: the first one, and the longest.
const RETRY: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];
/// The least time between two events about one slot's contest.
const CONTEST_WINDOW: Duration = Duration::from_millis(100);
/// The event of a changed telescope.
pub(super) const TELESCOPE: &str = "telescopio";
/// Says that events are missing, and not how many.
const MISSING: (&str, &str) = ("perdidos", r#"{"perdidos":null}"#);

/// Takes events to be published. It never waits and has no errors.
#[derive(Clone)]
pub struct Publisher {
    items: batch::Sender<Item>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Events that are not published yet.
    waiting: AtomicUsize,
    /// Whether [`Item::Missing`] waits already.
    missing: AtomicBool,
}

/// An event to be published, not yet encoded.
enum Item {
    Booking(Box<Told>),
    Telescope(Box<ToldTelescope>),
    Contest(Contest),
    Missing,
}

/// What is told of a booking.
struct Told {
    event: &'static str,
    booking: Booking,
    /// Where it was before.
    from: Option<Place>,
    request_id: RequestId,
}

/// What is told of a telescope that was changed.
#[derive(Serialize)]
struct ToldTelescope {
    /// Its code.
    telescopio: String,
    /// When slots of it open that a maintenance had closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    abre_em_utc: Option<Rfc3339>,
    /// The request that has changed it.
    req: String,
}

/// Where events go.
pub enum Outlet {
    /// To the channel that all schedulers share.
    Coordinator(Feed),
    /// To the listeners of this scheduler.
    Local(Arc<Channel<Event>>),
}

impl Publisher {
    /// Starts the task that publishes. It ends once `closing` is cancelled and nothing waits, or cannot be published then.
    pub fn start(outlet: Outlet, closing: CancellationToken, log: Logger) -> (Self, JoinHandle<()>) {
        // Bounded by the count and not by the queue: `Item::Missing` must always find room.
        let (items, batches) = batch::queue(usize::MAX);
        let counts = Arc::new(Counts::default());
        let task = Task { outlet, counts: Arc::clone(&counts), closing, log };
        (Self { items, counts }, tokio::spawn(task.run(batches)))
    }

    /// A booking was written, cancelled, or changed: then it was at the place `from` before.
    pub fn booking(&self, event: &'static str, booking: &Booking, from: Option<&Place>, request_id: &RequestId) {
        if self.takes_one_more() {
            let (booking, from, request_id) = (booking.clone(), from.cloned(), request_id.clone());
            self.send(Item::Booking(Box::new(Told { event, booking, from, request_id })));
        } else {
            self.missing();
        }
    }

    /// A telescope, its rules, its hours or its maintenance were changed.
    pub fn telescope(&self, code: &str, opens_at: Option<Timestamp>, request_id: &RequestId) {
        if self.takes_one_more() {
            let (telescopio, req) = (code.to_owned(), request_id.to_string());
            let told = ToldTelescope { telescopio, abre_em_utc: opens_at.map(Timestamp::micros), req };
            self.send(Item::Telescope(Box::new(told)));
        } else {
            self.missing();
        }
    }

    /// A slot was contested. No page needs this event to be right, so it is left out where there is no room.
    pub fn contest(&self, contest: Contest) {
        if self.takes_one_more() {
            self.send(Item::Contest(contest));
        }
    }

    /// Events are missing here.
    pub fn missing(&self) {
        if !self.counts.missing.swap(true, Ordering::Relaxed) {
            self.counts.waiting.fetch_add(1, Ordering::Relaxed);
            self.send(Item::Missing);
        }
    }

    fn takes_one_more(&self) -> bool {
        let there_was_room = self.counts.waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX;
        if !there_was_room {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        there_was_room
    }

    fn send(&self, item: Item) {
        // The task is gone only once the service has stopped.
        let _ = self.items.send(item);
    }
}

/// Publishes contests, each slot's at most once in a [`CONTEST_WINDOW`]. Runs until it is dropped.
pub async fn tell_contests(contests: Arc<Contests>, publisher: Publisher) {
    loop {
        contests.begun().await;
        tokio::time::sleep(CONTEST_WINDOW).await;
        for contest in contests.take() {
            publisher.contest(contest);
        }
    }
}

struct Task {
    outlet: Outlet,
    counts: Arc<Counts>,
    closing: CancellationToken,
    log: Logger,
}

impl Task {
    async fn run(self, mut batches: batch::Batches<Item>) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                more = batches.next_async(&mut batch) => if more.is_none() { return },
                () = self.closing.cancelled() => return,
            }
            let count = batch.len();
            let mut events = batch.drain(..).map(|item| self.encode(item)).peekable();
            while events.peek().is_some() {
                match &self.outlet {
                    Outlet::Local(channel) => {
                        channel.publish(events.by_ref().map(|(name, data)| Event::Own { name, data }));
                    }
                    Outlet::Coordinator(feed) => {
                        self.deliver(feed, &Feed::batch(&mut events)).await;
                    }
                }
            }
            self.counts.waiting.fetch_sub(count, Ordering::Relaxed);
            if matches!(self.outlet, Outlet::Coordinator(_)) {
                self.closing.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }

    /// An event's name and data.
    fn encode(&self, item: Item) -> (&'static str, String) {
        match item {
            Item::Booking(told) => {
                let Told { event, booking, from, request_id } = *told;
                (event, to_json(&views::booking_event(&booking, from.as_ref(), &request_id)))
            }
            Item::Telescope(told) => (TELESCOPE, to_json(&told)),
            Item::Contest(contest) => ("disputa", to_json(&contest)),
            Item::Missing => {
                self.counts.missing.store(false, Ordering::Relaxed);
                let (name, data) = MISSING;
                (name, data.to_owned())
            }
        }
    }

    /// Sends a batch until it has arrived, or the service stops.
    async fn deliver(&self, feed: &Feed, batch: &EventBatch) {
        let [mut pause, longest] = RETRY;
        let mut failed = false;
        loop {
            match feed.publish(batch).await {
                Ok(()) if failed => return info!(self.log, "Eventos da agenda publicados com atraso"),
                Ok(()) => return,
                Err(NotPublished::Refused(reason)) => {
                    error!(self.log, "Eventos da agenda recusados: {}", reason);
                    return self.missing_here(feed).await;
                }
                Err(NotPublished::Unreachable(reason)) => {
                    if !failed {
                        warn!(self.log, "Eventos da agenda ainda não publicados: {}", reason);
                    }
                    failed = true;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(longest),
                () = self.closing.cancelled() => return,
            }
        }
    }

    /// Says that events are missing, once: a coordinator that refuses even this event refuses all.
    async fn missing_here(&self, feed: &Feed) {
        let (name, data) = MISSING;
        if let Err(NotPublished::Unreachable(reason) | NotPublished::Refused(reason)) =
            feed.publish(&Feed::batch(&mut [(name, data.to_owned())].into_iter().peekable())).await
        {
            error!(self.log, "Eventos da agenda recusados: {}", reason);
        }
    }
}

fn to_json(data: &impl Serialize) -> String {
    // Structs of texts, numbers and lists: serialising one to memory cannot fail.
    json::to_string(data, USUAL_BYTES).expect("an event serialises")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::{SlotRange, Status};
    use crate::coordinator::protocol::events::{self as published, SHARED_CHANNEL};
    use crate::http::sse::Source;

    fn booking(id: i64) -> Booking {
        Booking {
            id,
            telescope: "Hubble-Acad".into(),
            scientist_id: 7,
            proposal_id: None,
            slots: SlotRange::new(Timestamp::MIN, 5).unwrap(),
            status: Status::Active,
            target: None,
            notes: Some("\u{1F52D}".repeat(2000)),
            clicked_at: None,
            stamped_at: None,
            is_contested: false,
            created_at: Timestamp::MIN,
            version: 1,
            changed_at: None,
            cancelled_at: None,
            cancel_reason: None,
            receipt: None,
            opens_at: None,
        }
    }

    #[tokio::test]
    async fn what_finds_no_room_is_replaced_by_word_that_it_is_missing() {
        let channel = Channel::new(1);
        let mut listener = channel.subscribe(None, &Arc::default());
        let log = Logger::root(slog::Discard, slog::o!());
        // Nothing is taken before this task waits for something.
        let (publisher, task) =
            Publisher::start(Outlet::Local(Arc::clone(&channel)), CancellationToken::new(), log.clone());
        for id in 0..5000 {
            publisher.booking("criado", &booking(id), None, &RequestId::of_test("1-1"));
        }
        assert_eq!(publisher.counts.waiting.load(Ordering::Relaxed), WAITING_MAX + 1);
        let mut heard = String::new();
        while !heard.contains("event: perdidos\ndata: {\"perdidos\":null}") {
            heard = String::from_utf8(listener.next().await.to_vec()).unwrap();
        }
        assert_eq!(channel.last(), WAITING_MAX as u64 + 1, "once for all that are missing");
        // And then there is room again.
        publisher.booking("cancelado", &booking(1), None, &RequestId::of_test("1-1"));
        while !heard.contains("event: cancelado") {
            heard = String::from_utf8(listener.next().await.to_vec()).unwrap();
        }
        drop(publisher);
        task.await.unwrap();
    }

    #[test]
    fn the_longest_booking_fits_an_event_and_requests_are_bounded() {
        let from = booking(1).place();
        let longest = to_json(&views::booking_event(&booking(1), Some(&from), &"x".repeat(64)));
        assert!(longest.len() < 16 * 1024, "{}", longest.len());
        let mut events = std::iter::repeat_n(("criado", longest), 2000).peekable();
        let mut bodies = 0;
        while events.peek().is_some() {
            let body = published::write(SHARED_CHANNEL, &mut events);
            assert!(body.len() < 1024 * 1024);
            serde_json::from_slice::<serde_json::Value>(&body).unwrap();
            bodies += 1;
        }
        assert!(bodies > 1);
    }
}
