//! A series of measurements of two clocks: their drift, and steps (a clock was set). Nothing here reads a clock.
//!
//! # Steps
//!
//! Each offset has an error bound, and two clocks drift apart by at most [`DRIFT_MAX_PPM`]. If an offset changed by more than the
//! error bounds and this drift allow, it is a step: a clock was set. After a step the drift is measured again from the beginning,
//! because a slope across a step has no meaning.
//!
//! A clock can drift faster, for example in a virtual machine or while it is being slewed. Its first fast change is reported as a
//! step. If the change continues at the same rate, it is a drift.

use std::collections::VecDeque;

use super::cristian::{self, Reading};

/// The fastest usual drift of two clocks, in parts per million. NTP slews a clock at most this fast (RFC 5905 §11.3).
pub const DRIFT_MAX_PPM: i64 = 500;
/// The drift is computed from at most this many of the latest measurements. So memory stays bounded over weeks, and a change of the
/// drift becomes visible.
const READINGS_MAX: usize = 1000;
/// The longest time between the readings of this machine's two clocks, in microseconds.
const BETWEEN_CLOCKS_US: i128 = 200;

/// One measurement. All in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the unit is part of each name")]
pub struct Measured {
    /// When, by the monotonic clock.
    pub at_us: i64,
    /// When, by the local clock.
    pub local_us: i64,
    /// Server minus local.
    pub offset_us: i64,
    /// The true offset is at most this far from `offset_us`.
    pub error_bound_us: u64,
}

/// Which clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The server's clock was set, or another server answers now.
    Server,
    /// This machine's clock was set.
    Local,
    /// Both clocks were set, or it is not known which one.
    Both,
}

/// A clock was set since the last measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How much the offset changed, in microseconds.
    pub by_us: i64,
    /// Which clock.
    pub whose: Whose,
}

/// How the offset changed from one measurement to the next.
#[derive(Clone, Copy)]
enum Change {
    /// By at most the usual drift.
    Usual,
    /// By more than the usual drift.
    Fast {
        /// The rate, and its error bound.
        rate: f64,
        unsure: f64,
        /// Whether the change before had the same rate. If so, this is a drift, not a step.
        goes_on: bool,
    },
}

/// A series of measurements, in the order of their times.
#[derive(Default)]
pub struct Watch {
    /// The latest reading comes first.
    readings: VecDeque<Reading>,
    last: Option<(Measured, Change)>,
}

impl Watch {
    /// Takes the next measurement; returns a step if a clock was set since the last one.
    pub fn take(&mut self, now: Measured) -> Option<Step> {
        let mut step = None;
        let mut change = Change::Usual;
        if let Some((last, before)) = self.last {
            change = change_between(last, now, before);
            match (before, change) {
                (_, Change::Fast { goes_on: false, .. }) => {
                    step = Some(Step { by_us: now.offset_us.saturating_sub(last.offset_us), whose: whose(last, now) });
                    self.readings.clear();
                }
                // The fast drift has ended, so the drift is measured again from here.
                (Change::Fast { goes_on: true, .. }, Change::Usual) => self.readings.truncate(1),
                _ => {}
            }
        }
        self.readings.truncate(READINGS_MAX - 1);
        self.readings.push_front(Reading { at_us: now.at_us, offset_us: now.offset_us });
        self.last = Some((now, change));
        step
    }

    /// The drift since the last step: see [`cristian::drift_ppm`].
    pub fn drift_ppm(&mut self) -> Option<f64> {
        cristian::drift_ppm(self.readings.make_contiguous())
    }
}

/// Classifies the change from one measurement to the next; `before` is the last change.
fn change_between(last: Measured, now: Measured, before: Change) -> Change {
    let changed = (i128::from(now.offset_us) - i128::from(last.offset_us)) as f64;
    let time = (elapsed_us(last, now).max(1)) as f64;
    let slack = allowed_us(last, now) as f64;
    if changed.abs() <= slack {
        return Change::Usual;
    }
    let goes_on = match before {
        Change::Fast { rate, unsure, .. } => (changed - rate * time).abs() <= slack + unsure * time,
        Change::Usual => false,
    };
    Change::Fast { rate: changed / time, unsure: slack / time, goes_on }
}

/// How much the offset may change because of the error bounds and the usual drift.
fn allowed_us(last: Measured, now: Measured) -> i128 {
    let drift = elapsed_us(last, now) * i128::from(DRIFT_MAX_PPM) / 1_000_000;
    i128::from(last.error_bound_us) + i128::from(now.error_bound_us) + drift + 1
}

fn elapsed_us(last: Measured, now: Measured) -> i128 {
    (i128::from(now.at_us) - i128::from(last.at_us)).max(0)
}

/// Which clock was set at a step. The local one was set if its change differs from the monotonic clock's.
fn whose(last: Measured, now: Measured) -> Whose {
    let offset = i128::from(now.offset_us) - i128::from(last.offset_us);
    let local = i128::from(now.local_us) - i128::from(last.local_us) - elapsed_us(last, now);
    let unsure = allowed_us(last, now) + BETWEEN_CLOCKS_US;
    match (local.abs() <= unsure, (offset + local).abs() <= unsure) {
        (true, _) => Whose::Server,
        (false, true) => Whose::Local,
        (false, false) => Whose::Both,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn measured(at_us: i64, offset_us: i64) -> Measured {
        Measured { at_us, local_us: at_us, offset_us, error_bound_us: 100 }
    }

    /// The steps, each with its time, and the drift at the end.
    fn seen(measurements: impl IntoIterator<Item = Measured>) -> (Vec<(i64, Step)>, Option<f64>) {
        let mut watch = Watch::default();
        let steps = measurements.into_iter().filter_map(|now| Some((now.at_us, watch.take(now)?))).collect();
        (steps, watch.drift_ppm())
    }

    #[test]
    fn openntpd_portable_43_a_step_of_the_servers_clock_is_a_step_and_not_a_drift() {
        // A drift of 20 ppm, and after 20 s somebody sets the server's clock by 370 ms: 37,000 ppm over 10 s.
        let at = |second: i64| measured(second * SECOND, second * 20 + if second >= 20 { 370_000 } else { 0 });
        let (steps, drift) = seen((0..=25).map(at));
        assert_eq!(steps, [(20 * SECOND, Step { by_us: 370_020, whose: Whose::Server })]);
        assert_eq!(drift, None, "5 s after a step are too few");
        let (steps, drift) = seen((0..=40).map(at));
        assert_eq!(steps.len(), 1);
        assert!((drift.unwrap() - 20.0).abs() < 1e-6, "{drift:?}");
    }

    #[test]
    fn a_step_of_this_machines_clock_differs_from_a_step_of_the_servers() {
        let after = |local: i64, server: i64| {
            let set = Measured { local_us: 30 * SECOND + local, ..measured(30 * SECOND, server - local) };
            seen([measured(29 * SECOND, 0), set]).0[0].1
        };
        assert_eq!(after(-2 * SECOND, 0), Step { by_us: 2 * SECOND, whose: Whose::Local });
        assert_eq!(after(0, -2 * SECOND), Step { by_us: -2 * SECOND, whose: Whose::Server });
        assert_eq!(after(SECOND, -SECOND), Step { by_us: -2 * SECOND, whose: Whose::Both });
        // The machine slept for an hour: the monotonic clock stood still, and no clock was set.
        let awake = Measured { local_us: 3630 * SECOND, ..measured(30 * SECOND, 0) };
        assert_eq!(seen([measured(29 * SECOND, 0), awake]).0, []);
    }

    #[test]
    fn a_change_within_the_bounds_is_no_step() {
        let wide = |second: i64, offset_us| Measured { error_bound_us: 50_000, ..measured(second * SECOND, offset_us) };
        assert_eq!(seen([wide(0, 0), wide(1, 99_000), wide(2, 0), wide(3, -99_000)]).0, []);
        assert_eq!(seen([wide(0, 0), wide(1, 101_000)]).0.len(), 1);
        // A minute of the fastest drift that clocks have.
        assert_eq!(seen([measured(0, 0), measured(60 * SECOND, 30_000)]).0, []);
    }

    #[test]
    fn a_fast_drift_is_reported_as_a_step_once_and_then_as_a_drift() {
        let fast = |second: i64| measured(second * SECOND, second * 10_000);
        let (steps, drift) = seen((0..=20).map(fast));
        assert_eq!(steps.len(), 1);
        assert!((drift.unwrap() - 10_000.0).abs() < 1e-6, "{drift:?}");
        // After the clock slows down, the fast drift no longer counts.
        let then = |second: i64| measured(second * SECOND, 200_000 + (second - 20) * 10);
        let (steps, drift) = seen((0..=20).map(fast).chain((21..=40).map(then)));
        assert_eq!(steps.len(), 1);
        assert!((drift.unwrap() - 10.0).abs() < 1e-6, "{drift:?}");
        // A step forward and a step back are two steps, not a drift.
        let twice = |second: i64| measured(second * SECOND, if second == 10 { 0 } else { SECOND });
        let (steps, drift) = seen((0..=30).map(twice));
        assert_eq!(steps.len(), 2);
        assert!(drift.unwrap().abs() < 1e-6, "{drift:?}");
    }

    proptest! {
        #[test]
        fn a_usual_drift_is_never_a_step(
            ppm in -490_i64..490,
            ways in prop::collection::vec((1_i64..120, 0_i64..5000, -100_i64..=100), 2..60),
        ) {
            let mut watch = Watch::default();
            let mut at = 0;
            for (seconds, bound, part) in ways {
                at += seconds * SECOND;
                // Anywhere inside its bound.
                let offset_us = at / SECOND * ppm + bound * part / 100;
                let now = Measured { error_bound_us: bound.unsigned_abs(), ..measured(at, offset_us) };
                prop_assert_eq!(watch.take(now), None);
            }
        }

        #[test]
        fn no_measurements_panic(all in prop::collection::vec(any::<(i64, i64, i64, u64)>(), 0..10)) {
            let mut watch = Watch::default();
            for (at_us, local_us, offset_us, error_bound_us) in all {
                watch.take(Measured { at_us, local_us, offset_us, error_bound_us });
                prop_assert!(watch.drift_ppm().is_none_or(f64::is_finite));
            }
        }
    }
}
