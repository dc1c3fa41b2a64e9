//! Who gives locks in this process now: one service, always; or, with an election, the service of the present term, if it is elected.
//!
//! # Locking
//!
//! Requests read what is now without a lock. A change is made under a std mutex, never held across an await: so the service of a term
//! that has ended cannot be put in place after its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::task::AbortHandle;

use super::election::tenure::Tenure;
use super::metrics::{ElectionCounts, Metrics};
use super::service::{Closing, Service};

/// The place of the service.
pub struct Office {
    now: ArcSwap<Standing>,
    changing: Mutex<()>,
    started: Instant,
    metrics: Metrics,
    counts: Option<ElectionCounts>,
}

/// What is now.
#[derive(Clone, Default)]
struct Standing {
    duty: Option<Duty>,
    election: Option<View>,
    /// Whether no service is put in place any more.
    stopping: bool,
}

/// A service that is in place.
#[derive(Clone)]
struct Duty {
    service: Arc<Service>,
    /// It ends leases when their time comes.
    sweeper: AbortHandle,
    /// `None` without an election.
    tenure: Option<Arc<Tenure>>,
}

/// The election, as this process sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Whether this coordinator is elected.
    pub elected: bool,
    /// The address of the elected one, if it is known.
    pub address: Option<String>,
    /// Its term.
    pub term: Option<u64>,
}

impl Office {
    /// An office for one service, for good.
    pub fn fixed(metrics: Metrics) -> Self {
        Self::with(metrics, None, None)
    }

    /// An office that an election fills.
    pub fn elective(metrics: Metrics, counts: ElectionCounts) -> Self {
        Self::with(metrics, Some(View::default()), Some(counts))
    }

    fn with(metrics: Metrics, election: Option<View>, counts: Option<ElectionCounts>) -> Self {
        let now = ArcSwap::from_pointee(Standing { election, ..Standing::default() });
        Self { now, changing: Mutex::default(), started: Instant::now(), metrics, counts }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = Standing::clone(&self.now.load());
        change(&mut standing);
        self.now.store(Arc::new(standing));
    }

    /// Puts a service in place, for the term `tenure` if there is one. Nothing is done if that term has ended, or the process stops.
    /// Whether it is in place.
    pub fn begin(&self, service: Arc<Service>, tenure: Option<Arc<Tenure>>) -> bool {
        let _changing = self.changing();
        if self.now.load().stopping || tenure.as_ref().is_some_and(|tenure| tenure.is_over()) {
            return false;
        }
        let sweeper = tokio::spawn(Arc::clone(&service).sweep()).abort_handle();
        self.change(|standing| standing.duty = Some(Duty { service, sweeper, tenure }));
        true
    }

    /// Takes the service out of its place: it gives no lock any more, and ends no lease by itself.
    pub fn retire(&self, why: Closing) -> Option<Arc<Service>> {
        let _changing = self.changing();
        let mut retired = None;
        self.change(|standing| {
            retired = standing.duty.take();
            standing.stopping |= why == Closing::Stopping;
        });
        let Duty { service, sweeper, .. } = retired?;
        service.close(why);
        sweeper.abort();
        Some(service)
    }

    /// Notes how the election stands.
    pub fn note(&self, view: View) {
        let _changing = self.changing();
        self.change(|standing| standing.election = Some(view));
    }

    /// The service, if locks are given here.
    pub fn service(&self) -> Option<Arc<Service>> {
        self.now.load().duty.as_ref().map(|duty| Arc::clone(&duty.service))
    }

    /// How the election stands, if there is one.
    pub fn election(&self) -> Option<View> {
        self.now.load().election.clone()
    }

    /// Whether this coordinator gives locks now: not if its term may be over.
    pub fn gives(&self) -> bool {
        let now = self.now.load();
        now.duty.as_ref().is_some_and(|duty| duty.tenure.as_ref().is_none_or(|tenure| !tenure.left().is_zero()))
    }

    /// How long the process has served.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The counters of locks, of all terms.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is counted about the election, if there is one.
    pub fn counts(&self) -> Option<&ElectionCounts> {
        self.counts.as_ref()
    }
}
