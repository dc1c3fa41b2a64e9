//! Serving a listener: connections, limits, request identifiers, and a stop that drains.
//!
//! A service is a [`Handler`]; everything that every service does the same way is here: the request's identifier and
//! its logger, the instant its bytes were read, the problem document for an error and the one line that says so.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::http::request::Parts;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::GracefulShutdown;
use slog::{Logger, debug, error, info, o, warn};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::presence::{Hosting, Places, Stream};
use super::problem::Problem;
use super::{Response, body};
use crate::time::{Clock, Timestamp};

/// How long a connection may take to send a request's head, and may stay idle between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client may read so little that the socket has no room for more.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The read buffer of a connection, and so the longest head: hyper's own default is 400 KiB.
const BUFFER_BYTES: usize = 16 * 1024;
/// Connections served at once, at the most; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16_384;
/// File descriptors that are not for connections: the database, the logs, the way to the other service.
const RESERVED_DESCRIPTORS: usize = 128;
/// Connections the kernel holds until they are accepted.
const BACKLOG: u32 = 4096;
/// How long to wait before accepting again when the process has no file descriptor left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// How long a stop waits for the requests that are running.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);
/// The longest identifier that a client may bring in `X-Request-Id`.
const REQUEST_ID_MAX: usize = 64;

/// One request, as a handler sees it.
pub struct Request {
    /// Method, URI and headers.
    pub head: Parts,
    /// The body, not yet read.
    pub body: Incoming,
    /// Who sent it.
    pub peer: SocketAddr,
    /// When its bytes were read from the network, before any queue of ours.
    pub received: Timestamp,
    /// Its identifier, in the answer's `X-Request-Id` and on every log line.
    pub id: Arc<str>,
    /// A logger that adds the identifier.
    pub log: Logger,
    /// For an answer that takes its time: whether the client is still there, and the service not stopping.
    pub hosting: Hosting,
}

/// A service.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. An error is logged and answered as a problem document.
    fn handle(&self, request: &mut Request) -> impl Future<Output = Result<Response, Problem>> + Send;
}

/// Binds an address for [`serve`]. Port 0 is any free port.
///
/// # Errors
/// When the address is taken or not ours.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether a process has one server or two, and so how many of its file descriptors each may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tenancy {
    /// All descriptors are this server's.
    Alone,
    /// Another server may be in the same process.
    #[default]
    Shared,
}

impl Tenancy {
    /// How many connections a server may have open.
    fn connections(self) -> usize {
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let descriptors = descriptors.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let left = descriptors.saturating_sub(RESERVED_DESCRIPTORS);
        let share = if self == Self::Alone { left } else { left / 2 };
        // Where there are very few, some all the same: an accept that fails is tried again.
        share.clamp(16, MAX_CONNECTIONS)
    }
}

/// Serves until `shutdown` completes, then stops accepting and waits for what is running, up to [`DRAIN_TIMEOUT`].
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    clock: Clock,
    log: Logger,
    tenancy: Tenancy,
    shutdown: impl Future<Output = ()>,
) {
    let limit = tenancy.connections();
    let connections = Arc::new(Semaphore::new(limit));
    // Those who wait or listen must leave room for those who release what is waited for.
    let (stopping, places) = (CancellationToken::new(), Places::of(limit));
    let graceful = GracefulShutdown::new();
    let ids = Arc::new(RequestIds::new());
    let mut shutdown = std::pin::pin!(async {
        shutdown.await;
        info!(log, "encerrando");
    });
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&connections).acquire_owned().await.expect("the semaphore is open");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most often the process is out of file descriptors: one will come free, and spinning helps nobody.
                warn!(log, "Conexão não aceita: {}", error);
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        // Small answers should leave at once; a socket that refuses the option still works.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            handler: Arc::clone(&handler),
            clock: clock.clone(),
            log: log.clone(),
            ids: Arc::clone(&ids),
            peer,
            stopping: stopping.clone(),
            places: places.clone(),
        };
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            connection.run(stream, watcher).await;
            drop(permit);
        });
    }
    drop(listener);
    stopping.cancel();
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        warn!(log, "Requisições ainda em curso depois de {} s; encerrando assim mesmo", DRAIN_TIMEOUT.as_secs());
    }
}

/// What one connection needs.
struct Connection<H> {
    handler: Arc<H>,
    clock: Clock,
    log: Logger,
    ids: Arc<RequestIds>,
    peer: SocketAddr,
    stopping: CancellationToken,
    places: Places,
}

impl<H: Handler> Connection<H> {
    async fn run(self, stream: TcpStream, watcher: hyper_util::server::graceful::Watcher) {
        let log = self.log.clone();
        let last_read = Arc::new(AtomicI64::new(self.clock.now().as_micros()));
        let stream = Stream::new(stream);
        let hosting = Hosting::new(stream.socket(), self.stopping.clone(), self.places.clone());
        let io = StampedIo { stalled: None, io: stream, clock: self.clock.clone(), last_read: Arc::clone(&last_read) };
        let this = Arc::new(self);
        let service = service_fn(move |request| {
            let (this, hosting) = (Arc::clone(&this), hosting.clone());
            let received = Timestamp::from_micros(last_read.load(Ordering::Relaxed)).unwrap_or(Timestamp::MIN);
            async move { Ok::<_, Infallible>(this.answer(request, received, hosting).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            // Who has said all it has to say may still want the answer.
            .half_close(true)
            .serve_connection(io, service);
        match watcher.watch(connection).await {
            Ok(()) => {}
            // An idle connection that is closed is no event.
            Err(error) if error.is_timeout() => debug!(log, "Conexão ociosa encerrada"),
            Err(error) => warn!(log, "Conexão encerrada antes do fim da requisição: {}", error),
        }
    }

    async fn answer(&self, request: hyper::Request<Incoming>, received: Timestamp, hosting: Hosting) -> Response {
        let (head, body) = request.into_parts();
        let id = self.ids.choose(&head.headers);
        let log = self.log.new(o!("req" => Arc::clone(&id)));
        let mut request =
            Request { head, body, peer: self.peer, received, id: Arc::clone(&id), log: log.clone(), hosting };
        let mut response = match self.handler.handle(&mut request).await {
            Ok(response) => response,
            Err(problem) => {
                log_problem(&log, &problem);
                problem.into_response(&id)
            }
        };
        // Whoever was waited for already, in vain, is not waited for again.
        if response.status() != StatusCode::REQUEST_TIMEOUT {
            body::discard(&request.head.headers, &mut request.body).await;
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", id);
        }
        // What an answer is, its type says; a browser is not to guess.
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

/// The one line for an answer that is an error, unless the log has it already.
pub fn log_problem(log: &Logger, problem: &Problem) {
    if problem.is_logged() {
        return;
    }
    let (status, code) = (problem.status().as_u16(), problem.code());
    if problem.status().is_server_error() {
        error!(log, "Requisição falhou: {} {}: {}", status, code, problem.log_text());
    } else {
        warn!(log, "Requisição recusada: {} {}: {}", status, code, problem.log_text());
    }
}

/// Makes request identifiers: a random prefix for the process, then a counter.
pub struct RequestIds {
    prefix: u16,
    next: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        // Identifiers only have to differ between two starts most of the time; no randomness is worth failing for.
        let prefix = getrandom::u32().map_or(0, |random| (random & 0xffff) as u16);
        Self { prefix, next: AtomicU64::new(1) }
    }

    /// The client's own identifier if it is an acceptable one, else a new one.
    fn choose(&self, headers: &HeaderMap) -> Arc<str> {
        let brought = headers.get("x-request-id").and_then(|value| value.to_str().ok());
        match brought.filter(|id| is_request_id(id)) {
            Some(id) => id.into(),
            None => format!("{:04x}-{:x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed)).into(),
        }
    }
}

/// Whether `id` may stand on a log line as it is. One of marks alone would look like none: `-` says that there was no request.
pub fn is_request_id(id: &str) -> bool {
    (1..=REQUEST_ID_MAX).contains(&id.len())
        && id.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// A stream that notes when it last read something: under load a request may wait for a thread long after its bytes
/// have come, and the official time must not count that as the network's.
struct StampedIo {
    /// Runs while the client does not read what it asked for.
    stalled: Option<Pin<Box<Sleep>>>,
    io: Stream,
    clock: Clock,
    last_read: Arc<AtomicI64>,
}

impl StampedIo {
    /// A write that goes on, or that has waited for too long.
    fn unless_stalled(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
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
