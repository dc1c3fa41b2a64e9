//! The table against a plain model of itself, and against its promises, over sequences of thousands of operations. The examples in
//! `tests` test each rule alone; these sequences test the rules together.

mod calls;
mod ledger;
mod reference;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

use self::calls::{Answer, Call, LIMITS, Op, ops};
use self::ledger::Ledger;
use self::reference::Model;
use super::{Acquire, Acquired, Client, Counts, Granted, Happened, LeaseId, Release, Table, Ticket};

/// One sequence: the table, its model and the ledger go through it together.
struct Trial {
    table: Table,
    model: Model,
    ledger: Ledger,
    now: Duration,
    /// Leases' identities so far.
    ids: u128,
    /// Those that were granted.
    granted: Vec<LeaseId>,
    /// Requests that have an identity.
    sent: Vec<(Acquire, Option<Client>)>,
}

/// The nth last, beginning anew from the last where there are too few.
fn back<T: Clone>(all: &[T], back: usize) -> Option<T> {
    all.iter().rev().cycle().nth(back).cloned()
}

impl Trial {
    fn new() -> Self {
        let mut table = Table::new(0, LIMITS);
        table.allow_ttl(Duration::from_secs(1));
        let (model, ledger) = (Model::default(), Ledger::default());
        Self { table, model, ledger, now: Duration::ZERO, ids: 0, granted: Vec::new(), sent: Vec::new() }
    }

    fn run(mut self, ops: &[Op]) -> Result<Ledger, TestCaseError> {
        for op in ops {
            if let Op::Advance(time, _) = op {
                self.now += *time;
            }
            if let Some(call) = self.call_of(op) {
                self.step(&call)?;
            }
        }
        let release = |lease: &Granted| Call::Release(Release::ById { lease: lease.lease, retention: Duration::ZERO });
        for call in self.ledger.live.iter().map(release).collect::<Vec<_>>() {
            self.step(&call)?;
        }
        self.step(&Call::Dismiss)?;
        while let Some(call) = self.ledger.live.first().map(release) {
            self.step(&call)?;
        }
        self.now += Duration::from_hours(1);
        self.step(&Call::Expire)?;
        let Table { resources, endings, waiters, leases, .. } = &self.table;
        prop_assert!(resources.is_empty() && endings.is_empty() && leases.is_empty(), "left over: {:?}", self.table);
        // The waiters' own maps are private to them, but not to their Debug.
        let none = format!(
            "Waiters {{ by_ticket: {{}}, by_request: {{}}, places: 0, bytes: 0, last_ticket: {} }}",
            self.model.last_ticket
        );
        prop_assert_eq!(format!("{waiters:?}"), none);
        prop_assert_eq!(self.table.counts(self.now), Counts::default());
        prop_assert!(self.ledger.waiting.is_empty(), "lost: {:?}", self.ledger.waiting);
        Ok(self.ledger)
    }

    /// The call that an operation stands for now, if there is one.
    fn call_of(&mut self, op: &Op) -> Option<Call> {
        Some(match op {
            Op::Acquire(request, ahead, client) => {
                let min_token = ahead.map_or(0, |ahead| self.model.last_token + ahead);
                self.send(Acquire { min_token, ..request.clone() }, client.clone())
            }
            Op::Again(nth, wait) => {
                let (request, client) = back(&self.sent, *nth)?;
                self.send(Acquire { wait: *wait, ..request }, client)
            }
            Op::ReleaseById(nth, retention) => {
                Call::Release(Release::ById { lease: back(&self.granted, *nth)?, retention: *retention })
            }
            Op::ReleaseByName(name, retention) => {
                Call::Release(Release::ByName { resource: (*name).to_owned(), retention: *retention })
            }
            Op::Renew(nth, ttl) => Call::Renew(back(&self.granted, *nth)?, *ttl),
            Op::Leave(nth) => {
                let tickets: Vec<Ticket> = self.ledger.waiting.iter().map(|(ticket, ..)| *ticket).collect();
                Call::Leave(back(&tickets, *nth).unwrap_or(Ticket { stamp_us: 0, number: self.model.last_ticket }))
            }
            Op::TakeBack(nth) => Call::TakeBack(back(&self.granted, *nth)?),
            Op::Force(name) => Call::Force(name),
            Op::Advance(_, noticed) => noticed.then_some(Call::Expire)?,
            Op::AllowTokens(more) => Call::AllowTokens(self.model.last_token + more),
        })
    }

    fn send(&mut self, request: Acquire, client: Option<Client>) -> Call {
        if request.owner.is_some() && request.request_id.is_some() {
            self.sent.push((request.clone(), client.clone()));
        }
        self.ids += 1;
        Call::Acquire(request, client, LeaseId(self.ids))
    }

    fn step(&mut self, call: &Call) -> TestCaseResult {
        let now = self.now;
        let answer = self.call_table(call);
        prop_assert_eq!(&answer, &self.model.call(now, call), "{:?} at {:?}", call, now);
        let happened = self.table.take_happened();
        prop_assert_eq!(&happened, &std::mem::take(&mut self.model.happened), "{:?} at {:?}", call, now);
        self.ledger.note(now, call, &answer, &happened)?;
        let counts = self.model.counts();
        prop_assert_eq!(self.table.next_ending(), self.model.next_ending().map(|(at, _)| at), "after {:?}", call);
        prop_assert_eq!(
            self.table.endings.len(),
            counts.leases + counts.retained + counts.waiting + self.model.windows(),
            "after {:?}",
            call
        );
        prop_assert_eq!(self.table.last_token(), self.model.last_token);
        prop_assert_eq!(self.table.counts(now), counts, "after {:?}", call);
        prop_assert!(counts.bytes <= LIMITS.bytes && counts.queue_bytes <= LIMITS.queue_bytes, "{:?}", counts);
        let usage = self.model.usage();
        let kept = usage.values().all(|usage| {
            usage.resources + usage.places <= LIMITS.client_resources && usage.places <= LIMITS.client_places
        });
        prop_assert!(kept, "a client is past its quota: {:?}", usage);
        let counted = self.table.clients.all().map(|(client, usage)| (client.clone(), *usage));
        prop_assert_eq!(counted.collect::<BTreeMap<_, _>>(), usage, "after {:?}", call);
        prop_assert_eq!(self.table.list(now, "", None, usize::MAX), (self.model.list(), false), "after {:?}", call);
        if let Answer::Acquired(Ok(Acquired::Granted(granted))) = &answer {
            self.granted.push(granted.lease);
        }
        for id in self.granted.iter().rev().take(20) {
            prop_assert_eq!(self.table.left_of(now, *id), self.model.left_of(*id), "after {:?}", call);
        }
        prop_assert_eq!(self.table.longest_left(now), self.model.longest_left(), "after {:?}", call);
        self.granted.extend(happened.iter().filter_map(|happened| match happened {
            Happened::Granted { granted, .. } => Some(granted.lease),
            _ => None,
        }));
        Ok(())
    }

    fn call_table(&mut self, call: &Call) -> Answer {
        let (table, now) = (&mut self.table, self.now);
        match call {
            Call::Acquire(request, client, id) => {
                Answer::Acquired(table.acquire_for(now, request, client.as_ref(), *id))
            }
            Call::Release(release) => Answer::Released(table.release(now, release)),
            Call::Renew(id, ttl) => Answer::Renewed(table.renew(now, *id, *ttl)),
            Call::Leave(ticket) => Answer::Left(table.leave(now, *ticket)),
            Call::TakeBack(id) => Answer::TakenBack(table.take_back(now, *id)),
            Call::Force(name) => {
                let seen = table.force_target(now, name);
                let forced = table.force(now, name);
                assert_eq!(seen, forced, "what would be taken away is taken away");
                Answer::Forced(forced)
            }
            Call::AllowTokens(limit) => {
                table.allow_tokens(now, *limit);
                Answer::Nothing
            }
            Call::Dismiss => {
                table.dismiss(now);
                Answer::Nothing
            }
            Call::Expire => {
                table.expire(now);
                Answer::Nothing
            }
        }
    }
}

fn attempt(ops: &[Op]) -> Result<Ledger, String> {
    let tried = std::panic::catch_unwind(|| Trial::new().run(ops));
    tried.map_err(|_| "panicked, see above".to_owned())?.map_err(|why| why.to_string())
}

/// Leaves out the operations that a failure does not need, in ever smaller pieces. proptest leaves out one operation at a time, which
/// takes minutes for thousands, and never goes below the minimum length of the strategy.
fn shrink(mut ops: Vec<Op>) -> Vec<Op> {
    let mut piece = ops.len();
    while piece > 0 {
        let mut at = 0;
        while at < ops.len() {
            let end = ops.len().min(at + piece);
            let fewer = [&ops[..at], &ops[end..]].concat();
            if attempt(&fewer).is_err() {
                ops = fewer;
            } else {
                at = end;
            }
        }
        piece /= 2;
    }
    ops
}

/// Runs the seed's sequence, counts each kind of happening, and gives the number of operations.
fn run_seed(seed: u64, kinds: &mut BTreeMap<&'static str, usize>) -> usize {
    let mut seed_bytes = [0; 32];
    seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let ops = vec(ops(), 1000..=4000).new_tree(&mut runner).unwrap().current();
    let length = ops.len();
    let Ok(ledger) = attempt(&ops) else {
        let ops = shrink(ops);
        let list: Vec<String> = ops.iter().map(|op| format!("{op:?}")).collect();
        panic!(
            "SCTEC_TEST_SEED={seed}, {} of {length} operations: {:?}\n{}",
            ops.len(),
            attempt(&ops).err(),
            list.join("\n")
        );
    };
    for (kind, count) in ledger.kinds {
        *kinds.entry(kind).or_default() += count;
    }
    length
}

#[test]
fn the_table_is_its_model_over_thousands_of_operations() {
    let chosen = std::env::var("SCTEC_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds: Vec<u64> =
        chosen.map_or_else(|| (0..30).chain([RandomState::new().hash_one(0)]).collect(), |seed| Vec::from([seed]));
    let mut kinds = BTreeMap::new();
    let ops: usize = seeds.iter().map(|seed| run_seed(*seed, &mut kinds)).sum();
    let sequences = seeds.len();
    // To stderr itself: the harness captures the output of a test that passes.
    writeln!(std::io::stderr(), "table = model: {sequences} sequences, {ops} operations, {kinds:?}, seeds {seeds:?}")
        .unwrap();
    if chosen.is_none() {
        let few: Vec<_> = kinds.iter().filter(|(_, count)| **count < 10).collect();
        assert!(kinds.len() == 31 && few.is_empty(), "the sequences hardly reach {few:?} of {kinds:?}");
        assert!(kinds["waited and granted"] >= 1000 && kinds["of them for several"] >= 200, "{kinds:?}");
    }
}
