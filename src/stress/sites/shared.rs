//! What the clients of all sites share: where the scheduler is, the clock of this machine, and the tokens that one may take from another.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::Method;

use crate::http::client::{Security, Url};
use crate::stress::opening::Place;
use crate::time::{Clock, Timestamp, micros};

/// Where a run's requests go, and the clock of all its clients.
pub struct Run {
    /// Its name, the beginning of its requests' identifiers.
    pub name: String,
    /// The scheduler.
    pub place: Place,
    /// Who asks.
    pub security: Security,
    /// The URL of the time.
    pub time: Url,
    /// The URL of a booking, and its method.
    pub book: Url,
    /// The method of a booking.
    pub book_method: Method,
    /// The telescope that is booked.
    pub telescope: String,
    /// An instant by both clocks of this machine: one that is never set counts from it.
    pub since: (Instant, Timestamp),
}

impl Run {
    /// Both clocks now.
    pub fn now() -> (Instant, Timestamp) {
        (Instant::now(), Clock::system().now())
    }

    /// An instant by the clock of the clients, in microseconds since 1970.
    pub fn local_us(&self, at: Instant) -> i64 {
        self.since.1.as_micros().saturating_add(micros_between(self.since.0, at))
    }
}

/// The newest token of each site. A std lock around a list: it is held to read or to replace one.
pub struct Tokens(Mutex<Vec<Option<String>>>);

impl Tokens {
    /// None yet, of so many sites.
    pub fn of(sites: usize) -> Self {
        Self(Mutex::new(vec![None; sites]))
    }

    /// That site's is this one now.
    pub fn publish(&self, nth: usize, token: Option<String>) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = tokens.get_mut(nth) {
            *place = token;
        }
    }

    /// That of the site after this one.
    pub fn of_next(&self, nth: usize) -> Option<String> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get((nth + 1) % tokens.len().max(1)).cloned().flatten()
    }
}

/// The microseconds from one instant to another, which may be earlier.
fn micros_between(from: Instant, to: Instant) -> i64 {
    let signed = |duration: Duration| i64::try_from(micros(duration)).unwrap_or(i64::MAX);
    to.checked_duration_since(from).map_or_else(|| -signed(from.saturating_duration_since(to)), signed)
}
