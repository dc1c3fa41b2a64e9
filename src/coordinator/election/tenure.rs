//! One term of the elected coordinator: until when it may give locks. Before each grant the coordinator looks here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::coordinator::state::Hold;
use crate::time::{micros, since_boot};

/// A term.
#[derive(Debug)]
pub struct Tenure {
    term: u64,
    /// In microseconds since the machine's start: that clock goes on while the machine sleeps.
    gives_until_us: AtomicU64,
    over: AtomicBool,
}

impl Tenure {
    /// The term, in which locks may be given until `gives_until`.
    pub fn new(term: u64, gives_until: Duration) -> Self {
        let gives_until_us = AtomicU64::new(micros(gives_until));
        Self { term, gives_until_us, over: AtomicBool::new(false) }
    }

    /// Its number.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Locks may be given until then.
    pub fn prolong(&self, gives_until: Duration) {
        self.gives_until_us.fetch_max(micros(gives_until), Ordering::Relaxed);
    }

    /// Another is elected, or may be.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::end`] was called.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// For how long locks may still be given.
    pub fn left(&self) -> Duration {
        if self.is_over() {
            return Duration::ZERO;
        }
        Duration::from_micros(self.gives_until_us.load(Ordering::Relaxed)).saturating_sub(since_boot())
    }
}

impl Hold for Tenure {
    fn lost(&self) -> Option<String> {
        if self.is_over() {
            return Some("este coordenador deixou de ser o eleito".to_owned());
        }
        self.left().is_zero().then(|| "o etcd não confirmou a eleição a tempo".to_owned())
    }

    /// What is in etcd is changed by its elected coordinator alone.
    fn has_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenure_is_lost_when_its_time_or_its_term_is_over() {
        let soon = since_boot() + Duration::from_secs(60);
        let tenure = Tenure::new(7, Duration::ZERO);
        assert!(tenure.left().is_zero() && tenure.lost().unwrap().contains("a tempo"));
        tenure.prolong(soon);
        tenure.prolong(Duration::ZERO);
        assert!(tenure.left() > Duration::from_secs(50));
        assert_eq!(tenure.lost(), None);
        tenure.end();
        assert!(tenure.left().is_zero() && tenure.lost().unwrap().contains("deixou de ser o eleito"));
    }
}
