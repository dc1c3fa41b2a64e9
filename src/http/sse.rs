//! Server-sent events: an answer that stays open until the client disconnects, its token or session ends, or the server stops.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::Either;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::pass::Pass;
use super::pieces::Pieces;
use super::presence::Guest;
use super::response::Response;

/// How often a comment is sent when there are no events, so that no proxy closes the idle connection.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// The first line of the answer. It sets how long a browser waits before it reconnects.
const PREAMBLE: &str = "retry: 2000\n\n";
const COMMENT: &[u8] = b": vivo\n\n";

/// A source of events.
pub trait Source: Send + 'static {
    /// The next events, each encoded by [`encode`]. Dropping the future loses no events.
    fn next(&mut self) -> impl Future<Output = Bytes> + Send;

    /// The identifier of the event before the first one that is sent, if it is known. A client that loses its connection
    /// before the first event can continue from this identifier.
    fn position(&self) -> Option<String> {
        None
    }

    /// The bytes sent when there are no events. By default they are a comment, which a browser ignores.
    fn alive(&self) -> &'static [u8] {
        COMMENT
    }
}

/// Encodes one event. Neither `id` nor `event` may have line breaks, and `data` must be JSON on one line.
pub fn encode(id: &str, event: &str, data: &str) -> Bytes {
    ["id: ", id, "\nevent: ", event, "\ndata: ", data, "\n\n"].concat().into()
}

/// The most bytes of an event that [`encode`] makes with an identifier of at most 32 bytes.
pub const fn encoded_size(event: &str, data: &str) -> usize {
    64 + event.len() + data.len()
}

/// The identifier of the last event that the client received before it reconnected, if the header `Last-Event-ID` is present.
/// If its value is not readable, or if two values differ, the result is an empty identifier. No channel has it, so the client
/// is told that it missed events.
pub fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("last-event-id").iter();
    let id = values.next()?;
    let is_one = values.all(|other| other == id);
    let readable = id.to_str().ok().filter(|_| is_one);
    Some(readable.unwrap_or_default().to_owned())
}

/// Answers with the events of `source`, while the client is who it was by its `pass`.
pub fn respond(source: impl Source, guest: Guest, pass: Pass) -> Response {
    // An identifier without data is not an event. It only sets the client's last event identifier.
    let first = Some(match source.position() {
        None => Bytes::from_static(PREAMBLE.as_bytes()),
        Some(id) => format!("{}id: {id}\n\n", &PREAMBLE[..PREAMBLE.len() - 1]).into(),
    });
    // One future for the whole stream: made anew for each event, it would never come to its end while events are ready.
    let ended: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move { pass.ended().await });
    let chunks = unfold((source, guest, ended, first), async |(mut source, guest, mut ended, mut first)| {
        let chunk = if let Some(preamble) = first.take() {
            preamble
        } else {
            let alive = source.alive();
            tokio::select! {
                biased;
                // First, so that a client whose token was revoked gets no more event.
                () = &mut ended => return None,
                events = source.next() => events,
                () = guest.gone_or_stopping() => return None,
                () = tokio::time::sleep(COMMENT_EVERY) => Bytes::from_static(alive),
            }
        };
        Some((chunk, (source, guest, ended, first)))
    });
    let mut response = Response::new(Either::Right(Pieces::events(chunks)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Without this header, nginx would buffer the events and send them late.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
