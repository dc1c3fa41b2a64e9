//! The channels of events: those that clients publish to, and the coordinator's own, `travas`.
//!
//! # Locking
//!
//! A std mutex around the list of channels; never across an await.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::protocol::events::{LOCKS_CHANNEL, SHARED_CHANNEL};
use super::table::{Ended, Resources};
use crate::http::channel::{self, Channel, Position};
use crate::http::sse::encode;
use crate::time::{Timestamp, millis};

/// Channels at the most besides these two.
pub const OTHERS_MAX: usize = 63;
/// Channels that are there from the start on.
const OWN: usize = 2;

/// All channels.
pub struct Hub {
    channels: Mutex<HashMap<String, Arc<Channel<Event>>>>,
    locks: Arc<Channel<Event>>,
    /// Told apart from every other start's, so that an identifier of before a restart is known as such.
    epoch: u32,
    /// Channels made so far: each has an epoch of its own, since an identifier is good for one channel only.
    made: AtomicU32,
    lost: Arc<AtomicU64>,
}

/// There are [`OTHERS_MAX`] other channels already.
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
                encode(&id, name, &serde_json::to_string(&data).expect("an event serialises"))
            }
        }
    }

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

impl Hub {
    /// A hub with the coordinator's own channel. `epoch` is random.
    pub fn new(epoch: u32) -> Self {
        let locks = Channel::new(epoch);
        let shared = Channel::new(epoch.wrapping_add(1));
        let channels = [(LOCKS_CHANNEL, Arc::clone(&locks)), (SHARED_CHANNEL, shared)];
        let channels = channels.map(|(name, channel)| (name.to_owned(), channel)).into();
        Self { channels: Mutex::new(channels), locks, epoch, made: AtomicU32::new(2), lost: Arc::default() }
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
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(name) {
            return Ok(Arc::clone(channel));
        }
        if channels.len() >= OWN + OTHERS_MAX {
            // Those that were only listened to, and are not any more, have nothing to keep.
            channels
                .retain(|name, channel| Arc::strong_count(channel) > 1 || channel.last() > 0 || name == SHARED_CHANNEL);
        }
        if channels.len() >= OWN + OTHERS_MAX {
            return Err(TooManyChannels);
        }
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let channel = Channel::new(self.epoch.wrapping_add(made));
        channels.insert(name.to_owned(), Arc::clone(&channel));
        Ok(channel)
    }

    /// The counter of events that listeners lost.
    pub fn lost_count(&self) -> &Arc<AtomicU64> {
        &self.lost
    }

    /// Each channel's name, last event and listeners.
    pub fn each_channel(&self) -> Vec<(String, u64, usize)> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.iter().map(|(name, channel)| (name.clone(), channel.last(), channel.listeners())).collect()
    }

    /// Events that subscribers were told they had lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_bounded() {
        let hub = Hub::new(7);
        for number in 1..=OTHERS_MAX {
            // A channel without events and listeners is not kept when room is needed.
            assert!(hub.channel(&format!("vazio {number}")).is_ok());
            let event = Event::Published { name: "p".to_owned(), data: "1".to_owned() };
            hub.channel(&number.to_string()).unwrap().publish([event]);
        }
        assert!(hub.channel("mais um").is_err());
        for known in ["2", LOCKS_CHANNEL, SHARED_CHANNEL] {
            assert!(hub.channel(known).is_ok(), "{known}");
        }
    }
}
