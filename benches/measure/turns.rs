//! Two things measured in turns of a second each, so that what else the machine does meets both alike.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::task::JoinSet;

use super::{Outcome, cpu_us, one_connection, up_to};

pub const CONNECTIONS: usize = 64;
pub const TURN: Duration = Duration::from_secs(1);

/// What both did, turn by turn.
#[derive(Default)]
pub struct Turns {
    /// Requests a second.
    rates: [Vec<f64>; 2],
    /// Processor time of the services, in microseconds per request.
    cpu_us: [Vec<f64>; 2],
}

impl Turns {
    /// Adds what one of the two did in a turn.
    pub fn add(&mut self, side: usize, (rate, cpu_us): (f64, f64)) {
        self.rates[side].push(rate);
        self.cpu_us[side].push(cpu_us);
    }

    /// Both rates, their ratio, the median of the pairs' ratios, and both processor times.
    pub fn row(&self, name: &str) -> [String; 7] {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let [first, second] = [mean(&self.rates[0]), mean(&self.rates[1])];
        let pairs = self.rates[0].iter().zip(&self.rates[1]);
        let mut ratios: Vec<f64> = pairs.map(|(first, second)| second / first).collect();
        ratios.sort_by(f64::total_cmp);
        [
            name.to_owned(),
            format!("{first:.0}"),
            format!("{second:.0}"),
            format!("{:.3}", second / first),
            format!("{:.3}", ratios.get(ratios.len() / 2).copied().unwrap_or_default()),
            format!("{:.1}", mean(&self.cpu_us[0])),
            format!("{:.1}", mean(&self.cpu_us[1])),
        ]
    }
}

/// Asks over all connections for one turn, and expects answers of this status. Returns the requests a second, and the time of the
/// processors that one took of these processes.
pub async fn one_turn(
    address: &str,
    pids: &[u32],
    status: u16,
    request: impl Fn() -> Outcome<Request<Full<Bytes>>> + Clone + Send + 'static,
) -> Outcome<(f64, f64)> {
    one_turn_over(&vec![address.to_owned(); CONNECTIONS], pids, status, request).await
}

/// The same over one connection to each of these addresses.
pub async fn one_turn_over(
    addresses: &[String],
    pids: &[u32],
    status: u16,
    request: impl Fn() -> Outcome<Request<Full<Bytes>>> + Clone + Send + 'static,
) -> Outcome<(f64, f64)> {
    let used = || pids.iter().map(|pid| cpu_us(*pid)).sum::<f64>();
    let (before, begun) = (used(), Instant::now());
    let mut connections = JoinSet::new();
    for address in addresses {
        connections.spawn(one_connection(address.clone(), up_to(begun + TURN), status, request.clone()));
    }
    let mut count = 0;
    for done in connections.join_all().await {
        count += done?.len();
    }
    let (elapsed, count) = (begun.elapsed(), count as f64);
    Ok((count / elapsed.as_secs_f64(), (used() - before) / count))
}
