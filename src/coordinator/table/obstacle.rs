//! The obstacles of a request.

use std::sync::Arc;
use std::time::Duration;

use super::Table;
use super::entries::Hold;
use super::values::{Busy, State, Ticket};

impl Table {
    pub(super) fn hold(&self, resource: &str) -> &Hold {
        self.resources.get(resource).map_or(&Hold::Free, |entry| &entry.hold)
    }

    /// The obstacle of a request, or of a waiter at its place.
    pub(super) fn obstacle(
        &self,
        now: Duration,
        resources: &[Arc<str>],
        despite_retention: bool,
        place: Option<Ticket>,
    ) -> Option<Busy> {
        resources.iter().find_map(|resource| {
            let entry = self.resources.get(resource)?;
            let in_the_way = match entry.hold {
                Hold::Held(_) => true,
                Hold::Retained { .. } => !despite_retention,
                Hold::Free => entry.is_contested(),
            };
            let someone_before = entry.queue.first().is_some_and(|first| place.is_none_or(|place| *first < place));
            (in_the_way || someone_before).then(|| Busy {
                resource: Arc::clone(resource),
                // A retention that is passed over is no obstacle: the queue is.
                state: if in_the_way { self.state(now, &entry.hold) } else { State::Promised },
                queue: entry.queue.len() - usize::from(place.is_some_and(|place| entry.queue.contains(&place))),
                waited: Duration::ZERO,
            })
        })
    }

    pub(super) fn state(&self, now: Duration, hold: &Hold) -> State {
        match hold {
            Hold::Free => State::Promised,
            Hold::Held(id) => match self.leases.get(id) {
                Some(lease) => State::Held {
                    owner: lease.owner.clone(),
                    token: lease.token,
                    free_in: lease.deadline.saturating_sub(now),
                },
                // A resource is held by a live lease, or not at all.
                None => State::Promised,
            },
            Hold::Retained { until, owner, token, .. } => {
                State::Retained { owner: owner.clone(), token: *token, free_in: until.saturating_sub(now) }
            }
        }
    }
}
