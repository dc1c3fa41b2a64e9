//! Operations as a client writes them into a batch.

use std::sync::Arc;

use serde::Serialize;

use super::contest;
use super::names::WrittenLease;
use super::requests::Operation;
use crate::coordinator::table::Release;
use crate::http::request_id::RequestId;
use crate::time::millis;

impl Operation {
    /// The operation as an entry of a batch, caused by that request.
    pub(super) fn written<'a>(&'a self, request: &'a RequestId) -> Written<'a> {
        let by = By {
            req: request,
            req_cliente: request.client(),
            traceparent: request.trace(),
            tracestate: request.trace_state(),
        };
        match self {
            Self::Lock(lock) => Written::Lock {
                by,
                recursos: &lock.resources,
                dono: lock.owner.as_deref(),
                pedido_id: lock.request_id.as_deref(),
                ttl_ms: millis(lock.ttl),
                // A request in a contest waits for its decision, and no longer.
                espera_ms: if lock.contest.is_some() { 0 } else { millis(lock.wait) },
                token_minimo: lock.min_token,
                apesar_da_retencao: lock.despite_retention,
                disputa: lock.contest.as_ref().map(contest::Written::of),
            },
            Self::Renew { lease, ttl } => {
                Written::Renew { by, trava_id: WrittenLease(*lease), ttl_ms: ttl.map(millis) }
            }
            Self::Unlock(Release::ById { lease, retention }) => Written::Unlock {
                by,
                trava_id: Some(WrittenLease(*lease)),
                recurso: None,
                retencao_ms: millis(*retention),
            },
            Self::Unlock(Release::ByName { resource, retention }) => {
                Written::Unlock { by, trava_id: None, recurso: Some(resource), retencao_ms: millis(*retention) }
            }
        }
    }
}

/// The request that caused an operation.
#[derive(Serialize)]
pub(super) struct By<'a> {
    req: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    req_cliente: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
}

/// An entry of a batch, as a client writes it.
#[derive(Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(super) enum Written<'a> {
    Lock {
        #[serde(flatten)]
        by: By<'a>,
        recursos: &'a [Arc<str>],
        #[serde(skip_serializing_if = "Option::is_none")]
        dono: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pedido_id: Option<&'a str>,
        ttl_ms: u64,
        #[serde(skip_serializing_if = "is_zero")]
        espera_ms: u64,
        token_minimo: u64,
        apesar_da_retencao: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        disputa: Option<contest::Written<'a>>,
    },
    Renew {
        #[serde(flatten)]
        by: By<'a>,
        trava_id: WrittenLease,
        #[serde(skip_serializing_if = "Option::is_none")]
        ttl_ms: Option<u64>,
    },
    Unlock {
        #[serde(flatten)]
        by: By<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        trava_id: Option<WrittenLease>,
        #[serde(skip_serializing_if = "Option::is_none")]
        recurso: Option<&'a str>,
        retencao_ms: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
