//! A bounded channel of events: a ring of the last events, and any number of listeners.
//!
//! A listener has only a position in the ring and no queue of its own. So a slow listener uses no extra memory and does not
//! delay other listeners. A listener that falls behind by more than the ring's size is told how many events it missed. Events
//! are numbered. An event's identifier consists of its number and an epoch, which is a random number chosen at each start of
//! the process that numbers the events. A channel either numbers its own events or mirrors the channel of another process. A
//! mirror keeps the identifiers of the original, so an identifier is valid in both channels.
//!
//! # Locking
//!
//! A std mutex protects the ring. It is held while events are pushed or references to them are copied out, and never across
//! an await.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::sse::{Source, encode};

/// The most events that a channel keeps.
pub const RING_EVENTS: usize = 1024;
/// The most memory that the events of a channel take, in bytes.
pub const RING_BYTES: usize = 4 << 20;
/// The most bytes that a listener gets at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// The most events that a listener gets at once.
const CHUNK_EVENTS: usize = 256;
/// How long a mirror waits for an event that a listener names and that the mirror has not received yet. If the identifier is
/// valid, the original channel has the event and the mirror receives it soon. If the event does not arrive in this time, the
/// identifier counts as invalid.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// An event that is not encoded yet. Most events have no listener, so an event is encoded only for its first listener.
pub trait Event: fmt::Debug + Send + Sync + 'static {
    /// Encodes the event as bytes of the event stream.
    fn encode(&self, id: Position) -> Bytes;
    /// The most memory that the event and its encoded form take on the heap, in bytes. It is the same each time.
    fn size(&self) -> usize;
}

/// A position in a channel: right after one event. It is also that event's identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// A random number, chosen at each start of the process that numbers the events. It shows whether an identifier is from
    /// before a restart.
    pub epoch: u32,
    /// The event's number, starting at 1. The number 0 is the position before the first event.
    pub number: u64,
}

impl Position {
    /// Parses an identifier. Only the exact form that `Display` writes is accepted.
    pub fn parse(id: &str) -> Option<Self> {
        let (epoch, number) = id.split_once('-')?;
        let is_epoch = epoch.len() == 8 && epoch.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let is_number = number == "0" || number.starts_with(|first| matches!(first, '1'..='9'));
        let read = Self { epoch: u32::from_str_radix(epoch, 16).ok()?, number: number.parse().ok()? };
        (is_epoch && is_number).then_some(read)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.epoch, self.number)
    }
}

/// An event in the ring.
#[derive(Debug)]
struct Entry<E> {
    number: u64,
    event: E,
    /// The encoded event. The first listener's read encodes it, and all listeners share it.
    encoded: OnceLock<Bytes>,
}

impl<E: Event> Entry<E> {
    /// The most memory that it takes, in bytes.
    fn size(&self) -> usize {
        // A ring's list may be half empty. The rest is for the counters of the entry and of its encoded form.
        size_of::<Self>() + 2 * size_of::<Arc<Self>>() + 64 + self.event.size()
    }
}

/// The last events, with consecutive numbers.
#[derive(Debug)]
struct Ring<E> {
    events: VecDeque<Arc<Entry<E>>>,
    /// The memory of the events.
    bytes: usize,
    last: u64,
    /// `None` in a mirror that has received nothing yet.
    epoch: Option<u32>,
}

impl<E: Event> Ring<E> {
    fn push(&mut self, event: E) {
        self.last += 1;
        let entry = Entry { number: self.last, event, encoded: OnceLock::new() };
        self.bytes += entry.size();
        self.events.push_back(Arc::new(entry));
        while (self.events.len() > RING_EVENTS || self.bytes > RING_BYTES) && self.drop_oldest() {}
    }

    /// Drops the oldest event. Whether there was one.
    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.events.pop_front() else { return false };
        self.bytes -= oldest.size();
        true
    }

    fn start_again(&mut self, at: Position) {
        self.events.clear();
        (self.bytes, self.last, self.epoch) = (0, at.number, Some(at.epoch));
    }

    fn position(&self) -> Option<Position> {
        self.epoch.map(|epoch| Position { epoch, number: self.last })
    }

    /// The number before that of the oldest event in the ring.
    fn before_oldest(&self) -> u64 {
        self.last - self.events.len() as u64
    }

    /// The first events after number `seen`, and the number of events between them that are no longer in the ring.
    fn after(&self, seen: u64) -> (u64, Vec<Arc<Entry<E>>>) {
        let before_oldest = self.before_oldest();
        let skip = usize::try_from(seen.saturating_sub(before_oldest)).unwrap_or(usize::MAX);
        let entries = self.events.iter().skip(skip).take(CHUNK_EVENTS).map(Arc::clone).collect();
        (before_oldest.saturating_sub(seen), entries)
    }
}

/// One channel.
#[derive(Debug)]
pub struct Channel<E> {
    ring: Mutex<Ring<E>>,
    /// Wakes the listeners.
    news: watch::Sender<()>,
    /// Whether another process numbers the events. That process may have events that this channel has not received yet.
    is_mirror: bool,
}

impl<E: Event> Channel<E> {
    /// A channel that numbers its events itself. `epoch` is random.
    pub fn new(epoch: u32) -> Arc<Self> {
        Self::with(Some(epoch), false)
    }

    /// A channel whose events another process numbers.
    pub fn mirror() -> Arc<Self> {
        Self::with(None, true)
    }

    fn with(epoch: Option<u32>, is_mirror: bool) -> Arc<Self> {
        let ring = Ring { events: VecDeque::new(), bytes: 0, last: 0, epoch };
        Arc::new(Self { ring: Mutex::new(ring), news: watch::Sender::new(()), is_mirror })
    }

    /// A poisoned lock is accepted, because a panic cannot leave the ring with a half-finished push.
    fn ring(&self) -> MutexGuard<'_, Ring<E>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events with consecutive numbers, and returns the position after them.
    pub fn publish(&self, events: impl IntoIterator<Item = E>) -> Position {
        let mut ring = self.ring();
        for event in events {
            ring.push(event);
        }
        let position = Position { epoch: ring.epoch.unwrap_or_default(), number: ring.last };
        drop(ring);
        self.tell();
        position
    }

    /// Wakes the listeners, after the ring was changed. Who subscribes later reads the ring after that: nobody needs to be woken then.
    fn tell(&self) {
        if self.news.receiver_count() > 0 {
            self.news.send_replace(());
        }
    }

    /// Adds an event of the mirrored channel. An event that is already in the ring is ignored. If numbers are missing before
    /// the event, the listeners are told of the gap.
    pub fn add(&self, id: Position, event: E) {
        let mut ring = self.ring();
        if ring.epoch == Some(id.epoch) && id.number <= ring.last {
            return;
        }
        if ring.epoch != Some(id.epoch) || id.number != ring.last + 1 {
            ring.start_again(Position { number: id.number.saturating_sub(1), ..id });
        }
        ring.push(event);
        drop(ring);
        self.tell();
    }

    /// Continues from another position of the mirrored channel. The events before that position are lost.
    pub fn go_on_from(&self, at: Position) {
        let mut ring = self.ring();
        if ring.position() == Some(at) {
            return;
        }
        ring.start_again(at);
        drop(ring);
        self.tell();
    }

    /// The position after the last event. `None` in a mirror that has received nothing yet.
    pub fn position(&self) -> Option<Position> {
        self.ring().position()
    }

    /// The memory of the events, in bytes.
    pub fn bytes(&self) -> usize {
        self.ring().bytes
    }

    /// Drops the oldest events until they take no more than `bytes`, and returns how many were dropped. A listener that has not read
    /// them yet is told that it missed them.
    pub fn shrink_to(&self, bytes: usize) -> usize {
        let mut ring = self.ring();
        let before = ring.events.len();
        while ring.bytes > bytes && ring.drop_oldest() {}
        if ring.events.is_empty() {
            ring.events.shrink_to_fit();
        }
        before - ring.events.len()
    }

    /// The number of the last event.
    pub fn last(&self) -> u64 {
        self.ring().last
    }

    /// The number of listeners.
    pub fn listeners(&self) -> usize {
        self.news.receiver_count()
    }

    /// Adds a listener. It gets the events after the event `since`, or only new events without `since`. The number of events
    /// that the listener missed is added to `lost`.
    pub fn subscribe(self: &Arc<Self>, since: Option<&str>, lost: &Arc<AtomicU64>) -> Subscription<E> {
        let news = self.news.subscribe();
        let here = self.position();
        let at = match since.map(Position::parse) {
            None => here.map_or(At::Start, At::After),
            Some(None) => At::Nowhere,
            Some(Some(at)) => {
                // A mirror may be behind the original channel, so a higher number may be valid there. In a channel that
                // numbers its own events, a number above the last one is invalid.
                let to_come = here.is_some_and(|here| here.epoch == at.epoch && at.number > here.number);
                if to_come && !self.is_mirror { At::Nowhere } else { At::After(at) }
            }
        };
        Subscription { channel: Arc::clone(self), news, at, awaited_until: None, lost: Arc::clone(lost) }
    }
}

/// A listener's position.
#[derive(Clone, Copy, Debug)]
enum At {
    /// The listener came before the mirror received anything.
    Start,
    /// The listener is right after this event.
    After(Position),
    /// The listener named an event that this channel never had.
    Nowhere,
}

/// A listener of a channel.
#[derive(Debug)]
pub struct Subscription<E> {
    channel: Arc<Channel<E>>,
    news: watch::Receiver<()>,
    at: At,
    /// The deadline for a mirror to reach the listener's position, if it has not reached it yet.
    awaited_until: Option<Instant>,
    lost: Arc<AtomicU64>,
}

impl<E: Event> Subscription<E> {
    /// The events that the listener can get now, if there are any.
    fn ready(&mut self) -> Option<Bytes> {
        let ring = self.channel.ring();
        let epoch = ring.epoch?;
        // A listener without a position in this epoch gets all events in the ring. The number of events that it missed is
        // unknown.
        let (seen, stranger) = match self.at {
            At::After(at) if at.epoch == epoch => (at.number, false),
            At::Start => (ring.before_oldest(), false),
            At::After(_) | At::Nowhere => (ring.before_oldest(), true),
        };
        let (lost, entries) = ring.after(seen);
        drop(ring);
        let after = |number| Position { epoch, number };
        let (mut chunk, mut given) = (Chunk::default(), seen + lost);
        if lost > 0 || stranger {
            self.lost.fetch_add(lost, Ordering::Relaxed);
            let missed = if stranger { None } else { Some(lost) };
            // The notice has the identifier of the last missed event. A listener that reconnects with it misses no further
            // events.
            let id = after(given).to_string();
            chunk.add(&encode(&id, "perdidos", &json!({ "perdidos": missed }).to_string()));
        }
        for entry in entries {
            let event = entry.encoded.get_or_init(|| entry.event.encode(after(entry.number)));
            if !chunk.add(event) {
                break;
            }
            given = entry.number;
        }
        self.at = At::After(after(given));
        chunk.finish()
    }

    /// Whether the channel has reached the listener's position. False while the channel has received nothing.
    fn is_here(&self) -> bool {
        let here = self.channel.position();
        matches!((self.at, here), (At::After(at), Some(here)) if at.epoch == here.epoch && at.number <= here.number)
    }

    /// The deadline for the channel to reach the listener's position, if it has not reached it yet.
    fn awaits(&mut self) -> Option<Instant> {
        let to_come = self.channel.position().is_some() && !self.is_here();
        self.awaited_until = to_come.then(|| self.awaited_until.unwrap_or_else(|| Instant::now() + ON_ITS_WAY));
        self.awaited_until
    }
}

/// The bytes that a listener gets at once. A single event is not copied: all listeners share its bytes.
#[derive(Default)]
struct Chunk {
    first: Option<Bytes>,
    all: BytesMut,
}

impl Chunk {
    /// Adds an event, and returns whether there was room for it.
    fn add(&mut self, event: &Bytes) -> bool {
        let Some(first) = &self.first else {
            self.first = Some(event.clone());
            return true;
        };
        if self.all.is_empty() {
            self.all.extend_from_slice(first);
        }
        let fits = self.all.len() + event.len() <= CHUNK_BYTES;
        if fits {
            self.all.extend_from_slice(event);
        }
        fits
    }

    fn finish(self) -> Option<Bytes> {
        if self.all.is_empty() { self.first } else { Some(self.all.freeze()) }
    }
}

impl<E: Event> Source for Subscription<E> {
    async fn next(&mut self) -> Bytes {
        loop {
            // The news is marked as seen before the ring is read. So an event that arrives between the two steps wakes the
            // listener again.
            self.news.borrow_and_update();
            if let Some(events) = self.ready() {
                return events;
            }
            // `changed` cannot fail here, because the subscription keeps the channel and its sender alive.
            match self.awaits() {
                None => drop(self.news.changed().await),
                Some(until) => {
                    if tokio::time::timeout_at(until, self.news.changed()).await.is_err() {
                        self.at = At::Nowhere;
                    }
                }
            }
        }
    }

    fn position(&self) -> Option<String> {
        // A listener that named an invalid identifier gets no new position before it is told that it missed events.
        match self.at {
            At::After(at) if self.is_here() => Some(at.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
