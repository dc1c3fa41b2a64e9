//! A body that is sent piece by piece, as its pieces become known.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::Stream as Chunks;
use hyper::body::{Body, Frame, SizeHint};
use slog::{Logger, error};

use super::bounds::budget::Held;
use super::bounds::turned::Reason;
use super::bounds::{Turn, Visit, kept};
use super::socket::Answering;
use crate::panics::guarded_call;

/// A body that is sent piece by piece.
pub struct Pieces {
    chunks: Pin<Box<dyn Chunks<Item = io::Result<Bytes>> + Send>>,
    /// The bytes that are still to come, if that is known. They are counted already.
    known: Option<u64>,
    /// A stream of events is complete after any of its chunks; another body only after the last one.
    is_events: bool,
    log: Option<Logger>,
    /// Dropped with this body: then the answer counts as sent.
    answering: Option<Answering>,
    /// Dropped with this body too: then the connection has no request.
    turn: Option<Turn>,
    visit: Option<Arc<Visit>>,
}

impl Pieces {
    /// A body of `chunks`, which is complete after the last one.
    pub fn new(chunks: impl Chunks<Item = Bytes> + Send + 'static) -> Self {
        Self::fallible(chunks.map(Ok))
    }

    /// A body of `chunks`, which is complete after the last one, and is cut off where one of them is an error.
    pub fn fallible(chunks: impl Chunks<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        let chunks = Box::pin(chunks);
        Self { chunks, known: None, is_events: false, log: None, answering: None, turn: None, visit: None }
    }

    /// A body whose chunks are there already, with the room that all of them take: each gives its own back when it is sent.
    pub fn made(chunks: Vec<Bytes>, mut room: Held) -> Self {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        room.correct(length);
        let chunks = chunks.into_iter().map(move |chunk| {
            let held = room.split(chunk.len());
            kept(chunk, Some(held))
        });
        Self { known: Some(length as u64), ..Self::new(futures_util::stream::iter(chunks)) }
    }

    /// A stream of events, which may end after any of `chunks`.
    pub fn events(chunks: impl Chunks<Item = Bytes> + Send + 'static) -> Self {
        Self { is_events: true, ..Self::new(chunks) }
    }

    /// Whether it may end after any chunk.
    pub(super) fn is_events(&self) -> bool {
        self.is_events
    }

    /// Gives it the logger for a panic among its chunks, and the mark that the answer is not sent yet. A stream of events has no
    /// such mark: a stop does not wait for its end.
    pub(super) fn attend(&mut self, log: Logger, answering: Answering, turn: Turn, visit: Arc<Visit>) {
        (self.log, self.turn, self.visit) = (Some(log), Some(turn), Some(visit));
        self.answering = Some(answering).filter(|_| !self.is_events);
    }
}

impl Pieces {
    /// A chunk to send. Its bytes are counted until they are sent, if no other answer shares them. Where there is no room for it, a stream of
    /// events ends, and its client connects again; another answer is cut off.
    ///
    /// An event counts for each of its listeners, although they share its bytes: it may have left its channel's ring, and the last one
    /// that does not read keeps it.
    fn framed(&mut self, bytes: Bytes) -> Option<Result<Frame<Bytes>, io::Error>> {
        if let Some(known) = &mut self.known {
            *known = known.saturating_sub(bytes.len() as u64);
            return Some(Ok(Frame::data(bytes)));
        }
        let Some(visit) = self.visit.as_ref().filter(|_| self.is_events || bytes.is_unique()) else {
            return Some(Ok(Frame::data(bytes)));
        };
        let room = if self.is_events { visit.events(bytes.len()) } else { visit.answer(bytes.len()) };
        if let Ok(held) = room {
            return Some(Ok(Frame::data(kept(bytes, held))));
        }
        visit.turn_away(Reason::AnswersFull);
        (!self.is_events).then(|| Err(io::Error::other("respostas demais esperam pelos seus leitores")))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match guarded_call(|| self.chunks.as_mut().poll_next(cx)) {
            Ok(polled) => polled.map(|chunk| match chunk? {
                Ok(bytes) => self.framed(bytes),
                Err(error) => Some(Err(error)),
            }),
            // The status is sent already. A stream of events ends and its client connects again; another body is cut off.
            Err(panicked) => {
                if let Some(log) = &self.log {
                    error!(log, "Fluxo encerrado por um defeito do serviço: {}", panicked);
                }
                Poll::Ready((!self.is_events).then(|| Err(io::Error::other("um defeito do serviço"))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.known.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
