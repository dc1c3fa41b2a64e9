//! The queues of the resources: first come, first served; in a contest, first stamp.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Table;
use super::bounds::Client;
use super::entries::{Ending, Entry, Hold, Waited, Waiter};
use super::values::{Acquire, Busy, Happened, LeaseId, NotGranted, State, Ticket};

impl Table {
    /// Puts a request that cannot be granted now at the end of its resources' queues.
    pub(super) fn enqueue(
        &mut self,
        now: Duration,
        request: &Acquire,
        client: Option<&Client>,
        lease: LeaseId,
    ) -> Result<Ticket, NotGranted> {
        self.check_queues(request)?;
        let gives_up_at = now + request.wait;
        let client = client.map(|client| self.clients.known(client));
        self.clients.change(client.as_ref(), |usage| usage.places += request.resources.len());
        let ticket = self.waiters.add(Waiter { request: request.clone(), lease, since: now, gives_up_at, client });
        for resource in request.resources.iter() {
            match self.resources.get_mut(resource) {
                Some(entry) => drop(entry.queue.insert(ticket)),
                None => self.put_entry(Arc::clone(resource), Entry { queue: [ticket].into(), ..Entry::default() }),
            }
        }
        self.endings.insert((gives_up_at, Ending::Wait(ticket)));
        Ok(ticket)
    }

    /// Lets a waiter wait until `at`, if that is later.
    pub(super) fn wait_until(&mut self, ticket: Ticket, at: Duration) {
        let Some(waiter) = self.waiters.get_mut(ticket) else { return };
        if at > waiter.gives_up_at {
            self.endings.remove(&(waiter.gives_up_at, Ending::Wait(ticket)));
            waiter.gives_up_at = at;
            self.endings.insert((at, Ending::Wait(ticket)));
        }
    }

    /// Takes a waiter out of all queues, and gives the new first waiters of those in which it was first.
    pub(super) fn dequeue(&mut self, ticket: Ticket) -> Option<(Waiter, BTreeSet<Ticket>)> {
        let waiter = self.waiters.remove(ticket)?;
        self.endings.remove(&(waiter.gives_up_at, Ending::Wait(ticket)));
        self.clients.change(waiter.client.as_ref(), |usage| usage.places -= waiter.request.resources.len());
        let mut first_ones = BTreeSet::new();
        for resource in waiter.request.resources.iter() {
            let Some(entry) = self.resources.get_mut(resource) else { continue };
            let was_first = entry.queue.first() == Some(&ticket);
            entry.queue.remove(&ticket);
            if let Some(first) = entry.queue.first().filter(|_| was_first) {
                first_ones.insert(*first);
            }
            if entry.queue.is_empty() && matches!(entry.hold, Hold::Free) {
                if let Some(at) = entry.closes_at {
                    self.endings.remove(&(at, Ending::Window(Arc::clone(resource))));
                }
                self.take_entry(resource);
            }
        }
        Some((waiter, first_ones))
    }

    /// A waiter's time is up: it is refused with its obstacle.
    pub(super) fn give_up(&mut self, now: Duration, ticket: Ticket) {
        let Some(waiter) = self.waiters.get(ticket) else { return };
        let Acquire { resources, despite_retention, min_token, .. } = &waiter.request;
        let waited = now.saturating_sub(waiter.since);
        let refused = match self.obstacle(now, resources, *despite_retention, Some(ticket)) {
            // Nobody has what it waits for: its obstacle, or that of the one before it, is that nothing may be given now.
            Some(Busy { state: State::Promised, .. }) | None if self.has_lapsed(now) => NotGranted::Lapsed,
            Some(busy) => NotGranted::Busy(Busy { waited, ..busy }),
            // Its only obstacle was the lack of a durable token.
            None => self.next_token(*min_token).err().unwrap_or(NotGranted::Busy(Busy {
                resource: Arc::clone(&resources[0]),
                state: State::Promised,
                queue: 0,
                waited,
            })),
        };
        if let Some((_, freed)) = self.dequeue(ticket) {
            self.happened.push(Happened::Refused { ticket, refused });
            self.serve(now, freed);
        }
    }

    /// Grants those of `first_ones` that have no obstacle, in order of arrival. They are the waiters that may now be first in their queues.
    ///
    /// A waiter behind one of them cannot be granted: its resource is now held, or still promised.
    pub(super) fn serve(&mut self, now: Duration, mut first_ones: BTreeSet<Ticket>) {
        if self.has_lapsed(now) {
            // They stay where they are until something may be given again.
            return;
        }
        while let Some(ticket) = first_ones.pop_first() {
            let Some(waiter) = self.waiters.get(ticket) else { continue };
            let Acquire { resources, despite_retention, min_token, .. } = &waiter.request;
            let obstacle = self.obstacle(now, resources, *despite_retention, Some(ticket));
            // Without a durable token it stays where it is until there is one.
            if obstacle.is_some() || self.next_token(*min_token).is_err() {
                continue;
            }
            let decided = if ticket.is_contested() { self.decide(ticket) } else { None };
            let (ticket, contenders) = decided.map_or((ticket, None), |(winner, all)| (winner, Some(all)));
            let Some((waiter, _)) = self.dequeue(ticket) else { continue };
            let waited = Waited { time: now.saturating_sub(waiter.since), contenders };
            if let Ok(granted) = self.grant(now, &waiter.request, waiter.client.as_ref(), waiter.lease, waited) {
                let resources = Arc::clone(&granted.resources);
                self.happened.push(Happened::Granted { ticket, granted });
                self.refuse_losers(now, &resources, &mut first_ones);
            }
        }
    }
}
