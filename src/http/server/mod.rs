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
mod connection;
mod farewell;
mod finish;
mod handler;
mod request;
mod seldom;
mod site;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use slog::{Logger, error, warn};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use self::connection::Connection;
pub use self::handler::{Handler, log_problem};
pub use self::request::Request;
use self::site::{Site, Stop};
use super::body::STOP_PATIENCE;
use super::bounds::Bounds;
use super::bounds::turned::Reason;
use super::guard::origins::AllowedOrigin;
use super::guard::{AllowedHost, Guard};
use super::prefix::Prefixes;
use super::presence::Places;
use super::rates::Rates;
use super::request_id::RequestIds;
use super::socket;
use super::tls::Tls;
use crate::panics::guarded;
use crate::time::Clock;

/// The most connections of a process. A newcomer takes the place of one that has no request.
const MAX_CONNECTIONS: usize = 14_336;
/// File descriptors kept for the database, the logs and the connections to the other service.
const RESERVED_DESCRIPTORS: usize = 128;
/// Connections the kernel holds until they are accepted.
const BACKLOG: u32 = 4096;
/// How long to wait after a failed accept: most often the process has no file descriptor left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// How long a newcomer waits for a place: that of a connection that was told to make room, or of one that ends. Those behind it wait
/// in the kernel's queue.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked again for connections that can make room: each is spared at first.
const ROOM_PAUSE: Duration = Duration::from_millis(100);
/// How many clients are told at once that there is no place for them. Others are only disconnected.
const FAREWELLS: usize = 64;
/// With fewer descriptors than this a warning is logged.
const FEW_DESCRIPTORS: usize = 1024;
/// How long a stop waits for requests in progress.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// Binds an address for [`serve`]. Port 0 is any free port; `local_addr` of the listener tells which one it got. Connections that come
/// before a service serves it wait.
///
/// # Errors
/// When the address is taken, or is none of this machine's; and outside of a tokio runtime, to which the listener belongs.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    // Without this, tokio panics below.
    tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket::set_up_listener(&socket);
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
    /// How many servers may be in the process.
    const fn servers(self) -> usize {
        match self {
            Self::Alone => 1,
            Self::Shared => 2,
        }
    }

    /// How many connections a server may have open.
    fn connections(self, log: &Logger) -> usize {
        let descriptors = descriptors();
        if descriptors < FEW_DESCRIPTORS {
            warn!(
                log,
                "Só há {} descritores de arquivo, e por isso poucas conexões cabem: aumente o limite (ulimit -n)",
                descriptors
            );
        }
        let share = |all: usize| all / self.servers();
        // At least 16, even with very few descriptors: an accept that fails is tried again.
        share(descriptors.saturating_sub(RESERVED_DESCRIPTORS)).clamp(16, share(MAX_CONNECTIONS))
    }
}

/// The process's limit of file descriptors. Who starts the runtime has raised it as far as that is allowed.
fn descriptors() -> usize {
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// What a server is told by its operator.
#[derive(Clone)]
pub struct Manner {
    /// Whether it has the process to itself.
    pub tenancy: Tenancy,
    /// The names by which clients may call it, beside `localhost` and the addresses of this machine.
    pub allowed_hosts: Vec<AllowedHost>,
    /// The origins of other pages that may use it.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Its certificate, if it speaks TLS.
    pub tls: Option<Tls>,
    /// How much it holds for its clients.
    pub bounds: Arc<Bounds>,
    /// Below which path clients see it.
    pub prefixes: Prefixes,
    /// How many requests each client may make, if that is limited.
    pub rates: Option<Arc<Rates>>,
}

impl Manner {
    /// With the bounds of a server of this tenancy.
    pub fn new(tenancy: Tenancy, allowed_hosts: Vec<AllowedHost>, tls: Option<Tls>) -> Self {
        Self {
            tenancy,
            allowed_hosts,
            allowed_origins: Vec::new(),
            tls,
            bounds: Bounds::new(tenancy.servers()),
            prefixes: Prefixes::default(),
            rates: None,
        }
    }

    /// The beginning of its URLs.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

impl Default for Manner {
    fn default() -> Self {
        Self::new(Tenancy::default(), Vec::new(), None)
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
    let limit = manner.tenancy.connections(&log);
    // It ends with this function.
    let _watch = manner.tls.clone().map(|tls| AbortOnDropHandle::new(tokio::spawn(tls.watch(log.clone()))));
    let (stop, tasks) = (Stop::default(), TaskTracker::new());
    let bounds = manner.bounds;
    let site = Arc::new(Site {
        handler,
        clock,
        log: log.clone(),
        ids: RequestIds::new(),
        guard: Guard::new(manner.allowed_hosts, manner.tls.is_some()).letting_in(manner.allowed_origins),
        tls: manner.tls,
        stop: stop.clone(),
        // Waiters and listeners must leave connections for the requests that release locks.
        places: Places::of(limit),
        bounds: Arc::clone(&bounds),
        prefixes: manner.prefixes,
        rates: manner.rates,
    });
    let places = Arc::new(Semaphore::new(limit));
    let entrance = Entrance { site, places, farewells: Arc::new(Semaphore::new(FAREWELLS)), tasks: tasks.clone() };
    // It ends with this function.
    let _sweep = entrance.site.rates.clone().map(|rates| AbortOnDropHandle::new(tokio::spawn(rates.swept())));
    entrance.keep(&listener, &bounds, &log, shutdown).await;
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

/// Where new connections come in.
struct Entrance<H> {
    site: Arc<Site<H>>,
    places: Arc<Semaphore>,
    farewells: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl<H: Handler> Entrance<H> {
    /// Lets connections in until `shutdown` completes. While a newcomer waits for a place, the patrol goes on, and a stop is noticed.
    async fn keep(&self, listener: &TcpListener, bounds: &Bounds, log: &Logger, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut patrol = pin!(bounds.patrolled());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = &mut patrol => return, // it never completes
                accepted = listener.accept() => accepted,
            };
            let mut admitted = pin!(async {
                match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer).await,
                    Err(error) => {
                        // Most often the process is out of file descriptors, until a connection closes.
                        warn!(log, "Conexão não aceita: {}", error);
                        bounds.make_room(bounds.now());
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                }
            });
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = &mut patrol => return,
                () = &mut admitted => {}
            }
        }
    }

    /// Serves a new connection, or tells it that there is no place.
    async fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(permit) = self.place().await else {
            self.site.bounds.turned.count(Reason::NoPlace);
            if let Ok(permit) = Arc::clone(&self.farewells).try_acquire_owned() {
                let site = Arc::clone(&self.site);
                self.tasks.spawn(async move {
                    site.refuse(stream).await;
                    drop(permit);
                });
            }
            return;
        };
        socket::set_up(&stream);
        // In a box of its own: each function around it would have room for it otherwise.
        let connection = Box::pin(Connection::new(Arc::clone(&self.site), &stream, peer).run(stream));
        let log = self.site.log.clone();
        self.tasks.spawn(async move {
            if let Err(panicked) = guarded(connection).await {
                error!(log, "Conexão de {} encerrada por um defeito do serviço: {}", peer, panicked);
            }
            drop(permit);
        });
    }

    /// A place for a new connection: a free one, or that of a connection that makes room.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(permit);
        }
        let begun = Instant::now();
        while begun.elapsed() < ROOM_PATIENCE {
            self.site.bounds.make_room(self.site.bounds.now());
            if let Ok(freed) = tokio::time::timeout(ROOM_PAUSE, Arc::clone(&self.places).acquire_owned()).await {
                // The semaphore is never closed.
                return freed.ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
