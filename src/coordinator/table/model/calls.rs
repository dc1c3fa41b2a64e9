//! The operations of a sequence, generated at random, and what they mean for a table.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::coordinator::table::{
    Acquire, Acquired, Client, Contest, Ended, ForceTarget, Granted, LeaseId, Limits, NotGranted, NotRenewed, Release,
    Released, Ticket, Tie,
};

/// In order of name, as lists are.
pub const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// The longest time within which stamps tie.
pub const TIE_US_MAX: i64 = 9;
/// Small enough that each bound is met.
pub const LIMITS: Limits = Limits {
    resources: 22,
    places: 18,
    waiters_of_one: 6,
    bytes: 26_000,
    queue_bytes: 21_500,
    client_resources: 9,
    client_places: 7,
};

/// A generated operation. It names a lease or a waiter by its position among those that exist, so a shorter sequence still makes
/// sense.
#[derive(Clone, Debug)]
pub enum Op {
    /// The request's smallest token is as much above the last one given as this says, or does not matter.
    Acquire(Acquire, Option<u64>, Option<Client>),
    /// A request that has an identity comes again: the nth last.
    Again(usize, Duration),
    ReleaseById(usize, Duration),
    ReleaseByName(&'static str, Duration),
    Renew(usize, Option<Duration>),
    Leave(usize),
    TakeBack(usize),
    Force(&'static str),
    /// Time goes by, and is noticed at once, or by the next operation only.
    Advance(Duration, bool),
    AllowTokens(u64),
}

/// A generated operation with its lease or waiter filled in: the same for the table and its model.
#[derive(Debug)]
pub enum Call {
    Acquire(Acquire, Option<Client>, LeaseId),
    Release(Release),
    Renew(LeaseId, Option<Duration>),
    Leave(Ticket),
    TakeBack(LeaseId),
    Force(&'static str),
    AllowTokens(u64),
    Dismiss,
    Expire,
}

#[derive(Debug, PartialEq)]
pub enum Answer {
    Acquired(Result<Acquired, NotGranted>),
    Released(Released),
    Renewed(Result<Granted, NotRenewed>),
    Left(bool),
    TakenBack(Option<Ended>),
    Forced(Option<ForceTarget>),
    Nothing,
}

pub fn ms(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

pub fn acquires() -> impl Strategy<Value = Op> {
    let resources = prop_oneof![4 => 1..=1_usize, 3 => 2..=3_usize, 1 => 4..=6_usize]
        .prop_flat_map(|how_many| subsequence(&NAMES[..], how_many).prop_shuffle());
    let owner = prop::option::weighted(0.75, select(vec!["ann", "ben", "cleo"]));
    let request_id = prop::option::weighted(0.6, select(vec!["r1", "r2"]));
    let wait = prop_oneof![1 => ms(0..=0), 3 => ms(1..=300)];
    let ahead = prop::option::weighted(0.1, 0..=3_u64);
    let group = prop::option::weighted(0.4, select(vec!["1", "2"]));
    let contest = (0..8_i64, prop_oneof![1 => ms(0..=0), 6 => ms(1..=90)], 0..=TIE_US_MAX, group);
    let contest = prop::option::weighted(0.4, contest);
    let times = (ms(1..=200), wait, contest);
    let request = (resources, owner, request_id, times, ahead, prop::bool::weighted(0.25), clients());
    request.prop_map(|(resources, owner, request_id, (ttl, wait, contest), ahead, despite_retention, client)| {
        let resources = resources.into_iter().map(Arc::from).collect();
        let (owner, request_id) = (owner.map(Arc::from), request_id.map(Arc::from));
        let contest = contest.map(|(stamp_us, window, tie_us, group)| Contest {
            stamp_us,
            window,
            entry: (stamp_us % 2 == 0).then(|| "e".into()),
            tie: Tie { within_us: tie_us, seed: (tie_us > 1).then(|| "s".into()), group: group.map(Arc::from) },
        });
        let request = Acquire { resources, owner, request_id, ttl, wait, min_token: 0, despite_retention, contest };
        Op::Acquire(request, ahead, client)
    })
}

/// Most requests are one client's, so that its quotas are met.
fn clients() -> impl Strategy<Value = Option<Client>> {
    prop_oneof![
        3 => Just(None),
        5 => Just(Some(Client::Principal("ann".into()))),
        1 => (1..=2_u8).prop_map(|last| Some(Client::at([192, 0, 2, last].into()))),
    ]
}

pub fn ops() -> impl Strategy<Value = Op> {
    let name = || select(&NAMES[..]);
    let retention = || prop_oneof![2 => ms(0..=0), 1 => ms(1..=150)];
    prop_oneof![
        24 => acquires(),
        3 => (0..6_usize, ms(0..=300)).prop_map(|(back, wait)| Op::Again(back, wait)),
        10 => (0..12_usize, retention()).prop_map(|(back, retention)| Op::ReleaseById(back, retention)),
        3 => (name(), retention()).prop_map(|(name, retention)| Op::ReleaseByName(name, retention)),
        4 => (0..12_usize, prop::option::of(ms(1..=200))).prop_map(|(back, ttl)| Op::Renew(back, ttl)),
        2 => (0..20_usize).prop_map(Op::Leave),
        2 => (0..8_usize).prop_map(Op::TakeBack),
        2 => name().prop_map(Op::Force),
        12 => (ms(0..=80), any::<bool>()).prop_map(|(time, noticed)| Op::Advance(time, noticed)),
        2 => (0..=25_u64).prop_map(Op::AllowTokens),
    ]
}
