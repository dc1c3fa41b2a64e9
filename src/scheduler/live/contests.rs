//! Contests for a slot: refusals are counted here, and published a few times a second.
//!
//! Ten thousand refusals for one slot make one event every 100 ms. The event has their count and the first twenty of them.
//! Each refusal costs one lookup in a map. The number of slots counted at once is bounded too: above that bound a refusal is
//! not counted.
//!
//! # Locking
//!
//! A std mutex guards the map. It is held to count one refusal or to take the map away, and never across an await.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

use crate::agenda::NewBooking;
use crate::http::request_id::RequestId;
use crate::time::Timestamp;

/// How many requests one event shows.
const SHOWN_MAX: usize = 20;
/// How many slots are counted at once.
const SLOTS_MAX: usize = 1024;

/// The slots that a booking request wants, for the case that it is refused.
#[derive(Clone, Debug)]
pub struct Contested {
    telescope: Arc<str>,
    /// The requester.
    pub scientist_id: i64,
}

impl Contested {
    /// The slots of `new`.
    pub fn by(new: &NewBooking) -> Self {
        Self { telescope: new.telescope.code.as_str().into(), scientist_id: new.scientist.id }
    }
}

/// A refused request, as it is published.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedRequest {
    /// The requester.
    pub cientista_id: i64,
    /// The refusal's code.
    pub codigo: &'static str,
    /// When it was refused.
    pub utc: String,
    /// The request.
    pub req: RequestId,
}

/// The refusals of one slot since its last event.
#[derive(Clone, Debug, Serialize)]
pub struct Contest {
    telescopio: Arc<str>,
    horario_inicio_utc: String,
    recusados: u64,
    pedidos: Vec<RefusedRequest>,
}

/// The contests under way.
#[derive(Debug, Default)]
pub struct Contests {
    slots: Mutex<HashMap<(Arc<str>, Timestamp), Contest>>,
    /// Wakes the publishing task when the first refusal is counted.
    begun: Notify,
}

impl Contests {
    /// Counts a refusal.
    pub fn note(&self, contested: &Contested, start: Timestamp, refused: impl FnOnce() -> RefusedRequest) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, full) = (slots.is_empty(), slots.len() >= SLOTS_MAX);
        let contest = match slots.entry((Arc::clone(&contested.telescope), start)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if full => return,
            Entry::Vacant(new) => new.insert(Contest {
                telescopio: Arc::clone(&contested.telescope),
                horario_inicio_utc: start.seconds().to_string(),
                recusados: 0,
                pedidos: Vec::new(),
            }),
        };
        contest.recusados += 1;
        if contest.pedidos.len() < SHOWN_MAX {
            contest.pedidos.push(refused());
        }
        drop(slots);
        if first {
            self.begun.notify_one();
        }
    }

    /// Waits until there is a refusal.
    pub async fn begun(&self) {
        self.begun.notified().await;
    }

    /// Takes all contests that were counted.
    pub fn take(&self) -> impl Iterator<Item = Contest> + use<> {
        std::mem::take(&mut *self.slots.lock().unwrap_or_else(PoisonError::into_inner)).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contested(telescope: &str) -> Contested {
        Contested { telescope: telescope.into(), scientist_id: 7 }
    }

    fn refuse(contests: &Contests, telescope: &str, start: Timestamp) {
        let refused = || RefusedRequest {
            cientista_id: 7,
            codigo: "recurso_ocupado",
            utc: String::new(),
            req: RequestId::of_test("1-1"),
        };
        contests.note(&contested(telescope), start, refused);
    }

    #[test]
    fn all_refusals_are_counted_and_twenty_are_shown() {
        let contests = Contests::default();
        for _ in 0..10_000 {
            refuse(&contests, "Hubble-Acad", Timestamp::MIN);
        }
        refuse(&contests, "Webb-Acad", Timestamp::MIN);
        let mut published: Vec<Contest> = contests.take().collect();
        published.sort_by_key(|contest| contest.recusados);
        assert_eq!(
            published.iter().map(|contest| (contest.recusados, contest.pedidos.len())).collect::<Vec<_>>(),
            [(1, 1), (10_000, SHOWN_MAX)]
        );
        assert_eq!(contests.take().count(), 0);
    }

    #[test]
    fn at_most_1024_slots_are_counted() {
        let contests = Contests::default();
        for nth in 0..5000 {
            refuse(&contests, &format!("T{nth}"), Timestamp::MIN);
        }
        assert_eq!(contests.take().count(), SLOTS_MAX);
    }
}
