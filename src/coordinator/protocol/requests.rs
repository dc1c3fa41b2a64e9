//! The requests about leases: each with its fields, as the server reads them.

use std::sync::Arc;
use std::time::Duration;

use super::contest;
use super::limits::{DECISION, RETENTION_MS_MAX, TOKEN_MAX, TTL_MS_DEFAULT, TTL_MS_MAX, TTL_MS_MIN, WAIT_MS_MAX};
use super::names::{checked_resource, checked_resources};
use super::numbers::{integer, name};
use crate::coordinator::table::{Acquire, Contest, LeaseId, Release, Resources};
use crate::http::fields::Fields;
use crate::http::problem::FieldError;
use crate::http::unknown::Unknown;
use crate::http::wrong::FieldCode;

const LOCK_FIELDS: &str =
    "recurso, recursos, dono, pedido_id, ttl_ms, espera_ms, token_minimo, apesar_da_retencao, disputa";
const RENEW_FIELDS: &str = "trava_id, ttl_ms";
const UNLOCK_FIELDS: &str = "trava_id, recurso, retencao_ms";

/// What `token_minimo` is. How far above the last token it may be is the table's to say.
const MIN_TOKEN: &str = "deve ser o maior token que o cliente já viu: um número inteiro a partir de 0, menor que 2^53";

/// What a client asks of the table, by a route of its own or inside a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /lock`.
    Lock(Acquire),
    /// `POST /renew`.
    Renew {
        /// The lease.
        lease: LeaseId,
        /// Its TTL from now on, where that changes.
        ttl: Option<Duration>,
    },
    /// `POST /unlock`.
    Unlock(Release),
}

/// Which [`Operation`] a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// [`Operation::Lock`].
    Lock,
    /// [`Operation::Renew`].
    Renew,
    /// [`Operation::Unlock`].
    Unlock,
}

impl OperationKind {
    /// The operation of that name in a batch.
    pub(super) fn named(op: &str) -> Option<Self> {
        match op {
            "lock" => Some(Self::Lock),
            "renew" => Some(Self::Renew),
            "unlock" => Some(Self::Unlock),
            _ => None,
        }
    }
}

impl Operation {
    /// Reads an operation's fields. Unknown ones are noted in `unknown`; `also_known` are the names of those that were read
    /// before, each after `, `.
    ///
    /// # Errors
    /// Every wrong field.
    pub(super) fn read(
        kind: OperationKind,
        fields: Fields<'_>,
        also_known: &str,
        unknown: &mut Unknown,
    ) -> Result<Self, Vec<FieldError>> {
        match kind {
            OperationKind::Lock => read_lock(fields, also_known, unknown).map(Self::Lock),
            OperationKind::Renew => read_renew(fields, also_known, unknown),
            OperationKind::Unlock => read_unlock(fields, also_known, unknown).map(Self::Unlock),
        }
    }
}

fn read_lock(mut fields: Fields<'_>, also_known: &str, unknown: &mut Unknown) -> Result<Acquire, Vec<FieldError>> {
    let single = fields.take("recurso");
    let several = fields.take("recursos");
    let resources = match (single, several) {
        (Some(_), Some(_)) => {
            fields.reject("recursos", FieldCode::Contradiction.says("use recurso ou recursos, não os dois"));
            Vec::new()
        }
        (None, None) => {
            fields.reject("recurso", FieldCode::Missing.says("é obrigatório (ou recursos, uma lista)"));
            Vec::new()
        }
        (Some(name), None) => match checked_resource(name) {
            Ok(name) => vec![name],
            Err(message) => {
                fields.reject("recurso", message);
                Vec::new()
            }
        },
        (None, Some(names)) => match checked_resources(names) {
            Ok(names) => names,
            Err(message) => {
                fields.reject("recursos", message);
                Vec::new()
            }
        },
    };
    let owner = name(&mut fields, "dono");
    let request_id = name(&mut fields, "pedido_id");
    let ttl_ms = integer(&mut fields, "ttl_ms", TTL_MS_MIN, TTL_MS_MAX);
    let wait_ms = integer(&mut fields, "espera_ms", 0, WAIT_MS_MAX);
    let contest = contest::read(&mut fields);
    if contest.is_some() && wait_ms.is_some_and(|wait| wait > 0) {
        let words = "use disputa ou espera_ms, não os dois: quem disputa espera só pela decisão";
        fields.reject("espera_ms", FieldCode::Contradiction.says(words));
    }
    let min_token = fields.integer_as("token_minimo", 0..=(TOKEN_MAX - 1).cast_signed(), MIN_TOKEN);
    let despite_retention = fields.boolean("apesar_da_retencao");
    fields.finish_noting("", format_args!("{LOCK_FIELDS}{also_known}"), unknown)?;
    let fields = LockFields {
        resources: resources.into_iter().map(Arc::from).collect(),
        owner: owner.map(Arc::from),
        request_id: request_id.map(Arc::from),
        ttl_ms,
        wait_ms,
        min_token: min_token.map(i64::cast_unsigned),
        despite_retention,
        contest,
    };
    Ok(fields.acquire())
}

/// The fields of a lock request, which are right.
pub(super) struct LockFields {
    pub resources: Resources,
    pub owner: Option<Arc<str>>,
    pub request_id: Option<Arc<str>>,
    pub ttl_ms: Option<u64>,
    pub wait_ms: Option<u64>,
    pub min_token: Option<u64>,
    pub despite_retention: Option<bool>,
    pub contest: Option<Contest>,
}

impl LockFields {
    /// The request: what has no field has its usual value.
    pub fn acquire(self) -> Acquire {
        let wait = Duration::from_millis(self.wait_ms.unwrap_or(0));
        Acquire {
            resources: self.resources,
            owner: self.owner,
            request_id: self.request_id,
            ttl: Duration::from_millis(self.ttl_ms.unwrap_or(TTL_MS_DEFAULT)),
            wait: self.contest.as_ref().map_or(wait, |contest| contest.window + DECISION),
            min_token: self.min_token.unwrap_or(0),
            despite_retention: self.despite_retention.unwrap_or(false),
            contest: self.contest,
        }
    }
}

fn read_renew(mut fields: Fields<'_>, also_known: &str, unknown: &mut Unknown) -> Result<Operation, Vec<FieldError>> {
    let lease = lease_id(&mut fields);
    if lease.is_none() && !fields.has_errors() {
        fields.reject("trava_id", FieldCode::Missing.says("é obrigatório"));
    }
    let ttl_ms = integer(&mut fields, "ttl_ms", TTL_MS_MIN, TTL_MS_MAX);
    fields.finish_noting("", format_args!("{RENEW_FIELDS}{also_known}"), unknown)?;
    // Without a lease there was an error above.
    Ok(Operation::Renew { lease: lease.unwrap_or(LeaseId(0)), ttl: ttl_ms.map(Duration::from_millis) })
}

fn read_unlock(mut fields: Fields<'_>, also_known: &str, unknown: &mut Unknown) -> Result<Release, Vec<FieldError>> {
    let has_lease = fields.has("trava_id");
    let lease = lease_id(&mut fields);
    let resource = fields.take("recurso").and_then(|raw| match checked_resource(raw) {
        Ok(name) => Some(name),
        Err(message) => {
            fields.reject("recurso", message);
            None
        }
    });
    match (has_lease, &resource) {
        (true, Some(_)) => {
            fields.reject("recurso", FieldCode::Contradiction.says("use trava_id ou recurso, não os dois"));
        }
        (false, None) if !fields.has_errors() => {
            fields.reject("trava_id", FieldCode::Missing.says("é obrigatório (ou recurso)"));
        }
        _ => {}
    }
    let retention_ms = integer(&mut fields, "retencao_ms", 0, RETENTION_MS_MAX);
    fields.finish_noting("", format_args!("{UNLOCK_FIELDS}{also_known}"), unknown)?;
    Ok(release(lease, resource, retention_ms))
}

/// The request to end a lease, of fields that are right: one of the first two is there.
pub(super) fn release(lease: Option<LeaseId>, resource: Option<String>, retention_ms: Option<u64>) -> Release {
    let retention = Duration::from_millis(retention_ms.unwrap_or(0));
    match lease {
        Some(lease) => Release::ById { lease, retention },
        None => Release::ByName { resource: resource.unwrap_or_default(), retention },
    }
}

fn lease_id(fields: &mut Fields<'_>) -> Option<LeaseId> {
    const RIGHT: &str = "deve ser o trava_id da concessão: um texto de 32 algarismos hexadecimais";
    let Ok(text) = serde_json::from_str::<String>(fields.take("trava_id")?.get()) else {
        fields.reject("trava_id", FieldCode::Kind.says(RIGHT));
        return None;
    };
    let lease = LeaseId::parse(&text);
    if lease.is_none() {
        fields.reject("trava_id", RIGHT);
    }
    lease
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::unknown::Handling;

    fn lock(body: &str) -> Result<Acquire, Vec<FieldError>> {
        let mut strict = Unknown::new(Some(Handling::Strict));
        read_lock(Fields::parse(body.as_bytes()).unwrap(), "", &mut strict)
    }

    fn wrong_lock(body: &str) -> Vec<String> {
        lock(body).unwrap_err().into_iter().map(|error| error.campo).collect()
    }

    #[test]
    fn the_simplest_client_says_one_name() {
        let acquire = lock(r#"{"recurso": "X"}"#).unwrap();
        assert_eq!(&*acquire.resources[0], "X");
        assert_eq!((acquire.resources.len(), acquire.wait), (1, Duration::ZERO));
        assert_eq!(acquire.ttl, Duration::from_secs(10));
        assert_eq!(acquire.owner, None);
    }

    #[test]
    fn a_zero_ttl_is_refused() {
        // rustfs #5939: a TTL of zero was taken for "never expires".
        assert_eq!(wrong_lock(r#"{"recurso": "X", "ttl_ms": 0}"#), ["ttl_ms"]);
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let long = "x".repeat(201);
        for (body, field) in [
            ("{}".to_owned(), "recurso"),
            (r#"{"recurso": ""}"#.to_owned(), "recurso"),
            (format!(r#"{{"recurso": "{long}"}}"#), "recurso"),
            (format!(r#"{{"recurso": "{}"}}"#, "é".repeat(101)), "recurso"),
            (r#"{"recurso": "a\nb"}"#.to_owned(), "recurso"),
            (r#"{"recurso": 1}"#.to_owned(), "recurso"),
            (r#"{"recurso": "."}"#.to_owned(), "recurso"),
            (r#"{"recurso": ".."}"#.to_owned(), "recurso"),
            (r#"{"recursos": ["a", ".."]}"#.to_owned(), "recursos"),
            (r#"{"recurso": "a", "recursos": ["b"]}"#.to_owned(), "recursos"),
            (r#"{"recursos": []}"#.to_owned(), "recursos"),
            (r#"{"recursos": ["a", "a"]}"#.to_owned(), "recursos"),
            (r#"{"recursos": ["a", 1]}"#.to_owned(), "recursos"),
            (r#"{"recursos": "a"}"#.to_owned(), "recursos"),
            (format!(r#"{{"recursos": {:?}}}"#, (0..289).map(|n| n.to_string()).collect::<Vec<_>>()), "recursos"),
            (r#"{"recurso": "a", "ttl_ms": 300001}"#.to_owned(), "ttl_ms"),
            (r#"{"recurso": "a", "espera_ms": 60001}"#.to_owned(), "espera_ms"),
            (r#"{"recurso": "a", "espera": 1}"#.to_owned(), "espera"),
        ] {
            assert_eq!(wrong_lock(&body), [field], "{body}");
        }
    }

    #[test]
    fn who_is_in_a_contest_waits_for_nothing_else() {
        let acquire = lock(r#"{"recurso": "X", "disputa": {"carimbo_us": 7, "janela_ms": 150}}"#).unwrap();
        assert_eq!(acquire.wait, Duration::from_millis(150) + DECISION);
        let both = r#"{"recurso": "X", "espera_ms": 5, "disputa": {"carimbo_us": 1, "janela_ms": 1}}"#;
        assert_eq!(wrong_lock(both), ["espera_ms"]);
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_named_and_what_is_known_is_still_checked() {
        let lenient = |body: &str| {
            let mut unknown = Unknown::new(None);
            let read = read_lock(Fields::parse(body.as_bytes()).unwrap(), "", &mut unknown);
            let wrong: Vec<String> = read.err().unwrap_or_default().into_iter().map(|error| error.campo).collect();
            let named = unknown.added_to(serde_json::json!({})).unwrap_or_default()["avisos"].to_string();
            (wrong, named)
        };
        let (wrong, named) = lenient(r#"{"recurso": "X", "correlation_id": {"a": [1]}, "": null, "x": 1, "x": 2}"#);
        assert_eq!(wrong, Vec::<String>::new());
        assert!(named.contains("correlation_id") && named.contains(r#""campo":"x""#), "{named}");
        for (body, field) in [
            (r#"{"recurso": "X", "y": 1, "ttl_ms": 0}"#, "ttl_ms"),
            (r#"{"recurso": "X", "recurso": "Y", "y": 1}"#, "recurso"),
            (r#"{"recurs": "X", "y": 1}"#, "recurso"),
        ] {
            let (wrong, named) = lenient(body);
            assert_eq!((wrong, named.contains(r#""campo":"y""#)), (vec![field.to_owned()], true), "{body}");
        }
    }

    #[test]
    fn an_unlock_names_a_lease_or_a_resource() {
        let read = |body: &str| read_unlock(Fields::parse(body.as_bytes()).unwrap(), "", &mut Unknown::new(None));
        let id = "0123456789abcdef0123456789abcdef";
        assert!(matches!(read(&format!(r#"{{"trava_id": "{id}"}}"#)), Ok(Release::ById { .. })));
        assert!(matches!(read(r#"{"recurso": "X"}"#), Ok(Release::ByName { .. })));
        for body in [
            "{}",
            r#"{"trava_id": "x"}"#,
            r#"{"trava_id": 1}"#,
            r#"{"recurso": ""}"#,
            r#"{"recurso": ".."}"#,
            r#"{"recurso": "X", "retencao_ms": -1}"#,
        ] {
            assert_eq!(read(body).unwrap_err().len(), 1, "{body}");
        }
    }
}
