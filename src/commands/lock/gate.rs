//! What `sctec lock` asks of the coordinator: a lock, its renewal, its release.

use std::fmt;
use std::time::{Duration, Instant};

use rust_i18n::t;
use serde::Deserialize;
use serde_json::json;

use super::term::Term;
use crate::commands::locks::client::{Answer, Client, ClientError};
use crate::coordinator::protocol::path;
use crate::coordinator::protocol::replies::{LeaseReply, ReleasedReply};
use crate::coordinator::table::LeaseId;
use crate::http::client::Limits;
use crate::time::millis;

/// How long connecting to one address may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take, without the time that the request may wait in the queue.
const EXCHANGE: Duration = Duration::from_secs(5);
/// The most bytes of an answer.
const ANSWER_MAX: usize = 64 * 1024;

/// The lock that is asked for, and the coordinator that is asked.
pub struct Gate {
    pub client: Client,
    /// The resources: all of them are locked, or none.
    pub names: Vec<String>,
    pub owner: String,
    /// With the owner it identifies the request: the same request again gets the same place in the queue, and the same lease.
    pub request_id: String,
    pub ttl: Duration,
}

/// A lease that was granted.
pub struct Lease {
    pub id: LeaseId,
    pub token: u64,
    pub term: Term,
}

/// Who has a resource.
#[derive(Debug, Deserialize)]
pub struct Holder {
    /// The first resource that is not free.
    pub recurso: String,
    pub dono: Option<String>,
    pub token: Option<u64>,
    pub expira_em_ms: Option<u64>,
    pub retido: bool,
    pub fila: u64,
}

/// The answer to a request for a lock.
pub enum Asked {
    Granted(Lease),
    Busy(Holder),
    /// The coordinator can grant nothing now: it says why.
    Later(ClientError),
}

/// The answer to a renewal.
pub enum Renewed {
    Until(Term),
    Lost(Loss),
}

/// How a lease was lost.
#[derive(Debug)]
pub enum Loss {
    /// No renewal was confirmed in time.
    NotRenewed,
    /// It has ended: the coordinator's word for how.
    Ended(String),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::NotRenewed => t!("no renewal was confirmed in time"),
            Self::Ended(how) => match how.as_str() {
                "expirado" => t!("it expired before it was renewed"),
                "forcado" => t!("an operator released it by force"),
                "desconhecido" => t!("the coordinator does not know it, most likely because it was restarted"),
                "ja_liberado" => t!("it was released by a program that knows its lease id"),
                // A later version's.
                other => t!("the coordinator says: \"%{words}\"", words = other),
            },
        })
    }
}

impl Gate {
    /// Asks for the lock; the request may wait for `wait`. `since` is when it was sent for the first time, or now.
    ///
    /// # Errors
    /// When no coordinator answers, or it refuses the request itself.
    pub async fn lock(&self, wait: Duration, since: Instant) -> Result<Asked, ClientError> {
        let body = json!({
            "recursos": self.names, "dono": self.owner, "pedido_id": self.request_id,
            "ttl_ms": millis(self.ttl), "espera_ms": millis(wait),
        });
        let limits = Limits { connect: CONNECT, exchange: wait + EXCHANGE, answer_bytes: ANSWER_MAX };
        let sent_at = Instant::now();
        let answer = self.client.post(path::LOCK, &body, limits).await?;
        match (answer.status().as_u16(), answer.code()) {
            (200, _) => {
                let reply: LeaseReply = answer.parsed()?;
                // Both are no later than the true end: the answer was written after this request was sent, and the lock was granted
                // when the first one had waited.
                let ends = reply.deadline(since, Instant::now(), self.ttl).max(sent_at + reply.left(self.ttl));
                let term = Term::new(self.ttl, ends);
                Ok(Asked::Granted(Lease { id: reply.trava_id, token: reply.token, term }))
            }
            (409, Some("ocupado")) => answer.parsed().map(Asked::Busy),
            // It was granted, and ended before the answer left.
            (409, Some("trava_perdida")) | (503, Some(_)) | (429, Some("requisicoes_demais")) => {
                Ok(Asked::Later(answer.refusal()))
            }
            _ => Err(answer.refusal()),
        }
    }

    /// Renews a lease, once at each address.
    ///
    /// # Errors
    /// When no coordinator answers, or it cannot renew now: the lease may still be renewed later.
    pub async fn renew(&self, lease: LeaseId) -> Result<Renewed, ClientError> {
        // The tries at all addresses fit into the third of the TTL that is left for them.
        let share = self.ttl / 3 / self.client.addresses();
        let limits = Limits { connect: share.min(CONNECT), exchange: share.min(EXCHANGE), answer_bytes: ANSWER_MAX };
        let sent_at = Instant::now();
        let body = json!({"trava_id": lease.to_string(), "ttl_ms": millis(self.ttl)});
        let answer = self.client.post(path::RENEW, &body, limits).await?;
        match (answer.status().as_u16(), answer.code()) {
            (200, _) => {
                let reply: LeaseReply = answer.parsed()?;
                Ok(Renewed::Until(Term::new(self.ttl, sent_at + reply.left(self.ttl))))
            }
            (409, Some("trava_perdida")) => Ok(Renewed::Lost(loss(&answer))),
            _ => Err(answer.refusal()),
        }
    }

    /// Releases a lease; returns how it was lost before, if it was.
    ///
    /// # Errors
    /// When no coordinator confirms it.
    pub async fn release(&self, lease: LeaseId) -> Result<Option<Loss>, ClientError> {
        let limits = Limits { connect: CONNECT, exchange: EXCHANGE, answer_bytes: ANSWER_MAX };
        let answer = self.client.post(path::UNLOCK, &json!({"trava_id": lease.to_string()}), limits).await?;
        if answer.status() != 200 {
            return Err(answer.refusal());
        }
        let reply: ReleasedReply = answer.parsed()?;
        // The first try of this release may have arrived, and its answer may not.
        let released = reply.liberado || reply.motivo.as_deref() == Some("ja_liberado");
        Ok((!released).then(|| loss(&answer)))
    }
}

/// How a lease was lost, from the coordinator's word.
fn loss(answer: &Answer) -> Loss {
    Loss::Ended(answer.body["motivo"].as_str().unwrap_or_default().to_owned())
}
