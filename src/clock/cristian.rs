//! Cristian's algorithm: the offset of two clocks, from the four instants of an exchange.
//!
//! A client asks a server for its time, and notes when it sent the request and when the answer arrived. The server's clock was
//! read between these two instants, so the error is at most half the round trip. Of several samples, the one with the shortest
//! round trip is the most exact (F. Cristian, "Probabilistic clock synchronization", Distributed Computing 3, 1989). The server
//! gives two instants, so that its own work is not part of the round trip, as in
//! [RFC 5905 §8](https://www.rfc-editor.org/rfc/rfc5905#section-8).
//!
//! Nothing here reads a clock or fails. Results outside the range of their type become its smallest or largest value.

/// The shortest time over which a drift is computed, in microseconds. Over a shorter time the errors of the readings are larger
/// than the drift of a usual clock: an error of 0.1 ms in 10 s is 10 ppm.
pub const DRIFT_MIN_SPAN_US: i64 = 10_000_000;

/// One exchange with the server, in microseconds since any instant, the same for all four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The request was sent, by the local clock.
    pub t1: i64,
    /// The request arrived, by the server's clock.
    pub t2: i64,
    /// The answer was sent, by the server's clock.
    pub t3: i64,
    /// The answer arrived, by the local clock.
    pub t4: i64,
}

impl Sample {
    /// The time of the request's way and the answer's way together: (t4 − t1) − (t3 − t2), in microseconds. It is 0 if the
    /// server's work took longer, by the server's clock, than the whole exchange.
    pub fn round_trip_us(&self) -> u64 {
        u64::try_from(self.raw_round_trip().max(0)).unwrap_or(u64::MAX)
    }

    /// Server minus local: ((t2 − t1) + (t3 − t4)) / 2, in microseconds, rounded down. Negative when the local clock
    /// is ahead.
    pub fn offset_us(&self) -> i64 {
        let [t1, t2, t3, t4] = self.wide();
        let offset = ((t2 - t1) + (t3 - t4)).div_euclid(2);
        i64::try_from(offset).unwrap_or(if offset < 0 { i64::MIN } else { i64::MAX })
    }

    /// The true offset is at most this far from [`Sample::offset_us`], in microseconds. It is half the round trip, rounded up
    /// because the offset was rounded too.
    ///
    /// This is true if no clock was set during the exchange. If one was set, the round trip may be negative; then the bound is
    /// half its absolute value, not zero.
    pub fn error_bound_us(&self) -> u64 {
        u64::try_from(self.raw_round_trip().unsigned_abs().div_ceil(2)).unwrap_or(u64::MAX)
    }

    fn raw_round_trip(&self) -> i128 {
        let [t1, t2, t3, t4] = self.wide();
        (t4 - t1) - (t3 - t2)
    }

    /// The instants in a type in which their sums cannot overflow.
    fn wide(&self) -> [i128; 4] {
        [self.t1, self.t2, self.t3, self.t4].map(i128::from)
    }
}

/// The result of several samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Server minus local, in microseconds. Negative when the local clock is ahead.
    pub offset_us: i64,
    /// The true offset is at most this far from `offset_us`, in microseconds.
    pub error_bound_us: u64,
    /// The round trip of the sample that was used, in microseconds.
    pub round_trip_us: u64,
    /// The position of the sample that was used, from 0.
    pub used: usize,
}

/// Estimates the offset from the sample with the shortest round trip, the first one on ties. Samples with a negative round trip
/// (a clock was set during the exchange) are used only if there are no others. `None` only without samples.
pub fn estimate(samples: &[Sample]) -> Option<Estimate> {
    let precision = |sample: &Sample| {
        let raw = sample.raw_round_trip();
        (raw < 0, raw.unsigned_abs())
    };
    let (used, best) = samples.iter().enumerate().min_by_key(|(_, sample)| precision(sample))?;
    Some(Estimate {
        offset_us: best.offset_us(),
        error_bound_us: best.error_bound_us(),
        round_trip_us: best.round_trip_us(),
        used,
    })
}

/// An offset, and when it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Local time, in microseconds since any instant. Use a clock that is never set, such as the monotonic clock.
    pub at_us: i64,
    /// Server minus local, in microseconds.
    pub offset_us: i64,
}

/// How fast the offset changes, in parts per million: the slope of the least-squares line. Positive when the local clock is slower
/// than the server's, negative when it is faster. Always finite. `None` until the readings span [`DRIFT_MIN_SPAN_US`].
pub fn drift_ppm(readings: &[Reading]) -> Option<f64> {
    let earliest = readings.iter().map(|reading| reading.at_us).min()?;
    let latest = readings.iter().map(|reading| reading.at_us).max()?;
    if i128::from(latest) - i128::from(earliest) < i128::from(DRIFT_MIN_SPAN_US) {
        return None;
    }
    // Distances from one of the readings, not from 1970, are small enough for a float to hold each microsecond.
    let origin = readings.first()?;
    let distance = |of: i64, from: i64| (i128::from(of) - i128::from(from)) as f64;
    let points: Vec<(f64, f64)> = readings
        .iter()
        .map(|reading| (distance(reading.at_us, origin.at_us), distance(reading.offset_us, origin.offset_us)))
        .collect();
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    // The variance is above zero because of the span. All sums are far below the largest float because instants are `i64`.
    Some(covariance / variance * 1e6).filter(|slope| slope.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(t1: i64, t2: i64, t3: i64, t4: i64) -> Sample {
        Sample { t1, t2, t3, t4 }
    }

    #[test]
    fn the_sign_is_server_minus_local() {
        // São Paulo: the local clock is 2 s ahead, 10 µs each way, 5 µs of work at the server.
        let ahead = sample(2_000_000, 10, 15, 2_000_025);
        assert_eq!((ahead.offset_us(), ahead.round_trip_us(), ahead.error_bound_us()), (-2_000_000, 20, 10));
        // Tóquio: 1 s behind.
        let behind = sample(0, 1_000_010, 1_000_015, 25);
        assert_eq!(behind.offset_us(), 1_000_000);
    }

    #[test]
    fn an_odd_round_trip_is_halved_upwards() {
        // The request took 5 µs and the answer no time: the true offset is 0, the computed one is 2.5.
        let odd = sample(0, 5, 5, 5);
        assert_eq!((odd.offset_us(), odd.error_bound_us()), (2, 3));
        let odd = sample(5, 0, 0, 0);
        assert_eq!(odd.offset_us(), -3);
    }

    #[test]
    fn of_equal_round_trips_the_first_is_used() {
        // The library timesync drops every sample that is not below the mean and so, when all are equal, all of them.
        let samples = [sample(0, 50, 50, 100), sample(200, 250, 250, 300), sample(400, 450, 450, 500)];
        let estimate = estimate(&samples).unwrap();
        assert_eq!((estimate.used, estimate.offset_us, estimate.error_bound_us), (0, 0, 50));
    }

    #[test]
    fn zero_round_trips_are_exact() {
        // netfox #469: on one machine the round trip is 0, and its reciprocal as a weight gave NaN.
        let samples = [sample(7, 107, 107, 7); 3];
        let estimate = estimate(&samples).unwrap();
        assert_eq!(estimate, Estimate { offset_us: 100, error_bound_us: 0, round_trip_us: 0, used: 0 });
    }

    #[test]
    fn without_samples_there_is_no_estimate() {
        assert_eq!(estimate(&[]), None);
    }

    #[test]
    fn a_sample_with_a_negative_round_trip_is_used_last() {
        // The server's clock was set forward by an hour between its two readings.
        let set = sample(0, 50, 3_600_000_050, 100);
        assert_eq!(set.round_trip_us(), 0);
        let good = sample(0, 50, 50, 100);
        assert_eq!(estimate(&[set, good]).unwrap().used, 1);
        assert!(estimate(&[set]).unwrap().error_bound_us > 1_000_000_000);
    }

    #[test]
    fn drift_has_the_sign_of_the_offset() {
        let losing: Vec<Reading> =
            (0..=20).map(|s| Reading { at_us: s * 1_000_000, offset_us: 500 + s * 30 }).collect();
        assert!((drift_ppm(&losing).unwrap() - 30.0).abs() < 1e-9);
        assert_eq!(drift_ppm(&losing[..10]), None, "9 s are too few");
        assert_eq!(drift_ppm(&[]), None);
        assert_eq!(drift_ppm(&[losing[0]; 5]), None);
    }

    proptest! {
        #[test]
        fn the_true_offset_is_within_the_error_bound(
            truth in -100_000_000_000_i64..100_000_000_000,
            start in 0_i64..253_402_300_799_999_999,
            exchanges in prop::collection::vec((0_i64..10_000_000, 0_i64..10_000_000, 0_i64..10_000_000), 1..20),
        ) {
            let samples: Vec<Sample> = exchanges
                .iter()
                .map(|(there, work, back)| {
                    let t2 = start + there + truth;
                    sample(start, t2, t2 + work, start + there + work + back)
                })
                .collect();
            let estimate = estimate(&samples).unwrap();
            prop_assert!(estimate.offset_us.abs_diff(truth) <= estimate.error_bound_us);
            let least = exchanges.iter().map(|(there, _, back)| there + back).min().unwrap();
            prop_assert_eq!(estimate.round_trip_us, u64::try_from(least).unwrap());
            let (there, _, back) = exchanges[estimate.used];
            prop_assert_eq!(there + back, least);
        }

        #[test]
        fn no_instants_panic(instants in prop::collection::vec(any::<[i64; 4]>(), 1..5)) {
            let samples: Vec<Sample> = instants.iter().map(|&[t1, t2, t3, t4]| sample(t1, t2, t3, t4)).collect();
            prop_assert!(estimate(&samples).unwrap().used < samples.len());
        }

        #[test]
        fn no_drift_is_infinite(readings in prop::collection::vec(any::<(i64, i64)>(), 0..10)) {
            let readings: Vec<Reading> =
                readings.into_iter().map(|(at_us, offset_us)| Reading { at_us, offset_us }).collect();
            prop_assert!(drift_ppm(&readings).is_none_or(f64::is_finite));
        }
    }
}
