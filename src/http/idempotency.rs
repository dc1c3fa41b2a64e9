//! The header `Idempotency-Key`: a client names a request, so that it may repeat it without fear.
//!
//! The [draft](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/) has the key as a string of [RFC 9651](https://www.rfc-editor.org/rfc/rfc9651), in quotation marks. Most APIs had it without
//! them before, and most clients send it so. Both forms of one text are one key.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

/// The header of a request.
pub const NAME: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that was given before. Other APIs name it so too.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The longest key.
pub const KEY_MAX: usize = 255;

/// A key, without quotation marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

/// What is wrong with a header that should be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongKey {
    /// There are several.
    Several,
    /// It has no characters.
    Empty,
    /// It has too many.
    Long,
    /// It has a character that it may not have, or its quotation marks are not right.
    Form,
}

/// Whether a request has a key, or what should be one.
pub fn is_there(headers: &HeaderMap) -> bool {
    headers.contains_key(NAME)
}

/// The key of a request that [has one](is_there).
///
/// # Errors
/// What is wrong with it.
pub fn read(headers: &HeaderMap) -> Result<Key, WrongKey> {
    let mut sent = headers.get_all(NAME).iter();
    let first = sent.next().ok_or(WrongKey::Empty)?;
    if sent.next().is_some() {
        return Err(WrongKey::Several);
    }
    let text = first.to_str().map_err(|_| WrongKey::Form)?.trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None if text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';')) => {
            text.to_owned()
        }
        None => return Err(WrongKey::Form),
    };
    match key.len() {
        0 => Err(WrongKey::Empty),
        1..=KEY_MAX => Ok(Key(key)),
        _ => Err(WrongKey::Long),
    }
}

/// The text of a quoted string, of which the first quotation mark was taken.
fn unquoted(quoted: &str) -> Result<String, WrongKey> {
    let mut text = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(next) = rest.next() {
        match next {
            '"' if rest.as_str().is_empty() => return Ok(text),
            '\\' => match rest.next() {
                Some(escaped @ ('"' | '\\')) => text.push(escaped),
                _ => return Err(WrongKey::Form),
            },
            ' '..='~' if next != '"' => text.push(next),
            _ => return Err(WrongKey::Form),
        }
    }
    Err(WrongKey::Form)
}

impl Key {
    /// SHA-256 of the key as one of `author`: equal keys of others have other ones.
    pub fn digest(&self, author: &str) -> [u8; 32] {
        hash(&[author.as_bytes(), self.0.as_bytes()])
    }
}

/// SHA-256 of what makes two requests the same.
pub fn fingerprint(method: &Method, path: &str, body: &[u8]) -> [u8; 32] {
    hash(&[method.as_str().as_bytes(), path.as_bytes(), body])
}

/// The parts are hashed with their lengths, so that their borders count.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Marks an answer as one that was given before.
pub fn mark(headers: &mut HeaderMap) {
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
}

/// The body of a request that was read before its handler was called. It goes with the request's head.
#[derive(Clone)]
pub struct EarlyBody(pub Bytes);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&str]) -> Result<String, WrongKey> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(NAME, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        read(&headers).map(|key| key.0)
    }

    #[test]
    fn a_key_is_a_text_with_or_without_quotation_marks() {
        for (sent, read) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"8e03978e\"", "8e03978e"),
            (" a/b=c ", "a/b=c"),
            ("\"a b, c\"", "a b, c"),
            (r#""a\"\\""#, r#"a"\"#),
        ] {
            assert_eq!(key(&[sent]).as_deref(), Ok(read), "{sent}");
        }
        for (most, quoted) in [(KEY_MAX, false), (KEY_MAX, true)] {
            let text = "x".repeat(most);
            let sent = |text: &str| if quoted { format!("\"{text}\"") } else { text.to_owned() };
            assert_eq!(key(&[&sent(&text)]).as_deref(), Ok(text.as_str()));
            assert_eq!(key(&[&sent(&format!("{text}x"))]), Err(WrongKey::Long));
        }
    }

    #[test]
    fn what_is_no_key_is_told() {
        for wrong in [
            "a b",
            "a,b",
            "a\"",
            "\"a",
            "\"a\"b",
            "\"a\";v=1",
            "\"a\", \"b\"",
            r#""a\b""#,
            r#""a\"#,
            "é",
            "a;b",
            "\"é\"",
            "\"a\tb\"",
        ] {
            assert_eq!(key(&[wrong]), Err(WrongKey::Form), "{wrong}");
        }
        assert_eq!(
            (key(&[""]), key(&["\"\""]), key(&["  "])),
            (Err(WrongKey::Empty), Err(WrongKey::Empty), Err(WrongKey::Empty))
        );
        assert_eq!(key(&["a", "a"]), Err(WrongKey::Several));
    }

    #[test]
    fn equal_keys_of_two_authors_and_equal_bodies_of_two_paths_differ() {
        let key = Key("k".to_owned());
        assert_ne!(key.digest("ana"), key.digest("rui"));
        assert_ne!(Key("bk".to_owned()).digest("a"), Key("k".to_owned()).digest("ab"));
        let post = |path, body: &str| fingerprint(&Method::POST, path, body.as_bytes());
        assert_eq!(post("/a", "{}"), post("/a", "{}"));
        assert_ne!(post("/a", "{}"), post("/b", "{}"));
        assert_ne!(post("/a", "{}"), post("/a", "{ }"));
        assert_ne!(post("/a", "{}"), fingerprint(&Method::PUT, "/a", b"{}"));
    }
}
