//! How much one server holds for its clients, in connections and in bytes, and who makes room for others.
//!
//! Each connection is a [`line::Line`] on a list. A patrol looks at all of them twice a second, so no request needs a timer of its
//! own. A newcomer without a place takes that of a connection that has no request: of the address with most connections, the one
//! that has been idle for longest. What is held in bytes (bodies that arrive, answers that are not read yet) is taken from budgets,
//! of which one address has half.
//!
//! # Locking
//!
//! The list has a mutex, held to open and to close a connection, and by the patrol. A request only touches atomics.

pub mod address;
pub mod budget;
pub mod line;
pub mod pace;
pub mod readings;
pub mod turned;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use self::address::{Accounts, AddressKey};
use self::budget::{Budget, Full, Held, PATIENCE};
use self::line::{Line, Order, Phase, SOONEST};
use self::readings::{Reading, Readings};
use self::turned::{Reason, Turned};
use super::kind::Kind;

/// The most bytes of bodies that a server holds.
const BODIES_BYTES: usize = 24 << 20;
/// The most bytes of answers that a server holds until they are read.
const ANSWERS_BYTES: usize = 64 << 20;
/// An answer up to this length is not counted: the socket takes it at once.
const SMALL_ANSWER: usize = 4096;
/// The room for an item of a page: a booking with the longest notes, or its record.
const ITEM_BYTES: usize = 8 * 1024;
/// How often the patrol looks at the connections, at the most.
const PATROL_EVERY: Duration = Duration::from_millis(500);
/// How long it rests where nothing will be due.
const PATROL_REST: Duration = Duration::from_secs(30);
/// One look for room frees this share of the places at the most, so that a flood of newcomers does not cause a look for each.
const ROOM_SHARE: usize = 64;

/// The bounds of one server.
#[derive(Debug)]
pub struct Bounds {
    /// Who was turned away.
    pub turned: Turned,
    begun: Instant,
    next: AtomicU64,
    lines: Mutex<HashMap<u64, Arc<Line>>>,
    accounts: Accounts,
    bodies: Arc<Budget>,
    answers: Arc<Budget>,
    readings: Readings,
    /// Whether the patrol does not know yet that a phase has begun since its last look.
    rests: AtomicBool,
    roused: Notify,
}

impl Bounds {
    /// The bounds of a server that shares its process with `servers` − 1 others.
    pub fn new(servers: usize) -> Arc<Self> {
        let (bodies, answers) = (BODIES_BYTES / servers, ANSWERS_BYTES / servers);
        Arc::new(Self {
            turned: Turned::new(),
            begun: Instant::now(),
            next: AtomicU64::new(0),
            lines: Mutex::default(),
            accounts: Accounts::new(bodies / 2, answers / 2),
            bodies: Arc::new(Budget::new(bodies)),
            answers: Arc::new(Budget::new(answers)),
            readings: Readings::of_server(),
            rests: AtomicBool::new(true),
            roused: Notify::new(),
        })
    }

    /// Milliseconds since the server began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX >> 2)
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<u64, Arc<Line>>> {
        // A panic cannot leave the list half changed.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a new connection.
    pub fn enter(self: &Arc<Self>, peer: SocketAddr) -> Arc<Visit> {
        let key = AddressKey::of(peer);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let line = Arc::new(Line::new(number, key, self.accounts.open(key), self.now()));
        self.lines().insert(number, Arc::clone(&line));
        Arc::new(Visit { bounds: Arc::clone(self), line })
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.lines().len()
    }

    /// How many connections have given their buffers back after a request.
    #[cfg(test)]
    pub fn parked(&self) -> usize {
        self.lines().values().filter(|line| line.has_parked()).count()
    }

    /// Tells each connection what is due, as soon as it is. Never completes.
    pub async fn patrolled(&self) {
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => next = tokio::time::Instant::now() + self.patrol(),
                () = self.roused.notified() => next = next.min(tokio::time::Instant::now() + SOONEST),
            }
        }
    }

    /// Tells each connection what is due. Returns the time until something else can be due, unless a phase begins before.
    fn patrol(&self) -> Duration {
        // Before the look: a phase that begins after it is told.
        self.rests.store(true, Ordering::SeqCst);
        let (now, mut rest) = (self.now(), PATROL_REST);
        for line in self.lines().values() {
            let look = line.look(now);
            if let Some(order) = look.due() {
                line.order(order);
            }
            if let Some(due_in) = look.due_in() {
                rest = rest.min(Duration::from_millis(due_in));
            }
        }
        rest.max(PATROL_EVERY)
    }

    /// Orders connections to make room, as they are `now`: of the addresses with most connections, those that have been idle for longest.
    /// Returns whether there were any.
    pub fn make_room(&self, now: u64) -> bool {
        let lines = self.lines();
        let mut found: Vec<_> = lines
            .values()
            .filter_map(|line| {
                let (rank, age) = line.look(now).makes_room()?;
                let connections = line.account.connections.load(Ordering::Relaxed);
                Some(((Reverse(connections), rank, Reverse(age)), line))
            })
            .collect();
        let wanted = (lines.len() / ROOM_SHARE).max(1);
        if found.len() > wanted {
            found.select_nth_unstable_by_key(wanted, |(key, _)| *key);
            found.truncate(wanted);
        }
        for (_, line) in &found {
            line.order(Order::MakeRoom);
        }
        !found.is_empty()
    }

    /// Adds what is held now, and who was turned away, to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let gauge = |value: usize| ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register("connections", "Open connections", gauge(self.connections()));
        registry.register("body_bytes", "Bytes of request bodies that are held", gauge(self.bodies.held()));
        registry.register("answer_bytes", "Bytes of answers that are not read yet", gauge(self.answers.held()));
        registry.register("turned_away", "Clients that were turned away, by reason", self.turned.family());
    }
}

/// A connection on the list. Dropping it strikes the connection off.
#[derive(Debug)]
pub struct Visit {
    bounds: Arc<Bounds>,
    /// The connection.
    pub line: Arc<Line>,
}

impl Visit {
    /// The bounds of the server.
    pub fn bounds(&self) -> &Arc<Bounds> {
        &self.bounds
    }

    /// A phase of the connection begins now.
    pub fn begin(&self, phase: Phase) {
        self.line.begin(phase, self.bounds.now());
        // One that is not seen here is found by the patrol's next look, half a minute later.
        if self.bounds.rests.load(Ordering::Relaxed) && self.bounds.rests.swap(false, Ordering::SeqCst) {
            self.bounds.roused.notify_one();
        }
    }

    /// Counts it among those turned away.
    pub fn turn_away(&self, reason: Reason) {
        self.bounds.turned.count(reason);
    }

    /// Counts it among those turned away, if a problem of this kind does that.
    pub fn note(&self, kind: Kind) {
        if let Some(reason) = Reason::of(kind) {
            self.turn_away(reason);
        }
    }

    /// An account for the bytes of one body.
    pub fn body(&self) -> Held {
        Held::none(&self.line.account.bodies, &self.bounds.bodies)
    }

    /// Room for an answer of so many bytes; `None` if it is too small to count.
    ///
    /// # Errors
    /// If there is none.
    pub fn answer(&self, bytes: usize) -> Result<Option<Held>, Full> {
        if bytes <= SMALL_ANSWER {
            return Ok(None);
        }
        let mut held = self.no_answer();
        held.grow(bytes)?;
        Ok(Some(held))
    }

    /// Room for so many bytes of a stream of events. Once a write waits for the client, the smallest event counts too: the client may not
    /// read for long, and many such events wait then.
    ///
    /// # Errors
    /// If there is none.
    pub fn events(&self, bytes: usize) -> Result<Option<Held>, Full> {
        if !self.line.is_stalled() {
            return self.answer(bytes);
        }
        let mut held = self.no_answer();
        held.grow(bytes)?;
        Ok(Some(held))
    }

    /// An account for the bytes of an answer that is not made yet.
    pub fn no_answer(&self) -> Held {
        Held::none(&self.line.account.answers, &self.bounds.answers)
    }

    /// A place for a page of at most so many items, and room for it: enough for nearly every page, so that one which would find no room
    /// is not read.
    ///
    /// # Errors
    /// When there was none in time.
    pub async fn page(&self, items: u16) -> Result<(Held, Reading), Full> {
        let mut room = self.no_answer();
        room.wait_for_share(usize::from(items) * ITEM_BYTES, PATIENCE).await?;
        Ok((room, self.reading().await?))
    }

    /// A place for a reading whose answer may be large, for as long as the answer is being made.
    ///
    /// # Errors
    /// When there was none in time.
    pub async fn reading(&self) -> Result<Reading, Full> {
        self.bounds.readings.enter(&self.line.account.readings, PATIENCE).await
    }

    /// Whether so much waits to be read, at the server or at the client's address, that slow readers must go sooner.
    pub fn answers_are_tight(&self) -> bool {
        self.bounds.answers.is_tight() || self.line.account.answers.is_tight()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.bounds.lines().remove(&self.line.number);
        self.bounds.accounts.close(self.line.key);
    }
}

/// A request's turn. Dropping it leaves the connection without a request.
#[derive(Debug)]
pub struct Turn(Arc<Visit>);

impl Turn {
    /// A request begins.
    pub fn begin(visit: &Arc<Visit>) -> Self {
        visit.begin(Phase::Working);
        Self(Arc::clone(visit))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.begin(Phase::Waiting);
    }
}

/// Bytes with the room that they take, which is given back with the last reference to them.
struct Kept(Bytes, #[expect(dead_code, reason = "it is only dropped")] Held);

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes that keep `held` as long as they are there.
pub fn kept(bytes: Bytes, held: Option<Held>) -> Bytes {
    match held {
        None => bytes,
        Some(held) => Bytes::from_owner(Kept(bytes, held)),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn from(bounds: &Arc<Bounds>, peer: &str) -> Arc<Visit> {
        bounds.enter(peer.parse().unwrap())
    }

    async fn is_ordered(visit: &Visit) -> bool {
        tokio::time::timeout(Duration::ZERO, visit.line.ordered()).await.is_ok()
    }

    #[tokio::test]
    async fn the_address_with_most_connections_makes_room() {
        let bounds = Bounds::new(1);
        assert!(!bounds.make_room(3000));
        let oldest = from(&bounds, "10.0.0.1:1");
        let (first, second) = (from(&bounds, "10.0.0.2:1"), from(&bounds, "10.0.0.2:2"));
        first.line.begin(Phase::Waiting, 1);
        second.line.begin(Phase::Working, 0);
        assert!(bounds.make_room(3000));
        assert!(is_ordered(&first).await && !is_ordered(&oldest).await && !is_ordered(&second).await);
        first.begin(Phase::Working);
        assert!(bounds.make_room(3000));
        assert!(is_ordered(&oldest).await);
        drop((first, second, oldest));
        assert_eq!(bounds.connections(), 0);
    }

    #[test]
    fn the_patrol_rests_until_something_is_due_and_hears_of_each_phase_that_begins() {
        let bounds = Bounds::new(1);
        assert_eq!(bounds.patrol(), PATROL_REST);
        let visit = from(&bounds, "10.0.0.1:1");
        let is_roused = || bounds.roused.notified().now_or_never().is_some();
        visit.begin(Phase::Working);
        assert!(is_roused());
        visit.begin(Phase::Waiting);
        assert!(!is_roused(), "it looks soon anyway");
        visit.line.park(false);
        assert!((PATROL_EVERY..=SOONEST).contains(&bounds.patrol()));
        visit.begin(Phase::Working);
        assert!(is_roused());
        assert_eq!(bounds.patrol(), PATROL_REST, "an answer that goes on is never due");
        drop(visit);
        assert_eq!(bounds.patrol(), PATROL_REST);
    }

    #[test]
    fn one_address_has_half_of_the_bytes() {
        let bounds = Bounds::new(1);
        let (one, other) = (from(&bounds, "10.0.0.1:1"), from(&bounds, "10.0.0.2:1"));
        assert!(matches!(one.answer(SMALL_ANSWER), Ok(None)));
        let held = one.answer(ANSWERS_BYTES / 2).unwrap();
        assert_eq!(one.answer(5000).unwrap_err(), Full::Address);
        let others = other.answer(ANSWERS_BYTES / 2).unwrap();
        let third = from(&bounds, "10.0.0.3:1");
        assert_eq!(third.answer(5000).unwrap_err(), Full::Server);
        drop((held, others));
        assert!(third.answer(5000).is_ok());
    }
}
