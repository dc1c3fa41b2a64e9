//! How long a holder may count on its lease, and what it does when. Pure: instants come in as arguments.
//!
//! A lease's life has three thirds. After the first it is renewed. If no renewal is confirmed until the end of the second, the
//! command is told to end; shortly before the end of the third it is killed.

use std::time::{Duration, Instant};

/// The life of a lease, on this process's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    ttl: Duration,
    ends: Instant,
}

impl Term {
    /// A lease that was asked for with `ttl`, and that ends at `ends` at the earliest.
    pub fn new(ttl: Duration, ends: Instant) -> Self {
        Self { ttl, ends }
    }

    /// When it ends at the earliest.
    pub fn ends(self) -> Instant {
        self.ends
    }

    /// The same, when the machine has slept for `slept`: the lease went on meanwhile, and this process's clock stood still.
    pub fn sooner(self, slept: Duration) -> Self {
        Self { ends: self.ends.checked_sub(slept).unwrap_or(self.ends), ..self }
    }

    /// When it is renewed.
    pub fn renew_at(self) -> Instant {
        self.before_end(self.ttl * 2 / 3)
    }

    /// When its holder has to begin to end, if it was not renewed.
    pub fn stop_at(self) -> Instant {
        self.before_end(self.ttl / 3)
    }

    /// When its holder is killed, if the loss was noticed at `now`: after a third of the TTL, and always some time before the
    /// end, since finding all of its processes takes time too.
    pub fn kill_at(self, now: Instant) -> Instant {
        self.before_end(self.pause()).min(now + self.ttl / 3)
    }

    /// The pause between two tries of a renewal.
    pub fn pause(self) -> Duration {
        (self.ttl / 30).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    fn before_end(self, span: Duration) -> Instant {
        // An instant before the machine's start cannot be named; the end itself is then no later than it should be.
        self.ends.checked_sub(span).unwrap_or(self.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_third_has_its_own_step() {
        let granted = Instant::now() + Duration::from_secs(100);
        let at = |seconds| granted + Duration::from_secs(seconds);
        let term = Term::new(Duration::from_secs(9), at(9));
        assert_eq!([term.renew_at(), term.stop_at(), term.ends()], [at(3), at(6), at(9)]);
        // A loss that a renewal brings to light leaves a third; one that comes late leaves what is left.
        let before_end = granted + Duration::from_millis(8700);
        assert_eq!([3, 5].map(|now| term.kill_at(at(now))), [at(6), at(8)]);
        assert_eq!([6, 8, 9, 20].map(|now| term.kill_at(at(now))), [before_end; 4]);
        assert!(before_end < term.ends() && term.stop_at() < before_end);
        // After a sleep of 4 s all of it is 4 s nearer.
        let nearer = term.sooner(Duration::from_secs(4));
        assert_eq!([nearer.stop_at(), nearer.ends()], [at(2), at(5)]);
        // A lease of which little is left is renewed at once.
        assert!(Term::new(Duration::from_secs(9), at(1)).renew_at() < at(0));
    }

    #[test]
    fn a_failed_renewal_is_tried_again_within_the_second_third() {
        for ttl in [100, 1000, 10_000, 300_000].map(Duration::from_millis) {
            let term = Term::new(ttl, Instant::now() + ttl);
            assert!(term.renew_at() + term.pause() * 3 < term.stop_at(), "{ttl:?}");
        }
    }
}
