//! One coordinator's part in the election, as a task: it asks etcd what the [`Election`] wants to know, and begins and ends terms.
//!
//! A term begins aside from the questions, since it writes to etcd before it gives the first lock, and the lease must be kept alive
//! meanwhile.

use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ElectionConfig;
use super::elector::{Answer, Ask, Change, Election};
use super::etcd::{Etcd, EtcdError};
use super::tenure::Tenure;
use crate::coordinator::metrics::ElectionCounts;
use crate::coordinator::office::{Office, View};
use crate::coordinator::service::{Closing, Service};
use crate::coordinator::state::{DurableState, Limits, StateError, etcd::EtcdState};
use crate::panics;
use crate::time::since_boot;

/// The pause before a term is begun again whose limits could not be written.
const BEGIN_RETRY: Duration = Duration::from_millis(200);
/// How long a stop waits for etcd. After that the lease ends by itself.
const RESIGN: Duration = Duration::from_secs(2);

/// Makes the service of a term, whose durable limits are given. It blocks.
pub type MakeService = dyn Fn(Box<dyn DurableState>) -> Result<Service, StateError> + Send + Sync;

/// A candidate.
pub struct Candidate {
    etcd: Arc<Etcd>,
    /// By which URL this coordinator is reached.
    address: String,
    /// The limits of a coordinator that was not elected and had this one's folder.
    before: Limits,
    office: Arc<Office>,
    counts: ElectionCounts,
    make: Arc<MakeService>,
    log: Logger,
    /// The present term, and the task that begins it.
    term: Option<(Arc<Tenure>, AbortHandle)>,
    /// Whether the log says that etcd does not do what it is asked.
    told_fault: bool,
}

impl Candidate {
    /// One that fills `office` when it is elected.
    pub fn new(
        config: &ElectionConfig,
        (office, counts): (Arc<Office>, ElectionCounts),
        (before, make): (Limits, Arc<MakeService>),
        log: Logger,
    ) -> Self {
        let etcd = Arc::new(Etcd::new(config, counts.failures.clone()));
        let address = config.address.clone();
        Self { etcd, address, before, office, counts, make, log, term: None, told_fault: false }
    }

    /// Takes part until `stop`, and then gives its lease up, so that another is elected at once.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut election = Election::new(since_boot());
        // A request to etcd that is under way at a stop is not waited for: the lease is given up, also if the request succeeds.
        while stop.run_until_cancelled(self.step(&mut election)).await.is_some() {}
        self.resign(election).await;
    }

    async fn step(&mut self, election: &mut Election) {
        sleep(election.due().saturating_sub(since_boot())).await;
        let (ask, sent_at) = (election.ask(), since_boot());
        let answer = self.asked(ask).await;
        self.tell(&answer);
        let now = since_boot();
        let change = election.answered(sent_at, now, answer.ok());
        match (change, election.gives_until()) {
            (Some(Change::Elected { term }), Some(gives_until)) => self.elected(term, gives_until),
            (Some(Change::Deposed), _) => self.deposed(),
            (_, Some(gives_until)) => self.prolong(gives_until),
            _ => {}
        }
        self.note(election, now);
    }

    async fn asked(&self, ask: Ask) -> Result<Answer, EtcdError> {
        let etcd = &self.etcd;
        Ok(match ask {
            Ask::Look => Answer::Seat(etcd.look().await?.seat),
            Ask::TakeLease => {
                let (lease, life) = etcd.take_lease().await?;
                Answer::Leased(lease, life)
            }
            Ask::Campaign(lease) => Answer::Seat(etcd.campaign(lease, &self.address).await?.seat),
            Ask::KeepAlive(lease) => Answer::Kept(etcd.keep_alive(lease).await?),
            Ask::GiveUp(lease) => {
                etcd.give_up(lease).await?;
                Answer::GivenUp
            }
        })
    }

    /// Says once when etcd does not do what it is asked, and when it does so again.
    fn tell(&mut self, answer: &Result<Answer, EtcdError>) {
        match answer {
            Err(error) if !self.told_fault => {
                warn!(self.log, "O etcd não fez o que lhe foi pedido: {}", error);
                self.told_fault = true;
            }
            Ok(_) if self.told_fault => {
                info!(self.log, "O etcd voltou a fazer o que lhe é pedido");
                self.told_fault = false;
            }
            _ => {}
        }
    }

    fn elected(&mut self, term: u64, gives_until: Duration) {
        info!(self.log, "Eleito"; "mandato" => term);
        self.counts.won.inc();
        let tenure = Arc::new(Tenure::new(term, gives_until));
        let begin = begin(
            (Arc::clone(&self.etcd), Arc::clone(&tenure), self.before),
            (Arc::clone(&self.office), Arc::clone(&self.make)),
            self.log.clone(),
        );
        self.term = Some((tenure, tokio::spawn(begin).abort_handle()));
    }

    fn prolong(&self, gives_until: Duration) {
        let Some((tenure, _)) = &self.term else { return };
        tenure.prolong(gives_until);
        if let Some(service) = self.office.service() {
            service.give_for(|| tenure.left());
        }
    }

    fn deposed(&mut self) {
        let Some((tenure, beginning)) = self.term.take() else { return };
        tenure.end();
        beginning.abort();
        self.office.retire(Closing::Deposed);
        self.counts.lost.inc();
        warn!(self.log, "Deixou de ser o eleito"; "mandato" => tenure.term());
    }

    fn note(&self, election: &Election, now: Duration) {
        let before = self.office.election().unwrap_or_default();
        let seen = election.elected(now);
        let elected = self.term.is_some();
        let view = View {
            elected,
            address: seen.and_then(|seat| seat.address.clone()),
            term: match &self.term {
                Some((tenure, _)) => Some(tenure.term()),
                None => seen.map(|seat| seat.term),
            },
        };
        if view == before {
            return;
        }
        if let (false, Some(address), Some(term)) = (elected, &view.address, view.term)
            && before.term != view.term
        {
            info!(self.log, "O eleito é {}", address; "mandato" => term);
        }
        self.office.note(view);
    }

    /// Stops giving locks, writes down how long those that were given may live, and gives the lease up.
    async fn resign(mut self, election: Election) {
        let retired = self.office.retire(Closing::Stopping);
        let resigning = async {
            if let Some(service) = retired {
                // It fails only with the runtime.
                let _ = panics::blocking(move || service.end()).await;
            }
            let Some(lease) = election.resign() else { return };
            if let Err(error) = self.etcd.give_up(lease).await {
                warn!(self.log, "O lease no etcd acaba sozinho: {}", error);
            }
        };
        if tokio::time::timeout(RESIGN, resigning).await.is_err() {
            warn!(self.log, "O lease no etcd acaba sozinho: o etcd não respondeu a tempo");
        }
        if let Some((tenure, beginning)) = self.term.take() {
            tenure.end();
            beginning.abort();
        }
        self.office.note(View::default());
    }
}

/// Begins a term: reads the limits and makes the first tokens durable, until that succeeds or the term ends.
async fn begin(
    (etcd, tenure, before): (Arc<Etcd>, Arc<Tenure>, Limits),
    (office, make): (Arc<Office>, Arc<MakeService>),
    log: Logger,
) {
    let mut told = false;
    while !tenure.is_over() {
        let (etcd, of_state, make) = (Arc::clone(&etcd), Arc::clone(&tenure), Arc::clone(&make));
        let runtime = Handle::current();
        let made = panics::blocking(move || {
            let state = EtcdState::open(etcd, runtime, of_state, before)?;
            make(Box::new(state))
        });
        match made.await {
            Ok(Ok(service)) => {
                service.give_for(|| tenure.left());
                let term = tenure.term();
                if office.begin(Arc::new(service), Some(tenure)) {
                    info!(log, "Mandato iniciado"; "mandato" => term);
                }
                return;
            }
            Ok(Err(error)) => {
                if !told {
                    warn!(log, "Eleito, mas ainda sem tokens: {}", error);
                    told = true;
                }
                sleep(BEGIN_RETRY).await;
            }
            // The runtime ends.
            Err(_) => return,
        }
    }
}
