//! Sums up the results of many requests, and judges whether they are the expected ones. Pure: no network, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use rust_i18n::t;

use super::outcome::{Outcome, Reason};
use crate::language::counted;

/// The status of a booking that was made.
const CREATED: u16 = 201;
/// The status of a request whose slot a rival has.
const CONFLICT: u16 = 409;

/// The result of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The request's number, from 1.
    pub number: usize,
    /// Its X-Request-Id, which the logs and the audit trail have too.
    pub request_id: String,
    /// `None` when there was no answer.
    pub status: Option<u16>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was refused, unless the slot was taken.
    pub reason: Option<Reason>,
    /// The booking that it made.
    pub booking_id: Option<i64>,
    /// To the whole answer, from the release; or from when it was sent, if its connection carried another request before.
    pub latency: Duration,
    /// From the release of all to this one's end.
    pub finished: Duration,
}

impl Fate {
    /// Whether it made a booking.
    pub fn won(&self) -> bool {
        self.status == Some(CREATED)
    }
}

/// Latencies of the requests that were answered, by nearest rank: each is one that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub struct Latencies {
    pub min: Duration,
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Latencies {
    /// `None` when nothing was measured.
    pub fn of(mut measured: Vec<Duration>) -> Option<Self> {
        measured.sort_unstable();
        Some(Self {
            min: *measured.first()?,
            p50: nearest_rank(&measured, 50)?,
            p95: nearest_rank(&measured, 95)?,
            p99: nearest_rank(&measured, 99)?,
            max: *measured.last()?,
        })
    }
}

/// The least value that at least `percent` of all do not exceed.
fn nearest_rank(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// A run, summed up.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How many requests.
    pub total: usize,
    /// How many of each status.
    pub statuses: BTreeMap<u16, usize>,
    /// How many of each outcome, within each status; no status is no answer.
    pub outcomes: BTreeMap<(Option<u16>, Outcome), usize>,
    /// The first reason given with each status.
    pub reasons: BTreeMap<u16, Reason>,
    /// How many had no answer.
    pub errors: usize,
    /// Of the requests that were answered.
    pub latencies: Option<Latencies>,
    /// From the release to the last answer.
    pub wall: Duration,
    /// How many requests made a booking.
    pub won: usize,
    /// The bookings that they made.
    pub booked: BTreeSet<i64>,
}

impl Summary {
    /// Sums up.
    pub fn of(fates: &[Fate]) -> Self {
        let mut statuses = BTreeMap::new();
        let mut outcomes = BTreeMap::new();
        let mut reasons = BTreeMap::new();
        for fate in fates {
            *outcomes.entry((fate.status, fate.outcome.clone())).or_insert(0) += 1;
            if let Some(status) = fate.status {
                *statuses.entry(status).or_insert(0) += 1;
                if let Some(reason) = &fate.reason {
                    reasons.entry(status).or_insert_with(|| reason.clone());
                }
            }
        }
        let answered = || fates.iter().filter(|fate| fate.status.is_some());
        Self {
            total: fates.len(),
            statuses,
            outcomes,
            reasons,
            errors: fates.len() - answered().count(),
            latencies: Latencies::of(answered().map(|fate| fate.latency).collect()),
            wall: answered().map(|fate| fate.finished).max().unwrap_or_default(),
            won: fates.iter().filter(|fate| fate.won()).count(),
            booked: fates.iter().filter_map(|fate| fate.booking_id).collect(),
        }
    }

    /// How many requests were answered.
    pub fn answered(&self) -> usize {
        self.total - self.errors
    }

    /// Answers per second, from the release to the last one.
    pub fn throughput_per_s(&self) -> f64 {
        let answered = u32::try_from(self.answered()).unwrap_or(u32::MAX);
        if self.wall.is_zero() { 0.0 } else { f64::from(answered) / self.wall.as_secs_f64() }
    }
}

/// The expected result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Exactly one 201, every other 409, and that one booking listed.
    One,
    /// Several 201 and as many bookings listed.
    Race,
    /// Every request 201, each booking listed.
    All,
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::One => t!("exactly one 201, all others 409, one booking listed"),
            Self::Race => t!("at least two 201, as many bookings listed"),
            Self::All => t!("every request 201, each booking listed"),
        })
    }
}

/// Whether the results are the expected ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// They are.
    pub as_expected: bool,
    /// The status with which every request was refused for one same reason, if that is not that a rival had the slot: then nothing
    /// can be judged.
    pub refused: Option<u16>,
    /// How many bookings are listed.
    pub listed: usize,
    /// Whether as many bookings are listed as were made, but other ones.
    pub others_listed: bool,
}

impl Verdict {
    /// The results for machines.
    pub fn text(&self, summary: &Summary) -> String {
        let mut seen = statuses(summary);
        if summary.errors > 0 {
            seen.push(format!("{} without an answer", summary.errors));
        }
        seen.push(match self.listed {
            1 => "1 booking listed".to_owned(),
            count => format!("{count} bookings listed"),
        });
        if self.others_listed {
            seen.push("not the ones that were answered with 201".to_owned());
        }
        seen.join(", ")
    }

    /// The results for people.
    pub fn words(&self, summary: &Summary) -> String {
        let mut seen = statuses(summary);
        if summary.errors > 0 {
            seen.push(t!("%{n} without an answer", n = summary.errors).into_owned());
        }
        let listed = self.listed;
        seen.push(counted(listed, t!("1 booking listed"), t!("%{n} bookings listed", n = listed)).into_owned());
        if self.others_listed {
            seen.push(t!("not the ones that were answered with 201").into_owned());
        }
        seen.join(", ")
    }
}

/// How many of each status.
fn statuses(summary: &Summary) -> Vec<String> {
    summary.statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect()
}

/// Judges a run by its answers and by the bookings that the server lists afterwards.
pub fn judge(expectation: Expectation, summary: &Summary, listed: impl Iterator<Item = i64>) -> Verdict {
    let listed: Vec<i64> = listed.collect();
    let distinct: BTreeSet<i64> = listed.iter().copied().collect();
    // Every acknowledged booking is listed once, and no other.
    let same = listed.len() == distinct.len() && distinct == summary.booked && listed.len() == summary.won;
    let conflicts = summary.statuses.get(&CONFLICT).copied().unwrap_or(0);
    let as_expected = match expectation {
        Expectation::One => summary.won == 1 && conflicts == summary.total - 1 && same,
        Expectation::Race => summary.won >= 2 && listed.len() == summary.won,
        Expectation::All => summary.won == summary.total && same,
    };
    Verdict {
        as_expected,
        refused: refused_alike(summary),
        listed: listed.len(),
        others_listed: listed.len() == summary.won && !same,
    }
}

/// The status with which every request was refused for one same reason, if that is not that a rival had the slot.
fn refused_alike(summary: &Summary) -> Option<u16> {
    let mut outcomes = summary.outcomes.keys();
    match (outcomes.next(), outcomes.next()) {
        (Some((Some(status @ 400..500), _)), None) if *status != CONFLICT => Some(*status),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        values.into_iter().map(Duration::from_millis).collect()
    }

    fn fate(status: u16, booking_id: Option<i64>) -> Fate {
        let millis = Duration::from_millis;
        Fate {
            number: 1,
            request_id: String::new(),
            status: Some(status),
            outcome: Outcome::Answered("x".into()),
            reason: None,
            booking_id,
            latency: millis(1),
            finished: millis(1),
        }
    }

    fn verdict(expectation: Expectation, fates: &[Fate], listed: &[i64]) -> bool {
        judge(expectation, &Summary::of(fates), listed.iter().copied()).as_expected
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        assert_eq!(Latencies::of(Vec::new()), None);
        let of = |values| Latencies::of(millis(values)).map(|l| [l.min, l.p50, l.p95, l.p99, l.max]).unwrap();
        assert_eq!(of(vec![7]), millis([7; 5])[..]);
        assert_eq!(of(vec![3, 1]), millis([1, 1, 3, 3, 3])[..]);
        assert_eq!(of((1..=100).rev().collect()), millis([1, 50, 95, 99, 100])[..]);
        assert_eq!(of((1..=101).collect()), millis([1, 51, 96, 100, 101])[..]);
        // The example that textbooks give for the nearest rank.
        let sorted = millis([15, 20, 35, 40, 50]);
        let ranks = [5, 30, 40, 50, 100].map(|percent| nearest_rank(&sorted, percent).unwrap());
        assert_eq!(ranks, millis([15, 20, 20, 35, 50])[..]);
    }

    #[test]
    fn totals_leave_out_what_was_not_answered() {
        let lost = Fate {
            status: None,
            outcome: Outcome::NotSent,
            latency: Duration::from_secs(60),
            finished: Duration::from_secs(60),
            ..fate(0, None)
        };
        let summary = Summary::of(&[fate(201, Some(4)), fate(409, None), fate(409, None), lost.clone()]);
        assert_eq!(summary.statuses, BTreeMap::from([(201, 1), (409, 2)]));
        assert_eq!((summary.total, summary.errors, summary.answered(), summary.won), (4, 1, 3, 1));
        assert_eq!(summary.outcomes[&(None, Outcome::NotSent)], 1);
        assert_eq!(summary.latencies.map(|l| l.max), Some(Duration::from_millis(1)));
        assert!((summary.throughput_per_s() - 3000.0).abs() < 1e-6);
        let nothing = Summary::of(&[lost]);
        assert_eq!((nothing.latencies, nothing.throughput_per_s()), (None, 0.0));
    }

    #[test]
    fn one_is_one_winner_who_is_listed() {
        let one = |fates: &[Fate], listed: &[i64]| verdict(Expectation::One, fates, listed);
        let (won, lost) = (fate(201, Some(4)), fate(409, None));
        assert!(one(&[won.clone(), lost.clone(), lost.clone()], &[4]));
        assert!(one(std::slice::from_ref(&won), &[4]));
        assert!(!one(&[won.clone(), lost.clone()], &[]), "nothing listed");
        assert!(!one(&[won.clone(), lost.clone()], &[5]), "another one listed");
        assert!(!one(&[won.clone(), lost.clone()], &[4, 5]), "two listed");
        assert!(!one(&[fate(201, None), lost.clone()], &[4]), "a winner without an identifier");
        assert!(!one(&[won.clone(), fate(503, None)], &[4]), "something else than 409");
        assert!(!one(&[won.clone(), fate(201, Some(5))], &[4, 5]), "two winners");
        assert!(!one(&[lost.clone(), lost], &[4]), "no winner");
    }

    #[test]
    fn all_is_everybody_once() {
        let all = |fates: &[Fate], listed: &[i64]| verdict(Expectation::All, fates, listed);
        let both = [fate(201, Some(4)), fate(201, Some(5))];
        assert!(all(&both, &[4, 5]));
        assert!(!all(&both, &[4, 4]), "one listed twice");
        assert!(!all(&both, &[4]), "one lost");
        assert!(!all(&[fate(201, Some(4)), fate(201, Some(4))], &[4, 5]), "one answered twice");
        assert!(!all(&[fate(201, Some(4)), fate(409, None)], &[4]), "one refused");
    }

    #[test]
    fn a_race_is_several_winners_listed() {
        let race = |fates: &[Fate], listed: &[i64]| verdict(Expectation::Race, fates, listed);
        let fates = [fate(201, Some(4)), fate(201, Some(5)), fate(409, None)];
        assert!(race(&fates, &[4, 5]));
        assert!(!race(&fates, &[4]));
        assert!(!race(&fates[1..], &[5]));
    }

    #[test]
    fn nothing_is_judged_if_every_request_was_refused_for_the_same_other_reason() {
        let refused = |fates: &[Fate]| judge(Expectation::One, &Summary::of(fates), [].into_iter()).refused;
        let wrong = fate(422, None);
        let other = Fate { outcome: Outcome::Answered("y".into()), ..wrong.clone() };
        let lost = Fate { status: None, outcome: Outcome::NotSent, ..wrong.clone() };
        assert_eq!(refused(&[wrong.clone(), wrong.clone()]), Some(422));
        assert_eq!(refused(&[fate(404, None)]), Some(404));
        assert_eq!(refused(&[wrong.clone(), other]), None);
        assert_eq!(refused(&[wrong.clone(), lost]), None);
        assert_eq!(refused(&[wrong.clone(), fate(409, None)]), None);
        assert_eq!(refused(&[wrong, fate(201, Some(4))]), None);
        for status in [201, 409, 500, 503] {
            assert_eq!(refused(&[fate(status, None), fate(status, None)]), None, "{status}");
        }
        assert_eq!(refused(&[]), None);
    }

    #[test]
    fn what_was_seen_is_said() {
        let fates = [fate(201, Some(4)), fate(409, None)];
        let summary = Summary::of(&fates);
        let seen = |listed: &[i64]| {
            let verdict = judge(Expectation::One, &summary, listed.iter().copied());
            assert_eq!(verdict.text(&summary), verdict.words(&summary), "a library speaks English");
            verdict.text(&summary)
        };
        assert_eq!(seen(&[4]), "1 × 201, 1 × 409, 1 booking listed");
        assert_eq!(seen(&[]), "1 × 201, 1 × 409, 0 bookings listed");
        assert_eq!(seen(&[5]), "1 × 201, 1 × 409, 1 booking listed, not the ones that were answered with 201");
    }
}
