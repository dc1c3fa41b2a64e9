//! Who calls: a scheduler by the secret that it shares with the coordinator, anybody else as [`crate::http::identity`] finds out. And the
//! proof that this coordinator has that secret too.

use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;

use super::rights::Rights;
use crate::access::Caller;
use crate::access::principal::{ALL_NAMES, Principal, Who};
use crate::access::role::{Need, Role};
use crate::access::secret::{PROCESS_BYTES, ProcessId, Secret};
use crate::audit::record::SERVICE as SCHEDULER;
use crate::coordinator::kinds;
use crate::coordinator::protocol::challenge::{self, NONCE, hex};
use crate::coordinator::protocol::path;
use crate::http::identity::{Identity, admit, bearer};
use crate::http::links::{Link, Links};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::router::Endpoint;
use crate::http::server::Request;
use crate::http::wrong::FieldCode;
use crate::http::{self, Response};

/// Who the callers are, and the secret of the schedulers among them.
pub struct Callers {
    identity: Identity,
    prover: Option<Prover>,
    /// Whether what the schedulers use is theirs alone.
    reserves: bool,
}

/// The secret, and which process proves to have it.
struct Prover {
    secret: Secret,
    process: ProcessId,
    scheduler: Arc<Principal>,
}

/// `GET /desafio`.
#[derive(Serialize)]
struct Proof {
    processo: String,
    prova: String,
    _links: Links,
}

impl Callers {
    /// Callers are identified by the secret, if the coordinator keeps something for those who have it, and else by `identity`.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn new(identity: Identity, secret: Option<Secret>, reserves: bool) -> Result<Self, getrandom::Error> {
        let mut process = [0; PROCESS_BYTES];
        getrandom::fill(&mut process)?;
        let reserves = secret.is_some() && reserves || identity.identifies();
        let prover = secret.map(|secret| Prover { secret, process, scheduler: Arc::new(scheduler()) });
        Ok(Self { identity, prover, reserves })
    }

    /// Finds out who sends a request, notes it there, and counts it in the rate of its client. Who has the secret has no rate:
    /// everybody's bookings go through a scheduler.
    ///
    /// # Errors
    /// 429.
    pub async fn meet(&self, request: &mut Request, endpoint: Option<&Endpoint>) -> Result<(), Problem> {
        let Some(scheduler) = self.scheduler(request) else { return self.identity.meet(request, endpoint).await };
        // Where nothing is kept for schedulers, nobody is asked who they are.
        request.who = if self.reserves { Who::Known(scheduler) } else { Who::Anyone };
        Ok(())
    }

    /// Checks that the caller, who was [met](Self::meet), is what the endpoint needs, and notes it in the request's log lines.
    ///
    /// # Errors
    /// 401 or 403; 503 while nobody can be identified.
    pub fn admit(&self, request: &mut Request, need: Need) -> Result<Rights, Problem> {
        admit(request, need)?;
        let rights = Rights::new(request.who.clone(), self.reserves);
        request.log = rights.named_in(&request.log);
        Ok(rights)
    }

    /// The scheduler, if the request presents the secret.
    fn scheduler(&self, request: &Request) -> Option<Arc<Principal>> {
        let Prover { secret, scheduler, .. } = self.prover.as_ref()?;
        let presented = bearer(&request.head.headers).ok().flatten()?;
        secret.is(presented).then(|| Arc::clone(scheduler))
    }

    /// `GET /desafio`.
    pub fn prove(&self, request: &Request) -> Result<Response, Problem> {
        let mut parameters = Parameters::parse(request.head.uri.query());
        if !parameters.has(NONCE) {
            parameters.reject(NONCE, FieldCode::Missing.says("é obrigatório"));
        }
        let nonce = parameters.parsed(NONCE, challenge::nonce);
        parameters.finish(NONCE)?;
        let Some(Prover { secret, process, .. }) = &self.prover else { return Err(no_secret()) };
        // It was there, or the reading has ended with an error.
        let proof = secret.prove(&nonce.unwrap_or_default(), process);
        let links = Links::new().with("inicio", Link::get(path::ENTRY));
        Ok(http::json(StatusCode::OK, &Proof { processo: hex(process), prova: hex(&proof), _links: links }))
    }
}

/// The principal that every scheduler is: a service that may use all names.
fn scheduler() -> Principal {
    Principal {
        name: Caller::service(SCHEDULER).author,
        roles: [Role::Service].into_iter().collect(),
        scientist: None,
        prefixes: vec![ALL_NAMES.to_owned()],
    }
}

fn no_secret() -> Problem {
    let detail = "Este coordenador começou sem segredo, e por isso não prova nada. O operador lhe dá um com --coordinator-token-file.";
    Problem::new(kinds::NO_SECRET, detail)
}
