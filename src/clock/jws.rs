//! A signed text: a JSON Web Signature with Ed25519, as time tokens and receipts are. Pure.
//!
//! It is compact ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)) and signed with Ed25519 ([RFC 8037](https://www.rfc-editor.org/rfc/rfc8037)):
//! every language has a library that reads it. The header can only say one algorithm, so nobody can choose another one. It says the kind of the
//! text too, and is signed with it: so a text of one kind never passes for one of another kind, although both have the same keys.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::{KEY_BYTES, Keyring, PublicKey, name_of};
use crate::time::Timestamp;

const ALGORITHM: &str = "EdDSA";
/// The most keys of a set that is read from outside.
const KEYS_READ_MAX: usize = 10_000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// A signed text that was taken apart. Its signature is not checked yet.
#[derive(Debug)]
pub struct Signed<'a> {
    message: &'a str,
    claims: Vec<u8>,
    signature: Vec<u8>,
    key: String,
}

/// Signs `claims` as a text of that kind, with the key that signs at `at`; `None` if no key can sign.
pub fn seal(kind: &str, claims: &impl Serialize, keys: &Keyring, at: Timestamp) -> Option<String> {
    let key = keys.signer(at)?;
    let header = Header { alg: ALGORITHM.to_owned(), typ: kind.to_owned(), kid: key.name().to_owned() };
    let part = |json: Vec<u8>| BASE64.encode(json);
    // Neither has anything that JSON cannot express.
    let (header, claims) = (serde_json::to_vec(&header).ok()?, serde_json::to_vec(claims).ok()?);
    let message = format!("{}.{}", part(header), part(claims));
    let signature = BASE64.encode(key.sign(message.as_bytes())?.as_ref());
    Some(format!("{message}.{signature}"))
}

impl<'a> Signed<'a> {
    /// Takes a text of that kind apart; `None` if it is none.
    pub fn read(text: &'a str, kind: &str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let decoded = |part: &str| BASE64.decode(part).ok();
        let header: Header = serde_json::from_slice(&decoded(header)?).ok()?;
        if header.alg != ALGORITHM || header.typ != kind {
            return None;
        }
        Some(Self { message, claims: decoded(claims)?, signature: decoded(signature)?, key: header.kid })
    }

    /// The name of the key that has signed it, as it says.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the key has signed it.
    pub fn is_by(&self, key: &PublicKey) -> bool {
        UnparsedPublicKey::new(&ED25519, key).verify(self.message.as_bytes(), &self.signature).is_ok()
    }

    /// What it says; `None` if that is something else.
    pub fn claims<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.claims).ok()
    }
}

/// A public key as it is published: a JSON Web Key ([RFC 8037](https://www.rfc-editor.org/rfc/rfc8037)), and when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    kty: String,
    crv: String,
    alg: String,
    #[serde(rename = "use")]
    purpose: String,
    kid: String,
    x: String,
    /// When it was made.
    pub criada_em_utc: String,
}

impl PublishedKey {
    /// The key as it is published.
    pub fn of(public: &PublicKey, made_at: Timestamp) -> Self {
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            alg: ALGORITHM.to_owned(),
            purpose: "sig".to_owned(),
            kid: name_of(public),
            x: BASE64.encode(public),
            criada_em_utc: made_at.micros().to_string(),
        }
    }

    /// The key, if it is one of Ed25519. Its name is made from its bytes; the name in the file is not read.
    fn public(&self) -> Option<PublicKey> {
        let is_ours = self.kty == "OKP" && self.crv == "Ed25519";
        let bytes = BASE64.decode(&self.x).ok().filter(|bytes| is_ours && bytes.len() == KEY_BYTES)?;
        bytes.try_into().ok()
    }
}

/// A set of published keys (RFC 7517).
#[derive(Debug, Deserialize)]
pub struct PublishedKeys {
    keys: Vec<PublishedKey>,
}

impl PublishedKeys {
    /// The key of that name: the key itself, and when it was made, as far as that is known.
    pub fn find(&self, name: &str) -> Option<(PublicKey, Option<Timestamp>)> {
        let keys = self.keys.iter().take(KEYS_READ_MAX);
        let mut named = keys.filter_map(|key| Some((key.public().filter(|public| name_of(public) == name)?, key)));
        named.next().map(|(public, key)| (public, Timestamp::parse_rfc3339(&key.criada_em_utc).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::keys::SigningKey;

    #[test]
    fn a_text_is_of_its_kind_alone_and_a_changed_one_is_not_signed() {
        let now = Timestamp::parse_rfc3339("2025-12-01T03:00:00Z").unwrap();
        let (key, other) = (SigningKey::random(now).unwrap(), SigningKey::random(now).unwrap());
        let text = seal("a+jws", &[1, 2], &Keyring::new(vec![key.clone()]), now).unwrap();
        assert!(Signed::read(&text, "b+jws").is_none());
        let signed = Signed::read(&text, "a+jws").unwrap();
        assert!(signed.is_by(&key.public) && !signed.is_by(&other.public));
        assert_eq!(signed.claims::<Vec<u8>>(), Some(vec![1, 2]));
        assert_eq!(signed.claims::<String>(), None);
        // Any character of the message or of the signature.
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let holds = Signed::read(&changed, "a+jws").is_some_and(|signed| signed.is_by(&key.public));
            assert!(!holds, "{at}: {changed}");
        }
    }

    #[test]
    fn a_published_key_is_found_by_the_name_that_follows_from_it() {
        let now = Timestamp::parse_rfc3339("2025-12-01T03:00:00Z").unwrap();
        let (one, other) = (SigningKey::random(now).unwrap().public, SigningKey::random(now).unwrap().public);
        // The second one says that it is the first.
        let lie = PublishedKey { kid: name_of(&one), ..PublishedKey::of(&other, now) };
        let keys = PublishedKeys { keys: vec![lie, PublishedKey::of(&one, now)] };
        assert_eq!(keys.find(&name_of(&one)), Some((one, Some(now))));
        assert_eq!(keys.find("0123456789abcdef"), None);
    }
}
