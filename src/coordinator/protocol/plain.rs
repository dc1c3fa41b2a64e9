//! Operations as programs write them, read in one pass.
//!
//! Nearly every request has only fields of its operation, each of its type and within its bounds. Such a request is read here straight into
//! its types. Any other is `None` here, and is read once more by [`Operation::read`], field by field, which tells what is wrong with it
//! or passes over what is unknown. Both readings give the same operation.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::contest;
use super::limits::{RETENTION_MS_MAX, TOKEN_MAX, TTL_MS_MAX, TTL_MS_MIN, WAIT_MS_MAX};
use super::names::{WrittenLease, check_name, check_resource, check_resources};
use super::requests::{LockFields, Operation, OperationKind, release};
use crate::coordinator::table::Resources;
use crate::http::fields::Fields;
use crate::http::fields::object::Object;
use crate::http::problem::Problem;
use crate::http::unknown::Unknown;

impl Operation {
    /// Reads the body of a request that is no batch. Unknown fields are noted in `unknown`.
    ///
    /// # Errors
    /// 400 when the body is not JSON, 422 with every wrong field.
    pub fn read_body(kind: OperationKind, body: &[u8], unknown: &mut Unknown) -> Result<Self, Problem> {
        let plain = std::str::from_utf8(body).ok().and_then(Plain::read).filter(Plain::is_alone);
        let plain = plain.and_then(|plain| plain.operation(kind));
        plain.map_or_else(|| Self::read(kind, Fields::parse(body)?, "", unknown).map_err(Problem::invalid_fields), Ok)
    }
}

/// The fields of every operation and of a batch's entry.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plain<'a> {
    #[serde(default, deserialize_with = "given")]
    pub op: Option<&'a str>,
    #[serde(default, deserialize_with = "given")]
    pub req: Option<&'a str>,
    #[serde(default, deserialize_with = "given")]
    pub req_cliente: Option<&'a str>,
    #[serde(default, deserialize_with = "given")]
    pub traceparent: Option<&'a str>,
    #[serde(default, deserialize_with = "given")]
    pub tracestate: Option<&'a str>,
    #[serde(default, deserialize_with = "given")]
    recurso: Option<&'a str>,
    #[serde(default, borrow, deserialize_with = "given")]
    recursos: Option<Vec<&'a str>>,
    #[serde(default, deserialize_with = "given")]
    dono: Option<&'a str>,
    #[serde(default, deserialize_with = "given")]
    pedido_id: Option<&'a str>,
    #[serde(default, deserialize_with = "given")]
    ttl_ms: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    espera_ms: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    token_minimo: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    apesar_da_retencao: Option<bool>,
    #[serde(default, borrow, deserialize_with = "given")]
    disputa: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "given")]
    trava_id: Option<WrittenLease>,
    #[serde(default, deserialize_with = "given")]
    retencao_ms: Option<u64>,
}

/// A field that is there. A null is an error: the other reading knows that it counts as absent, or is unknown.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl<'a> Plain<'a> {
    /// The fields in the text of an object.
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok().map(|Object(plain)| plain)
    }

    /// The operation of that kind, if the fields are its own.
    pub fn operation(self, kind: OperationKind) -> Option<Operation> {
        match kind {
            OperationKind::Lock => self.lock(),
            OperationKind::Renew => self.renew(),
            OperationKind::Unlock => self.unlock(),
        }
    }

    fn lock(self) -> Option<Operation> {
        let Self { recurso, recursos, dono, pedido_id, ttl_ms, espera_ms, token_minimo, .. } = self;
        let are_its_own = self.trava_id.is_none() && self.retencao_ms.is_none();
        let are_in_bounds = ttl_ms.is_none_or(|ttl| (TTL_MS_MIN..=TTL_MS_MAX).contains(&ttl))
            && espera_ms.is_none_or(|wait| wait <= WAIT_MS_MAX)
            && token_minimo.is_none_or(|token| token < TOKEN_MAX)
            && [dono, pedido_id].into_iter().flatten().all(|name| check_name(name).is_ok());
        if !(are_its_own && are_in_bounds) {
            return None;
        }
        let resources: Resources = match (recurso, recursos) {
            (Some(name), None) => {
                check_resource(name).ok()?;
                Arc::new([Arc::from(name)])
            }
            (None, Some(names)) => {
                check_resources(&names).ok()?;
                names.into_iter().map(Arc::from).collect()
            }
            _ => return None,
        };
        let contest = self.disputa.map(contest::read_alone).transpose().ok()?;
        if contest.is_some() && espera_ms.is_some_and(|wait| wait > 0) {
            return None;
        }
        let fields = LockFields {
            resources,
            owner: dono.map(Arc::from),
            request_id: pedido_id.map(Arc::from),
            ttl_ms,
            wait_ms: espera_ms,
            min_token: token_minimo,
            despite_retention: self.apesar_da_retencao,
            contest,
        };
        Some(Operation::Lock(fields.acquire()))
    }

    fn renew(self) -> Option<Operation> {
        let WrittenLease(lease) = self.trava_id?;
        let ttl = self.ttl_ms;
        let are_its_own = self.has_no_field_of_a_lock() && self.recurso.is_none() && self.retencao_ms.is_none();
        let is_in_bounds = ttl.is_none_or(|ttl| (TTL_MS_MIN..=TTL_MS_MAX).contains(&ttl));
        (are_its_own && is_in_bounds).then(|| Operation::Renew { lease, ttl: ttl.map(Duration::from_millis) })
    }

    fn unlock(self) -> Option<Operation> {
        let are_its_own = self.has_no_field_of_a_lock() && self.ttl_ms.is_none();
        let is_in_bounds = self.retencao_ms.is_none_or(|retention| retention <= RETENTION_MS_MAX);
        if !(are_its_own && is_in_bounds) {
            return None;
        }
        let lease = self.trava_id.map(|WrittenLease(lease)| lease);
        match self.recurso {
            Some(name) if lease.is_some() || check_resource(name).is_err() => None,
            None if lease.is_none() => None,
            resource => Some(Operation::Unlock(release(lease, resource.map(str::to_owned), self.retencao_ms))),
        }
    }

    /// Whether there is none of the fields that only a lock has.
    fn has_no_field_of_a_lock(&self) -> bool {
        let texts = [self.dono, self.pedido_id];
        let numbers = [self.espera_ms, self.token_minimo];
        self.recursos.is_none()
            && texts.iter().all(Option::is_none)
            && numbers.iter().all(Option::is_none)
            && self.apesar_da_retencao.is_none()
            && self.disputa.is_none()
    }

    /// Whether there is none of the fields that only an entry of a batch has.
    pub fn is_alone(&self) -> bool {
        [self.op, self.req, self.req_cliente, self.traceparent, self.tracestate].iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::unknown::Handling;

    const KINDS: [OperationKind; 3] = [OperationKind::Lock, OperationKind::Renew, OperationKind::Unlock];

    /// What the other reading makes of it, where it finds nothing wrong or unknown.
    fn by_fields(kind: OperationKind, body: &str) -> Option<Operation> {
        let mut strict = Unknown::new(Some(Handling::Strict));
        Operation::read(kind, Fields::parse(body.as_bytes()).ok()?, "", &mut strict).ok()
    }

    fn in_one_pass(kind: OperationKind, body: &str) -> Option<Operation> {
        Plain::read(body).filter(Plain::is_alone)?.operation(kind)
    }

    #[test]
    fn what_programs_send_is_read_in_one_pass() {
        for (kind, body) in [
            (OperationKind::Lock, r#"{"recurso": "X"}"#),
            (OperationKind::Lock, r#" {"recursos": ["é", "Y"], "dono": "a", "pedido_id": "1", "ttl_ms": 100}"#),
            (
                OperationKind::Lock,
                r#"{"recurso": "X", "espera_ms": 60000, "token_minimo": 7, "apesar_da_retencao": true}"#,
            ),
            (OperationKind::Lock, r#"{"recurso": "X", "disputa": {"carimbo_us": 1, "janela_ms": 5, "entrada": "\""}}"#),
            (OperationKind::Renew, r#"{"trava_id": "0123456789abcdef0123456789abcdef", "ttl_ms": 300000}"#),
            (OperationKind::Renew, r#"{"trava_id": "0123456789abcdef0123456789abcdef"}"#),
            (OperationKind::Unlock, r#"{"trava_id": "0123456789abcdef0123456789abcdef", "retencao_ms": 0}"#),
            (OperationKind::Unlock, r#"{"recurso": "X"}"#),
        ] {
            let read = in_one_pass(kind, body);
            assert!(read.is_some() && read == by_fields(kind, body), "{body}");
        }
    }

    /// Texts of JSON: some are right for a field, some for none.
    const VALUES: [&str; 24] = [
        "\"X\"",
        "\"\"",
        "\"..\"",
        "\"a\\u0062\"",
        "\"\\u0000\"",
        "\"0123456789abcdef0123456789abcdef\"",
        "null",
        "true",
        "0",
        "-0",
        "100",
        "300",
        "60000",
        "60001",
        "300000",
        "300001",
        "1e3",
        "9007199254740991",
        "9007199254740992",
        "[\"X\"]",
        "[\"X\", \"X\"]",
        "[\"X\", \"Y\"]",
        "[]",
        "{\"carimbo_us\": 1, \"janela_ms\": 300}",
    ];

    const FIELDS: [&str; 13] = [
        "recurso",
        "recursos",
        "dono",
        "pedido_id",
        "ttl_ms",
        "espera_ms",
        "token_minimo",
        "apesar_da_retencao",
        "disputa",
        "trava_id",
        "retencao_ms",
        "req",
        "outro",
    ];

    proptest! {
        #[test]
        fn what_is_read_in_one_pass_is_read_the_same_by_its_fields(
            kind in prop::sample::select(&KINDS[..]),
            // Often a field that the operation needs.
            needed in prop::option::of(prop::sample::select(vec![
                r#""recurso": "X""#, r#""recursos": ["X", "Y"]"#, r#""trava_id": "0123456789abcdef0123456789abcdef""#,
            ])),
            fields in prop::collection::vec((prop::sample::select(&FIELDS[..]), prop::sample::select(&VALUES[..])), 0..4),
        ) {
            let fields = fields.into_iter().map(|(name, value)| format!("\"{name}\": {value}"));
            let fields: Vec<String> = needed.map(str::to_owned).into_iter().chain(fields).collect();
            let body = format!("{{{}}}", fields.join(", "));
            if let Some(read) = in_one_pass(kind, &body) {
                prop_assert_eq!(Some(read), by_fields(kind, &body), "{}", body);
            }
        }
    }
}
