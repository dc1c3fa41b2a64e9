//! The messages of etcd's JSON gateway (`/v3/…`), as far as the election uses them.
//!
//! Traps: a 64-bit number is a text, keys and values are base64, and a member that is zero, false or empty is absent. So a transaction
//! that did not succeed has no `succeeded`, and a keep-alive of a dead lease is answered without a TTL.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::de::{DeserializeOwned, Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// A key or a value on the wire.
pub fn encoded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// An operation that puts a value under a key; the key belongs to the lease, if there is one.
pub fn put(key: &str, value: &str, lease: Option<i64>) -> Value {
    let mut put = json!({ "key": encoded(key), "value": encoded(value) });
    if let Some(lease) = lease {
        put["lease"] = lease.to_string().into();
    }
    json!({ "request_put": put })
}

/// An operation that reads a key.
pub fn range(key: &str) -> Value {
    json!({ "request_range": { "key": encoded(key) } })
}

/// A condition: the key was made by the change with that number. No key has the number zero.
pub fn made_by(key: &str, revision: u64) -> Value {
    json!({ "key": encoded(key), "target": "CREATE", "result": "EQUAL", "create_revision": revision.to_string() })
}

/// A condition: the key was changed last by the change with that number.
pub fn changed_by(key: &str, revision: u64) -> Value {
    json!({ "key": encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision.to_string() })
}

/// The answer to a transaction.
#[derive(Debug, Deserialize)]
pub struct Transacted {
    header: Header,
    #[serde(default)]
    pub succeeded: bool,
    #[serde(default)]
    responses: Vec<Responded>,
}

#[derive(Debug, Default, Deserialize)]
struct Header {
    #[serde(default, deserialize_with = "int64")]
    revision: i64,
}

#[derive(Debug, Deserialize)]
struct Responded {
    response_range: Option<Ranged>,
}

#[derive(Debug, Deserialize)]
struct Ranged {
    #[serde(default)]
    kvs: Vec<KeyValue>,
}

/// A key with its value.
#[derive(Debug, Deserialize)]
pub struct KeyValue {
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default, deserialize_with = "int64")]
    create_revision: i64,
    #[serde(default, deserialize_with = "int64")]
    mod_revision: i64,
    /// The lease that it belongs to, or zero.
    #[serde(default, deserialize_with = "int64")]
    pub lease: i64,
}

impl Transacted {
    /// The number of the change that it made, or of the last one before it.
    pub fn revision(&self) -> u64 {
        self.header.revision.unsigned_abs()
    }

    /// What was read of a key, if it is there.
    pub fn found(&self, key: &str) -> Option<&KeyValue> {
        let key = encoded(key);
        let ranges = self.responses.iter().filter_map(|responded| responded.response_range.as_ref());
        ranges.flat_map(|range| &range.kvs).find(|found| found.key == key)
    }
}

impl KeyValue {
    /// Its value as text.
    pub fn text(&self) -> Option<String> {
        BASE64_STANDARD.decode(&self.value).ok().and_then(|bytes| String::from_utf8(bytes).ok())
    }

    /// The number of the change that made it.
    pub fn made_by(&self) -> u64 {
        self.create_revision.unsigned_abs()
    }

    /// The number of the change that changed it last.
    pub fn changed_by(&self) -> u64 {
        self.mod_revision.unsigned_abs()
    }
}

/// The answer to a request for a lease, and, inside [`Streamed`], to a keep-alive.
#[derive(Debug, Deserialize)]
pub struct Leased {
    /// Its identity.
    #[serde(default, rename = "ID", deserialize_with = "int64")]
    pub id: i64,
    /// Its life in seconds. A dead one has none.
    #[serde(default, rename = "TTL", deserialize_with = "int64")]
    pub ttl: i64,
}

/// An answer of a call that may have several: each is a JSON text, and only the first is read.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub struct Streamed<T> {
    pub result: Option<T>,
    pub error: Option<Refused>,
}

/// The answer to a login.
#[derive(Debug, Deserialize)]
pub struct Authenticated {
    pub token: String,
}

/// An answer that nothing is read of.
#[derive(Debug, Deserialize)]
pub struct Done {
    #[serde(rename = "header")]
    _header: IgnoredAny,
}

/// An error of etcd's.
#[derive(Debug, Default, Deserialize)]
pub struct Refused {
    #[serde(default)]
    pub message: String,
    /// The first versions have only this one.
    #[serde(default)]
    error: String,
}

impl Refused {
    /// etcd's words.
    pub fn words(&self) -> &str {
        if self.message.is_empty() { &self.error } else { &self.message }
    }

    /// Whether another login may help: the token is not known any more, or users were changed since.
    pub fn wants_login(&self) -> bool {
        ["invalid auth token", "revision of auth store is old", "user name is empty"]
            .iter()
            .any(|words| self.words().contains(words))
    }

    /// Whether it is about the user or the password.
    pub fn is_of_login(&self) -> bool {
        self.words().contains("authentication failed, invalid user ID or password")
    }

    /// Whether the lease is over.
    pub fn is_lease_gone(&self) -> bool {
        self.words().contains("requested lease not found")
    }
}

/// Reads the first JSON text of a body.
///
/// # Errors
/// When there is none of that form.
pub fn first<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let mut texts = serde_json::Deserializer::from_slice(body).into_iter();
    texts.next().unwrap_or_else(|| Err(serde_json::Error::custom("nada")))
}

/// A 64-bit number: etcd writes it as a text.
fn int64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Text(String),
        Number(i64),
    }
    match Number::deserialize(deserializer)? {
        Number::Text(text) => text.parse().map_err(D::Error::custom),
        Number::Number(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_etcd_writes_them() {
        let won = br#"{"header":{"cluster_id":"14841639068965178418","revision":"7","raft_term":"2"},"succeeded":true,
            "responses":[{"response_put":{"header":{"revision":"7"}}},
            {"response_range":{"header":{"revision":"7"},"kvs":[{"key":"YQ==","create_revision":"7","mod_revision":"7","version":"1",
            "value":"Yg==","lease":"7587886112654324227"}],"count":"1"}},{"response_range":{"header":{"revision":"7"}}}]}"#;
        let won: Transacted = first(won).unwrap();
        let found = won.found("a").unwrap();
        assert_eq!((won.succeeded, won.revision(), found.lease), (true, 7, 7_587_886_112_654_324_227));
        assert_eq!((found.made_by(), found.changed_by(), found.text().as_deref()), (7, 7, Some("b")));
        assert!(won.found("b").is_none());
        let lost: Transacted = first(br#"{"header":{"revision":"7"}}"#).unwrap();
        assert!(!lost.succeeded && lost.found("a").is_none());
        let kept = br#"{"result":{"header":{"revision":"1"},"ID":"7587886112654324227","TTL":"3"}}
"#;
        let kept: Streamed<Leased> = first(kept).unwrap();
        assert_eq!(kept.result.unwrap().ttl, 3);
        let dead: Streamed<Leased> =
            first(br#"{"result":{"header":{"revision":"1"},"ID":"7587886112654324227"}}"#).unwrap();
        assert_eq!(dead.result.unwrap().ttl, 0);
        let refused: Streamed<Leased> =
            first(br#"{"error":{"grpc_code":16,"http_code":401,"message":"etcdserver: invalid auth token"}}"#).unwrap();
        assert!(refused.error.unwrap().wants_login());
        let gone: Refused = first(br#"{"error":"etcdserver: requested lease not found","code":5}"#).unwrap();
        assert!(gone.is_lease_gone() && !gone.wants_login() && !gone.is_of_login());
        let login: Refused =
            first(br#"{"error":"etcdserver: authentication failed, invalid user ID or password","code":3}"#).unwrap();
        assert!(login.is_of_login() && !login.wants_login());
        for wrong in [&b""[..], b"<html>", b"{}", br#"{"header":{"revision":"x"}}"#] {
            assert!(first::<Transacted>(wrong).is_err(), "{wrong:?}");
        }
    }
}
