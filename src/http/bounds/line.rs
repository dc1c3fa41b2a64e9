//! What is known of one connection, so that it can be judged from outside: what it does, and since when.
//!
//! The connection's own task writes here, with atomics alone. The patrol and a newcomer without a place read it and give an
//! order; the task checks, before it follows the order, that it still applies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::address::{Account, AddressKey};

/// How long a connection may be idle.
const IDLE_MS: u64 = 60_000;
/// After how long an idle connection gives its buffers back.
const PARK_MS: u64 = 2_000;
/// Nothing is due in a phase before it has lasted so long.
pub const SOONEST: Duration = Duration::from_millis(PARK_MS);
/// How long a request's head may take, from its first byte.
const HEAD_MS: u64 = 10_000;
/// A connection that has had no request yet does not make room before this: a client may open its connections a moment before it uses
/// them.
const NEW_SPARED_MS: u64 = 2_000;
/// One that has had a request is idle for this long before it makes room.
const IDLE_SPARED_MS: u64 = 250;
/// A head that is younger than this does not make room.
const HEAD_SPARED_MS: u64 = 500;
/// A body that was waited for, or a reader that has been waited for, for less than this does not make room.
const SPARED_MS: u64 = 2_000;
/// In `stalled` and `receiving`: not now. Otherwise it is an instant plus one.
const NEVER: u64 = 0;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// No byte of a request has come since the last answer.
    Waiting = 0,
    /// The head of a request has begun to arrive.
    Head = 1,
    /// A request is being answered.
    Working = 2,
}

/// What a connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Order {
    /// Give the buffers back until the next byte.
    Park = 1,
    /// Close: it was idle for long enough.
    Close = 2,
    /// Refuse the request, whose head came too slowly.
    RefuseHead = 3,
    /// Make room for another connection.
    MakeRoom = 4,
}

/// A moment of a connection, as the patrol sees it.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    phase: Phase,
    /// How long it has been in this phase, in milliseconds.
    age: u64,
    /// How long a write has waited for the client.
    stalled: Option<u64>,
    /// How long a body has been waited for.
    receiving: Option<u64>,
    parked: bool,
    /// Whether it has had a request.
    used: bool,
}

/// Which connections make room first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It has no request: its end costs its client nothing.
    Idle,
    /// It sends a head.
    Head,
    /// It does not read its answer.
    Stalled,
    /// It does not send its body.
    Receiving,
}

impl Look {
    /// What the connection must be told without anybody needing its place.
    pub fn due(&self) -> Option<Order> {
        match self.phase {
            Phase::Waiting if self.age >= IDLE_MS && self.stalled.is_none() => Some(Order::Close),
            Phase::Waiting if self.may_park() && self.age >= PARK_MS => Some(Order::Park),
            Phase::Head if self.age >= HEAD_MS => Some(Order::RefuseHead),
            _ => None,
        }
    }

    /// In how many milliseconds something may be due, if nothing else happens to the connection; `None` if nothing will.
    pub fn due_in(&self) -> Option<u64> {
        let ends_at = match self.phase {
            Phase::Waiting if self.may_park() => PARK_MS,
            Phase::Waiting => IDLE_MS,
            Phase::Head => HEAD_MS,
            Phase::Working => return None,
        };
        Some(ends_at.saturating_sub(self.age))
    }

    /// Whether its buffers are empty, and are not given back yet.
    pub fn may_park(&self) -> bool {
        self.phase == Phase::Waiting && !self.parked && self.stalled.is_none()
    }

    /// How long it is spared when it is idle.
    fn spared(&self) -> u64 {
        if self.used { IDLE_SPARED_MS } else { NEW_SPARED_MS }
    }

    /// Whether its place may be given to another, and how soon: the longer, the sooner.
    pub fn makes_room(&self) -> Option<(Rank, u64)> {
        match self.phase {
            _ if self.stalled.is_some_and(|stalled| stalled >= SPARED_MS) => Some((Rank::Stalled, self.stalled?)),
            Phase::Waiting if self.stalled.is_none() && self.age >= self.spared() => Some((Rank::Idle, self.age)),
            Phase::Head if self.age >= HEAD_SPARED_MS => Some((Rank::Head, self.age)),
            Phase::Working if self.receiving.is_some_and(|waits| waits >= SPARED_MS) => {
                Some((Rank::Receiving, self.receiving?))
            }
            _ => None,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Line {
    /// Its number.
    pub number: u64,
    /// Whose share it counts for.
    pub key: AddressKey,
    /// That share.
    pub account: Arc<Account>,
    /// The phase in the low bits, above them when it began.
    phase: AtomicU64,
    stalled: AtomicU64,
    receiving: AtomicU64,
    parked: AtomicBool,
    used: AtomicBool,
    order: AtomicU8,
    ordered: Notify,
}

impl Line {
    /// A connection that was opened `now`.
    pub fn new(number: u64, key: AddressKey, account: Arc<Account>, now: u64) -> Self {
        Self {
            number,
            key,
            account,
            phase: AtomicU64::new(packed(Phase::Waiting, now)),
            stalled: AtomicU64::new(NEVER),
            receiving: AtomicU64::new(NEVER),
            // It has no buffers yet.
            parked: AtomicBool::new(true),
            used: AtomicBool::new(false),
            order: AtomicU8::new(0),
            ordered: Notify::new(),
        }
    }

    /// Its phase.
    pub fn phase(&self) -> Phase {
        phase_of(self.phase.load(Ordering::Relaxed))
    }

    /// A phase begins.
    pub fn begin(&self, phase: Phase, now: u64) {
        if phase == Phase::Working {
            self.used.store(true, Ordering::Relaxed);
        }
        self.phase.store(packed(phase, now), Ordering::Relaxed);
    }

    /// A write waits for the client, or no longer.
    pub fn stall(&self, since: Option<u64>) {
        self.stalled.store(since.map_or(NEVER, |since| since + 1), Ordering::Relaxed);
    }

    /// Whether a write waits for the client.
    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed) != NEVER
    }

    /// A body is waited for, or no longer.
    pub fn receive(&self, since: Option<u64>) {
        self.receiving.store(since.map_or(NEVER, |since| since + 1), Ordering::Relaxed);
    }

    /// Its buffers are given back, or there again.
    pub fn park(&self, parked: bool) {
        self.parked.store(parked, Ordering::Relaxed);
    }

    /// Whether its buffers are given back.
    #[cfg(test)]
    pub fn has_parked(&self) -> bool {
        self.parked.load(Ordering::Relaxed)
    }

    /// What it does now.
    pub fn look(&self, now: u64) -> Look {
        let packed = self.phase.load(Ordering::Relaxed);
        let lasts = |since: u64| (since != NEVER).then(|| now.saturating_sub(since - 1));
        Look {
            phase: phase_of(packed),
            age: now.saturating_sub(packed >> 2),
            stalled: lasts(self.stalled.load(Ordering::Relaxed)),
            receiving: lasts(self.receiving.load(Ordering::Relaxed)),
            parked: self.parked.load(Ordering::Relaxed),
            used: self.used.load(Ordering::Relaxed),
        }
    }

    /// Gives it an order.
    pub fn order(&self, order: Order) {
        self.order.store(order as u8, Ordering::Release);
        self.ordered.notify_one();
    }

    /// The next order. Cancel safe.
    pub async fn ordered(&self) -> Order {
        loop {
            self.ordered.notified().await;
            match self.order.swap(0, Ordering::Acquire) {
                1 => return Order::Park,
                2 => return Order::Close,
                3 => return Order::RefuseHead,
                4 => return Order::MakeRoom,
                _ => {}
            }
        }
    }
}

const fn packed(phase: Phase, since: u64) -> u64 {
    since << 2 | phase as u64
}

const fn phase_of(packed: u64) -> Phase {
    match packed & 3 {
        0 => Phase::Waiting,
        1 => Phase::Head,
        _ => Phase::Working,
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::Accounts;
    use super::*;

    fn line() -> Line {
        let key = AddressKey::of("10.0.0.1:1".parse().unwrap());
        Line::new(1, key, Accounts::new(1, 1).open(key), 1000)
    }

    #[test]
    fn an_idle_connection_is_closed_after_a_minute_and_makes_room_before_that() {
        let line = line();
        assert_eq!(line.look(2999).makes_room(), None);
        assert_eq!(line.look(3000).makes_room(), Some((Rank::Idle, 2000)));
        line.begin(Phase::Working, 4000);
        line.begin(Phase::Waiting, 5000);
        assert_eq!([5249, 5250].map(|now| line.look(now).makes_room()), [None, Some((Rank::Idle, 250))]);
        line.begin(Phase::Waiting, 1000);
        // It has no buffers to give back.
        assert_eq!(line.look(60_999).due(), None);
        assert_eq!(line.look(61_000).due(), Some(Order::Close));
    }

    #[test]
    fn an_idle_connection_gives_its_buffers_back_but_not_while_its_answer_is_not_read() {
        let line = line();
        line.park(false);
        line.begin(Phase::Waiting, 5000);
        assert_eq!((line.look(6999).due(), line.look(6999).due_in()), (None, Some(1)));
        assert_eq!((line.look(7000).due(), line.look(7000).due_in()), (Some(Order::Park), Some(0)));
        line.stall(Some(5000));
        assert_eq!(line.look(7000).due(), None);
        assert_eq!(line.look(6999).makes_room(), None);
        assert_eq!(line.look(7000).makes_room(), Some((Rank::Stalled, 2000)));
        assert_eq!(line.look(1_000_000).due(), None);
        line.stall(None);
        line.park(true);
        assert_eq!((line.look(7000).due(), line.look(7000).due_in()), (None, Some(58_000)));
        line.begin(Phase::Head, 8000);
        assert_eq!(line.look(9000).due_in(), Some(9000));
        line.begin(Phase::Working, 9000);
        assert_eq!(line.look(10_000).due_in(), None);
    }

    #[test]
    fn a_head_has_ten_seconds_and_a_request_at_work_is_never_interrupted() {
        let line = line();
        line.begin(Phase::Head, 2000);
        assert_eq!(line.look(2499).makes_room(), None);
        assert_eq!(line.look(2500).makes_room(), Some((Rank::Head, 500)));
        assert_eq!(line.look(11_999).due(), None);
        assert_eq!(line.look(12_000).due(), Some(Order::RefuseHead));
        line.begin(Phase::Working, 2000);
        assert!(line.look(1_000_000).due().is_none() && line.look(1_000_000).makes_room().is_none());
        // Its body is not there yet, so nothing was done for it.
        line.receive(Some(3000));
        assert_eq!(line.look(4999).makes_room(), None);
        assert_eq!(line.look(5000).makes_room(), Some((Rank::Receiving, 2000)));
    }

    #[tokio::test]
    async fn an_order_waits_for_its_connection() {
        let line = line();
        line.order(Order::Park);
        line.order(Order::MakeRoom);
        assert_eq!(line.ordered().await, Order::MakeRoom);
    }
}
