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
    let done = turn(addresses, pids, TURN, (status, 1), move |_, _| request()).await?;
    Ok((done.per_second(), done.cpu_us))
}

/// What was done in a turn.
pub struct Done {
    pub elapsed: Duration,
    /// Processor time of the services for each request, in microseconds.
    pub cpu_us: f64,
    /// How long each request took, sorted.
    pub latencies: Vec<Duration>,
}

impl Done {
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Asks for some time over one connection to each of the addresses, and expects answers of this status. `request` is given the number of
/// its connection, and how many that connection had before. Each connection makes a multiple of so many requests.
pub async fn turn(
    addresses: &[String],
    pids: &[u32],
    time: Duration,
    (status, multiple): (u16, u64),
    request: impl Fn(u64, u64) -> Outcome<Request<Full<Bytes>>> + Clone + Send + 'static,
) -> Outcome<Done> {
    let used = || pids.iter().map(|pid| cpu_us(*pid)).sum::<f64>();
    let (before, begun) = (used(), Instant::now());
    let mut connections = JoinSet::new();
    for (connection, address) in (0..).zip(addresses) {
        let (request, in_time) = (request.clone(), up_to(begun + time));
        let (mut asked, mut next) = (0_u64, 0_u64);
        let goes_on = move || {
            asked += 1;
            !(asked - 1).is_multiple_of(multiple) || in_time()
        };
        let request = move || {
            next += 1;
            request(connection, next - 1)
        };
        connections.spawn(one_connection(address.clone(), goes_on, status, request));
    }
    let mut latencies = Vec::new();
    for done in connections.join_all().await {
        latencies.extend(done?);
    }
    let elapsed = begun.elapsed();
    if latencies.is_empty() {
        return Err("nothing was asked for in this turn".into());
    }
    latencies.sort_unstable();
    Ok(Done { elapsed, cpu_us: (used() - before) / latencies.len() as f64, latencies })
}
