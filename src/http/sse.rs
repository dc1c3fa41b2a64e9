//! Server-sent events: an answer that goes on as long as its client listens.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream as Chunks, unfold};
use http_body_util::Either;
use hyper::body::{Body, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};

use super::Response;
use super::presence::Guest;

/// How often something is sent when there is nothing to say, so that nobody on the way takes the connection for dead.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// The first thing sent: how long a browser waits before it connects again.
const PREAMBLE: &[u8] = b"retry: 2000\n\n";
const COMMENT: &[u8] = b": vivo\n\n";

/// Where events come from.
pub trait Source: Send + 'static {
    /// The next events, each encoded by [`encode`]. Dropping the future loses none.
    fn next(&mut self) -> impl Future<Output = Bytes> + Send;
}

/// One event as it is sent. Neither `id` nor `event` may have line breaks; `data` is JSON on one line.
pub fn encode(id: &str, event: &str, data: &str) -> Bytes {
    format!("id: {id}\nevent: {event}\ndata: {data}\n\n").into()
}

/// The body: chunks of events until the client goes or the service stops.
pub struct Stream(Pin<Box<dyn Chunks<Item = Bytes> + Send>>);

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.as_mut().poll_next(cx).map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Answers with the events of `source`.
pub fn respond(source: impl Source, guest: Guest) -> Response {
    let first = Some(Bytes::from_static(PREAMBLE));
    let chunks = unfold((source, guest, first), async |(mut source, guest, mut first)| {
        let chunk = if let Some(preamble) = first.take() {
            preamble
        } else {
            tokio::select! {
                events = source.next() => events,
                () = guest.gone_or_stopping() => return None,
                () = tokio::time::sleep(COMMENT_EVERY) => Bytes::from_static(COMMENT),
            }
        };
        Some((chunk, (source, guest, first)))
    });
    let mut response = Response::new(Either::Right(Stream(Box::pin(chunks))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy that gathers an answer before it passes it on would keep events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
