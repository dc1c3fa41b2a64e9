//! A connection's socket: what the kernel does about a peer that has vanished, and what we notice while we use it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::presence::Stream;
use crate::time::Clock;

/// How long a peer may acknowledge nothing of what was sent to it. Without a limit the kernel goes on for a quarter of an
/// hour.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for who listens to events. Something is sent to it every 15 s, so one that has vanished is gone after 30 s. One
/// that is there and reads slowly has the longer time.
const LISTENER_TIMEOUT: Duration = Duration::from_secs(15);
/// After how long a silence the peer is asked whether it is there, and how often again.
pub const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How long a client may read so little that the socket has no room for more.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes a connection one that notices when its other end has vanished, and that sends at once what is small. A socket that
/// refuses an option still works, and is left so.
pub fn set_up(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, PROBE_EVERY);
    let _ = sockopt::set_tcp_keepintvl(stream, PROBE_EVERY);
    give_up_after(stream, PEER_TIMEOUT);
}

/// Sets how long the peer may acknowledge nothing, neither what was sent nor the question whether it is there.
fn give_up_after(stream: &TcpStream, timeout: Duration) {
    let _ = sockopt::set_tcp_user_timeout(stream, u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
}

/// What a connection is doing, as far as a stop has to know.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// There is a request that is not answered to its end.
    answering: AtomicBool,
    /// The answer is a stream of events, which a stop ends where it is.
    pub streaming: AtomicBool,
    /// Something of the answer waits for room in the socket.
    writing: AtomicBool,
}

impl Activity {
    /// Whether there is a request whose answer has to be waited for.
    pub fn is_busy(&self) -> bool {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        is(&self.answering) || (is(&self.writing) && !is(&self.streaming))
    }
}

/// A request is being answered as long as this is there.
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

/// A stream that notes when it last read something: under load a request may wait for a thread long after its bytes
/// have come, and the official time must not count that as the network's.
pub(super) struct StampedIo {
    /// Runs while the client does not read what it asked for.
    stalled: Option<Pin<Box<Sleep>>>,
    io: Stream,
    clock: Clock,
    last_read: Arc<AtomicI64>,
    activity: Arc<Activity>,
    /// What was set by [`give_up_after`].
    peer_timeout: Duration,
}

impl StampedIo {
    pub fn new(io: Stream, clock: Clock, last_read: Arc<AtomicI64>, activity: Arc<Activity>) -> Self {
        Self { stalled: None, io, clock, last_read, activity, peer_timeout: PEER_TIMEOUT }
    }

    /// A write that goes on, or that has waited for too long.
    fn unless_stalled(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.activity.writing.store(polled.is_pending(), Ordering::Relaxed);
        let listens = self.activity.streaming.load(Ordering::Relaxed);
        let peer_timeout = if listens && polled.is_ready() { LISTENER_TIMEOUT } else { PEER_TIMEOUT };
        if peer_timeout != self.peer_timeout {
            self.peer_timeout = peer_timeout;
            self.io.with_socket(|socket| give_up_after(socket, peer_timeout));
        }
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Read for StampedIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() {
            self.last_read.store(self.clock.now().as_micros(), Ordering::Relaxed);
        }
        polled
    }
}

impl Write for StampedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.unless_stalled(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
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
        self.unless_stalled(cx, polled)
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
