//! Chance in a run: how long each way takes, and when each site clicks. Pure.

use std::time::Duration;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::file::Site;

/// Random numbers: a run can be repeated with its seed.
#[derive(Clone, Debug)]
pub struct Dice(SplitMix64);

impl Dice {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64::seed_from_u64(seed))
    }

    /// Numbers of another, independent series.
    pub fn split(&mut self) -> Self {
        Self::new(self.0.next_u64())
    }

    /// A number of [0, 1).
    fn part(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A time of less than so many milliseconds.
    pub fn below_ms(&mut self, most: f64) -> Duration {
        millis(most * self.part())
    }

    /// How long a request of that site is on its way.
    pub fn way_there(&mut self, site: &Site) -> Duration {
        self.way(site, site.there)
    }

    /// How long an answer to that site is on its way.
    pub fn way_back(&mut self, site: &Site) -> Duration {
        self.way(site, 1.0 - site.there)
    }

    fn way(&mut self, site: &Site, share: f64) -> Duration {
        millis(site.round_trip_ms * share * (1.0 + site.jitter * self.part()))
    }
}

/// So many milliseconds. They are checked to be none that a duration could not have.
pub fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stress::sites::file::Sites;

    #[test]
    fn a_way_takes_its_share_and_up_to_the_jitter_longer() {
        let text = r#"{"sites": [{"name": "a"}, {"name": "b", "round_trip_ms": 100, "jitter": 0.5, "there": 0.8}]}"#;
        let sites = Sites::parse(text).unwrap().sites;
        let mut dice = Dice::new(7);
        assert_eq!((dice.way_there(&sites[0]), dice.way_back(&sites[0])), (Duration::ZERO, Duration::ZERO));
        let ways: Vec<(f64, f64)> = (0..1000)
            .map(|_| (dice.way_there(&sites[1]).as_secs_f64() * 1e3, dice.way_back(&sites[1]).as_secs_f64() * 1e3))
            .collect();
        // Durations have whole nanoseconds.
        assert!(ways.iter().all(|(there, back)| (79.999..120.0).contains(there) && (19.999..30.0).contains(back)));
        let longest = ways.iter().map(|(there, _)| *there).fold(0.0, f64::max);
        assert!(longest > 118.0, "{longest}");
        assert_ne!(dice.split().0.next_u64(), dice.split().0.next_u64());
    }
}
