//! A connection's socket: how the kernel notices a peer that has vanished, and how long a write may wait for a slow one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::net::sockopt;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

use super::bounds::Visit;
use super::bounds::line::Phase;
use super::bounds::pace::Pace;
use super::bounds::turned::Reason;
use super::stream::Stream;
use crate::time::Clock;

/// How long a peer may acknowledge nothing that was sent to it. The kernel's own limit is a quarter of an hour.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for a listener to events. Something is sent to it every 15 s, so one that has vanished is noticed within 30 s. A
/// listener that only reads slowly has [`PEER_TIMEOUT`].
const LISTENER_TIMEOUT: Duration = Duration::from_secs(15);
/// After how long a silence the kernel probes the peer, and the interval between two probes.
pub const PROBE_EVERY: Duration = Duration::from_secs(10);
/// The most bytes that the kernel keeps of an answer, and of requests. Its own limits are megabytes for each connection. It
/// doubles these numbers, for its own records.
const SEND_BUFFER: usize = 128 * 1024;
const RECEIVE_BUFFER: usize = 64 * 1024;

/// The most bytes that the kernel keeps of an answer before they are on their way. A client that does not read has no more of them
/// there, and the rest is counted here; one that reads makes room for the next ones before the kernel has nothing left to send.
const UNSENT: u32 = 16 * 1024;

/// Sets a listener's options, which its connections have from their first byte.
pub fn set_up_listener(socket: &TcpSocket) {
    let _ = sockopt::set_socket_send_buffer_size(socket, SEND_BUFFER);
    let _ = sockopt::set_socket_recv_buffer_size(socket, RECEIVE_BUFFER);
    let _ = SockRef::from(socket).set_tcp_notsent_lowat(UNSENT);
}

/// Sets a connection's options: to notice a vanished peer, and to send small writes at once. A socket that refuses an option
/// works without it.
pub fn set_up(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, PROBE_EVERY);
    let _ = sockopt::set_tcp_keepintvl(stream, PROBE_EVERY);
    give_up_after(stream, PEER_TIMEOUT);
}

/// Sets how long the peer may acknowledge nothing, neither data nor probes.
fn give_up_after(stream: &TcpStream, timeout: Duration) {
    let _ = sockopt::set_tcp_user_timeout(stream, u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
}

/// Lets the kernel drop what is not sent yet when the connection is closed.
fn discard_unsent(stream: &TcpStream) {
    let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

/// What a stop has to know about a connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// A request is not answered completely.
    answering: AtomicBool,
    /// The answer is a stream of events, which a stop may end after any event.
    pub streaming: AtomicBool,
    /// A part of the answer waits for room in the socket.
    writing: AtomicBool,
}

impl Activity {
    /// Whether a stop has to wait for an answer.
    pub fn is_busy(&self) -> bool {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        is(&self.answering) || (is(&self.writing) && !is(&self.streaming))
    }
}

/// Exists as long as a request is being answered.
pub(super) struct Answering(Arc<Activity>);

impl Answering {
    pub fn begin(activity: &Arc<Activity>) -> Self {
        activity.answering.store(true, Ordering::Relaxed);
        activity.streaming.store(false, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.store(false, Ordering::Relaxed);
    }
}

/// A connection that notes when it last read bytes, and how its client keeps up. Under load a request may wait for a thread after
/// its bytes were read, and the official time must not count that wait as the network's.
pub(super) struct StampedIo {
    io: Stream,
    /// Bytes that were read before hyper was there to take them.
    before: Bytes,
    clock: Clock,
    last_read: Arc<AtomicI64>,
    activity: Arc<Activity>,
    visit: Arc<Visit>,
    /// How fast the client reads, once a write had to wait for it.
    pace: Option<Pace>,
    /// Whether the last write waits.
    waits: bool,
    /// The limit last set by [`give_up_after`].
    peer_timeout: Duration,
}

impl StampedIo {
    pub fn new(
        io: Stream,
        clock: Clock,
        last_read: Arc<AtomicI64>,
        activity: Arc<Activity>,
        visit: Arc<Visit>,
    ) -> Self {
        let before = Bytes::new();
        Self { io, before, clock, last_read, activity, visit, pace: None, waits: false, peer_timeout: PEER_TIMEOUT }
    }

    /// Gives back bytes that were read and not used.
    pub fn rewind(&mut self, bytes: Bytes) {
        self.before = bytes;
    }

    /// Drops what the client has not read yet, which the kernel would keep otherwise, and the connection with it.
    pub fn reset(self) {
        self.io.with_socket(discard_unsent);
    }

    /// The outcome of a write of so many `bytes`: an error if the client reads too slowly.
    fn in_pace<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let waits = polled.is_pending();
        if waits != self.waits {
            self.waits = waits;
            self.activity.writing.store(waits, Ordering::Relaxed);
            self.visit.line.stall(waits.then(|| self.visit.bounds().now()));
            if !waits && self.visit.line.phase() == Phase::Waiting {
                // The client has read on: only from now on may it be idle.
                self.visit.begin(Phase::Waiting);
            }
        }
        let is_events = self.activity.streaming.load(Ordering::Relaxed);
        let peer_timeout = if is_events && polled.is_ready() { LISTENER_TIMEOUT } else { PEER_TIMEOUT };
        if peer_timeout != self.peer_timeout {
            self.peer_timeout = peer_timeout;
            self.io.with_socket(|socket| give_up_after(socket, peer_timeout));
        }
        if let Poll::Ready(written) = polled {
            if let (Some(pace), Ok(written)) = (&mut self.pace, &written) {
                pace.read(bytes(written));
            }
            return Poll::Ready(written);
        }
        let pace = self.pace.get_or_insert_with(Pace::begin);
        let tight = self.visit.answers_are_tight();
        std::task::ready!(pace.poll_too_slow(cx, is_events, tight));
        self.visit.turn_away(Reason::SlowReader);
        self.io.with_socket(discard_unsent);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "o cliente lê a resposta devagar demais")))
    }
}

impl Read for StampedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let length = self.before.len().min(buf.remaining());
            buf.put_slice(&self.before.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() {
            self.last_read.store(self.clock.now().as_micros(), Ordering::Relaxed);
            if self.visit.line.phase() == Phase::Waiting {
                self.visit.begin(Phase::Head);
            }
        }
        polled
    }
}

impl Write for StampedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.in_pace(cx, polled, |written| *written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS keeps what the socket had no room for.
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.in_pace(cx, polled, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.in_pace(cx, polled, |written| *written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_asked_whether_it_lives_and_given_up_in_time() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        set_up(&stream);
        assert_eq!(sockopt::tcp_user_timeout(&stream), Ok(30_000));
        assert_eq!(sockopt::socket_keepalive(&stream), Ok(true));
        assert_eq!(sockopt::tcp_keepidle(&stream), Ok(PROBE_EVERY));
        assert_eq!(sockopt::tcp_keepintvl(&stream), Ok(PROBE_EVERY));
        assert!(stream.nodelay().unwrap());
        give_up_after(&stream, Duration::from_secs(15));
        assert_eq!(sockopt::tcp_user_timeout(&stream), Ok(15_000));
    }
}
