//! How many requests each client may make: so many a second, and after a pause a burst at once.
//!
//! A client is a principal, at all of its addresses, or else a network address. What keeps or gives back something that the client holds has a
//! count of its own, of the same size: a client that has used its rate up can still renew and release its locks. The arithmetic is `governor`'s (GCRA).

mod meter;
mod table;

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::clock::Clock;
#[cfg(test)]
use governor::clock::FakeRelativeClock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::{NotUntil, Quota, RateLimiter};
use hyper::header::HeaderValue;

pub use self::meter::Meter;
use self::table::Table;
use super::bounds::address::AddressKey;
use crate::access::principal::Principal;

/// Requests a second, where nothing else is said. A person at the page makes a few; a program that is in a hurry may wait.
pub const RATE_DEFAULT: u32 = 200;
/// How many seconds of its rate a client may use at once, where nothing else is said.
pub const BURST_SECONDS: u32 = 10;
/// How often clients that have their whole burst again are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// A client that goes on in spite of its refusals is told of in the log so often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// In which count of its client a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Share {
    /// In the usual one.
    #[default]
    Ordinary,
    /// In that of what keeps or gives back something that the client holds.
    Reserve,
    /// In none: a refusal would cost as much as the answer, or somebody has to get an answer in any case.
    Free,
}

impl Share {
    /// The name of the count on the wire.
    const fn name(self) -> &'static str {
        match self {
            Self::Ordinary | Self::Free => "requisicoes",
            Self::Reserve => "reserva",
        }
    }
}

/// What an operator says of rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second of each client: zero for no limit, `None` for [`RATE_DEFAULT`], but none for a client of this machine that does
    /// not have to say who it is.
    pub per_second: Option<u32>,
    /// The most at once; `None` for [`BURST_SECONDS`] of the rate.
    pub burst: Option<u32>,
}

/// Whose rate a request counts in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// That of its address.
    Address(AddressKey),
    /// That of who sends it.
    Principal(Named),
}

/// A principal, as far as rates go: its name.
#[derive(Clone, Debug)]
pub struct Named(pub Arc<Principal>);

impl Named {
    /// The name.
    fn name(&self) -> &str {
        self.0.name.as_str()
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// How much of its rate a client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    share: Share,
    /// How many requests it may make at once.
    left: u32,
    /// In how many seconds it may make no more than those.
    window_s: u64,
}

/// A client has used its rate up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exceeded {
    /// When it may ask again.
    wait: Duration,
    /// Whether the log is to say so.
    tells: bool,
}

type Limiter = RateLimiter<(Share, Client), Table<(Share, Client)>, Ticks, StateInformationMiddleware>;

/// The rates of a server's clients.
pub struct Rates {
    per_second: NonZeroU32,
    burst: NonZeroU32,
    /// Addresses have a table of their own: however many come, no principal is forgotten for them.
    addresses: (Limiter, Table<(Share, Client)>),
    principals: (Limiter, Table<(Share, Client)>),
    /// Whether a client of this machine that does not say who it is has a rate too.
    on_loopback: bool,
    /// Whether the principals that may do what a scheduler does have none.
    spares_schedulers: bool,
    /// What the header `RateLimit-Policy` says of each share.
    policies: [HeaderValue; 2],
    ticks: Ticks,
}

impl Rates {
    /// The rates that an operator asks for; `None` for no limit. `identifies`: whether callers have to say who they are.
    pub fn new(limit: RateLimit, identifies: bool) -> Option<Arc<Self>> {
        Self::on(Ticks::Since(Instant::now()), limit, identifies).map(Arc::new)
    }

    /// The same of a coordinator, whose schedulers have no limit. One that cannot tell them from others has only a limit that is asked for:
    /// bookings go through it. `tells`: whether it can.
    pub fn of_coordinator(limit: RateLimit, identifies: bool, tells: bool) -> Option<Arc<Self>> {
        if limit.per_second.is_none() && !identifies && !tells {
            return None;
        }
        let rates = Self::on(Ticks::Since(Instant::now()), limit, identifies)?;
        Some(Arc::new(Self { spares_schedulers: true, ..rates }))
    }

    fn on(ticks: Ticks, RateLimit { per_second, burst }: RateLimit, identifies: bool) -> Option<Self> {
        let on_loopback = identifies || per_second.is_some();
        let per_second = NonZeroU32::new(per_second.unwrap_or(RATE_DEFAULT))?;
        let burst = NonZeroU32::new(burst.unwrap_or_else(|| per_second.get().saturating_mul(BURST_SECONDS)))?;
        let limiter = || {
            let table = Table::new();
            let quota = Quota::per_second(per_second).allow_burst(burst);
            (RateLimiter::new(quota, table.clone(), ticks.clone()), table)
        };
        let window_s = burst.get().div_ceil(per_second.get());
        let policy = |share: Share| {
            let policy = format!("\"{}\";q={burst};w={window_s}", share.name());
            HeaderValue::try_from(policy).expect("letters, digits and signs of ASCII")
        };
        Some(Self {
            per_second,
            burst,
            addresses: limiter(),
            principals: limiter(),
            on_loopback,
            spares_schedulers: false,
            policies: [Share::Ordinary, Share::Reserve].map(policy),
            ticks,
        })
    }

    /// Whether a client has a rate.
    fn limits(&self, client: &Client) -> bool {
        match client {
            Client::Address(address) => self.on_loopback || !address.is_loopback(),
            Client::Principal(Named(principal)) => !(self.spares_schedulers && principal.is_scheduler()),
        }
    }

    fn table_of(&self, client: &Client) -> &(Limiter, Table<(Share, Client)>) {
        match client {
            Client::Address(_) => &self.addresses,
            Client::Principal(_) => &self.principals,
        }
    }

    /// Counts one request. `None` if nothing limits it.
    fn charge(&self, counted: &(Share, Client)) -> Result<Option<Standing>, Exceeded> {
        let (share, client) = counted;
        if *share == Share::Free || !self.limits(client) {
            return Ok(None);
        }
        let (limiter, table) = self.table_of(client);
        match limiter.check_key(counted) {
            Ok(snapshot) => Ok(Some(self.standing(*share, snapshot.remaining_burst_capacity(), 0))),
            Err(not_until) => {
                let now = self.ticks.now();
                let wait = NotUntil::wait_time_from(&not_until, now);
                let tells = table.tells(counted, now.as_u64(), nanos(TELL_EVERY));
                Err(Exceeded { wait, tells })
            }
        }
    }

    /// Counts `more` requests of a client that was let through with this standing. It owes those for which its rate has no room, unless
    /// it owes already: then the request is refused, and none of it counts. So a client never waits for longer than its largest request
    /// takes at its rate.
    fn charge_more(&self, counted: &(Share, Client), standing: Standing, more: usize) -> Result<Standing, Exceeded> {
        let Some(more) = u32::try_from(more).ok().filter(|more| *more > 0) else { return Ok(standing) };
        let each = nanos(Duration::from_secs(1)) / u64::from(self.per_second.get());
        let now = self.ticks.now().as_u64();
        // A client that has used its burst up, and owes nothing, has its whole burst again then.
        let latest = now.saturating_add(each.saturating_mul(self.burst.get().into()));
        let table = &self.table_of(&counted.1).1;
        match table.owe(counted, each.saturating_mul(more.into()), latest, each) {
            Ok(()) => {
                let owed = more.saturating_sub(standing.left);
                Ok(self.standing(standing.share, standing.left.saturating_sub(more), owed))
            }
            Err(whole_at) => {
                let wait = Duration::from_nanos(whole_at.saturating_sub(latest).saturating_add(each));
                Err(Exceeded { wait, tells: table.tells(counted, now, nanos(TELL_EVERY)) })
            }
        }
    }

    /// The standing of a client that may make `left` requests at once, or owes some.
    fn standing(&self, share: Share, left: u32, owed: u32) -> Standing {
        // In this time it is given as many again, so a client that keeps to it is never refused.
        let window_s = u64::from(left.max(owed).div_ceil(self.per_second.get())).max(1);
        Standing { share, left, window_s }
    }

    /// Sweeps again and again, until it is dropped.
    pub async fn swept(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.sweep();
        }
    }

    /// Forgets the clients that have their whole burst again.
    fn sweep(&self) {
        self.addresses.0.retain_recent();
        self.principals.0.retain_recent();
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The clock of the rates.
#[derive(Clone, Debug)]
enum Ticks {
    /// The time since then, which nobody can set.
    Since(Instant),
    /// A test's.
    #[cfg(test)]
    Held(FakeRelativeClock),
}

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        match self {
            Self::Since(begun) => Nanos::new(nanos(begun.elapsed())),
            #[cfg(test)]
            Self::Held(clock) => clock.now(),
        }
    }
}

#[cfg(test)]
mod tests;
