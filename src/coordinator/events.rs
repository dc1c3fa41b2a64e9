//! The channels of events: those that clients publish to, and the coordinator's own, `travas`.
//!
//! `travas` and `agenda` have a ring each. The channels that clients make share a budget of memory. If it is used up, the largest of
//! them drop their oldest events.
//!
//! # Locking
//!
//! A std mutex around the list of channels; never across an await. A channel's own mutex is taken under it, never before it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use serde::Serialize;

use super::protocol::events::{LOCKS_CHANNEL, SHARED_CHANNEL};
use super::table::{Ended, Resources};
use crate::http::channel::{self, Channel, Position, RING_BYTES};
use crate::http::sse::{encode, encoded_size};
use crate::json;
use crate::time::{Timestamp, millis};

/// Channels at the most besides `travas` and `agenda`.
pub const OTHERS_MAX: usize = 63;
/// The most memory that their events take together, in bytes.
const OTHERS_BYTES: usize = 16 << 20;
/// The most memory that all events take, in bytes.
pub const BYTES_MAX: usize = OTHERS_BYTES + 2 * RING_BYTES;
/// The most bytes of the data of a lock's event, without its texts.
const LOCK_DATA_BYTES: usize = 256;

/// All channels.
pub struct Hub {
    locks: Arc<Channel<Event>>,
    shared: Arc<Channel<Event>>,
    others: Mutex<Others>,
    lost: Arc<AtomicU64>,
    counts: HubCounts,
}

/// The channels that clients made.
struct Others {
    channels: HashMap<String, Other>,
    /// The epoch of the last channel. Each has an epoch of its own, since an identifier is good for one channel only.
    epoch: u32,
    /// How often one was used.
    uses: u64,
}

struct Other {
    channel: Arc<Channel<Event>>,
    /// When it was last used: a larger number is later.
    used: u64,
}

/// What was given up or refused for want of room.
#[derive(Clone, Debug, Default)]
pub struct HubCounts {
    /// Requests for a channel that were refused.
    pub refused: Counter,
    /// Channels that were given up for others.
    pub channels_dropped: Counter,
    /// Events that were given up for those of other channels.
    pub events_dropped: Counter,
}

/// There are [`OTHERS_MAX`] other channels already, and all are in use.
#[derive(Debug)]
pub struct TooManyChannels;

/// An event.
#[derive(Debug)]
pub enum Event {
    /// A client's event; its data is JSON on one line.
    Published {
        /// Its name.
        name: String,
        /// Its data.
        data: String,
    },
    /// The coordinator's own event about a lock.
    Lock {
        /// Its name.
        name: &'static str,
        /// Its data.
        news: LockNews,
    },
}

/// The data of an event on the channel `travas`.
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

impl channel::Event for Event {
    fn encode(&self, id: Position) -> Bytes {
        let id = id.to_string();
        match self {
            Self::Published { name, data } => encode(&id, name, data),
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
                encode(&id, name, &json::to_string(&data, LOCK_DATA_BYTES).expect("an event serialises"))
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Published { name, data } => name.len() + data.len() + encoded_size(name, data),
            Self::Lock { name, news } => {
                // Encoded, a letter takes two at the most, since names have no control characters.
                let of = |text: &Arc<str>| size_of::<Arc<str>>() + 24 + 3 * text.len() + 3;
                let Ended { resources, owner, .. } = &news.lease;
                let texts = resources.iter().chain(owner).map(of).sum::<usize>();
                texts + 24 + encoded_size(name, "") + LOCK_DATA_BYTES
            }
        }
    }
}

impl Hub {
    /// A hub with the channels that are always there. `epoch` is random, so that an identifier of before a restart is known as such.
    pub fn new(epoch: u32) -> Self {
        Self {
            locks: Channel::new(epoch),
            shared: Channel::new(epoch.wrapping_add(1)),
            others: Mutex::new(Others { channels: HashMap::new(), epoch: epoch.wrapping_add(1), uses: 0 }),
            lost: Arc::default(),
            counts: HubCounts::default(),
        }
    }

    /// The coordinator's own channel.
    pub fn locks(&self) -> &Channel<Event> {
        &self.locks
    }

    /// The channel of that name, made if there is room for it.
    ///
    /// # Errors
    /// [`TooManyChannels`].
    pub fn channel(&self, name: &str) -> Result<Arc<Channel<Event>>, TooManyChannels> {
        self.own(name).map_or_else(|| self.others().find(name, &self.counts), |own| Ok(Arc::clone(own)))
    }

    /// The channel of that name that is always there.
    fn own(&self, name: &str) -> Option<&Arc<Channel<Event>>> {
        match name {
            LOCKS_CHANNEL => Some(&self.locks),
            SHARED_CHANNEL => Some(&self.shared),
            _ => None,
        }
    }

    /// Publishes to the channel of that name, and returns the position after the events, and the number of listeners.
    ///
    /// # Errors
    /// [`TooManyChannels`].
    pub fn publish(
        &self,
        name: &str,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(Position, usize), TooManyChannels> {
        if let Some(own) = self.own(name) {
            return Ok((own.publish(events), own.listeners()));
        }
        let mut others = self.others();
        let channel = others.find(name, &self.counts)?;
        let position = channel.publish(events);
        let dropped = others.make_room();
        self.counts.events_dropped.inc_by(u64::try_from(dropped).unwrap_or(u64::MAX));
        Ok((position, channel.listeners()))
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counter of events that listeners lost.
    pub fn lost_count(&self) -> &Arc<AtomicU64> {
        &self.lost
    }

    /// What was given up or refused for want of room.
    pub fn counts(&self) -> &HubCounts {
        &self.counts
    }

    /// The memory of the events of all channels.
    pub fn bytes(&self) -> usize {
        self.locks.bytes() + self.shared.bytes() + self.others().bytes()
    }

    /// Each channel's name, last event and listeners.
    pub fn each_channel(&self) -> Vec<(String, u64, usize)> {
        let of = |name: &str, channel: &Channel<Event>| (name.to_owned(), channel.last(), channel.listeners());
        let own = [of(LOCKS_CHANNEL, &self.locks), of(SHARED_CHANNEL, &self.shared)];
        let others = self.others();
        own.into_iter().chain(others.channels.iter().map(|(name, other)| of(name, &other.channel))).collect()
    }

    /// Events that subscribers were told they had lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Others {
    /// The channel of that name. If there are too many, the one that nobody listens to and that was used the longest ago makes
    /// room for it.
    fn find(&mut self, name: &str, counts: &HubCounts) -> Result<Arc<Channel<Event>>, TooManyChannels> {
        self.uses += 1;
        if let Some(other) = self.channels.get_mut(name) {
            other.used = self.uses;
            return Ok(Arc::clone(&other.channel));
        }
        if self.channels.len() >= OTHERS_MAX {
            // A listener has a reference to its channel, and so has a request that is about to become one.
            let idle = self.channels.iter().filter(|(_, other)| Arc::strong_count(&other.channel) == 1);
            let Some((oldest, _)) = idle.min_by_key(|(_, other)| other.used) else {
                counts.refused.inc();
                return Err(TooManyChannels);
            };
            let oldest = oldest.clone();
            let dropped = self.channels.remove(&oldest);
            if dropped.is_some_and(|other| other.channel.last() > 0) {
                counts.channels_dropped.inc();
            }
        }
        self.epoch = self.epoch.wrapping_add(1);
        let channel = Channel::new(self.epoch);
        self.channels.insert(name.to_owned(), Other { channel: Arc::clone(&channel), used: self.uses });
        Ok(channel)
    }

    fn bytes(&self) -> usize {
        self.channels.values().map(|other| other.channel.bytes()).sum()
    }

    /// Drops the oldest events of the largest channels until all together take no more than [`OTHERS_BYTES`], and returns how many
    /// were dropped.
    fn make_room(&self) -> usize {
        let mut sizes: Vec<_> = self.channels.values().map(|other| other.channel.bytes()).collect();
        let Some(share) = share_of_largest(&mut sizes, OTHERS_BYTES) else { return 0 };
        self.channels.values().map(|other| other.channel.shrink_to(share)).sum()
    }
}

/// How much each may have at the most so that all of `sizes` together are no more than `budget`. Those with less keep what they
/// have. `None` if they are no more than that now.
fn share_of_largest(sizes: &mut [usize], budget: usize) -> Option<usize> {
    sizes.sort_unstable();
    let mut left = budget;
    for (at, size) in sizes.iter().enumerate() {
        let share = left / (sizes.len() - at);
        if *size > share {
            return Some(share);
        }
        left -= size;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(bytes: usize) -> Event {
        Event::Published { name: "p".to_owned(), data: format!("\"{}\"", "x".repeat(bytes)) }
    }

    #[test]
    fn channels_are_bounded_and_the_one_that_was_idle_for_longest_makes_room() {
        let hub = Hub::new(7);
        for number in 1..=OTHERS_MAX {
            hub.publish(&number.to_string(), [event(1)]).unwrap();
        }
        let (first, _) = hub.publish("1", [event(1)]).unwrap();
        assert_eq!(first.number, 2);
        assert!(hub.channel("mais um").is_ok());
        assert_eq!(hub.counts().channels_dropped.get(), 1);
        // The channel 2 had to go. It begins anew, with an epoch of its own, and takes the place of 3.
        let (anew, _) = hub.publish("2", [event(1)]).unwrap();
        assert_eq!(anew.number, 1);
        assert_ne!(anew.epoch, first.epoch);
        assert_eq!(hub.publish("1", [event(1)]).unwrap().0.number, 3);
        let listeners: Vec<_> =
            (0..OTHERS_MAX).map(|number| hub.channel(&format!("ouvido {number}")).unwrap()).collect();
        assert!(hub.channel("mais um").is_err() && hub.publish("mais um", [event(1)]).is_err());
        assert_eq!(hub.counts().refused.get(), 2);
        for known in [LOCKS_CHANNEL, SHARED_CHANNEL] {
            assert!(hub.channel(known).is_ok(), "{known}");
        }
        drop(listeners);
        assert!(hub.channel("mais um").is_ok());
        assert_eq!(hub.each_channel().len(), OTHERS_MAX + 2);
    }

    #[test]
    fn all_channels_together_are_bounded_in_bytes_and_little_ones_keep_what_they_have() {
        let hub = Hub::new(7);
        hub.publish("pequeno", [event(1000)]).unwrap();
        hub.publish(SHARED_CHANNEL, [event(1000)]).unwrap();
        let (little, shared) = (hub.channel("pequeno").unwrap(), hub.channel(SHARED_CHANNEL).unwrap());
        let before = (little.bytes(), shared.bytes());
        for _ in 0..600 {
            for number in 0..8 {
                hub.publish(&number.to_string(), [event(16 * 1024 - 2)]).unwrap();
                assert!(hub.others().bytes() <= OTHERS_BYTES);
            }
        }
        assert!(hub.bytes() <= BYTES_MAX && hub.others().bytes() > OTHERS_BYTES - 16 * 64 * 1024, "{}", hub.bytes());
        assert_eq!((little.bytes(), shared.bytes()), before);
        assert!(hub.counts().events_dropped.get() > 0);
    }

    #[test]
    fn an_event_and_its_encoded_form_take_no_more_than_is_counted() {
        let id = Position { epoch: u32::MAX, number: u64::MAX };
        let encoded = |event: &Event| channel::Event::encode(event, id).len();
        let long = Some(Duration::from_millis(u64::MAX));
        for text in ["x", &"\"".repeat(200), &"é".repeat(100)] {
            for count in [1, 288] {
                let resources: Resources = std::iter::repeat_n(Arc::from(text), count).collect();
                let lease = Ended { resources, owner: Some(text.into()), token: u64::MAX };
                let at = Timestamp::from_micros(4_102_444_800_123_456).unwrap();
                let news = LockNews { at, lease, ttl: long, waited: long, retention: long };
                let event = Event::Lock { name: "concedida", news };
                // Each text is an allocation of its own, with two counters, and each name has a place in a list.
                let plain = (count + 1) * (16 + text.len()) + 16 * count;
                let (encoded, size) = (encoded(&event), channel::Event::size(&event));
                assert!(plain + encoded <= size, "{text} {count}: {plain} + {encoded} > {size}");
            }
        }
        let event = event(100);
        assert!(103 + encoded(&event) <= channel::Event::size(&event));
    }

    proptest! {
        #[test]
        fn the_largest_make_room_and_all_of_it_is_used(mut sizes in prop::collection::vec(0..50_usize, 0..20), budget in 0..400_usize) {
            let before: usize = sizes.iter().sum();
            let share = share_of_largest(&mut sizes, budget);
            prop_assert_eq!(share.is_none(), before <= budget);
            if let Some(share) = share {
                let after: usize = sizes.iter().map(|size| size.min(&share)).sum();
                prop_assert!(after <= budget);
                let more: usize = sizes.iter().map(|size| (*size).min(share + 1)).sum();
                prop_assert!(more > budget, "{share} is less than there is room for");
            }
        }
    }
}
