//! The scheduler's end of the channel of events that all schedulers share: it publishes many events in one exchange, and
//! listens.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use memchr::memmem;

use super::kept::Doubts;
use super::transport::{EXCHANGE_TIMEOUT, NotServed, Transport, not_served, read_whole};
use crate::coordinator::protocol::events::{self, SHARED_CHANNEL};
use crate::http::channel::Position;

/// How long a stream may be silent before it counts as broken: the coordinator says something every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// The longest event, with its name and identifier; its data has at most 16 KiB.
const EVENT_MAX: usize = 64 * 1024;

/// Publishes on the channel and listens to it.
#[derive(Clone)]
pub struct Feed {
    transport: Arc<Transport>,
    /// About whether the coordinator is ready: a stream that begins or ends says that it may have started or stopped.
    doubts: Doubts,
}

/// Why it is not known that events were published: the answer may have been lost. In words, for the log.
#[derive(Debug)]
pub enum NotPublished {
    /// The coordinator did not answer, or cannot publish now; later it may.
    Unreachable(String),
    /// It refuses these events, now and later.
    Refused(String),
}

/// Events as one exchange carries them.
pub struct EventBatch {
    body: Bytes,
}

/// An open stream.
pub struct Listening {
    body: Incoming,
    /// The bytes of a block that is not whole yet.
    rest: BytesMut,
    /// Whether a block has come.
    has_begun: bool,
    doubts: Doubts,
    transport: Arc<Transport>,
    /// The address that it comes from.
    place: usize,
}

impl Drop for Listening {
    fn drop(&mut self) {
        if self.has_begun {
            self.doubts.raise();
        }
    }
}

/// The lines of a stream up to a blank line: an event, a comment, or a place.
#[derive(Debug)]
pub struct Block {
    /// The lines as they came, with the blank line.
    pub bytes: Bytes,
    /// The event's identifier; in a block without an event, the place where the stream begins.
    pub id: Option<Position>,
    /// Whether it has data: then it is an event.
    pub is_event: bool,
    /// The event's name; empty if it has none.
    pub name: Bytes,
    /// Whether it says that events are missing before the next, and how many. Only the coordinator says that, and it takes
    /// no place in the channel.
    pub is_gap: bool,
    /// Whether it says so without a number. The coordinator says that of a channel that is not the one before its restart;
    /// a scheduler publishes it as an event.
    pub is_unknown_gap: bool,
}

impl Feed {
    pub(super) fn new(transport: Arc<Transport>, doubts: Doubts) -> Self {
        Self { transport, doubts }
    }

    /// Takes as many of `events` (a name, and data in JSON) as one exchange may carry, at least one.
    pub fn batch<'a>(events: &mut Peekable<impl Iterator<Item = (&'a str, String)>>) -> EventBatch {
        EventBatch { body: events::write(SHARED_CHANNEL, events) }
    }

    /// Publishes events.
    ///
    /// # Errors
    /// [`NotPublished`].
    pub async fn publish(&self, EventBatch { body }: &EventBatch) -> Result<(), NotPublished> {
        let answered = self.transport.first_that(EXCHANGE_TIMEOUT, |address| async move {
            let (status, answer) = read_whole(self.transport.post(&address.events, body).await?).await?;
            let said = || format!("{} respondeu {status}: {}", address.events, String::from_utf8_lossy(&answer));
            let refused = not_served(&address.events, status, &answer);
            match status {
                StatusCode::OK => Ok(Ok(())),
                // It may take them later.
                StatusCode::TOO_MANY_REQUESTS => Err(refused),
                _ if refused.elsewhere => Err(refused),
                status if status.is_client_error() => Ok(Err(NotPublished::Refused(said()))),
                _ => Err(said().into()),
            }
        });
        answered.await.map_err(|NotServed { reason, .. }| NotPublished::Unreachable(reason))?
    }

    /// Listens from right after the event `since`, or from now on.
    ///
    /// # Errors
    /// In words, when no address of the coordinator opens the stream.
    pub async fn listen(&self, since: Option<Position>) -> Result<Listening, String> {
        let answer = self.transport.first_that(EXCHANGE_TIMEOUT, |address| async move {
            let mut request = Request::get(format!("{}?canal={SHARED_CHANNEL}", address.events));
            if let Some(since) = since {
                request = request.header("last-event-id", since.to_string());
            }
            let answer = self.transport.get(request).await?;
            let status = answer.status();
            if status == StatusCode::OK {
                return Ok((answer, address.place));
            }
            let (status, body) = read_whole(answer).await?;
            Err(not_served(&address.events, status, &body))
        });
        let (answer, place) = answer.await.map_err(|NotServed { reason, .. }| reason)?;
        let (transport, doubts) = (Arc::clone(&self.transport), self.doubts.clone());
        Ok(Listening { body: answer.into_body(), rest: BytesMut::new(), has_begun: false, doubts, transport, place })
    }
}

impl Listening {
    /// The next block.
    ///
    /// # Errors
    /// In words, when the stream has ended or broken.
    pub async fn next(&mut self) -> Result<Block, String> {
        loop {
            if let Some(end) = memmem::find(&self.rest, b"\n\n") {
                if !std::mem::replace(&mut self.has_begun, true) {
                    self.doubts.raise();
                }
                return Ok(Block::read(self.rest.split_to(end + 2).freeze()));
            }
            if self.rest.len() > EVENT_MAX {
                return Err("um evento grande demais".to_owned());
            }
            let frame = tokio::time::timeout(SILENCE_MAX, self.body.frame());
            let frame = tokio::select! {
                biased;
                frame = frame => frame,
                // A coordinator that hangs keeps its streams open, and another is elected meanwhile.
                () = self.transport.moved_from(self.place) => return Err("outro endereço do coordenador serve agora".to_owned()),
            };
            match frame.map_err(|_| format!("silêncio de {} s", SILENCE_MAX.as_secs()))? {
                None => return Err("o fluxo terminou".to_owned()),
                Some(Err(error)) => return Err(crate::http::in_words(&error)),
                Some(Ok(frame)) => self.rest.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..])),
            }
        }
    }
}

impl Block {
    fn read(bytes: Bytes) -> Self {
        let (mut id, mut name, mut data) = (None, "", None);
        // A block that is no UTF-8 is read as one without lines: no event of this protocol is like that.
        for line in std::str::from_utf8(&bytes).unwrap_or_default().lines() {
            match line.split_once(": ") {
                Some(("id", value)) => id = Position::parse(value),
                Some(("event", value)) => name = value,
                Some(("data", value)) => data = Some(value),
                _ => {}
            }
        }
        let is_gap = |counted: bool| {
            name == "perdidos" && data.is_some_and(|data| data.bytes().any(|byte| byte.is_ascii_digit()) == counted)
        };
        let (is_gap, is_unknown_gap) = (is_gap(true), is_gap(false));
        Self { id, is_event: data.is_some(), name: bytes.slice_ref(name.as_bytes()), is_gap, is_unknown_gap, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_an_event_a_gap_or_a_place() {
        let read = |text: &'static str| Block::read(Bytes::from_static(text.as_bytes()));
        let place = read("retry: 2000\nid: 00000008-3\n\n");
        assert_eq!((place.id, place.is_event), (Some(Position { epoch: 8, number: 3 }), false));
        let event = read("id: 00000008-4\nevent: criado\ndata: {\"perdidos\":4}\n\n");
        assert_eq!((event.is_event, event.is_gap, &event.name[..]), (true, false, &b"criado"[..]));
        assert!(read("id: 00000008-9\nevent: perdidos\ndata: {\"perdidos\":5}\n\n").is_gap);
        let unknown = read("id: 00000008-9\nevent: perdidos\ndata: {\"perdidos\":null}\n\n");
        assert_eq!((unknown.is_gap, unknown.is_unknown_gap), (false, true));
        let comment = read(": vivo\n\n");
        assert_eq!((comment.id, comment.is_event), (None, false));
    }
}
