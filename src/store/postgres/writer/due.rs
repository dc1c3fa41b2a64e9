//! Until when a change is tried, and when its caller is answered at the latest, however the database behaves.
//!
//! A failover takes 20 to 30 s, and what was asked for before it may be written after it. Later than that its client has gone, and the
//! changes behind it wait.

use std::time::{Duration, Instant};

/// The last try of a change begins so long after it was asked for.
const TRIED_FOR: Duration = Duration::from_secs(35);
/// A change is answered so long after it was asked for, also if what has become of it is not known. `docs/OPERACAO.md` names this bound.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// The times of a change, or of several by the one that was asked for first.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    asked: Instant,
}

impl Due {
    /// Of what was asked for then.
    pub const fn of(asked: Instant) -> Self {
        Self { asked }
    }

    /// Whether it is too late for a try.
    pub fn is_past_trying(self, now: Instant) -> bool {
        now.saturating_duration_since(self.asked) >= TRIED_FOR
    }

    /// How long something may take that is begun now, and that takes `at_most` so long when there is time.
    pub fn within(self, at_most: Duration, now: Instant) -> Duration {
        at_most.min(ANSWERED_WITHIN.saturating_sub(now.saturating_duration_since(self.asked)))
    }

    /// Why nothing was tried.
    pub fn reason() -> String {
        format!("o banco não pôde gravar em {} s", TRIED_FOR.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_cut_so_that_the_answer_is_in_time() {
        let asked = Instant::now();
        let (due, after) = (Due::of(asked), |seconds| asked + Duration::from_secs(seconds));
        let at_most = Duration::from_secs(6);
        for (seconds, within) in [(0, 6), (54, 6), (55, 5), (59, 1), (60, 0), (100, 0)] {
            assert_eq!(due.within(at_most, after(seconds)), Duration::from_secs(within), "after {seconds} s");
        }
    }

    #[test]
    fn the_last_try_has_time_for_all_of_its_steps() {
        let asked = Instant::now();
        let (due, after) = (Due::of(asked), |seconds| asked + Duration::from_secs(seconds));
        assert!(!due.is_past_trying(asked) && !due.is_past_trying(after(34)));
        assert!(due.is_past_trying(after(35)) && due.is_past_trying(after(100)));
        // A new connection, the statements, COMMIT, and one look at what has become of it.
        let steps = super::super::commit::STEPS;
        assert!(TRIED_FOR + steps.iter().sum::<Duration>() <= ANSWERED_WITHIN);
    }
}
