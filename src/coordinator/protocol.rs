//! What the coordinator and its clients say to each other, as values: reading a request's fields, and the shapes of the
//! answers that both sides share.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::table::{Acquire, LeaseId, NotLive, Release, Resources};
use crate::http::fields::{Fields, TextRule, checked_text};
use crate::http::links::Links;
use crate::http::problem::FieldError;
use crate::http::unknown::Unknown;
use crate::http::wrong::{FieldCode, Wrong};

/// A lease's life where none is asked for, in milliseconds.
pub const TTL_MS_DEFAULT: u64 = 10_000;
/// The shortest life of a lease.
pub const TTL_MS_MIN: u64 = 100;
/// The longest life of a lease.
pub const TTL_MS_MAX: u64 = 300_000;
/// The longest wait for a lease, in milliseconds.
pub const WAIT_MS_MAX: u64 = 60_000;
/// The longest retention.
pub const RETENTION_MS_MAX: u64 = 60_000;
/// The most resources of one request: a day of five-minute slots.
pub const RESOURCES_MAX: usize = 288;
/// The longest name of a resource, an owner or a request, in bytes.
pub const NAME_MAX_BYTES: usize = 200;
/// The most operations of one batch.
pub const BATCH_MAX: usize = 1024;
/// The most events published at once.
pub const PUBLISHED_MAX: usize = 1024;
/// Bytes that our own requests stay below: the coordinator takes up to 1 MiB.
pub const BODY_BYTES: usize = 900 * 1024;
/// Every token is below this: the largest integer that every JSON reader keeps exactly.
pub const TOKEN_MAX: u64 = 1 << 53;
/// The most that an operator may lift the tokens to: a million are left.
pub const TOKENS_ABOVE_MAX: u64 = TOKEN_MAX - (1 << 20);
/// The code of the refusal of a request that would lift the tokens too far.
pub const TOO_FAR: &str = "token_minimo_distante";

const LOCK_FIELDS: &str = "recurso, recursos, dono, pedido_id, ttl_ms, espera_ms, token_minimo, apesar_da_retencao";
const RENEW_FIELDS: &str = "trava_id, ttl_ms";
const UNLOCK_FIELDS: &str = "trava_id, recurso, retencao_ms";

/// A lease, as answered: granted, or with `situacao` `renovado` and no `esperou_ms`, renewed.
#[derive(Clone, Debug, Serialize)]
pub struct LeaseReply {
    /// The operation's own status, inside a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `concedido` or `renovado`.
    pub situacao: &'static str,
    /// What it locks.
    pub recursos: Resources,
    /// Proof of holding it.
    pub trava_id: String,
    /// The fencing token.
    pub token: u64,
    /// Who asked.
    pub dono: Option<Arc<str>>,
    /// Its life from the grant or the renewal on.
    pub ttl_ms: u64,
    /// What remains of that now, rounded down.
    pub resta_ms: u64,
    /// When that ends, by the coordinator's clock; for people, not for deciding.
    pub expira_em_utc: String,
    /// How long it was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub esperou_ms: Option<u64>,
    /// What can be done with it.
    #[serde(rename = "_links")]
    pub links: Links,
}

/// The members that a refusal (`ocupado`) adds to its problem document.
#[derive(Clone, Debug, Serialize)]
pub struct BusyReply {
    /// The first resource that was not free.
    pub recurso: Arc<str>,
    /// Who holds it.
    pub dono: Option<Arc<str>>,
    /// The holder's token.
    pub token: Option<u64>,
    /// When it comes free at the latest.
    pub expira_em_ms: Option<u64>,
    /// Whether it is only retained after an unlock.
    pub retido: bool,
    /// How many wait for it.
    pub fila: usize,
    /// How long this was waited for.
    pub esperou_ms: u64,
}

/// The answer to an unlock.
#[derive(Clone, Debug, Serialize)]
pub struct ReleasedReply {
    /// The operation's own status, inside a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether this request freed it.
    pub liberado: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub motivo: Option<&'static str>,
}

/// One operation of a batch, as a client sends it.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// `POST /lock`.
    Lock {
        /// The request that caused it.
        req: String,
        /// What to lock.
        recursos: Vec<String>,
        /// Who asks.
        dono: String,
        /// Which request of the owner's this is.
        pedido_id: String,
        /// The lease's life.
        ttl_ms: u64,
        /// The largest token that the caller has seen.
        token_minimo: u64,
        /// Whether a retention is passed over.
        apesar_da_retencao: bool,
    },
    /// `POST /unlock`.
    Unlock {
        /// The request that caused it.
        req: String,
        /// The lease.
        trava_id: String,
        /// How long the resources stay refused.
        retencao_ms: u64,
    },
}

/// Reads the fields of a lock request; what is not known is noted in `unknown`.
///
/// # Errors
/// Every wrong field.
pub fn read_lock(mut fields: Fields<'_>, also_known: &str, unknown: &mut Unknown) -> Result<Acquire, Vec<FieldError>> {
    let single = fields.take("recurso");
    let several = fields.take("recursos");
    let resources = match (single, several) {
        (Some(_), Some(_)) => {
            fields.reject("recursos", "use recurso ou recursos, não os dois");
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
        (None, Some(names)) => match checked_names(names) {
            Ok(names) => names,
            Err(message) => {
                fields.reject("recursos", message);
                Vec::new()
            }
        },
    };
    let owner = name(&mut fields, "dono");
    let request_id = name(&mut fields, "pedido_id");
    let ttl_ms = integer(&mut fields, "ttl_ms", TTL_MS_MIN, TTL_MS_MAX).unwrap_or(TTL_MS_DEFAULT);
    let wait_ms = integer(&mut fields, "espera_ms", 0, WAIT_MS_MAX).unwrap_or(0);
    let min_token = integer(&mut fields, "token_minimo", 0, TOKEN_MAX - 1).unwrap_or(0);
    let despite_retention = fields.boolean("apesar_da_retencao").unwrap_or(false);
    fields.finish_noting("", &format!("{LOCK_FIELDS}{also_known}"), unknown)?;
    Ok(Acquire {
        resources: resources.into_iter().map(Arc::from).collect(),
        owner: owner.map(Arc::from),
        request_id: request_id.map(Arc::from),
        ttl: Duration::from_millis(ttl_ms),
        wait: Duration::from_millis(wait_ms),
        min_token,
        despite_retention,
    })
}

/// Reads the fields of a renewal: the lease, and its TTL from now on where it changes.
///
/// # Errors
/// Every wrong field.
pub fn read_renew(
    mut fields: Fields<'_>,
    also_known: &str,
    unknown: &mut Unknown,
) -> Result<(LeaseId, Option<Duration>), Vec<FieldError>> {
    let lease = lease_id(&mut fields);
    if lease.is_none() && !fields.has_errors() {
        fields.reject("trava_id", FieldCode::Missing.says("é obrigatório"));
    }
    let ttl_ms = integer(&mut fields, "ttl_ms", TTL_MS_MIN, TTL_MS_MAX);
    fields.finish_noting("", &format!("{RENEW_FIELDS}{also_known}"), unknown)?;
    // Without a lease there was an error above.
    Ok((lease.unwrap_or(LeaseId(0)), ttl_ms.map(Duration::from_millis)))
}

/// Reads the fields of an unlock request.
///
/// # Errors
/// Every wrong field.
pub fn read_unlock(
    mut fields: Fields<'_>,
    also_known: &str,
    unknown: &mut Unknown,
) -> Result<Release, Vec<FieldError>> {
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
        (true, Some(_)) => fields.reject("recurso", "use trava_id ou recurso, não os dois"),
        (false, None) if !fields.has_errors() => {
            fields.reject("trava_id", FieldCode::Missing.says("é obrigatório (ou recurso)"));
        }
        _ => {}
    }
    let retention_ms = integer(&mut fields, "retencao_ms", 0, RETENTION_MS_MAX).unwrap_or(0);
    fields.finish_noting("", &format!("{UNLOCK_FIELDS}{also_known}"), unknown)?;
    let retention = Duration::from_millis(retention_ms);
    Ok(match (lease, resource) {
        (Some(lease), _) => Release::ById { lease, retention },
        (None, resource) => Release::ByName { resource: resource.unwrap_or_default(), retention },
    })
}

fn lease_id(fields: &mut Fields<'_>) -> Option<LeaseId> {
    let text: Option<String> = serde_json::from_str(fields.take("trava_id")?.get()).ok();
    let lease = text.and_then(|text| LeaseId::parse(&text));
    if lease.is_none() {
        fields.reject("trava_id", "deve ser o trava_id da concessão: 32 algarismos hexadecimais");
    }
    lease
}

/// The word on the wire and in the log for why a lease is not there.
pub fn not_live_name(why: NotLive) -> &'static str {
    match why {
        NotLive::AlreadyReleased => "ja_liberado",
        NotLive::Expired => "expirado",
        NotLive::Forced => "forcado",
        NotLive::Unknown => "desconhecido",
    }
}

pub use crate::time::millis;

fn integer(fields: &mut Fields<'_>, name: &str, min: u64, max: u64) -> Option<u64> {
    fields.integer(name, min.cast_signed()..=max.cast_signed()).map(i64::cast_unsigned)
}

fn name(fields: &mut Fields<'_>, field: &str) -> Option<String> {
    match checked_name(fields.take(field)?) {
        Ok(name) => Some(name),
        Err(message) => {
            fields.reject(field, message);
            None
        }
    }
}

fn checked_name(raw: &RawValue) -> Result<String, Wrong> {
    let name = checked_text(raw, TextRule { max_chars: NAME_MAX_BYTES, multiline: false })?;
    if name.len() > NAME_MAX_BYTES {
        return Err(FieldCode::Length.says(format!("deve ter até {NAME_MAX_BYTES} bytes; tem {}", name.len())));
    }
    Ok(name)
}

/// The name of a resource, which is a part of its address: a path that ends in `.` or `..`, however they are written, is another
/// path to all who follow a link.
fn checked_resource(raw: &RawValue) -> Result<String, Wrong> {
    let name = checked_name(raw)?;
    if matches!(name.as_str(), "." | "..") {
        return Err("não pode ser . nem .., que num caminho são outra coisa".into());
    }
    Ok(name)
}

fn checked_names(raw: &RawValue) -> Result<Vec<String>, Wrong> {
    let Ok(raw_names) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        return Err(FieldCode::Kind.says("deve ser uma lista de nomes"));
    };
    if raw_names.is_empty() || raw_names.len() > RESOURCES_MAX {
        let words = format!("deve ter de 1 a {RESOURCES_MAX} nomes; tem {}", raw_names.len());
        return Err(FieldCode::Length.says(words));
    }
    let mut names = Vec::with_capacity(raw_names.len());
    for (index, raw) in raw_names.into_iter().enumerate() {
        let checked = checked_resource(raw);
        names.push(checked.map_err(|Wrong { code, words }| code.says(format!("o nome na posição {index} {words}")))?);
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0])) {
        return Err(FieldCode::Repeated.says(format!("traz \"{twice}\" mais de uma vez")));
    }
    Ok(names)
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
