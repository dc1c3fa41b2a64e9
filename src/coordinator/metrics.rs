//! The coordinator's counters and gauges, in the format of Prometheus (`OpenMetrics` 1.0.0).

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::events::{BYTES_MAX, Hub};
use super::table::{Counts, Limits};
use crate::http::bounds::Bounds;

/// Upper bounds of the histogram of waiting times, in seconds.
const WAIT_BUCKETS_S: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// Why a lock was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Reason {
    Busy,
    WaitedInVain,
    TableFull,
    TableBytes,
    QueueFull,
    QueueBytes,
    LockQuota,
    WaitQuota,
    Grace,
    Stopping,
    NotElected,
    NoTokens,
    Gone,
    TooFar,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BudgetLabel {
    budget: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelLabel {
    channel: String,
}

/// The counters. Each is an atomic: counting takes no lock.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Leases granted.
    pub granted: Counter,
    refused: Family<ReasonLabel, Counter>,
    /// Leases renewed.
    pub renewed: Counter,
    /// Leases released by their holders.
    pub released: Counter,
    /// Leases that ran out.
    pub expired: Counter,
    /// Leases and retentions that an operator took away.
    pub forced: Counter,
    /// Waiters whose client left.
    pub left: Counter,
    waited_s: Histogram,
}

/// What is counted about an election.
#[derive(Clone, Debug, Default)]
pub struct ElectionCounts {
    /// Elections won.
    pub won: Counter,
    /// Terms that ended because another was, or may have been, elected.
    pub lost: Counter,
    /// Calls that no member of etcd answered as it should.
    pub failures: Counter,
}

/// The values that are read when the metrics are.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// How much is in the table.
    pub counts: Counts,
    /// How much may be.
    pub limits: Limits,
    /// The last token given.
    pub last_token: u64,
    /// The largest that may be given.
    pub token_limit: u64,
    /// Whether no lock is given yet, because a lease from before the start may be live.
    pub in_grace: bool,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        Self {
            granted: Counter::default(),
            refused: Family::default(),
            renewed: Counter::default(),
            released: Counter::default(),
            expired: Counter::default(),
            forced: Counter::default(),
            left: Counter::default(),
            waited_s: Histogram::new(WAIT_BUCKETS_S),
        }
    }

    /// Counts a refusal.
    pub fn refuse(&self, reason: Reason) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts a wait that ended with a lease.
    pub fn waited(&self, seconds: f64) {
        self.waited_s.observe(seconds);
    }

    /// All that is measured, with what is held for clients. Of a coordinator that is not elected there is no `now`.
    pub fn registry(
        &self,
        uptime: Duration,
        now: Option<(Now, &Hub)>,
        election: Option<(&ElectionCounts, bool, Option<u64>)>,
        bounds: &Bounds,
    ) -> Registry {
        let mut registry = Registry::with_prefix("sctec_coordinator");
        registry.register("locks_granted", "Leases granted", self.granted.clone());
        registry.register("locks_refused", "Lock requests refused, by reason", self.refused.clone());
        registry.register("locks_renewed", "Leases renewed", self.renewed.clone());
        registry.register("locks_released", "Leases released by their holders", self.released.clone());
        registry.register("locks_expired", "Leases that expired without being released", self.expired.clone());
        registry.register("locks_forced", "Leases and retentions taken away by an operator", self.forced.clone());
        registry.register("waiters_left", "Waiting requests whose client disconnected", self.left.clone());
        registry.register(
            "wait_seconds",
            "How long a request waited in the queue until it got its lease",
            self.waited_s.clone(),
        );
        registry.register("uptime_seconds", "Time since the service started", ConstGauge::new(uptime.as_secs_f64()));
        if let Some((now, hub)) = now {
            register_table(&mut registry, &now);
            register_memory(&mut registry, &now, hub);
            register_events(&mut registry, hub);
        }
        if let Some((counts, gives, term)) = election {
            register_election(&mut registry, counts, gives, term);
        }
        bounds.register(&mut registry);
        registry
    }
}

fn register_table(registry: &mut Registry, now: &Now) {
    let mut gauge = |name, help, value: i64| {
        registry.register(name, help, ConstGauge::new(value));
    };
    gauge("leases", "Leases that are valid now", count(now.counts.leases));
    gauge("resources_held", "Resources under a lease", count(now.counts.held));
    gauge(
        "resources_retained",
        "Resources that were released and are still refused (retention)",
        count(now.counts.retained),
    );
    gauge("waiters", "Requests waiting in the queue", count(now.counts.waiting));
    gauge(
        "clients",
        "Clients under a quota that have a lease, a retention or a waiting request",
        count(now.counts.clients),
    );
    gauge("last_token", "The last fencing token given", now.last_token.cast_signed());
    gauge(
        "token_limit",
        "The largest fencing token that may be given: the limit stored on disk, or in etcd",
        now.token_limit.cast_signed(),
    );
    gauge("in_grace", "1 after a start, until the locks granted before it have expired", i64::from(now.in_grace));
}

fn register_election(registry: &mut Registry, counts: &ElectionCounts, gives: bool, term: Option<u64>) {
    let elected = ConstGauge::new(i64::from(gives));
    registry.register("elected", "1 while this coordinator is elected and gives locks", elected);
    let term = ConstGauge::new(term.unwrap_or_default().cast_signed());
    registry.register("election_term", "The term of the elected coordinator, 0 if it is not known", term);
    registry.register("elections_won", "Elections won", counts.won.clone());
    registry.register("elections_lost", "Terms that ended before this coordinator stopped", counts.lost.clone());
    let failures = counts.failures.clone();
    registry.register("etcd_failures", "Calls that no member of etcd answered as it should", failures);
}

fn register_memory(registry: &mut Registry, now: &Now, hub: &Hub) {
    let [used, most] = [(); 2].map(|()| Family::<BudgetLabel, Gauge<i64, AtomicI64>>::default());
    for (budget, bytes, limit) in [
        ("table", now.counts.bytes, now.limits.bytes),
        ("queues", now.counts.queue_bytes, now.limits.queue_bytes),
        ("events", hub.bytes(), BYTES_MAX),
    ] {
        used.get_or_create(&BudgetLabel { budget }).set(count(bytes));
        most.get_or_create(&BudgetLabel { budget }).set(count(limit));
    }
    registry.register("memory_bytes", "Memory in use, by budget", used);
    registry.register("memory_limit_bytes", "The most memory that may be in use, by budget", most);
}

fn register_events(registry: &mut Registry, hub: &Hub) {
    let published = Family::<ChannelLabel, Counter<u64, AtomicU64>>::default();
    let listeners = Family::<ChannelLabel, Gauge<i64, AtomicI64>>::default();
    for (channel, last, listening) in hub.each_channel() {
        let label = ChannelLabel { channel };
        published.get_or_create(&label).inc_by(last);
        listeners.get_or_create(&label).set(count(listening));
    }
    registry.register("events_published", "Events published, by channel", published);
    registry.register("listeners", "Connected listeners, by channel", listeners);
    registry.register("events_lost", "Events lost by listeners that read too slowly", ConstCounter::new(hub.lost()));
    let counts = hub.counts();
    registry.register("channels_refused", "Requests refused for want of a channel", counts.refused.clone());
    registry.register("channels_dropped", "Idle channels dropped for others", counts.channels_dropped.clone());
    registry.register("events_dropped", "Events dropped early, for those of others", counts.events_dropped.clone());
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next reason, so that a new one cannot be left out here.
    const fn after(reason: Reason) -> Option<Reason> {
        match reason {
            Reason::Busy => Some(Reason::WaitedInVain),
            Reason::WaitedInVain => Some(Reason::TableFull),
            Reason::TableFull => Some(Reason::TableBytes),
            Reason::TableBytes => Some(Reason::QueueFull),
            Reason::QueueFull => Some(Reason::QueueBytes),
            Reason::QueueBytes => Some(Reason::LockQuota),
            Reason::LockQuota => Some(Reason::WaitQuota),
            Reason::WaitQuota => Some(Reason::Grace),
            Reason::Grace => Some(Reason::Stopping),
            Reason::Stopping => Some(Reason::NotElected),
            Reason::NotElected => Some(Reason::NoTokens),
            Reason::NoTokens => Some(Reason::Gone),
            Reason::Gone => Some(Reason::TooFar),
            Reason::TooFar => None,
        }
    }

    #[test]
    fn the_operators_document_has_a_row_for_each_reason() {
        let document = include_str!("../../docs/OPERACAO.md");
        let (_, table) = document.split_once("\n| motivo | por que").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let mut described: Vec<_> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
        let mut reason = Some(Reason::Busy);
        while let Some(label) = reason {
            // The label's text is the variant's name.
            let name = format!("{label:?}");
            let row = described.iter().position(|row| *row == name);
            described.remove(row.unwrap_or_else(|| panic!("OPERACAO.md does not describe {name}")));
            reason = after(label);
        }
        assert!(described.is_empty(), "no such reason: {described:?}");
    }
}
