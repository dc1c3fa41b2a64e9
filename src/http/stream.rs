//! A connection: hyper reads and writes it, and handlers ask meanwhile whether the client has closed it.
//!
//! The kernel is asked whether the client has closed the connection, not whether there is something to read: the end of the
//! connection comes after all bytes that the client has sent, and those are not read before this request is answered.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::server::TlsStream;

use super::round_trip;
use super::tls::Tls;

/// How often the number of unread bytes of a waiting client is checked.
const UNREAD_LOOKS: Duration = Duration::from_millis(500);
/// With so many unread bytes the kernel may accept no more, and then it does not learn either that the client has closed.
const UNREAD_MAX: u64 = 32 * 1024;

/// The most bytes of one write: the kernel takes all of them once it has room for any.
const WRITE_MAX: usize = 16 * 1024;
/// The most slices of one write.
const SLICES_MAX: usize = 8;

/// A connection, for hyper to read and write. Handlers only look at its [`Socket`].
pub(super) struct Stream {
    layer: Layer,
    socket: Socket,
}

/// What is between HTTP and the socket.
enum Layer {
    /// Nothing: bytes are read here, and written to the socket.
    Plain(TokioIo<OwnedReadHalf>),
    Tls(Box<Secured>),
}

/// A connection's socket, to ask for its state.
#[derive(Clone)]
pub(super) struct Socket(Arc<OwnedWriteHalf>);

impl Stream {
    pub fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { layer: Layer::Plain(TokioIo::new(reader)), socket: Socket(Arc::new(writer)) }
    }

    /// A connection over TLS, once the handshake is done.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn secured(stream: TcpStream, tls: &Tls) -> io::Result<Self> {
        let (reader, writer) = stream.into_split();
        let socket = Socket(Arc::new(writer));
        let secured = tls.accept(Wire { reader, socket: socket.clone() }).await?;
        Ok(Self { layer: Layer::Tls(Box::new(Secured(TokioIo::new(secured)))), socket })
    }

    pub fn socket(&self) -> Socket {
        self.socket.clone()
    }

    /// Calls `act` with the socket.
    pub fn with_socket<T>(&self, act: impl FnOnce(&TcpStream) -> T) -> T {
        act(self.socket.tcp())
    }
}

impl Socket {
    fn tcp(&self) -> &TcpStream {
        (*self.0).as_ref()
    }

    /// Writes by `write` once the socket has room.
    fn poll_with(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&OwnedWriteHalf) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp().poll_write_ready(cx))?;
            match write(&self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Writes once there is room.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |socket| socket.try_write(&bytes[..bytes.len().min(WRITE_MAX)]))
    }

    /// Ends the sending side.
    fn shut_down(&self) -> io::Result<()> {
        match rustix::net::shutdown(self.tcp(), rustix::net::Shutdown::Write) {
            // The client has closed it already.
            Err(rustix::io::Errno::NOTCONN) => Ok(()),
            result => result.map_err(io::Error::from),
        }
    }

    /// The shortest round trip to the other end that the kernel has measured, in microseconds.
    pub fn least_round_trip_us(&self) -> Option<u32> {
        round_trip::least_us(self.tcp())
    }

    /// Completes once there are bytes to read, or the connection has ended.
    pub async fn readable(&self) {
        // That the socket is ready may be a false alarm. After an error, reading tells which.
        let _ = self.tcp().peek(&mut [0]).await;
    }

    /// Completes once the client has closed its side, or the connection broke, even with unread bytes before that.
    pub async fn closed(&self) {
        // `ready` always includes the end of reading; priority data itself is never registered. An error means that the
        // runtime ends, and with it the answer.
        let _ = self.0.ready(Interest::PRIORITY).await;
    }

    /// Completes once there are so many unread bytes that the end of the connection could not be seen.
    pub async fn overfull(&self) {
        // A client that waits sends nothing: then there is nothing to look at again and again.
        self.readable().await;
        loop {
            tokio::time::sleep(UNREAD_LOOKS).await;
            if ioctl_fionread(self.tcp()).is_ok_and(|unread| unread >= UNREAD_MAX) {
                return;
            }
        }
    }

    /// Whether it is closed, as the kernel knows it now. After a pause of the process, the kernel knows of closed connections
    /// whose events the runtime has not read yet.
    pub fn is_closed(&self) -> bool {
        let mut asked = [PollFd::new(self.tcp(), PollFlags::RDHUP)];
        // A broken connection is reported without being asked for. If the call fails, the client counts as connected.
        poll(&mut asked, Some(&Timespec::default())).is_ok_and(|answers| answers > 0)
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(reader) => Pin::new(reader).poll_read(cx, buf),
            Layer::Tls(secured) => Pin::new(secured).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.layer {
            Layer::Plain(_) => self.socket.poll_write(cx, bytes),
            Layer::Tls(secured) => Pin::new(secured).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            // There is no buffer here: what was written is in the kernel.
            Layer::Plain(_) => Poll::Ready(Ok(())),
            Layer::Tls(secured) => Pin::new(secured).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(_) => Poll::Ready(self.socket.shut_down()),
            Layer::Tls(secured) => Pin::new(secured).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.layer {
            Layer::Plain(_) => true,
            Layer::Tls(secured) => secured.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.layer {
            Layer::Plain(_) => {
                let (few, count) = first_bytes(slices);
                self.socket.poll_with(cx, |socket| socket.try_write_vectored(&few[..count]))
            }
            Layer::Tls(secured) => Pin::new(secured).poll_write_vectored(cx, slices),
        }
    }
}

/// The first [`WRITE_MAX`] bytes of some slices, and how many slices they are.
fn first_bytes<'a>(slices: &'a [io::IoSlice<'a>]) -> ([io::IoSlice<'a>; SLICES_MAX], usize) {
    let (mut few, mut left, mut count) = ([io::IoSlice::new(&[]); SLICES_MAX], WRITE_MAX, 0);
    for (place, slice) in few.iter_mut().zip(slices) {
        if left == 0 {
            break;
        }
        *place = io::IoSlice::new(&slice[..slice.len().min(left)]);
        (left, count) = (left - place.len(), count + 1);
    }
    (few, count)
}

/// A connection's socket below TLS.
struct Wire {
    reader: OwnedReadHalf,
    socket: Socket,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // There is no buffer here: what was written is in the kernel.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shut_down())
    }
}

/// A connection over TLS, for hyper to read and write.
struct Secured(TokioIo<TlsStream<Wire>>);

impl Read for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(cx, buf) {
            // Many clients close without TLS's own word for it. HTTP/1.1 says itself where a request ends.
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}

impl Write for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }
}
