//! The scheduler's end of the channels of events: publishing many at once, and listening.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use memchr::memmem;

use super::transport::{EXCHANGE_TIMEOUT, Transport, read_whole};
pub use crate::coordinator::protocol::events::SHARED_CHANNEL;
use crate::http::channel::Position;

/// How long a stream may be silent before it counts as broken: the coordinator says something every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(40);
/// The longest event, its name and identifier included; data is at most 16 KiB.
const EVENT_MAX: usize = 64 * 1024;

/// Publishes and listens.
#[derive(Clone)]
pub struct Feed {
    transport: Arc<Transport>,
}

/// Why nothing was published, or perhaps nothing: an answer may have been lost on its way. In words, for the log.
#[derive(Debug)]
pub enum NotPublished {
    /// The coordinator did not answer, or cannot now; later it may.
    Unreachable(String),
    /// It will not have this.
    Refused(String),
}

/// An open stream.
pub struct Listening {
    body: Incoming,
    /// Bytes that are no whole block yet.
    rest: BytesMut,
}

/// What stands between two blank lines of a stream.
#[derive(Debug)]
pub struct Block {
    /// As it came, with the blank line at its end.
    pub bytes: Bytes,
    /// The event's identifier, or of a block that is no event the place where the stream begins.
    pub id: Option<Position>,
    /// Whether it has data, and so is an event.
    pub is_event: bool,
    /// Whether it says that events are missing before the next, and how many: the channel's own word, and no event in its
    /// place.
    pub is_gap: bool,
    /// Whether it says so without a number: the channel's own word when it is not the one that was asked to go on, else an
    /// event that somebody published.
    pub is_unknown_gap: bool,
}

impl Feed {
    pub(super) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Sends the body of a `POST /eventos`.
    ///
    /// # Errors
    /// [`NotPublished`].
    pub async fn publish(&self, body: &Bytes) -> Result<(), NotPublished> {
        let answered = self.transport.first_that(EXCHANGE_TIMEOUT, |address| async move {
            let (status, answer) = read_whole(self.transport.post(&address.events, body).await?).await?;
            let said = || format!("{} respondeu {status}: {}", address.events, String::from_utf8_lossy(&answer));
            match status {
                StatusCode::OK => Ok(Ok(())),
                status if status.is_client_error() => Ok(Err(NotPublished::Refused(said()))),
                _ => Err(said()),
            }
        });
        answered.await.map_err(NotPublished::Unreachable)?
    }

    /// Listens to `channel`, from right after the event `since` or from now on.
    ///
    /// # Errors
    /// In words, when the coordinator does not let.
    pub async fn listen(&self, channel: &str, since: Option<Position>) -> Result<Listening, String> {
        let answer = self.transport.first_that(EXCHANGE_TIMEOUT, |address| async move {
            let mut request = Request::get(format!("{}?canal={channel}", address.events));
            if let Some(since) = since {
                request = request.header("last-event-id", since.to_string());
            }
            let answer = self.transport.get(request).await?;
            let status = answer.status();
            if status == StatusCode::OK { Ok(answer) } else { Err(format!("{} respondeu {status}", address.events)) }
        });
        Ok(Listening { body: answer.await?.into_body(), rest: BytesMut::new() })
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
                return Ok(Block::read(self.rest.split_to(end + 2).freeze()));
            }
            if self.rest.len() > EVENT_MAX {
                return Err("um evento grande demais".to_owned());
            }
            let frame = tokio::time::timeout(SILENCE_MAX, self.body.frame()).await;
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
        // Only what is not text at all would not be read, and would be no event of ours.
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
        Self { id, is_event: data.is_some(), is_gap: is_gap(true), is_unknown_gap: is_gap(false), bytes }
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
        assert_eq!((event.is_event, event.is_gap), (true, false));
        assert!(read("id: 00000008-9\nevent: perdidos\ndata: {\"perdidos\":5}\n\n").is_gap);
        let unknown = read("id: 00000008-9\nevent: perdidos\ndata: {\"perdidos\":null}\n\n");
        assert_eq!((unknown.is_gap, unknown.is_unknown_gap), (false, true));
        let comment = read(": vivo\n\n");
        assert_eq!((comment.id, comment.is_event), (None, false));
    }
}
