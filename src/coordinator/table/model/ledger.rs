//! The table's promises, checked on nothing but what the table answered.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::calls::{Answer, Call, TIE_US_MAX};
use crate::coordinator::table::{
    Acquired, Contenders, ForceTarget, Granted, Happened, Measure, NotGranted, OverQuota, Released, Resources, Ticket,
};

/// What the table said so far.
#[derive(Default)]
pub struct Ledger {
    pub live: Vec<Granted>,
    /// The waiters: ticket, resources, and when each gives up.
    pub waiting: Vec<(Ticket, Resources, Duration)>,
    last_token: u64,
    pub kinds: BTreeMap<&'static str, usize>,
}

fn share(one: &Resources, other: &Resources) -> bool {
    one.iter().any(|resource| other.contains(resource))
}

impl Ledger {
    /// A happening may have come before or after the lease or the wait that the call itself ended.
    pub fn note(&mut self, now: Duration, call: &Call, answer: &Answer, happened: &[Happened]) -> TestCaseResult {
        let ended = match answer {
            Answer::Released(Released::Freed(ended))
            | Answer::TakenBack(Some(ended))
            | Answer::Forced(Some(ForceTarget { ended, retained: false })) => Some(ended.token),
            _ => None,
        };
        let left = if let (Call::Leave(ticket), Answer::Left(true)) = (call, answer) { Some(*ticket) } else { None };
        for happened in happened {
            match happened {
                Happened::Expired(expired) => {
                    prop_assert!(self.end(expired.token)?.deadline <= now, "a lease lives its whole TTL");
                }
                Happened::Granted { ticket, granted } => {
                    self.stops_waiting(*ticket)?;
                    self.count_if(granted.resources.len() > 1, "of them for several");
                    self.count_if(ticket.is_contested(), "of them won a contest");
                    let draw = granted.contenders.as_ref().filter(|all| all.draw.is_some());
                    self.count_if(draw.is_some(), "of them were drawn");
                    let is_first = |all: &Contenders| all.entries.iter().all(|one| one.stamp_us >= ticket.stamp_us);
                    self.count_if(draw.is_some_and(|all| !is_first(all)), "of them were drawn before the first");
                    self.grant(now, granted, *ticket, ended, left)?;
                }
                Happened::Refused { ticket, refused } => {
                    let (resources, until) = self.stops_waiting(*ticket)?;
                    let has_lost =
                        ticket.is_contested() && self.live.iter().any(|lease| share(&resources, &lease.resources));
                    prop_assert!(
                        until <= now || has_lost || *refused == NotGranted::Dismissed,
                        "{ticket:?} may wait until {until:?}"
                    );
                    let is_early = until > now && *refused != NotGranted::Dismissed;
                    self.count_if(has_lost && is_early, "of them lost a contest");
                }
            }
            self.count(kind_of_happened(happened));
        }
        if let Some(token) = ended {
            self.end(token)?;
        }
        if let Some(ticket) = left {
            self.stops_waiting(ticket)?;
        }
        match (call, answer) {
            (Call::Acquire(..), Answer::Acquired(Ok(Acquired::Granted(granted)))) if !granted.again => {
                self.grant(now, granted, Ticket { stamp_us: Ticket::NO_STAMP, number: u64::MAX }, None, None)?;
            }
            (Call::Acquire(request, ..), Answer::Acquired(Ok(Acquired::Queued { ticket, again }))) => {
                let until = if *again { self.stops_waiting(*ticket)?.1 } else { Duration::ZERO };
                self.waiting.push((*ticket, request.resources.clone(), until.max(now + request.wait)));
            }
            (Call::Renew(..), Answer::Renewed(Ok(renewed))) => {
                self.end(renewed.token)?;
                self.live.push(renewed.clone());
            }
            _ => {}
        }
        self.count(kind_of_answer(answer));
        prop_assert!(self.live.iter().all(|lease| lease.deadline > now), "a lease outlived its TTL");
        prop_assert!(self.waiting.iter().all(|(_, _, until)| *until > now), "a waiter was forgotten");
        Ok(())
    }

    fn count_if(&mut self, is_one: bool, kind: &'static str) {
        if is_one {
            self.count(kind);
        }
    }

    fn count(&mut self, kind: &'static str) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    fn grant(
        &mut self,
        now: Duration,
        granted: &Granted,
        place: Ticket,
        ended: Option<u64>,
        left: Option<Ticket>,
    ) -> TestCaseResult {
        prop_assert!(granted.token > self.last_token, "tokens grow: {granted:?}");
        prop_assert_eq!(granted.deadline, now + granted.ttl, "a lease lives its whole TTL from the grant on");
        let rival =
            self.live.iter().find(|live| Some(live.token) != ended && share(&live.resources, &granted.resources));
        prop_assert!(rival.is_none(), "two leases at once: {rival:?}, {granted:?}");
        // Who is drawn may pass over those with which it ties.
        let is_drawn = granted.contenders.as_ref().is_some_and(|all| all.draw.is_some());
        let ties = |ticket: &Ticket| is_drawn && ticket.stamp_us + TIE_US_MAX >= place.stamp_us;
        let passed = |(ticket, resources, _): &&(Ticket, Resources, Duration)| {
            *ticket < place && Some(*ticket) != left && share(resources, &granted.resources) && !ties(ticket)
        };
        let passed = self.waiting.iter().find(passed);
        prop_assert!(passed.is_none(), "passed over: {passed:?} by {granted:?}");
        self.last_token = granted.token;
        self.live.push(granted.clone());
        Ok(())
    }

    fn end(&mut self, token: u64) -> Result<Granted, TestCaseError> {
        let live = self.live.iter().position(|lease| lease.token == token);
        Ok(self.live.remove(live.ok_or_else(|| TestCaseError::fail(format!("ended, but not live: {token}")))?))
    }

    fn stops_waiting(&mut self, ticket: Ticket) -> Result<(Resources, Duration), TestCaseError> {
        let waits = self.waiting.iter().position(|(waits, ..)| *waits == ticket);
        let waits = waits.ok_or_else(|| TestCaseError::fail(format!("does not wait: {ticket:?}")))?;
        let (_, resources, until) = self.waiting.remove(waits);
        Ok((resources, until))
    }
}

fn kind_of_happened(happened: &Happened) -> &'static str {
    match happened {
        Happened::Expired(_) => "expired",
        Happened::Granted { .. } => "waited and granted",
        Happened::Refused { refused: NotGranted::Dismissed, .. } => "dismissed",
        Happened::Refused { refused: NotGranted::TokenLimit(_), .. } => "waited in vain for a token",
        Happened::Refused { .. } => "waited in vain",
    }
}

fn kind_of_answer(answer: &Answer) -> &'static str {
    match answer {
        Answer::Acquired(Ok(Acquired::Granted(granted))) if granted.again => "same lease again",
        Answer::Acquired(Ok(Acquired::Granted(_))) => "granted at once",
        Answer::Acquired(Ok(Acquired::Queued { again: true, .. })) => "same place again",
        Answer::Acquired(Ok(Acquired::Queued { .. })) => "began to wait",
        Answer::Acquired(Err(NotGranted::Busy(_))) => "refused as busy",
        Answer::Acquired(Err(NotGranted::TokenLimit(_))) => "refused for want of a token",
        Answer::Acquired(Err(NotGranted::QueueFull(bound))) => match bound.measure {
            Measure::Count => "refused as too many wait",
            Measure::Bytes => "refused as what waits is too large",
        },
        Answer::Acquired(Err(NotGranted::Full(bound))) => match bound.measure {
            Measure::Count => "refused as full",
            Measure::Bytes => "refused as too large",
        },
        Answer::Acquired(Err(NotGranted::Quota(OverQuota { places: true, .. }))) => {
            "refused as its client waits too often"
        }
        Answer::Acquired(Err(NotGranted::Quota(_))) => "refused as its client has too much",
        Answer::Acquired(Err(_)) => "refused otherwise",
        Answer::Released(Released::Freed(_)) => "released",
        Answer::Released(_) => "not released",
        Answer::Renewed(Ok(_)) => "renewed",
        Answer::Renewed(Err(_)) => "not renewed",
        Answer::Left(true) => "left",
        Answer::TakenBack(Some(_)) => "taken back",
        Answer::Forced(Some(ForceTarget { retained: false, .. })) => "forced",
        Answer::Forced(Some(_)) => "retention forced",
        Answer::Left(false) | Answer::TakenBack(None) | Answer::Forced(None) | Answer::Nothing => "nothing to do",
    }
}
