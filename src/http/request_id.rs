//! The identifier of a request: in the answer's `X-Request-Id`, on every log line, and in records and events.
//!
//! A [`RequestId`] is made here and nowhere else, so one always fits a log line and a JSON text as it is.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::HeaderMap;
use serde::{Serialize, Serializer};

use super::head;

/// The longest identifier that a client may choose.
const MAX_BYTES: usize = 64;

/// The identifier of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Reads an identifier that a client chose: 1 to 64 ASCII letters, digits, `.`, `_` and `-`, with a letter or a digit
    /// among them. `-` alone says in records that there was no request.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=MAX_BYTES).contains(&text.len())
            && text.bytes().any(|byte| byte.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        fits.then(|| Self(text.into()))
    }
}

impl Deref for RequestId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl slog::Value for RequestId {
    fn serialize(
        &self,
        _record: &slog::Record<'_>,
        key: slog::Key,
        serializer: &mut dyn slog::Serializer,
    ) -> slog::Result {
        serializer.emit_str(key, &self.0)
    }
}

/// Makes identifiers: a random prefix for the process, then a counter.
pub(super) struct RequestIds {
    prefix: u16,
    next: AtomicU64,
}

impl RequestIds {
    /// A new series.
    pub(super) fn new() -> Self {
        // The prefix tells two starts apart most of the time, which is enough: a failure of the random source is ignored.
        let prefix = getrandom::u32().map_or(0, |random| (random & 0xffff) as u16);
        Self { prefix, next: AtomicU64::new(1) }
    }

    /// The identifier in a request's head, if there is exactly one and it is acceptable; else a new one.
    pub(super) fn choose(&self, headers: &HeaderMap) -> RequestId {
        let chosen = head::only(headers, "x-request-id").and_then(|value| value.to_str().ok());
        chosen.and_then(RequestId::parse).unwrap_or_else(|| self.next())
    }

    /// A new identifier.
    pub(super) fn next(&self) -> RequestId {
        RequestId(format!("{:04x}-{:x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_fits_a_log_line_and_a_json_text() {
        for fine in ["a", "1-1", "_x.Y-9", &"x".repeat(64)] {
            assert_eq!(RequestId::parse(fine).as_deref(), Some(fine));
        }
        for wrong in ["", "-", "...", "a b", "a\n", "é", "a\"", &"x".repeat(65)] {
            assert_eq!(RequestId::parse(wrong), None, "{wrong:?}");
        }
    }
}
