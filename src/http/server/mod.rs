//! Serving a listener: connections, limits, request identifiers, and a stop that drains.
//!
//! A service is a [`Handler`]. What all services do the same way is here: the request's identifier and logger, the instant its
//! bytes were read, and for an error the problem document and its line in the log.
//!
//! # Stopping
//!
//! A stop accepts no more connections and ends the streams of events. A request that has begun, which means that all of it has
//! arrived, is answered, until [`DRAIN_TIMEOUT`]. The rest of an incomplete request, with half a head or half a body, has
//! [`STOP_PATIENCE`] to arrive; until then nothing was done for the request.

mod begin;
mod request;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;
use std::time::Duration;

use http_body_util::Either;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, DATE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioTimer;
use slog::{Logger, debug, error, o, warn};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use self::begin::{Begun, HANDSHAKE_TIMEOUT, begin};
pub use self::request::Request;
use super::body::{Arriving, STOP_PATIENCE};
use super::guard::{AllowedHost, Guard};
use super::pass::Pass;
use super::presence::{Hosting, Places};
use super::problem::Problem;
use super::request_id::RequestIds;
use super::response::{Body, Response};
use super::socket::{self, Activity, Answering, StampedIo};
use super::tls::Tls;
use super::{body, head, kind};
use crate::access::principal::Who;
use crate::panics::{Panicked, guarded};
use crate::time::{Clock, Timestamp};

/// How long a connection may take to send a request's head, and may stay idle between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// The read buffer of a connection, and so the longest head: hyper's own default is 400 KiB.
const BUFFER_BYTES: usize = 16 * 1024;
/// The most connections served at once; more connections wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16_384;
/// File descriptors kept for the database, the logs and the connections to the other service.
const RESERVED_DESCRIPTORS: usize = 128;
/// Connections the kernel holds until they are accepted.
const BACKLOG: u32 = 4096;
/// How long to wait after a failed accept: most often the process has no file descriptor left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// How long a stop waits for requests in progress.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// What a browser is to forbid, in every answer: to guess another type than the answer's, to give the answer to a page of
/// another origin, and to let such a page keep a hold on the window that shows it.
const PROTECTION: [(HeaderName, HeaderValue); 3] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// A service.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. An error is logged and answered as a problem document.
    fn handle(&self, request: &mut Request) -> impl Future<Output = Result<Response, Problem>> + Send;
}

/// Binds an address for [`serve`]. Port 0 is any free port; `local_addr` of the listener tells which one it got. Connections that come
/// before a service serves it wait.
///
/// # Errors
/// When the address is taken, or is none of this machine's; and outside of a tokio runtime, to which the listener belongs.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    // Without this, tokio panics below.
    tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
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
        // At least 16, even with very few descriptors: an accept that fails is tried again.
        share.clamp(16, MAX_CONNECTIONS)
    }
}

/// What a server is told by its operator.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Whether it has the process to itself.
    pub tenancy: Tenancy,
    /// The names by which clients may call it, beside `localhost` and the addresses of this machine.
    pub allowed_hosts: Vec<AllowedHost>,
    /// Its certificate, if it speaks TLS.
    pub tls: Option<Tls>,
}

impl Manner {
    /// The beginning of its URLs.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// Serves until `shutdown` completes, then stops as the module's head says.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    clock: Clock,
    log: Logger,
    manner: Manner,
    shutdown: impl Future<Output = ()>,
) {
    let limit = manner.tenancy.connections();
    let guard = Arc::new(Guard::new(manner.allowed_hosts, manner.tls.is_some()));
    // It ends with this function.
    let _watch = manner.tls.clone().map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.watch(log.clone()))));
    let connections = Arc::new(Semaphore::new(limit));
    // Waiters and listeners must leave connections for the requests that release locks.
    let places = Places::of(limit);
    let (stop, tasks) = (Stop::default(), TaskTracker::new());
    let ids = Arc::new(RequestIds::new());
    let mut shutdown = pin!(shutdown);
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
                // Most often the process is out of file descriptors, until a connection closes.
                warn!(log, "Conexão não aceita: {}", error);
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        socket::set_up(&stream);
        let connection = Connection {
            handler: Arc::clone(&handler),
            clock: clock.clone(),
            log: log.clone(),
            ids: Arc::clone(&ids),
            guard: Arc::clone(&guard),
            tls: manner.tls.clone(),
            lacks_tls: false,
            // A socket without an address is no client's any more.
            here: stream.local_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |here| here.ip()),
            peer,
            stop: stop.clone(),
            places: places.clone(),
            activity: Arc::default(),
        };
        let log = log.clone();
        tasks.spawn(async move {
            if let Err(panicked) = guarded(connection.run(stream)).await {
                error!(log, "Conexão de {} encerrada por um defeito do serviço: {}", peer, panicked);
            }
            drop(permit);
        });
    }
    drop(listener);
    stop.begun.cancel();
    tasks.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, tasks.wait()).await.is_err() {
        warn!(log, "Requisições ainda em curso depois de {} s; encerrando mesmo assim", DRAIN_TIMEOUT.as_secs());
        stop.over.cancel();
        // The tasks only have to be dropped now.
        let _ = tokio::time::timeout(STOP_PATIENCE, tasks.wait()).await;
    }
}

/// How far a stop is.
#[derive(Clone, Default)]
struct Stop {
    /// The service stops.
    begun: CancellationToken,
    /// The time for draining is over: connections are dropped.
    over: CancellationToken,
}

/// The context of one connection.
struct Connection<H> {
    handler: Arc<H>,
    clock: Clock,
    log: Logger,
    ids: Arc<RequestIds>,
    guard: Arc<Guard>,
    /// The server's certificate, if it has one.
    tls: Option<Tls>,
    /// Whether the client has begun without the TLS that the server has. Each request is refused then.
    lacks_tls: bool,
    /// The address of this machine that the client has connected to.
    here: IpAddr,
    peer: SocketAddr,
    stop: Stop,
    places: Places,
    activity: Arc<Activity>,
}

impl<H: Handler> Connection<H> {
    async fn run(mut self, stream: TcpStream) {
        let begun = begin(self.tls.as_ref(), stream, self.peer, &self.stop.begun, &self.log).await;
        let Some(Begun { stream, lacks_tls }) = begun else { return };
        self.lacks_tls = lacks_tls;
        let (log, stop, activity) = (self.log.clone(), self.stop.clone(), Arc::clone(&self.activity));
        let last_read = Arc::new(AtomicI64::new(self.clock.now().as_micros()));
        // Together with the handshake, the first head has as long as without.
        let head_timeout =
            HEADER_TIMEOUT.saturating_sub(if self.tls.is_some() { HANDSHAKE_TIMEOUT } else { Duration::ZERO });
        let hosting = Hosting::new(stream.socket(), self.stop.begun.clone(), self.places.clone());
        let io = StampedIo::new(stream, self.clock.clone(), Arc::clone(&last_read), Arc::clone(&activity));
        let this = Arc::new(self);
        let service = service_fn(move |request| {
            let (this, hosting) = (Arc::clone(&this), hosting.clone());
            let received = Timestamp::from_micros(last_read.load(Ordering::Relaxed)).unwrap_or(Timestamp::MIN);
            async move { Ok::<_, Infallible>(this.answer(request, received, hosting).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .max_buf_size(BUFFER_BYTES)
            // A client may close its sending side after its request and still wait for the answer.
            .half_close(true)
            .serve_connection(io, service);
        match drive(connection, &stop, &activity).await {
            Some(Ok(())) => {}
            // The end of an idle connection is not worth a warning.
            Some(Err(error)) if error.is_timeout() => debug!(log, "Conexão ociosa encerrada"),
            Some(Err(error)) => warn!(log, "Conexão encerrada antes do fim da requisição: {}", error),
            None => debug!(log, "Conexão encerrada pela parada"),
        }
    }

    async fn answer(&self, request: hyper::Request<Incoming>, received: Timestamp, hosting: Hosting) -> Response {
        let answering = Answering::begin(&self.activity);
        let (head, body) = request.into_parts();
        let id = self.ids.choose(&head.headers);
        let log = self.log.new(o!("req" => id.clone()));
        let body = Arriving::new(body, self.stop.begun.clone());
        let mut request = Request {
            head,
            body,
            peer: self.peer,
            received,
            id: id.clone(),
            log: log.clone(),
            tls: self.tls.is_some(),
            who: Who::default(),
            pass: Pass::default(),
            hosting,
        };
        let mut response = self.handle(&mut request).await.unwrap_or_else(|problem| {
            log_problem(&log, &problem);
            problem.into_response(&id)
        });
        // After a 408 the rest of the body is not drained: the client had its time.
        if response.status() != StatusCode::REQUEST_TIMEOUT {
            body::discard(&request.head.headers, &mut request.body).await;
        }
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", id);
        }
        if let Some(date) = http_date(self.clock.now()) {
            response.headers_mut().insert(DATE, date);
        }
        for (name, value) in PROTECTION {
            response.headers_mut().insert(name, value);
        }
        if let Either::Right(stream) = response.body_mut() {
            self.activity.streaming.store(stream.is_events(), Ordering::Relaxed);
            stream.attend(log, answering);
        }
        response
    }

    /// Lets the handler answer. A panic in it is answered with 500.
    async fn handle(&self, request: &mut Request) -> Result<Response, Problem> {
        if let Err(problem) = head::check(&request.head) {
            return Ok(refuse_connection(problem, request));
        }
        if self.lacks_tls {
            let detail = "Esta porta só atende com TLS: use https:// em vez de http://.";
            return Ok(refuse_connection(Problem::new(kind::PLAIN_HTTP, detail), request));
        }
        if let Err(refusal) = self.guard.check(&request.head, self.here) {
            let malformed = refusal.is_malformed();
            return if malformed { Ok(refuse_connection(refusal.into(), request)) } else { Err(refusal.into()) };
        }
        let handled = guarded(self.handler.handle(request)).await;
        handled.unwrap_or_else(|panicked: Panicked| Err(Problem::internal(panicked.to_string())))
    }
}

/// The official time in the form of `Date`. hyper's own `Date` stands still when the machine's clock is set back.
fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::try_from(date).ok()
}

/// Answers an ambiguous head, or one without TLS, and closes the connection: the bytes after it may not be a request.
fn refuse_connection(problem: Problem, request: &Request) -> Response {
    log_problem(&request.log, &problem);
    let mut response = problem.into_response(&request.id);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Drives a connection to its end. `None` if a stop did not wait for the end.
async fn drive<S>(
    connection: http1::Connection<StampedIo, S>,
    stop: &Stop,
    activity: &Activity,
) -> Option<hyper::Result<()>>
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return Some(served),
        () = stop.begun.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        served = connection.as_mut() => return Some(served),
        () = tokio::time::sleep(STOP_PATIENCE) => {}
    }
    let ended = std::future::poll_fn(|cx| match connection.as_mut().poll(cx) {
        Poll::Ready(served) => Poll::Ready(Some(served)),
        Poll::Pending if activity.is_busy() => Poll::Pending,
        Poll::Pending => Poll::Ready(None),
    });
    tokio::select! {
        ended = ended => ended,
        () = stop.over.cancelled() => None,
    }
}

/// Logs an answer that is an error, in one line, unless that was done already.
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

#[cfg(test)]
mod tests;
