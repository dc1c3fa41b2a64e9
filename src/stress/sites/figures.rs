//! What many contests show: who wins, who would have won by arrival, and whether the true first click does. Pure.

/// The quantile of the normal distribution for an interval of 95 %.
const Z_95: f64 = 1.959_964;
/// Two clicks count as distant if they are farther apart, in microseconds.
const DISTANT_US: i64 = 10_000;

/// One contest, as the clients and its record tell of it. Each list has one element for each site.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    /// When each site clicked truly, in microseconds from any instant.
    pub clicks: Vec<i64>,
    /// When each request arrived, if it was in time. Empty if the contest has no record.
    pub arrivals: Vec<Option<i64>>,
    /// The stamp of each request that was in time.
    pub stamps: Vec<Option<i64>>,
    /// The round trip that counted, in microseconds.
    pub round_trips: Vec<Option<u32>>,
    /// The sites whose requests made a booking: one, if all is well.
    pub winners: Vec<usize>,
}

/// A share of so many cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// In how many it was so.
    pub count: usize,
    /// Of how many.
    pub of: usize,
}

impl Share {
    /// The part; 0 of none.
    pub fn part(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.count as f64 / self.of as f64 }
    }

    /// The true part is in this interval with a probability of 95 % (E. B. Wilson, 1927).
    pub fn interval(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (n, p, z2) = (self.of as f64, self.part(), Z_95 * Z_95);
        let middle = p + z2 / (2.0 * n);
        let half = Z_95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        let whole = 1.0 + z2 / n;
        (((middle - half) / whole).max(0.0), ((middle + half) / whole).min(1.0))
    }

    fn add(&mut self, is_so: bool) {
        self.count += usize::from(is_so);
        self.of += 1;
    }
}

/// The figures of one site.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfSite {
    /// How often it clicked before all others.
    pub clicked_first: Share,
    /// How often its request arrived before all others: it would have won by arrival.
    pub arrived_first: Share,
    /// How often it won.
    pub won: Share,
    /// How often its request arrived too late.
    pub late: Share,
    /// The median of the round trips that counted, in microseconds.
    pub round_trip_us: Option<u32>,
}

/// The figures of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Of each site.
    pub sites: Vec<OfSite>,
    /// How often one site won, and no other.
    pub one_winner: Share,
    /// How often the true first click won.
    pub first_won: Share,
    /// How often it would have by arrival.
    pub first_arrived_first: Share,
    /// How many pairs of stamps are in the order of their clicks.
    pub pairs: Share,
    /// The same of clicks that are more than 10 ms apart.
    pub distant_pairs: Share,
}

/// Where the smallest of these is; the first of equal ones.
fn smallest(values: impl Iterator<Item = Option<i64>>) -> Option<usize> {
    values.enumerate().filter_map(|(nth, value)| Some((value?, nth))).min().map(|(_, nth)| nth)
}

impl Figures {
    /// The figures of contests of so many sites.
    pub fn of(sites: usize, contests: &[Contest]) -> Self {
        let mut figures = Self { sites: vec![OfSite::default(); sites], ..Self::default() };
        for contest in contests {
            figures.add(contest);
        }
        for (nth, site) in figures.sites.iter_mut().enumerate() {
            let mut seen: Vec<u32> = contests.iter().filter_map(|one| *one.round_trips.get(nth)?).collect();
            seen.sort_unstable();
            site.round_trip_us = seen.get(seen.len() / 2).copied();
        }
        figures
    }

    fn add(&mut self, contest: &Contest) {
        self.one_winner.add(contest.winners.len() == 1);
        let first_click = smallest(contest.clicks.iter().map(|click| Some(*click)));
        let first_arrival = smallest(contest.arrivals.iter().copied());
        for (nth, site) in self.sites.iter_mut().enumerate() {
            site.clicked_first.add(first_click == Some(nth));
            site.won.add(contest.winners.contains(&nth));
            if let Some(arrival) = contest.arrivals.get(nth) {
                site.arrived_first.add(first_arrival == Some(nth));
                site.late.add(arrival.is_none());
            }
        }
        self.first_won.add(first_click.is_some_and(|first| contest.winners.contains(&first)));
        if !contest.arrivals.is_empty() {
            self.first_arrived_first.add(first_click.is_some() && first_click == first_arrival);
        }
        let known: Vec<(i64, i64)> =
            contest.clicks.iter().zip(&contest.stamps).filter_map(|(click, stamp)| Some((*click, (*stamp)?))).collect();
        for (nth, one) in known.iter().enumerate() {
            for other in &known[..nth] {
                let is_right = (one.0 < other.0) == (one.1 < other.1);
                self.pairs.add(is_right);
                if one.0.abs_diff(other.0) > DISTANT_US.unsigned_abs() {
                    self.distant_pairs.add(is_right);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_contest_is_counted_for_each_of_its_sites() {
        let far_first = Contest {
            clicks: vec![20_000, 0, 5_000],
            arrivals: vec![Some(21_000), Some(140_000), None],
            stamps: vec![Some(20_000), Some(0), None],
            round_trips: vec![Some(2_000), Some(280_000), None],
            winners: vec![1],
        };
        let figures = Figures::of(3, &[far_first.clone(), Contest { winners: vec![0, 1], ..far_first }]);
        let share = |count, of| Share { count, of };
        let [near, far, late] = &figures.sites[..] else { panic!("{figures:?}") };
        assert_eq!((near.won, near.arrived_first, near.clicked_first), (share(1, 2), share(2, 2), share(0, 2)));
        assert_eq!((far.won, far.arrived_first, far.clicked_first), (share(2, 2), share(0, 2), share(2, 2)));
        assert_eq!((late.late, far.late, far.round_trip_us), (share(2, 2), share(0, 2), Some(280_000)));
        assert_eq!((figures.one_winner, figures.first_won), (share(1, 2), share(2, 2)));
        assert_eq!((figures.first_arrived_first, figures.pairs), (share(0, 2), share(2, 2)));
        assert_eq!(figures.distant_pairs, share(2, 2));
    }

    #[test]
    fn of_a_contest_without_a_record_only_the_winner_counts() {
        let contest = Contest { clicks: vec![1, 0], winners: vec![0], ..Contest::default() };
        let figures = Figures::of(2, &[contest]);
        let near = &figures.sites[0];
        assert_eq!((near.won.count, near.arrived_first.of, near.late.of), (1, 0, 0));
        assert_eq!((figures.first_won, figures.first_arrived_first), (Share { count: 0, of: 1 }, Share::default()));
    }

    #[test]
    fn an_interval_is_wilsons() {
        let (low, high) = Share { count: 30, of: 300 }.interval();
        assert!((low - 0.0709).abs() < 1e-4 && (high - 0.1392).abs() < 1e-4, "{low} {high}");
        let (low, high) = Share { count: 0, of: 300 }.interval();
        assert!(low.abs() < 1e-12 && (high - 0.0126).abs() < 1e-4, "{low} {high}");
    }

    proptest! {
        #[test]
        fn an_interval_has_its_part_in_it(of in 1_usize..100_000, part in 0.0..=1.0) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a count")]
            let share = Share { count: (of as f64 * part) as usize, of };
            let (low, high) = share.interval();
            prop_assert!(0.0 <= low && low <= share.part() + 1e-9 && share.part() <= high + 1e-9 && high <= 1.0);
        }
    }
}
