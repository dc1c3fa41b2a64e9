//! Several coordinators at one etcd, with requests and answers that are late or lost, and with processes that are paused.
//!
//! The laws: at no instant may two give locks, and no term is used twice. The etcd here prolongs a lease by up to [`MARGIN`] less than it
//! says, as a leader of a real one does that was cut off.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const COORDINATORS: usize = 3;

/// What happens to one question: how long it takes to etcd, and its answer back; or that one of them is lost.
#[derive(Clone, Debug)]
struct Fate {
    there: Option<Duration>,
    back: Option<Duration>,
    /// By how much less than it says a keep-alive prolongs the lease.
    short: Duration,
    /// How long the process is paused before it reads the answer, which may be old by then.
    pause: Duration,
}

fn fate() -> impl Strategy<Value = Fate> {
    let way = || prop_oneof![6 => 0..5_u64, 3 => 0..600_u64, 1 => 0..6000_u64].prop_map(ms);
    let way = || prop_oneof![9 => way().prop_map(Some), 1 => Just(None)];
    let short = prop_oneof![3 => Just(0), 1 => 0..=1000_u64].prop_map(ms);
    let pause = prop_oneof![12 => Just(0), 1 => 0..8000_u64].prop_map(ms);
    (way(), way(), short, pause).prop_map(|(there, back, short, pause)| Fate { there, back, short, pause })
}

/// How long a coordinator waits for an answer.
const PATIENCE: Duration = Duration::from_millis(700);

#[derive(Debug, Default)]
struct Etcd {
    revision: u64,
    leases: BTreeMap<i64, Duration>,
    key: Option<(u64, i64)>,
    last_lease: i64,
}

impl Etcd {
    fn expire(&mut self, now: Duration) {
        self.leases.retain(|_, until| *until > now);
        if self.key.is_some_and(|(_, lease)| !self.leases.contains_key(&lease)) {
            self.key = None;
        }
    }

    fn seat(&self) -> Answer {
        Answer::Seat(self.key.map(|(term, lease)| Seat { term, lease: EtcdLease(lease), address: None }))
    }

    /// `None` is an error.
    fn answer(&mut self, now: Duration, ask: Ask, short: Duration) -> Option<Answer> {
        self.expire(now);
        match ask {
            Ask::Look => {}
            Ask::TakeLease => {
                self.last_lease += 1;
                self.leases.insert(self.last_lease, now + LEASE);
                return Some(Answer::Leased(EtcdLease(self.last_lease), LEASE));
            }
            Ask::Campaign(EtcdLease(lease)) => {
                if self.key.is_none() {
                    if !self.leases.contains_key(&lease) {
                        return None;
                    }
                    self.revision += 1;
                    self.key = Some((self.revision, lease));
                }
            }
            Ask::KeepAlive(EtcdLease(lease)) => {
                let Some(until) = self.leases.get_mut(&lease) else { return Some(Answer::Kept(None)) };
                *until = (*until).max((now + LEASE).saturating_sub(short));
                return Some(Answer::Kept(Some(LEASE)));
            }
            Ask::GiveUp(EtcdLease(lease)) => {
                self.leases.remove(&lease);
                self.expire(now);
                return Some(Answer::GivenUp);
            }
        }
        Some(self.seat())
    }
}

/// An event of the simulation: at a coordinator, or at etcd.
#[derive(Debug)]
enum Event {
    Send,
    /// With `late`, the coordinator has given up waiting.
    Arrive {
        ask: Ask,
        sent_at: Duration,
        fate: Fate,
        late: bool,
    },
    Answered {
        sent_at: Duration,
        answer: Option<Answer>,
    },
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Runs until the fates are used up, and gives the terms of all elections in order.
fn run(fates: Vec<Fate>) -> Result<Vec<u64>, TestCaseError> {
    let mut etcd = Etcd::default();
    let mut coordinators: Vec<Election> = (0..COORDINATORS).map(|_| Election::new(Duration::ZERO)).collect();
    let mut terms = Vec::new();
    let mut queue = BTreeMap::new();
    let mut number = 0;
    let mut put = |queue: &mut BTreeMap<_, _>, at: Duration, who: usize, event: Event| {
        number += 1;
        queue.insert((at, number), (who, event));
    };
    for who in 0..COORDINATORS {
        put(&mut queue, Duration::ZERO, who, Event::Send);
    }
    let mut fates = fates.into_iter();
    while let Some(((now, _), (who, event))) = queue.pop_first() {
        match event {
            Event::Send => {
                let Some(fate) = fates.next() else { break };
                let ask = coordinators[who].ask();
                let (given_up_at, paused) = (now + PATIENCE, fate.pause);
                let arrives = fate.there.map(|there| now + there);
                let late = arrives.is_none_or(|at| at >= given_up_at);
                if late {
                    put(&mut queue, given_up_at + paused, who, Event::Answered { sent_at: now, answer: None });
                }
                if let Some(at) = arrives {
                    put(&mut queue, at, who, Event::Arrive { ask, sent_at: now, fate, late });
                }
            }
            Event::Arrive { ask, sent_at, fate, late } => {
                let answer = etcd.answer(now, ask, fate.short);
                if late {
                    continue;
                }
                let given_up_at = sent_at + PATIENCE;
                let back = fate.back.map(|back| now + back).filter(|at| *at <= given_up_at);
                let (at, answer) = back.map_or((given_up_at, None), |at| (at, answer));
                // A paused process reads the answer when it is woken.
                put(&mut queue, at + fate.pause, who, Event::Answered { sent_at, answer });
            }
            Event::Answered { sent_at, answer } => {
                let coordinator = &mut coordinators[who];
                if let Some(Change::Elected { term }) = coordinator.answered(sent_at, now, answer) {
                    terms.push(term);
                }
                let due = coordinator.due().max(now);
                put(&mut queue, due, who, Event::Send);
            }
        }
        let giving: Vec<usize> =
            (0..COORDINATORS).filter(|who| coordinators[*who].gives_until().is_some_and(|until| now < until)).collect();
        prop_assert!(giving.len() <= 1, "at {now:?} these give locks: {giving:?} {coordinators:?} {etcd:?}");
    }
    Ok(terms)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn never_do_two_give_locks_at_one_instant_and_terms_are_used_once(fates in prop::collection::vec(fate(), 1..400)) {
        let terms = run(fates)?;
        let different: BTreeSet<_> = terms.iter().collect();
        prop_assert_eq!(different.len(), terms.len());
    }
}

#[test]
fn without_faults_one_is_elected_and_stays_so() {
    let fine = Fate { there: Some(ms(1)), back: Some(ms(1)), short: ms(0), pause: ms(0) };
    assert_eq!(run(vec![fine; 2000]).unwrap(), [1]);
}
