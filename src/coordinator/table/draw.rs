//! Ties in a contest. Nobody can tell which of two clicks was first that are a few milliseconds apart, so one of them is drawn.
//!
//! The request with the smallest stamp says what ties with it: stamps that are later by no more than so much. Of those whose resources are
//! free too, and that nobody else is before, one wins: the one with the smallest [`lot`]. The seed is its client's, who says beforehand
//! that it has one, and shows it with the result; so everybody can draw anew, and nobody who does not know the seed can choose a lot.
//!
//! A drawn request is served before the first one, and not beside it: both want one resource. So there is still one order of all waiters.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Table;
use super::entrants::{Contender, Contenders, Contest, Draw};
use super::entries::Hold;
use super::values::{Acquire, Ticket};

/// The lot of a request in a draw: the smallest one wins.
pub fn lot(draw: &Draw, entry: Option<&str>) -> [u8; 32] {
    Sha256::digest([&*draw.seed, &*draw.resource, entry.unwrap_or_default()].join("\n")).into()
}

impl Table {
    /// Who gets the resources for which `first` has the smallest stamp, and who was in the contest for them.
    pub(super) fn decide(&self, first: Ticket) -> Option<(Ticket, Contenders)> {
        let leader = self.request(first)?;
        let tied = self.tied(first, leader);
        let seed = leader.contest.as_ref().and_then(|contest| contest.tie.seed.clone());
        let resource = Arc::clone(leader.resources.first()?);
        let draw = seed.filter(|_| tied.len() > 1).map(|seed| Draw { resource, seed });
        let entry = |ticket: Ticket| self.contest(ticket).and_then(|contest| contest.entry.as_deref());
        let drawn = |draw: &Draw| tied.iter().copied().min_by_key(|ticket| (lot(draw, entry(*ticket)), *ticket));
        let winner = draw.as_ref().and_then(drawn).unwrap_or(first);
        let is_drawn = |ticket: &Ticket| draw.is_some() && tied.contains(ticket);
        let rivals = self.contested(&self.request(winner)?.resources);
        let others = rivals.into_iter().filter(|ticket| *ticket != winner);
        let contender = |ticket: Ticket| {
            let Contest { stamp_us, entry, .. } = self.contest(ticket)?;
            Some(Contender { stamp_us: *stamp_us, entry: entry.clone(), is_drawn: is_drawn(&ticket) })
        };
        let entries = std::iter::once(winner).chain(others).filter_map(contender).collect();
        Some((winner, Contenders { entries, draw }))
    }

    /// The first, and those that tie with it: one of each group.
    fn tied(&self, first: Ticket, leader: &Acquire) -> BTreeSet<Ticket> {
        let within_us = leader.contest.as_ref().map_or(0, |contest| contest.tie.within_us);
        let last_us = first.stamp_us.saturating_add(within_us);
        let near: BTreeSet<Ticket> =
            self.contested(&leader.resources).into_iter().filter(|ticket| ticket.stamp_us <= last_us).collect();
        let mut groups = HashSet::new();
        let mut ends: HashMap<&str, Option<Ticket>> = HashMap::new();
        let mut tied = BTreeSet::from([first]);
        for ticket in near.iter().copied() {
            let Some(request) = self.request(ticket) else { continue };
            let group = request.contest.as_ref().and_then(|contest| contest.tie.group.as_ref());
            if group.is_some_and(|group| !groups.insert(group)) {
                continue;
            }
            // In each queue only such requests may be before it.
            let is_next = request.resources.iter().all(|resource| {
                let end = ends.entry(&**resource).or_insert_with(|| {
                    let queue = self.resources.get(resource).map(|entry| &entry.queue);
                    queue.into_iter().flatten().find(|other| !near.contains(*other)).copied()
                });
                self.is_free_for(resource, request) && end.is_none_or(|end| ticket < end)
            });
            if is_next && self.next_token(request.min_token).is_ok() {
                tied.insert(ticket);
            }
        }
        tied
    }

    fn request(&self, ticket: Ticket) -> Option<&Acquire> {
        self.waiters.get(ticket).map(|waiter| &waiter.request)
    }

    fn contest(&self, ticket: Ticket) -> Option<&Contest> {
        self.request(ticket)?.contest.as_ref()
    }

    /// Whether nothing but other waiters is in the way of a request.
    fn is_free_for(&self, resource: &str, request: &Acquire) -> bool {
        let Some(entry) = self.resources.get(resource) else { return true };
        match entry.hold {
            Hold::Free => !entry.is_contested(),
            Hold::Held(_) => false,
            Hold::Retained { .. } => request.despite_retention,
        }
    }
}
