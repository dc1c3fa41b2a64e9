//! Whether there is service: one client that books slots of its own through the cluster's one address, all the time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::Asked;
use crate::common::bookers::agent;

/// How long it waits for one answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time between two requests.
const EVERY: Duration = Duration::from_millis(20);

/// The instants at which a booking was acknowledged, and the bookings.
pub struct Probe {
    url: String,
    served: Mutex<Vec<(Instant, i64)>>,
}

impl Probe {
    pub fn new(url: String) -> Self {
        Self { url, served: Mutex::default() }
    }

    /// Books until the end.
    pub fn run(&self, end: &AtomicBool) {
        let agent = agent(PATIENCE);
        for nth in 0_u64.. {
            if end.load(Ordering::Relaxed) {
                break;
            }
            let (day, slot) = (nth / 288, nth % 288);
            let start =
                format!("2032-{:02}-{:02}T{:02}:{:02}:00Z", day / 28 % 12 + 1, day % 28 + 1, slot / 12, slot % 12 * 5);
            let request = agent.post(format!("{}/agendamentos", self.url)).header("Content-Type", "application/json");
            let request = request.header("X-Request-Id", format!("sonda-{nth}"));
            if let Ok(mut answer) = request.send(Asked::by(1, &start).text())
                && answer.status() == 201
            {
                let booking: Value = answer.body_mut().read_json().unwrap();
                self.served.lock().unwrap().push((Instant::now(), booking["id"].as_i64().unwrap()));
            }
            std::thread::sleep(EVERY);
        }
    }

    /// When a booking was last acknowledged.
    pub fn last(&self) -> Option<Instant> {
        self.served.lock().unwrap().last().map(|(at, _)| *at)
    }

    /// The longest time between two bookings, of those that ended after `since`.
    pub fn longest_gap(&self, since: Instant) -> Duration {
        let served = self.served.lock().unwrap();
        let gaps = served.windows(2).filter(|pair| pair[1].0 > since).map(|pair| pair[1].0 - pair[0].0);
        gaps.max().unwrap_or_default()
    }

    /// All that were acknowledged.
    pub fn booked(&self) -> Vec<i64> {
        self.served.lock().unwrap().iter().map(|(_, id)| *id).collect()
    }
}
