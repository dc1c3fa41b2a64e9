//! The members of the answers, written by the server and read by the clients: the scheduler's and `sctec lock`.
//!
//! The client reads no more than it uses: a member that is marked `skip_deserializing` is for people and for other programs, and
//! has its default value in an answer that was read.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::names::{read_lease, write_lease};
use crate::coordinator::table::{LeaseId, Resources};
use crate::http::links::FixedLinks;
use crate::time::Rfc3339;

/// A lease, as the answer to a client shows it that did not ask for a short one.
#[derive(Clone, Debug, Serialize)]
pub struct ShownLease {
    /// What programs need of it.
    #[serde(flatten)]
    pub lease: LeaseReply,
    /// What it locks.
    pub recursos: Resources,
    /// The owner that the request named.
    pub dono: Option<Arc<str>>,
    /// When its remaining life ends, by the coordinator's clock; for people, not for deciding.
    pub expira_em_utc: Rfc3339,
    /// The next steps: renew, release.
    #[serde(rename = "_links")]
    pub links: &'static FixedLinks,
}

/// What programs need of a lease: granted, or with `situacao` `renovado` and no `esperou_ms`, renewed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeaseReply {
    /// The operation's own status, inside a batch.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `concedido` or `renovado`.
    #[serde(skip_deserializing)]
    pub situacao: &'static str,
    /// Proof of holding it.
    #[serde(serialize_with = "write_lease", deserialize_with = "read_lease")]
    pub trava_id: LeaseId,
    /// The fencing token.
    pub token: u64,
    /// Its life from the grant or the renewal on.
    pub ttl_ms: u64,
    /// The remaining life now, rounded down. The first coordinators did not send it.
    #[serde(default)]
    pub resta_ms: Option<u64>,
    /// How long the request waited for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub esperou_ms: Option<u64>,
    /// Who was in the contest for it, in the order in which it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disputa: Option<Vec<ContenderReply>>,
    /// How the winner was drawn, if there was a tie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sorteio: Option<DrawReply>,
}

/// A request in a contest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContenderReply {
    /// The instant of its click, in microseconds since 1970.
    pub carimbo_us: i64,
    /// What its client said of it.
    #[serde(default)]
    pub entrada: Option<Arc<str>>,
    /// Whether it took part in the draw.
    #[serde(default)]
    pub sorteada: bool,
}

/// How a winner was drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawReply {
    /// The first resource of the request with the smallest stamp.
    pub recurso: Arc<str>,
    /// Its seed.
    pub semente: Arc<str>,
}

impl LeaseReply {
    /// When the lease ends at the earliest, if its request was sent at `sent_at` and answered by `answered_at`. It was granted when
    /// its request had waited, and the request arrived after it was sent. A coordinator that grants more than was asked for, or
    /// waited longer than it could, is not believed.
    pub fn deadline(&self, sent_at: Instant, answered_at: Instant, ttl: Duration) -> Instant {
        let could = answered_at.saturating_duration_since(sent_at);
        let waited = Duration::from_millis(self.esperou_ms.unwrap_or_default()).min(could);
        sent_at + waited + self.left(ttl)
    }

    /// What is left of it, at the most `ttl`: a lease that was granted to the first try of a request has less left than its TTL.
    pub fn left(&self, ttl: Duration) -> Duration {
        Duration::from_millis(self.resta_ms.unwrap_or(self.ttl_ms)).min(ttl)
    }
}

/// The members that a refusal (`ocupado`) adds to its problem document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BusyReply {
    /// The first resource that was not free.
    pub recurso: Arc<str>,
    /// The holder's name.
    #[serde(skip_deserializing)]
    pub dono: Option<Arc<str>>,
    /// The holder's token.
    #[serde(skip_deserializing)]
    pub token: Option<u64>,
    /// When the resource comes free at the latest.
    #[serde(skip_deserializing)]
    pub expira_em_ms: Option<u64>,
    /// Whether it is only retained after an unlock.
    #[serde(skip_deserializing)]
    pub retido: bool,
    /// How many requests wait for it.
    #[serde(skip_deserializing)]
    pub fila: usize,
    /// How long this request waited for it.
    #[serde(skip_deserializing)]
    pub esperou_ms: u64,
}

/// The short form of a refusal (`ocupado`) inside a batch.
#[derive(Debug, Serialize)]
pub struct BriefBusy {
    /// The operation's own status.
    pub status: u16,
    /// The code, for programs.
    pub codigo: &'static str,
    /// The first resource that was not free.
    pub recurso: Arc<str>,
}

/// The answer to an unlock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReleasedReply {
    /// The operation's own status, inside a batch.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether this request ended the lease.
    #[serde(default)]
    pub liberado: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub motivo: Option<Cow<'static, str>>,
}

/// A problem document, as far as a client of ours uses it.
#[derive(Clone, Debug, Deserialize)]
pub struct ProblemReply {
    /// The status. [`answers`](super::answers) reads it before the rest.
    #[serde(default)]
    pub status: u16,
    /// The code, for programs.
    #[serde(default)]
    pub codigo: Option<String>,
    /// For people.
    #[serde(default)]
    pub detail: Option<String>,
    /// The rest of the grace, where that is the reason.
    #[serde(default)]
    pub carencia_resta_ms: Option<u64>,
}

impl fmt::Display for ProblemReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, detail) = (self.codigo.as_deref(), self.detail.as_deref());
        write!(f, "resposta {} {}: {}", self.status, code.unwrap_or("sem código"), detail.unwrap_or_default())
    }
}
