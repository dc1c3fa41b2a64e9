//! The identifier of a request: in the answer's `X-Request-Id`, on every log line, and in records and events.
//!
//! The server makes it, for every request. A client may have one of its own; it is kept beside the server's, so that the client
//! finds its requests by it, and cannot pass for another. A [`RequestId`] is made here and nowhere else, so one always fits a log
//! line and a JSON text as it is.
//!
//! A request may also be a part of a trace ([W3C Trace Context](https://www.w3.org/TR/trace-context/)). This service makes no spans,
//! so it passes the context on as it came, and its lines name the trace.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Serialize, Serializer};
use slog::KV;

use super::{head, trace_state};

/// The longest context that is passed on: one of the present version has 55 bytes.
const CONTEXT_MAX_BYTES: usize = 128;
/// The longest identifier that is made here: the prefix, a hyphen, and all digits of a counter.
const OWN_MAX_BYTES: usize = 4 + 1 + 16;
/// In an answer the identifier, and in a request the client's own.
const OWN: HeaderName = HeaderName::from_static("x-request-id");
/// The client's own, in an answer.
const CLIENT: HeaderName = HeaderName::from_static("x-client-request-id");
/// The trace of a request.
const TRACE: HeaderName = HeaderName::from_static("traceparent");
/// The longest identifier that a client may choose.
const MAX_BYTES: usize = 64;

/// The identifier of a request, with the one that its client chose, if it did. It reads as the server's own.
///
/// A log line has it as `req`, then the client's as `req_cliente`, and then `trace_id`: `log.new(o!(id))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    own: Arc<str>,
    client: Option<Arc<str>>,
    /// The header `traceparent`, which has the form of one.
    trace: Option<Arc<str>>,
    /// The header `tracestate` beside it, which has the form of one.
    state: Option<Arc<str>>,
}

impl RequestId {
    /// Reads an identifier: 1 to 64 ASCII letters, digits, `.`, `_` and `-`, with a letter or a digit among them. `-` alone says
    /// in records that there was no request.
    pub fn parse(text: &str) -> Option<Self> {
        is_one(text).then(|| Self { own: text.into(), client: None, trace: None, state: None })
    }

    /// The same, with this as the client's own. `None` if that is no identifier.
    #[must_use]
    pub fn beside(self, client: &str) -> Option<Self> {
        is_one(client).then(|| Self { client: Some(client.into()), ..self })
    }

    /// The same, in the trace of this context. `None` if that is none.
    #[must_use]
    pub fn traced(self, context: &str) -> Option<Self> {
        trace_id(context).is_some().then(|| Self { trace: Some(context.into()), ..self })
    }

    /// The same, with what other systems keep in its trace. `None` if it is in no trace, or if that has not the form of such a list.
    #[must_use]
    pub fn with_state(self, state: &str) -> Option<Self> {
        (self.trace.is_some() && trace_state::is_one(state)).then(|| Self { state: Some(state.into()), ..self })
    }

    /// Puts its own and the client's into the head of the request's answer.
    pub(super) fn write_to(&self, headers: &mut HeaderMap) {
        for (name, id) in [(OWN, Some(&self.own)), (CLIENT, self.client.as_ref())] {
            if let Some(Ok(id)) = id.map(|id| HeaderValue::from_str(id)) {
                headers.insert(name, id);
            }
        }
    }

    /// The one that the client chose.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The context of its trace, as the client sent it.
    pub fn trace(&self) -> Option<&str> {
        self.trace.as_deref()
    }

    /// What other systems keep in its trace, as the client sent it.
    pub fn trace_state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// The trace of a context: `version-trace-parent-flags` in lower-case hexadecimal digits. A later version may have more after that.
fn trace_id(context: &str) -> Option<&str> {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id =
        |text: &str, digits: usize| text.len() == digits && is_hex(text) && text.bytes().any(|byte| byte != b'0');
    let is_pair = |text: &str| text.len() == 2 && is_hex(text);
    let mut parts = context.splitn(5, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let ends = version != "00" || parts.next().is_none();
    let fits = is_pair(version) && version != "ff" && is_id(trace, 32) && is_id(parent, 16) && is_pair(flags) && ends;
    (fits && context.len() <= CONTEXT_MAX_BYTES).then_some(trace)
}

fn is_one(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len())
        && text.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
impl RequestId {
    /// This one, which is an identifier.
    pub fn of_test(id: &str) -> Self {
        Self::parse(id).unwrap()
    }
}

impl Deref for RequestId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.own
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.own)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.own)
    }
}

impl KV for RequestId {
    fn serialize(&self, _record: &slog::Record<'_>, serializer: &mut dyn slog::Serializer) -> slog::Result {
        serializer.emit_str("req", &self.own)?;
        self.client.as_ref().map_or(Ok(()), |client| serializer.emit_str("req_cliente", client))?;
        self.trace().and_then(trace_id).map_or(Ok(()), |trace| serializer.emit_str("trace_id", trace))
    }
}

/// Makes identifiers: a random prefix for the process, then a counter.
pub(super) struct RequestIds {
    /// Four hexadecimal digits and a hyphen.
    prefix: [u8; 5],
    next: AtomicU64,
}

impl RequestIds {
    /// A new series.
    pub(super) fn new() -> Self {
        // The prefix tells two starts apart most of the time, which is enough: a failure of the random source is ignored.
        let random = getrandom::u32().map_or(0, |random| random & 0xffff);
        let mut prefix = [b'-'; 5];
        prefix[..4].copy_from_slice(format!("{random:04x}").as_bytes());
        Self { prefix, next: AtomicU64::new(1) }
    }

    /// The prefix and a number, in hexadecimal digits without leading zeros.
    fn own(&self, number: u64) -> Arc<str> {
        let mut text = [0; OWN_MAX_BYTES];
        let (mut at, mut number) = (OWN_MAX_BYTES, number);
        loop {
            at -= 1;
            text[at] = b"0123456789abcdef"[(number % 16) as usize];
            number /= 16;
            if number == 0 {
                break;
            }
        }
        at -= self.prefix.len();
        text[at..at + self.prefix.len()].copy_from_slice(&self.prefix);
        String::from_utf8_lossy(&text[at..]).into()
    }

    /// A new identifier, beside the one in the request's head, if there is exactly one and it is acceptable.
    pub(super) fn next(&self, headers: &HeaderMap) -> RequestId {
        let own = self.own(self.next.fetch_add(1, Ordering::Relaxed));
        let chosen = head::only(headers, OWN).and_then(|value| value.to_str().ok());
        let client = chosen.filter(|text| is_one(text)).map(Arc::from);
        let context = head::only(headers, TRACE).and_then(|value| value.to_str().ok());
        let trace: Option<Arc<str>> = context.filter(|context| trace_id(context).is_some()).map(Arc::from);
        let state = trace.as_ref().and_then(|_| trace_state::sent(headers)).map(Arc::from);
        RequestId { own, client, trace, state }
    }

    /// A new identifier, of a request whose head is not known.
    pub(super) fn next_alone(&self) -> RequestId {
        self.next(&HeaderMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_fits_a_log_line_and_a_json_text() {
        let server = RequestId::parse("6b1f-2a").unwrap();
        for fine in ["a", "1-1", "_x.Y-9", &"x".repeat(64)] {
            assert_eq!(RequestId::parse(fine).as_deref(), Some(fine));
            let both = server.clone().beside(fine).unwrap();
            assert_eq!((&*both, both.client()), ("6b1f-2a", Some(fine)));
        }
        for wrong in ["", "-", "...", "a b", "a\n", "é", "a\"", &"x".repeat(65)] {
            assert_eq!((RequestId::parse(wrong), server.clone().beside(wrong)), (None, None), "{wrong:?}");
        }
    }

    #[test]
    fn what_a_client_chose_never_takes_the_place_of_the_servers() {
        let (ids, mut headers) = (RequestIds::new(), HeaderMap::new());
        let first = ids.next(&headers);
        assert_eq!(first.client(), None);
        headers.insert("x-request-id", first.parse().unwrap());
        let second = ids.next(&headers);
        assert_ne!(*first, *second);
        assert_eq!(second.client(), Some(&*first));
        assert_eq!(second.trace(), None);
        headers.append("x-request-id", "other".parse().unwrap());
        assert_eq!(ids.next(&headers).client(), None);
    }

    #[test]
    fn what_others_keep_in_a_trace_goes_on_with_it_and_never_alone() {
        let (ids, mut headers) = (RequestIds::new(), HeaderMap::new());
        headers.insert("tracestate", "rojo=1".parse().unwrap());
        assert_eq!(ids.next(&headers).trace_state(), None);
        assert_eq!(RequestId::of_test("a").with_state("rojo=1"), None);
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", context.parse().unwrap());
        assert_eq!(ids.next(&headers).trace_state(), Some("rojo=1"));
        headers.insert("tracestate", "rojo".parse().unwrap());
        let without = ids.next(&headers);
        assert_eq!((without.trace(), without.trace_state()), (Some(context), None));
    }

    #[test]
    fn a_context_is_passed_on_as_it_came_or_not_at_all() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let fine = format!("00-{trace}-{parent}-01");
        assert_eq!(trace_id(&fine), Some(trace));
        assert_eq!(trace_id(&format!("cc-{trace}-{parent}-01-what-will-be")), Some(trace));
        assert_eq!(RequestId::of_test("a").traced(&fine).unwrap().trace(), Some(&*fine));
        for wrong in [
            String::new(),
            fine.to_uppercase(),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{trace}-{parent}-01-x"),
            format!("00-{trace}-{parent}"),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("0-{trace}-{parent}-01"),
            format!("cc-{trace}-{parent}-01-{}", "x".repeat(128)),
        ] {
            assert_eq!(trace_id(&wrong), None, "{wrong}");
            assert_eq!(RequestId::of_test("a").traced(&wrong), None);
        }
    }
}
