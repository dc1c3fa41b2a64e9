//! Whether the client of a long answer is still there.
//!
//! Most answers are quick, and are finished whoever has gone meanwhile. One that waits, or never ends, has to notice: its
//! place in a queue would else block those behind it. hyper does not look at the connection while a request is being
//! answered, so the handler looks itself.
//!
//! # Locking
//!
//! A std mutex around the connection, held for one call of the socket's own poll functions. Only the connection's task
//! takes it (hyper and the handler run inside it), so nobody ever waits for it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::problem::Problem;

/// A connection that both hyper and a handler look at.
#[derive(Clone)]
pub(super) struct Stream(Arc<Mutex<TokioIo<TcpStream>>>);

impl Stream {
    pub fn new(stream: TcpStream) -> Self {
        Self(Arc::new(Mutex::new(TokioIo::new(stream))))
    }

    /// A panic elsewhere cannot leave a socket half polled.
    fn io(&self) -> MutexGuard<'_, TokioIo<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready once the client has closed its side, or the connection broke.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut byte = [0; 1];
        match self.io().inner().poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
            // A byte is the beginning of its next request: it is there, and what is behind that cannot be seen.
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io()).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io()).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io().is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io()).poll_write_vectored(cx, bytes)
    }
}

/// What a handler needs whose answer takes its time.
#[derive(Clone)]
pub struct Hosting {
    stream: Stream,
    stopping: CancellationToken,
    guests: Arc<Semaphore>,
}

impl Hosting {
    pub(super) fn new(stream: Stream, stopping: CancellationToken, guests: Arc<Semaphore>) -> Self {
        Self { stream, stopping, guests }
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
        let Ok(permit) = Arc::clone(&self.guests).try_acquire_owned() else {
            let detail = "Quase todas as conexões já são de quem espera ou ouve; tente de novo em instantes.";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "esperas_demais", "Esperas demais", detail);
            return Err(problem.retry_after_s(1));
        };
        Ok(Guest { stream: self.stream.clone(), stopping: self.stopping.clone(), _permit: permit })
    }
}

/// The client of a long answer. To be asked in the connection's own task, where handlers and bodies run.
pub struct Guest {
    stream: Stream,
    stopping: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Guest {
    /// Completes once the client has gone. One that closes only its sending side counts as gone.
    pub async fn gone(&self) {
        poll_fn(|cx| self.stream.poll_gone(cx)).await;
    }

    /// Completes once the client has gone or the service stops.
    pub async fn gone_or_stopping(&self) {
        tokio::select! {
            () = self.gone() => {}
            () = self.stopping.cancelled() => {}
        }
    }
}
