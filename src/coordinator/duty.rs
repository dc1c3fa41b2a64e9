//! Begins and ends the giving of locks in a process: with one service for good, or with a part in an election.

use std::sync::Arc;

use slog::Logger;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::config::Config;
use super::election::run::{Candidate, MakeService};
use super::metrics::{ElectionCounts, Metrics};
use super::office::Office;
use super::protocol::TOKENS_ABOVE_MAX;
use super::quotas::Quotas;
use super::service::{Closing, Service};
use super::state::file::{StateFile, start_error};
use super::state::{DurableState, Hold};
use crate::data_dir::DataDirError;
use crate::time::Clock;

/// What gives locks in this process.
pub struct Duty {
    office: Arc<Office>,
    kind: Kind,
}

enum Kind {
    /// One service.
    Fixed(Arc<Service>),
    /// A part in an election.
    Elective {
        stop: CancellationToken,
        /// Aborted when this is dropped: the lease then ends by itself, as after a crash.
        candidate: Option<AbortOnDropHandle<()>>,
        /// Of the data folder, which has one coordinator also when its limits are in etcd.
        _hold: Arc<dyn Hold>,
    },
}

impl Duty {
    /// Takes the data folder and begins.
    ///
    /// # Errors
    /// When another coordinator has the folder, or its state cannot be read or written.
    pub fn begin(config: &Config, clock: &Clock, log: &Logger) -> Result<Self, DataDirError> {
        let state = StateFile::open(&config.data_dir)?;
        let metrics = Metrics::new();
        let make = maker(config, clock, log, &metrics);
        let Some(election) = &config.election else {
            let service = make(Box::new(state)).map_err(|error| start_error(&config.data_dir, &error))?;
            let (service, office) = (Arc::new(service), Arc::new(Office::fixed(metrics)));
            office.begin(Arc::clone(&service), None);
            return Ok(Self { office, kind: Kind::Fixed(service) });
        };
        let counts = ElectionCounts::default();
        let office = Arc::new(Office::elective(metrics, counts.clone()));
        let (before, hold) = (state.limits(), state.hold());
        let candidate = Candidate::new(election, (Arc::clone(&office), counts), (before, make), log.clone());
        let stop = CancellationToken::new();
        let candidate = Some(AbortOnDropHandle::new(tokio::spawn(candidate.run(stop.clone()))));
        Ok(Self { office, kind: Kind::Elective { stop, candidate, _hold: hold } })
    }

    /// Where the service is.
    pub fn office(&self) -> &Arc<Office> {
        &self.office
    }

    /// Gives no lock any more. In an election, another coordinator is elected from now on.
    pub async fn close(&mut self) {
        match &mut self.kind {
            // A waiter's request would delay the stop. The service stays in place: locks can still be released.
            Kind::Fixed(service) => service.close(Closing::Stopping),
            Kind::Elective { stop, candidate, .. } => {
                stop.cancel();
                if let Some(candidate) = candidate.take() {
                    // A panic in it has stopped the process already.
                    let _ = candidate.await;
                }
            }
        }
    }

    /// The last request is answered.
    pub fn end(self) {
        if let Kind::Fixed(service) = self.kind {
            self.office.retire(Closing::Stopping);
            service.end();
        }
    }
}

/// Makes services as `config` says, whose counters are `metrics`.
fn maker(config: &Config, clock: &Clock, log: &Logger, metrics: &Metrics) -> Arc<MakeService> {
    let (clock, log, metrics) = (clock.clone(), log.clone(), metrics.clone());
    let bounds = (config.limits, Quotas { on_loopback: config.quota_on_loopback });
    let (grace, tokens_above) = (config.grace, config.tokens_above.min(TOKENS_ABOVE_MAX));
    Arc::new(move |state| {
        let told = (clock.clone(), log.clone(), metrics.clone());
        Service::start(state, bounds, grace, tokens_above, told)
    })
}
