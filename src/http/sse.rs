//! Server-sent events: an answer that goes on as long as its client listens.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream as Chunks, unfold};
use http_body_util::Either;
use hyper::body::{Body, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};

use slog::{Logger, error};

use super::Response;
use super::presence::Guest;
use super::socket::Answering;
use crate::panics::guarded_call;

/// How often something is sent when there is nothing to say, so that nobody on the way takes the connection for dead.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// The first thing sent: how long a browser waits before it connects again.
const PREAMBLE: &str = "retry: 2000\n\n";
const COMMENT: &[u8] = b": vivo\n\n";

/// Where events come from.
pub trait Source: Send + 'static {
    /// The next events, each encoded by [`encode`]. Dropping the future loses none.
    fn next(&mut self) -> impl Future<Output = Bytes> + Send;

    /// The identifier of the event before the first, where it is known: who is cut off before there was any event can then
    /// go on from there.
    fn position(&self) -> Option<String> {
        None
    }

    /// What is sent when there is nothing to say: a comment, which a browser keeps from the page.
    fn alive(&self) -> &'static [u8] {
        COMMENT
    }
}

/// One event as it is sent. Neither `id` nor `event` may have line breaks; `data` is JSON on one line.
pub fn encode(id: &str, event: &str, data: &str) -> Bytes {
    format!("id: {id}\nevent: {event}\ndata: {data}\n\n").into()
}

/// Where a client that comes again left off, if it says so. What it says may be no place at all: one that cannot be read, or two
/// that differ, are then such a place, and not as good as none.
pub fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("last-event-id").iter();
    let id = values.next()?;
    let is_one = values.all(|other| other == id);
    let readable = id.to_str().ok().filter(|_| is_one);
    Some(readable.unwrap_or_default().to_owned())
}

/// A body that is sent as it comes: chunks of events until the client goes or the service stops, or any others.
pub struct Stream {
    chunks: Pin<Box<dyn Chunks<Item = Bytes> + Send>>,
    /// Events may end at any of them; other chunks are something only all together.
    is_events: bool,
    log: Option<Logger>,
    /// Dropped with this, it says that the answer is out.
    answering: Option<Answering>,
}

impl Stream {
    /// A body of `chunks`.
    pub fn new(chunks: impl Chunks<Item = Bytes> + Send + 'static) -> Self {
        Self { chunks: Box::pin(chunks), is_events: false, log: None, answering: None }
    }

    /// Whether it may end at any time.
    pub(super) fn is_events(&self) -> bool {
        self.is_events
    }

    /// Where it is said if it ends by a fault of ours, and what says that it is not at its end yet.
    pub(super) fn attend(&mut self, log: Logger, answering: Answering) {
        self.log = Some(log);
        self.answering = Some(answering).filter(|_| !self.is_events);
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match guarded_call(|| self.chunks.as_mut().poll_next(cx)) {
            Ok(polled) => polled.map(|chunk| chunk.map(|bytes| Ok(Frame::data(bytes)))),
            // It is too late for another status. Events end, and their client comes again; an answer in pieces breaks off.
            Err(panicked) => {
                if let Some(log) = &self.log {
                    error!(log, "Fluxo encerrado por falha nossa: {}", panicked);
                }
                Poll::Ready((!self.is_events).then(|| Err(io::Error::other("uma falha nossa"))))
            }
        }
    }
}

/// Answers with the events of `source`.
pub fn respond(source: impl Source, guest: Guest) -> Response {
    // An identifier without data is no event: it only says where the client is.
    let first = Some(match source.position() {
        None => Bytes::from_static(PREAMBLE.as_bytes()),
        Some(id) => format!("{}id: {id}\n\n", &PREAMBLE[..PREAMBLE.len() - 1]).into(),
    });
    let chunks = unfold((source, guest, first), async |(mut source, guest, mut first)| {
        let chunk = if let Some(preamble) = first.take() {
            preamble
        } else {
            let alive = source.alive();
            tokio::select! {
                events = source.next() => events,
                () = guest.gone_or_stopping() => return None,
                () = tokio::time::sleep(COMMENT_EVERY) => Bytes::from_static(alive),
            }
        };
        Some((chunk, (source, guest, first)))
    });
    let mut response = Response::new(Either::Right(Stream { is_events: true, ..Stream::new(chunks) }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy that gathers an answer before it passes it on would keep events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
