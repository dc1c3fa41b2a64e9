//! How leases ended, for the answers to late unlocks and renewals. Bounded: the oldest are forgotten.

use std::collections::{HashMap, VecDeque};

use super::values::{LeaseId, NotLive, RandomIds};

/// Ended leases that are remembered.
const REMEMBERED: usize = 65_536;

#[derive(Debug, Default)]
pub struct EndedLeases {
    how: HashMap<LeaseId, NotLive, RandomIds>,
    order: VecDeque<LeaseId>,
}

impl EndedLeases {
    /// Remembers that the lease ended, and how.
    pub fn remember(&mut self, id: LeaseId, how: NotLive) {
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.how.remove(&oldest);
        }
        self.how.insert(id, how);
        self.order.push_back(id);
    }

    /// How a lease that is not live ended.
    pub fn how(&self, id: LeaseId) -> NotLive {
        self.how.get(&id).copied().unwrap_or(NotLive::Unknown)
    }
}
