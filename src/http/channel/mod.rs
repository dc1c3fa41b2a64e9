//! A channel of events, small and bounded: a ring of the last ones, and any number of listeners.
//!
//! A listener is a position in the ring, not a queue of its own: who reads nothing costs nothing and slows nobody, and who
//! falls behind by more than the ring holds is told how much it missed. Events are numbered, and an event's identifier is
//! its number with the epoch of whoever numbers them. A channel numbers its own, or mirrors one that is numbered elsewhere:
//! then its identifiers are good there too.
//!
//! # Locking
//!
//! A std mutex around the ring, held for a push or for copying out references to some events, and never across an await.

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

/// Events that a channel keeps.
pub const RING_EVENTS: usize = 1024;
/// Bytes of events that a channel keeps.
const RING_BYTES: usize = 4 << 20;
/// Bytes handed to a listener at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Events handed to a listener at once.
const CHUNK_EVENTS: usize = 256;
/// How long a mirror waits for an event that a listener names and that has not come here yet. If the listener has heard it, it
/// is at its source and on its way here; if it does not come, no event ever had that identifier.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// An event, not yet as it is sent: for most events nobody listens, so it is encoded only when somebody does.
pub trait Event: fmt::Debug + Send + Sync + 'static {
    /// As it is sent.
    fn encode(&self, id: Position) -> Bytes;
    /// Bytes that it keeps, about.
    fn size(&self) -> usize;
}

/// A place in a channel: the one right after an event, which it identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whose numbers these are: random at each start of whoever numbers, so that an identifier of before is known as such.
    pub epoch: u32,
    /// The event's number, from 1 on; 0 is before the first.
    pub number: u64,
}

impl Position {
    /// Reads an identifier in exactly the form in which they are written: in any other form it was not made here.
    pub fn parse(id: &str) -> Option<Self> {
        let (epoch, number) = id.split_once('-')?;
        let read = Self { epoch: u32::from_str_radix(epoch, 16).ok()?, number: number.parse().ok()? };
        (read.to_string() == id).then_some(read)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.epoch, self.number)
    }
}

/// An event in its place.
#[derive(Debug)]
struct Entry<E> {
    number: u64,
    event: E,
    /// As it is sent, once someone listened: encoded once for all of them.
    encoded: OnceLock<Bytes>,
}

/// The last events, with numbers one after the other.
#[derive(Debug)]
struct Ring<E> {
    events: VecDeque<Arc<Entry<E>>>,
    bytes: usize,
    last: u64,
    /// `None` in a mirror that has not seen anything yet.
    epoch: Option<u32>,
}

impl<E: Event> Ring<E> {
    fn push(&mut self, event: E) {
        self.last += 1;
        self.bytes += event.size();
        self.events.push_back(Arc::new(Entry { number: self.last, event, encoded: OnceLock::new() }));
        while self.events.len() > RING_EVENTS || self.bytes > RING_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.event.size();
        }
    }

    fn start_again(&mut self, at: Position) {
        self.events.clear();
        (self.bytes, self.last, self.epoch) = (0, at.number, Some(at.epoch));
    }

    fn position(&self) -> Option<Position> {
        self.epoch.map(|epoch| Position { epoch, number: self.last })
    }

    /// The number before the oldest event that is kept.
    fn before_oldest(&self) -> u64 {
        self.last - self.events.len() as u64
    }

    /// The first events after number `seen`, and how many before them are not there any more.
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
    /// Whether the events are numbered elsewhere, where there may be more of them already.
    is_mirror: bool,
}

impl<E: Event> Channel<E> {
    /// A channel that numbers its events itself. `epoch` is random.
    pub fn new(epoch: u32) -> Arc<Self> {
        Self::with(Some(epoch), false)
    }

    /// A channel whose events are numbered elsewhere.
    pub fn mirror() -> Arc<Self> {
        Self::with(None, true)
    }

    fn with(epoch: Option<u32>, is_mirror: bool) -> Arc<Self> {
        let ring = Ring { events: VecDeque::new(), bytes: 0, last: 0, epoch };
        Arc::new(Self { ring: Mutex::new(ring), news: watch::Sender::new(()), is_mirror })
    }

    /// A panic elsewhere cannot leave a ring half pushed to.
    fn ring(&self) -> MutexGuard<'_, Ring<E>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events, side by side, and gives the place after them.
    pub fn publish(&self, events: impl IntoIterator<Item = E>) -> Position {
        let mut ring = self.ring();
        for event in events {
            ring.push(event);
        }
        let position = Position { epoch: ring.epoch.unwrap_or_default(), number: ring.last };
        drop(ring);
        self.news.send_replace(());
        position
    }

    /// Adds an event of the mirrored channel. One that is known already is not added again; one that does not follow the
    /// last leaves a gap, of which the listeners are told.
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
        self.news.send_replace(());
    }

    /// Goes on from another place of the mirrored channel; what is between is lost.
    pub fn go_on_from(&self, at: Position) {
        let mut ring = self.ring();
        if ring.position() == Some(at) {
            return;
        }
        ring.start_again(at);
        drop(ring);
        self.news.send_replace(());
    }

    /// The place after the last event, once there is one.
    pub fn position(&self) -> Option<Position> {
        self.ring().position()
    }

    /// The number of the last event.
    pub fn last(&self) -> u64 {
        self.ring().last
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.news.receiver_count()
    }

    /// Listens: from right after the event `since`, or from now on. What the listener is told to have lost is added to
    /// `lost`.
    pub fn subscribe(self: &Arc<Self>, since: Option<&str>, lost: &Arc<AtomicU64>) -> Subscription<E> {
        let news = self.news.subscribe();
        let here = self.position();
        let at = match since.map(Position::parse) {
            None => here.map_or(At::Start, At::After),
            Some(None) => At::Nowhere,
            Some(Some(at)) => {
                // A mirror may be behind; where the numbers are made, a number to come is not of this start.
                let to_come = here.is_some_and(|here| here.epoch == at.epoch && at.number > here.number);
                if to_come && !self.is_mirror { At::Nowhere } else { At::After(at) }
            }
        };
        Subscription { channel: Arc::clone(self), news, at, awaited_until: None, lost: Arc::clone(lost) }
    }
}

/// Where a listener is.
#[derive(Clone, Copy, Debug)]
enum At {
    /// At the beginning of a mirror that had nothing yet.
    Start,
    /// Right after this event.
    After(Position),
    /// It named an event that this channel never had.
    Nowhere,
}

/// A listener's place in a channel.
#[derive(Debug)]
pub struct Subscription<E> {
    channel: Arc<Channel<E>>,
    news: watch::Receiver<()>,
    at: At,
    /// Until when its place is waited for, where a mirror has not come to it yet.
    awaited_until: Option<Instant>,
    lost: Arc<AtomicU64>,
}

impl<E: Event> Subscription<E> {
    /// What there is to say now.
    fn ready(&mut self) -> Option<Bytes> {
        let ring = self.channel.ring();
        let epoch = ring.epoch?;
        // From where it is no place of this epoch: all there is, and no word on how much that leaves out.
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
            // Its identifier is that of the last event missed, so that whoever comes again from here misses nothing more.
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

    /// Whether the event that it named is one that this channel has had. False as long as the channel has had none.
    fn is_here(&self) -> bool {
        let here = self.channel.position();
        matches!((self.at, here), (At::After(at), Some(here)) if at.epoch == here.epoch && at.number <= here.number)
    }

    /// Until when its place is waited for, if it is one to come.
    fn awaits(&mut self) -> Option<Instant> {
        let to_come = self.channel.position().is_some() && !self.is_here();
        self.awaited_until = to_come.then(|| self.awaited_until.unwrap_or_else(|| Instant::now() + ON_ITS_WAY));
        self.awaited_until
    }
}

/// What is handed over at once. A single event is passed on as it is: it is the same bytes for all.
#[derive(Default)]
struct Chunk {
    first: Option<Bytes>,
    all: BytesMut,
}

impl Chunk {
    /// Whether there was room.
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
            // Marked before looking, so that what comes in between wakes again.
            self.news.borrow_and_update();
            if let Some(events) = self.ready() {
                return events;
            }
            // The channel, and with it the sender, lives as long as this does.
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
        // Whoever brought something that is no place here must not take a new place for it before it was told.
        match self.at {
            At::After(at) if self.is_here() => Some(at.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
