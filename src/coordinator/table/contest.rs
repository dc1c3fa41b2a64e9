//! Contests: requests for a free resource that come within a window are decided together, by their stamps and not by their arrival.
//!
//! The first request with a stamp for a free resource opens a window, whose length it says and nobody prolongs. Until the window closes, nobody gets the
//! resource, and others with stamps enter the same queue. A contest is that queue, in the order of stamps: when the window is closed, the first in
//! it is served as every waiter is, or one that ties with it and is drawn ([`Table::decide`]). A request for several resources is served when the windows of all of them are closed and it is first
//! in each queue. Stamps and then arrivals order all waiters of the table, so the first of all is still first in each of its queues.
//!
//! The others do not wait for more than the decision: they are refused as soon as somebody has the resource. A request that comes after
//! the window has closed is refused at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Table;
use super::entries::{Ending, Entry};
use super::values::{Acquire, Busy, Happened, NotGranted, Resources, State, Ticket};

impl Table {
    /// The window that a request opens if it enters a contest now: each of its resources is free without waiters, or has an open window.
    pub(super) fn window_of(&self, request: &Acquire) -> Option<Duration> {
        let contest = request.contest.as_ref().filter(|_| !request.wait.is_zero())?;
        let mut entries = request.resources.iter().map(|resource| self.resources.get(resource));
        let opens_or_joins = entries.clone().all(|entry| entry.is_none_or(Entry::is_contested));
        let has_window = !contest.window.is_zero() || entries.any(|entry| entry.is_some());
        (opens_or_joins && has_window).then_some(contest.window)
    }

    /// Opens a window for each of the resources that has none. A request that enters a contest waits for them already.
    pub(super) fn open_windows(&mut self, now: Duration, resources: &Resources, window: Duration) {
        for resource in resources.iter() {
            let Some(entry) = self.resources.get_mut(resource) else { continue };
            if entry.closes_at.is_none() {
                entry.closes_at = Some(now + window);
                self.endings.insert((now + window, Ending::Window(Arc::clone(resource))));
            }
        }
    }

    /// A window closes: the first in the queue is served.
    pub(super) fn close_window(&mut self, now: Duration, resource: &str) {
        let Some(entry) = self.resources.get_mut(resource) else { return };
        entry.closes_at = None;
        let first = entry.queue.first().copied().into_iter().collect();
        self.serve(now, first);
    }

    /// Who is in a contest for one of the resources.
    pub(super) fn contested(&self, resources: &Resources) -> BTreeSet<Ticket> {
        let queues = resources.iter().filter_map(|resource| self.resources.get(resource)).map(|entry| &entry.queue);
        queues.flatten().copied().filter(|ticket| ticket.is_contested()).collect()
    }

    /// Refuses those who are in a contest for resources that somebody has got, and adds the waiters that are first in a queue after that.
    pub(super) fn refuse_losers(&mut self, now: Duration, resources: &Resources, first_ones: &mut BTreeSet<Ticket>) {
        for ticket in self.contested(resources) {
            let Some(waiter) = self.waiters.get(ticket) else { continue };
            let Acquire { resources, despite_retention, .. } = &waiter.request;
            let waited = now.saturating_sub(waiter.since);
            let busy = self.obstacle(now, resources, *despite_retention, Some(ticket)).unwrap_or_else(|| Busy {
                resource: Arc::clone(&resources[0]),
                state: State::Promised,
                queue: 0,
                waited,
            });
            if let Some((_, freed)) = self.dequeue(ticket) {
                self.happened.push(Happened::Refused { ticket, refused: NotGranted::Busy(Busy { waited, ..busy }) });
                first_ones.extend(freed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::table::{Acquired, Contest, LeaseId, Limits, Release, Tie};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn table() -> Table {
        let mut table = Table::new(0, Limits::default());
        table.allow_tokens(Duration::ZERO, 1000);
        table.allow_ttl(ms(60_000));
        table
    }

    fn entry(resources: &[&str], stamp_us: i64, window: u64) -> Acquire {
        Acquire {
            resources: resources.iter().copied().map(Arc::from).collect(),
            owner: None,
            request_id: None,
            ttl: ms(1000),
            wait: ms(window + 1000),
            min_token: 0,
            despite_retention: false,
            contest: Some(Contest {
                stamp_us,
                window: ms(window),
                entry: Some(stamp_us.to_string().into()),
                tie: Tie::default(),
            }),
        }
    }

    #[track_caller]
    fn enters(table: &mut Table, now: u64, request: &Acquire, id: u128) -> Ticket {
        match table.acquire(ms(now), request, LeaseId(id)) {
            Ok(Acquired::Queued { ticket, again: false }) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn refused(table: &mut Table, now: u64, request: &Acquire) {
        let answer = table.acquire(ms(now), request, LeaseId(99));
        assert!(matches!(answer, Err(NotGranted::Busy(_))), "{answer:?}");
    }

    /// The lease that was granted, and how many were refused.
    fn decided(table: &mut Table, now: u64) -> (Option<u128>, usize) {
        table.expire(ms(now));
        let (mut winner, mut losers) = (None, 0);
        for happened in table.take_happened() {
            match happened {
                Happened::Granted { granted, .. } => {
                    assert_eq!(winner.replace(granted.lease.0), None, "two winners at once");
                }
                Happened::Refused { .. } => losers += 1,
                Happened::Expired(_) => {}
            }
        }
        (winner, losers)
    }

    #[test]
    fn the_first_click_wins_and_not_the_first_arrival() {
        let mut table = table();
        for (now, stamp, id) in [(0, 500, 1), (20, 100, 2), (99, 300, 3)] {
            enters(&mut table, now, &entry(&["x"], stamp, 100), id);
            assert_eq!(decided(&mut table, now), (None, 0));
        }
        assert_eq!(table.next_ending(), Some(ms(100)), "nobody prolongs the window");
        assert_eq!(decided(&mut table, 100), (Some(2), 2));
        let again = table.renew(ms(100), LeaseId(2), None).unwrap().contenders.unwrap();
        let told: Vec<_> = again.entries.iter().map(|one| (one.stamp_us, one.entry.as_deref().unwrap())).collect();
        assert_eq!(told, [(100, "100"), (300, "300"), (500, "500")], "the winner is told of all, in order");
        // Late: also with the earliest stamp.
        refused(&mut table, 101, &entry(&["x"], 1, 100));
        table.release(ms(110), &Release::ById { lease: LeaseId(2), retention: ms(50) });
        refused(&mut table, 120, &entry(&["x"], 1, 100));
        enters(&mut table, 160, &entry(&["x"], 1, 100), 5);
    }

    #[test]
    fn equal_stamps_are_decided_by_arrival_and_no_window_is_no_contest() {
        let mut table = table();
        enters(&mut table, 0, &entry(&["x"], 7, 50), 1);
        enters(&mut table, 10, &entry(&["x"], 7, 50), 2);
        assert_eq!(decided(&mut table, 50), (Some(1), 1));
        let alone = table.acquire(ms(60), &entry(&["y"], 7, 0), LeaseId(3));
        assert!(matches!(alone, Ok(Acquired::Granted(_))), "{alone:?}");
    }

    #[test]
    fn one_without_a_window_enters_one_that_is_open() {
        let mut table = table();
        enters(&mut table, 0, &entry(&["x"], 7, 50), 1);
        enters(&mut table, 10, &entry(&["x"], 3, 0), 2);
        refused(&mut table, 10, &Acquire { contest: None, wait: Duration::ZERO, ..entry(&["x"], 0, 0) });
        assert_eq!(decided(&mut table, 50), (Some(2), 1));
    }

    #[test]
    fn several_resources_are_decided_when_all_windows_are_closed() {
        let mut table = table();
        enters(&mut table, 0, &entry(&["a"], 20, 100), 1);
        enters(&mut table, 50, &entry(&["a", "b"], 10, 100), 2);
        assert_eq!(decided(&mut table, 100), (None, 0), "a is promised to the second until b is decided");
        refused(&mut table, 120, &entry(&["a"], 5, 100));
        assert_eq!(decided(&mut table, 150), (Some(2), 1));
        // The second loses b: a is the first's.
        let mut table = self::table();
        enters(&mut table, 0, &entry(&["a"], 20, 100), 1);
        enters(&mut table, 50, &entry(&["a", "b"], 10, 100), 2);
        enters(&mut table, 60, &entry(&["b"], 5, 100), 3);
        assert_eq!(decided(&mut table, 149), (None, 0));
        table.expire(ms(150));
        let happened = table.take_happened();
        let winners: Vec<u128> = happened
            .iter()
            .filter_map(|happened| match happened {
                Happened::Granted { granted, .. } => Some(granted.lease.0),
                _ => None,
            })
            .collect();
        assert_eq!((winners, happened.len()), (vec![3, 1], 3), "{happened:?}");
    }

    #[test]
    fn a_contest_without_entrants_is_none_and_another_resource_is_not_held_up() {
        let mut table = table();
        let ticket = enters(&mut table, 0, &entry(&["x"], 7, 100), 1);
        let other = Acquire { contest: None, wait: Duration::ZERO, ..entry(&["y"], 0, 0) };
        assert!(matches!(table.acquire(ms(1), &other, LeaseId(2)), Ok(Acquired::Granted(_))));
        assert!(table.leave(ms(10), ticket));
        let now = Acquire { contest: None, wait: Duration::ZERO, ..entry(&["x"], 0, 0) };
        assert!(matches!(table.acquire(ms(11), &now, LeaseId(3)), Ok(Acquired::Granted(_))));
        assert_eq!(table.next_ending(), Some(ms(1001)), "no window is left");
    }
}
