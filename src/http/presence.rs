//! Whether the client of a long answer is still connected.
//!
//! A quick answer is finished even if its client has closed the connection. A waiter for a lock, or a listener to events, must
//! notice it: a waiter without a client would block the queue behind it. And before a lock is granted, its handler asks whether
//! the client is still connected.
//!
//! # Why not hyper's own detection
//!
//! With `half_close(false)` hyper drops the handler's future when it reads the end of the connection. With that in place of
//! [`Guest::gone`], three tests of `tests/it/presence.rs` fail:
//!
//! - `golang_13165…`: once a byte is unread, hyper does not read on before the answer is out. A client that sent `\r\n` or its
//!   next request and then closed keeps its place until its wait is over.
//! - `ghosts_that_listened…`: for the same reason a listener that is gone is noticed only when the next comment is sent to
//!   it, after 15 s.
//! - `after_a_pause…`: a client that has closed only its sending side gets no answer at all. And hyper cannot be asked about the
//!   connection as it is now, which a grant after a pause of the process needs ([`Presence::is_gone`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::bounds::Visit;
use super::kind;
use super::problem::Problem;
use super::stream::Socket;

/// How long the last look at the socket counts: a batch of a thousand operations looks once and not a thousand times.
const LOOK_LASTS: Duration = Duration::from_millis(1);
/// The most places that only [`Hosting::admit_before_others`] gives.
const KEPT_MAX: usize = 64;

/// The client of a request, to ask whether it is still connected.
#[derive(Clone)]
pub struct Presence {
    socket: Socket,
    /// When it was last seen connected.
    seen: Option<Instant>,
}

impl Presence {
    /// Whether the client has closed the connection. One that closed only its sending side counts as gone.
    pub fn is_gone(&mut self) -> bool {
        if self.seen.is_some_and(|seen| seen.elapsed() < LOOK_LASTS) {
            return false;
        }
        let gone = self.socket.is_closed();
        self.seen = (!gone).then(Instant::now);
        gone
    }
}

/// What the handler of a long answer needs.
#[derive(Clone)]
pub struct Hosting {
    socket: Socket,
    stopping: CancellationToken,
    places: Places,
    visit: Arc<Visit>,
}

/// Places for long answers.
#[derive(Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    count: usize,
    /// A few more, which only [`Hosting::admit_before_others`] gives.
    kept: Arc<Semaphore>,
}

impl Places {
    /// The places of a server with so many connections. The other connections stay free for the requests that release locks.
    pub fn of(connections: usize) -> Self {
        let kept = (connections / 16).clamp(1, KEPT_MAX);
        let count = connections * 3 / 4;
        Self { all: Arc::new(Semaphore::new(count)), count, kept: Arc::new(Semaphore::new(kept)) }
    }
}

/// Whether an address that has `own` of `count` places gets none of those that are `left`: the last sixteenth is for addresses that
/// have less than half.
fn has_its_share(count: usize, left: usize, own: usize) -> bool {
    left <= count / 16 && own >= count / 2
}

impl Hosting {
    pub(super) fn new(socket: Socket, stopping: CancellationToken, places: Places, visit: Arc<Visit>) -> Self {
        Self { socket, stopping, places, visit }
    }

    /// The client's connection, and the bounds of its server.
    pub fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }

    /// The request's client, to ask whether it is still connected before a lock is granted to it.
    pub fn presence(&self) -> Presence {
        Presence { socket: self.socket.clone(), seen: None }
    }

    /// The shortest round trip to the other end of the connection that the kernel has measured, in microseconds.
    pub fn least_round_trip_us(&self) -> Option<u32> {
        self.socket.least_round_trip_us()
    }

    /// Whether the service is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// A place among the long answers, of which there are fewer than connections.
    ///
    /// # Errors
    /// 503 when all are taken, and 429 when the client's address has its share.
    pub fn admit(&self) -> Result<Guest, Problem> {
        let own = self.visit.line.account.guests.load(Ordering::Relaxed);
        // The programs of this machine have one address.
        if !self.visit.line.key.is_loopback()
            && has_its_share(self.places.count, self.places.all.available_permits(), own)
        {
            let detail = "O seu endereço já tem metade das conexões de quem espera ou ouve; feche algumas delas.";
            return Err(Problem::new(kind::OWN_GUESTS_FULL, detail).retry_after_s(1));
        }
        self.admit_to(&[&self.places.all])
    }

    /// A place for a client that other clients must not shut out: a scheduler's events, for one.
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
        self.visit.line.account.guests.fetch_add(1, Ordering::Relaxed);
        let visit = Arc::clone(&self.visit);
        let over = CancellationToken::new();
        Ok(Guest { socket: self.socket.clone(), stopping: self.stopping.clone(), over, visit, _permit: permit })
    }
}

/// The client of a long answer.
pub struct Guest {
    socket: Socket,
    stopping: CancellationToken,
    /// What it listens to is over.
    over: CancellationToken,
    visit: Arc<Visit>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.visit.line.account.guests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Guest {
    /// Completes once the client has gone. A client that closes only its sending side counts as gone. So does one that goes on
    /// sending without waiting for its answer, since the end of its connection could not be seen.
    pub async fn gone(&self) {
        tokio::select! {
            () = self.socket.closed() => {}
            () = self.socket.overfull() => {}
        }
    }

    /// The same client, who listens to something that ends by itself.
    #[must_use]
    pub fn until(mut self, over: CancellationToken) -> Self {
        self.over = over;
        self
    }

    /// Completes once the client has gone, the service stops, or what the client listens to is over.
    pub async fn gone_or_stopping(&self) {
        tokio::select! {
            () = self.over.cancelled() => {}
            () = self.gone() => {}
            () = self.stopping.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_places_are_for_addresses_with_few() {
        assert!(has_its_share(160, 10, 80));
        assert!(!has_its_share(160, 11, 149));
        assert!(!has_its_share(160, 1, 79));
        // Of a few places, an address may have all.
        assert!(!has_its_share(12, 1, 11));
    }
}
