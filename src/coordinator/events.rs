//! Publish and subscribe, small and bounded: channels with a ring of their last events.
//!
//! A subscriber is a position in the ring, not a queue of its own: who reads nothing costs nothing and slows nobody, and
//! who falls behind by more than the ring holds is told how much it missed.
//!
//! # Locking
//!
//! A std mutex around each channel's ring, held for a push or for copying out references to some events; another around
//! the list of channels. Never across an await.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;

use super::protocol::millis;
use super::table::{Ended, Resources};
use crate::http::sse::{Source, encode};
use crate::time::Timestamp;

/// The coordinator's own channel.
pub const LOCKS_CHANNEL: &str = "travas";
/// Channels at the most.
pub const CHANNELS_MAX: usize = 64;
/// The most bytes of an event's data.
pub const DATA_MAX: usize = 16 * 1024;
/// The longest name of a channel or an event.
pub const NAME_MAX: usize = 64;
/// Events that a channel keeps.
const RING_EVENTS: usize = 1024;
/// Bytes of events that a channel keeps.
const RING_BYTES: usize = 4 << 20;
/// Bytes handed to a subscriber at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Events handed to a subscriber at once.
const CHUNK_EVENTS: usize = 256;

/// All channels.
pub struct Hub {
    channels: Mutex<HashMap<String, Arc<Channel>>>,
    locks: Arc<Channel>,
    /// Told apart from every other start's, so that an identifier of before a restart is known as such.
    epoch: u32,
    /// Channels made so far: each has an epoch of its own, since an identifier is good for one channel only.
    made: AtomicU32,
    lost: Arc<AtomicU64>,
}

/// There are [`CHANNELS_MAX`] channels already.
#[derive(Debug)]
pub struct TooManyChannels;

/// One channel.
pub struct Channel {
    ring: Mutex<Ring>,
    /// The number of the last event: wakes the subscribers.
    head: watch::Sender<u64>,
    epoch: u32,
}

/// An event, not yet as it is sent: of most nobody asks, so it is encoded for whoever listens, and then only.
#[derive(Debug)]
enum Event {
    /// Somebody's, with data that is JSON on one line.
    Published { name: String, data: String },
    /// What became of a lock.
    Lock { name: &'static str, news: LockNews },
}

/// What an event on the channel `travas` tells.
#[derive(Debug)]
pub struct LockNews {
    /// When.
    pub at: Timestamp,
    /// Of which lease.
    pub lease: Ended,
    /// Its life, where that is news.
    pub ttl: Option<Duration>,
    /// How long it was waited for, where that is news.
    pub waited: Option<Duration>,
    /// How long its resources stay refused, where that is news.
    pub retention: Option<Duration>,
}

#[derive(Serialize)]
struct LockData<'a> {
    utc: String,
    recursos: &'a Resources,
    dono: Option<&'a str>,
    token: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    esperou_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retencao_ms: Option<u64>,
}

impl Event {
    fn encode(&self, id: &str) -> Bytes {
        match self {
            Self::Published { name, data } => encode(id, name, data),
            Self::Lock { name, news } => {
                let data = LockData {
                    utc: news.at.micros().to_string(),
                    recursos: &news.lease.resources,
                    dono: news.lease.owner.as_deref(),
                    token: news.lease.token,
                    ttl_ms: news.ttl.map(millis),
                    esperou_ms: news.waited.map(millis),
                    retencao_ms: news.retention.map(millis),
                };
                // A struct of texts and numbers: serialising it to memory cannot fail.
                encode(id, name, &serde_json::to_string(&data).expect("an event serialises"))
            }
        }
    }

    /// Bytes that it keeps, about.
    fn size(&self) -> usize {
        match self {
            Self::Published { name, data } => name.len() + data.len(),
            Self::Lock { news, .. } => {
                news.lease.resources.iter().map(|resource| resource.len()).sum::<usize>()
                    + news.lease.owner.as_ref().map_or(0, |owner| owner.len())
            }
        }
    }
}

/// An event in its place.
#[derive(Debug)]
struct Entry {
    number: u64,
    event: Event,
    /// As it is sent, once someone listened: encoded once for all of them.
    encoded: OnceLock<Bytes>,
}

/// The last events, numbered from 1.
#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Entry>>,
    bytes: usize,
    last: u64,
}

impl Ring {
    fn push(&mut self, event: Event) {
        self.last += 1;
        self.bytes += event.size();
        self.events.push_back(Arc::new(Entry { number: self.last, event, encoded: OnceLock::new() }));
        while self.events.len() > RING_EVENTS || self.bytes > RING_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.event.size();
        }
    }

    /// The number before the oldest event that is kept.
    fn before_oldest(&self) -> u64 {
        self.last - self.events.len() as u64
    }

    /// The first events after number `seen`, and how many before them are not there any more.
    fn after(&self, seen: u64) -> (u64, Vec<Arc<Entry>>) {
        let before_oldest = self.before_oldest();
        let skip = usize::try_from(seen.saturating_sub(before_oldest)).unwrap_or(usize::MAX);
        let entries = self.events.iter().skip(skip).take(CHUNK_EVENTS).map(Arc::clone).collect();
        (before_oldest.saturating_sub(seen), entries)
    }
}

impl Channel {
    fn new(epoch: u32) -> Arc<Self> {
        Arc::new(Self { ring: Mutex::default(), head: watch::Sender::new(0), epoch })
    }

    /// A panic elsewhere cannot leave a ring half pushed to.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, number: u64) -> String {
        format!("{:08x}-{number}", self.epoch)
    }

    fn number(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.split_once('-')?;
        (u32::from_str_radix(epoch, 16) == Ok(self.epoch)).then(|| number.parse().ok())?
    }

    /// Adds an event and gives its identifier. `data` is JSON on one line.
    pub fn publish(&self, event: &str, data: &str) -> String {
        self.id(self.push(Event::Published { name: event.to_owned(), data: data.to_owned() }))
    }

    /// Adds what became of a lock.
    pub fn publish_lock(&self, name: &'static str, news: LockNews) {
        self.push(Event::Lock { name, news });
    }

    fn push(&self, event: Event) -> u64 {
        let mut ring = self.ring();
        ring.push(event);
        let last = ring.last;
        drop(ring);
        // Two publishers may arrive here in the other order; the subscribers look at the ring, and only need waking.
        self.head.send_if_modified(|head| {
            *head = last.max(*head);
            true
        });
        last
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.head.receiver_count()
    }
}

impl Hub {
    /// A hub with the coordinator's own channel. `epoch` is random.
    pub fn new(epoch: u32) -> Self {
        let locks = Channel::new(epoch);
        let channels = HashMap::from([(LOCKS_CHANNEL.to_owned(), Arc::clone(&locks))]);
        Self { channels: Mutex::new(channels), locks, epoch, made: AtomicU32::new(1), lost: Arc::default() }
    }

    /// The coordinator's own channel.
    pub fn locks(&self) -> &Channel {
        &self.locks
    }

    /// The channel of that name, made if there is room for it.
    ///
    /// # Errors
    /// [`TooManyChannels`].
    pub fn channel(&self, name: &str) -> Result<Arc<Channel>, TooManyChannels> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(name) {
            return Ok(Arc::clone(channel));
        }
        if channels.len() >= CHANNELS_MAX {
            // Those that were only listened to, and are not any more, have nothing to keep.
            channels.retain(|_, channel| Arc::strong_count(channel) > 1 || channel.ring().last > 0);
        }
        if channels.len() >= CHANNELS_MAX {
            return Err(TooManyChannels);
        }
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let channel = Channel::new(self.epoch.wrapping_add(made));
        channels.insert(name.to_owned(), Arc::clone(&channel));
        Ok(channel)
    }

    /// Listens to a channel: from right after the event `since`, or from now on.
    ///
    /// # Errors
    /// [`TooManyChannels`].
    pub fn subscribe(&self, name: &str, since: Option<&str>) -> Result<Subscription, TooManyChannels> {
        let channel = self.channel(name)?;
        let head = channel.head.subscribe();
        let (before_oldest, last) = {
            let ring = channel.ring();
            (ring.before_oldest(), ring.last)
        };
        let known = since.map(|id| channel.number(id).filter(|number| *number <= last));
        let (seen, stranger) = match known {
            None => (last, false),
            Some(Some(number)) => (number, false),
            // Not an identifier of this start: all there is, and no word on how much that leaves out.
            Some(None) => (before_oldest, true),
        };
        Ok(Subscription { channel, head, seen, stranger, lost: Arc::clone(&self.lost) })
    }

    /// Each channel's name, last event and listeners.
    pub fn each_channel(&self) -> Vec<(String, u64, usize)> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.iter().map(|(name, channel)| (name.clone(), channel.ring().last, channel.listeners())).collect()
    }

    /// Events that subscribers were told they had lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A listener's place in a channel.
pub struct Subscription {
    channel: Arc<Channel>,
    head: watch::Receiver<u64>,
    seen: u64,
    /// It asked to go on from an event that is not of this start.
    stranger: bool,
    lost: Arc<AtomicU64>,
}

impl Subscription {
    /// What there is to say now.
    fn ready(&mut self) -> Option<Bytes> {
        let (lost, entries) = self.channel.ring().after(self.seen);
        let (mut chunk, mut given) = (BytesMut::new(), self.seen + lost);
        for entry in entries {
            let event = entry.encoded.get_or_init(|| entry.event.encode(&self.channel.id(entry.number)));
            if !chunk.is_empty() && chunk.len() + event.len() > CHUNK_BYTES {
                break;
            }
            chunk.extend_from_slice(event);
            given = entry.number;
        }
        let stranger = std::mem::take(&mut self.stranger);
        if given == self.seen && !stranger {
            return None;
        }
        if lost == 0 && !stranger {
            self.seen = given;
            return Some(chunk.freeze());
        }
        self.lost.fetch_add(lost, Ordering::Relaxed);
        let missed = if stranger { None } else { Some(lost) };
        // Its identifier is that of the last event missed, so that whoever comes again from here misses nothing more.
        let id = self.channel.id(self.seen + lost);
        let mut told = BytesMut::from(&encode(&id, "perdidos", &json!({ "perdidos": missed }).to_string())[..]);
        told.extend_from_slice(&chunk);
        self.seen = given;
        Some(told.freeze())
    }
}

impl Source for Subscription {
    async fn next(&mut self) -> Bytes {
        loop {
            // Marked before looking, so that what comes in between wakes again.
            self.head.borrow_and_update();
            if let Some(events) = self.ready() {
                return events;
            }
            // The channel, and with it the sender, lives as long as this does.
            let _ = self.head.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(subscription: &mut Subscription) -> String {
        String::from_utf8(subscription.next().await.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn events_come_in_order_and_from_where_one_left_off() {
        let hub = Hub::new(7);
        let channel = hub.channel("agenda").unwrap();
        let mut from_now = hub.subscribe("agenda", None).unwrap();
        let first = channel.publish("a", "1");
        channel.publish("b", "2");
        assert_eq!(
            heard(&mut from_now).await,
            "id: 00000008-1\nevent: a\ndata: 1\n\nid: 00000008-2\nevent: b\ndata: 2\n\n"
        );
        let mut again = hub.subscribe("agenda", Some(&first)).unwrap();
        assert_eq!(heard(&mut again).await, "id: 00000008-2\nevent: b\ndata: 2\n\n");
        assert_eq!(channel.listeners(), 2);
        drop((again, from_now));
        assert_eq!(channel.listeners(), 0);
    }

    #[tokio::test]
    async fn who_falls_behind_is_told_how_much_it_lost() {
        let hub = Hub::new(7);
        let channel = hub.channel("agenda").unwrap();
        let mut slow = hub.subscribe("agenda", None).unwrap();
        for number in 0..RING_EVENTS + 10 {
            channel.publish("n", &number.to_string());
        }
        let text = heard(&mut slow).await;
        assert!(
            text.starts_with("id: 00000008-10\nevent: perdidos\ndata: {\"perdidos\":10}\n\nid: 00000008-11\n"),
            "{text}"
        );
        assert_eq!(hub.lost(), 10);
        let mut events = text.matches("event: n").count();
        while events < RING_EVENTS {
            events += heard(&mut slow).await.matches("event: n").count();
        }
        assert!(slow.ready().is_none());
        // An identifier from before a restart, or from nowhere: it cannot be known how much was lost.
        for id in ["00000009-3", "00000008-99999", "x", ""] {
            let text = heard(&mut hub.subscribe("agenda", Some(id)).unwrap()).await;
            assert!(text.contains("data: {\"perdidos\":null}\n\n"), "{id}: {text}");
        }
    }

    #[test]
    fn rings_and_channels_are_bounded() {
        let hub = Hub::new(7);
        let channel = hub.channel("grande").unwrap();
        let data = format!("\"{}\"", "x".repeat(DATA_MAX));
        for _ in 0..RING_EVENTS {
            channel.publish("g", &data);
        }
        assert!(channel.ring().bytes <= RING_BYTES);
        for number in 2..CHANNELS_MAX {
            // One that was only looked at is not kept when room is needed.
            assert!(hub.channel(&format!("vazio {number}")).is_ok());
            hub.channel(&number.to_string()).unwrap().publish("p", "1");
        }
        assert!(hub.channel("mais um").is_err());
        assert!(hub.channel("grande").is_ok());
    }
}
