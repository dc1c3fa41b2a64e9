//! The scheduler's counters: what is counted while it works, and what is read when somebody asks.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::config::VERSION;
use super::origin::LOCK;
use crate::http::answered::Answered;
use crate::http::bounds::Bounds;
use crate::http::steps::Steps;

/// Upper bounds of the times of a step, in seconds.
const STEP_BUCKETS_S: [f64; 12] = [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Upper bounds of the changes of one transaction.
const BATCH_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

/// What is counted. Each is an atomic, or a histogram with a lock of its own that is held for a few additions.
#[derive(Debug)]
pub struct Metrics {
    /// The answers to all requests.
    pub answered: Answered,
    /// Bookings made.
    pub bookings: Counter,
    /// Changes of bookings, without those that changed nothing.
    pub booking_changes: Counter,
    /// Bookings cancelled.
    pub cancellations: Counter,
    /// Answers that were given again to requests with a key.
    pub replays: Counter,
    lock_s: Histogram,
    commit_s: Histogram,
    batch: Histogram,
}

/// What is read when the metrics are.
#[derive(Clone, Debug)]
pub struct Now {
    /// How long the service has run.
    pub uptime: Duration,
    /// What the database is, if it can be read.
    pub database: Option<Vec<(&'static str, String)>>,
    /// The length of the database's write-ahead log, if it can be read.
    pub log_bytes: Option<u64>,
    /// How many records are in the database and not yet in the trail's file, if that is known.
    pub behind: Option<u64>,
    /// Bookings and other changes under way.
    pub tasks: usize,
}

impl Metrics {
    /// All at zero.
    pub fn new(answered: Answered) -> Self {
        Self {
            answered,
            bookings: Counter::default(),
            booking_changes: Counter::default(),
            cancellations: Counter::default(),
            replays: Counter::default(),
            lock_s: Histogram::new(STEP_BUCKETS_S),
            commit_s: Histogram::new(STEP_BUCKETS_S),
            batch: Histogram::new(BATCH_BUCKETS),
        }
    }

    /// Counts the steps of a request: how long the coordinator took to grant or to refuse a lock.
    pub fn stepped(&self, steps: &Steps) {
        steps.each(|(name, took)| {
            if *name == LOCK {
                self.lock_s.observe(took.as_secs_f64());
            }
        });
    }

    /// Counts a transaction with this many changes.
    pub fn committed(&self, changes: usize, took: Duration) {
        self.batch.observe(u32::try_from(changes).map_or(f64::MAX, f64::from));
        self.commit_s.observe(took.as_secs_f64());
    }

    /// All that is measured, with what is held for clients.
    pub fn registry(&self, now: &Now, bounds: &Bounds) -> Registry {
        let mut registry = Registry::with_prefix("sctec_scheduler");
        registry.register("build", "The version that runs", Info::new([("version", VERSION)]));
        registry.register(
            "uptime_seconds",
            "Time since the service started",
            ConstGauge::new(now.uptime.as_secs_f64()),
        );
        self.answered.register(&mut registry);
        registry.register("bookings", "Bookings made", self.bookings.clone());
        registry.register("booking_changes", "Changes of bookings", self.booking_changes.clone());
        registry.register("cancellations", "Bookings cancelled", self.cancellations.clone());
        registry.register(
            "replayed_answers",
            "Answers that were given again, to requests repeated with the same Idempotency-Key",
            self.replays.clone(),
        );
        registry.register(
            "lock_seconds",
            "From asking the coordinator for a lock to its answer, a refusal too",
            self.lock_s.clone(),
        );
        registry.register("commit_seconds", "How long a transaction took, with its sync", self.commit_s.clone());
        registry.register("commit_changes", "Changes in one transaction", self.batch.clone());
        if let Some(database) = &now.database {
            registry.register("database", "What the database is", Info::new(database.clone()));
        }
        let mut gauge = |name, help, value: Option<u64>| {
            if let Some(value) = value {
                registry.register(name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
            }
        };
        gauge("changes_under_way", "Bookings and other changes under way", u64::try_from(now.tasks).ok());
        gauge("database_log_bytes", "The length of the database's write-ahead log", now.log_bytes);
        gauge("trail_behind_records", "Records in the database that are not in the trail's file yet", now.behind);
        bounds.register(&mut registry);
        registry
    }
}
