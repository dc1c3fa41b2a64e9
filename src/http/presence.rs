//! Whether the client of a long answer is still there.
//!
//! Most answers are quick, and are finished whoever has gone meanwhile. One that waits, or never ends, has to notice: its
//! place in a queue would else block those behind it. And what must not be given to somebody who has gone asks first.
//! hyper does not look at the connection while a request is being answered, so the handler looks itself.
//!
//! The socket is asked whether the client has closed it, never whether there is something to read: the end of a
//! connection lies behind what the client sent before it, and that is not read before this request is answered.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::kind;
use super::problem::Problem;

/// How long a look at the socket is good for: a batch of a thousand operations asks once and not a thousand times.
const LOOK_LASTS: Duration = Duration::from_millis(1);
/// How often a waiting client's socket is asked how much lies unread.
const UNREAD_LOOKS: Duration = Duration::from_millis(500);
/// So many unread bytes, and the kernel may take no more: then it is not told either whether the client has closed.
const UNREAD_MAX: u64 = 32 * 1024;
/// The most places that are kept for those who must not be shut out.
const KEPT_MAX: usize = 64;

/// A connection as hyper has it. Only hyper reads and writes; handlers have its [`Socket`] to look at.
pub(super) struct Stream {
    reader: TokioIo<OwnedReadHalf>,
    socket: Socket,
}

/// A connection's socket, shared by those who only ask for its state.
#[derive(Clone)]
pub(super) struct Socket(Arc<OwnedWriteHalf>);

impl Stream {
    pub fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: TokioIo::new(reader), socket: Socket(Arc::new(writer)) }
    }

    pub fn socket(&self) -> Socket {
        self.socket.clone()
    }

    /// Does something with the socket.
    pub fn with_socket<T>(&self, act: impl FnOnce(&TcpStream) -> T) -> T {
        act(self.socket.tcp())
    }

    /// Writes by `write` once the socket takes something.
    fn poll_with(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&OwnedWriteHalf) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.tcp().poll_write_ready(cx))?;
            match write(&self.socket.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl Socket {
    fn tcp(&self) -> &TcpStream {
        (*self.0).as_ref()
    }

    /// Completes once the client has closed its side, or the connection broke, even if bytes lie unread before that.
    async fn closed(&self) {
        // Of what can be waited for, only the end of reading counts here: no priority is registered. An error means that
        // the runtime ends, and with it the answer.
        let _ = self.0.ready(Interest::PRIORITY).await;
    }

    /// Completes once so much lies unread that the connection's end could not be seen behind it.
    async fn overfull(&self) {
        loop {
            tokio::time::sleep(UNREAD_LOOKS).await;
            if ioctl_fionread(self.tcp()).is_ok_and(|unread| unread >= UNREAD_MAX) {
                return;
            }
        }
    }

    /// Whether it is closed, as the kernel knows it now: after a pause of the process it knows more than has been told here yet.
    fn is_closed(&self) -> bool {
        let mut asked = [PollFd::new(self.tcp(), PollFlags::RDHUP)];
        // Broken connections are told without being asked for. What cannot be asked counts as there.
        poll(&mut asked, Some(&Timespec::default())).is_ok_and(|answers| answers > 0)
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |socket| socket.try_write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was written is the kernel's.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match rustix::net::shutdown(self.socket.tcp(), rustix::net::Shutdown::Write) {
            // The client was faster.
            Err(rustix::io::Errno::NOTCONN) => Ok(()),
            result => result.map_err(io::Error::from),
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |socket| socket.try_write_vectored(slices))
    }
}

/// The client of a request, as far as whether it is still there.
#[derive(Clone)]
pub struct Presence {
    socket: Socket,
    seen: Option<Instant>,
}

impl Presence {
    /// Whether the client has gone. One that closed only its sending side counts as gone.
    pub fn is_gone(&mut self) -> bool {
        if self.seen.is_some_and(|seen| seen.elapsed() < LOOK_LASTS) {
            return false;
        }
        let gone = self.socket.is_closed();
        self.seen = (!gone).then(Instant::now);
        gone
    }
}

/// What a handler needs whose answer takes its time.
#[derive(Clone)]
pub struct Hosting {
    socket: Socket,
    stopping: CancellationToken,
    places: Places,
}

/// Places for long answers.
#[derive(Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// A few more, for those who must not be shut out by others.
    kept: Arc<Semaphore>,
}

impl Places {
    /// Those of a server with so many connections: the others are left for those who release what is waited for.
    pub fn of(connections: usize) -> Self {
        let kept = (connections / 16).clamp(1, KEPT_MAX);
        Self { all: Arc::new(Semaphore::new(connections * 3 / 4)), kept: Arc::new(Semaphore::new(kept)) }
    }
}

impl Hosting {
    pub(super) fn new(socket: Socket, stopping: CancellationToken, places: Places) -> Self {
        Self { socket, stopping, places }
    }

    /// The request's client, to ask whether it is still there before it is given something.
    pub fn presence(&self) -> Presence {
        Presence { socket: self.socket.clone(), seen: None }
    }

    /// Whether the service is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// A place among the long answers, of which there are fewer than connections.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub fn admit(&self) -> Result<Guest, Problem> {
        self.admit_to(&[&self.places.all])
    }

    /// The same for one who must not be shut out by all others, as long as few are.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub fn admit_before_others(&self) -> Result<Guest, Problem> {
        self.admit_to(&[&self.places.all, &self.places.kept])
    }

    fn admit_to(&self, places: &[&Arc<Semaphore>]) -> Result<Guest, Problem> {
        let Some(permit) = places.iter().find_map(|places| Arc::clone(places).try_acquire_owned().ok()) else {
            let detail = "Quase todas as conexões já são de quem espera ou ouve; tente de novo em instantes.";
            let problem = Problem::new(kind::TOO_MANY_GUESTS, detail);
            return Err(problem.retry_after_s(1));
        };
        Ok(Guest { socket: self.socket.clone(), stopping: self.stopping.clone(), _permit: permit })
    }
}

/// The client of a long answer.
pub struct Guest {
    socket: Socket,
    stopping: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Guest {
    /// Completes once the client has gone. One that closes only its sending side counts as gone, and one that goes on
    /// sending without waiting for its answer: its end could not be seen.
    pub async fn gone(&self) {
        tokio::select! {
            () = self.socket.closed() => {}
            () = self.socket.overfull() => {}
        }
    }

    /// Completes once the client has gone or the service stops.
    pub async fn gone_or_stopping(&self) {
        tokio::select! {
            () = self.gone() => {}
            () = self.stopping.cancelled() => {}
        }
    }
}
