//! The cost of a listener of the agenda, and how soon ten thousand of them know of a booking: `cargo bench --bench streams`
//!
//! The real executable runs as two processes, and this process has ten thousand connections to the scheduler's `GET /eventos`. Then
//! it sends one booking after the other, and measures from just before the request until each listener has read the event. The
//! listeners use the same processors as the services, and read one after the other. So the last one waits for this process too.
//!
//! Then a client whose round trip is 280 ms has a time token, bookings are cancelled, and their slots open a moment later (`abre_em_utc`). Each listener is at
//! one of ten distances, from 2 to 280 ms (round trip): its event comes as much later than it was read here as one way takes, and its clock is wrong
//! by what Cristian's algorithm cannot see of eight exchanges over such ways. Those are drawn as in the simulation of contests
//! (`src/agenda/stamp/simulation.rs`); what is measured is the services and ten thousand connections. A page shows the slot when it
//! has heard of it, and not before the instant.
//!
//! Ten thousand connections take ten thousand file descriptors in both processes: `ulimit -n 16384` or more. With fewer descriptors
//! there are fewer listeners.

#[path = "../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod measure;

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::Services;
use measure::listeners::{Heard, listen};
use measure::{Outcome, cpu_us, rank, resident_kib, table, told};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rustix::process::{Resource, getrlimit};
use tokio::task::LocalSet;

const LISTENERS: u64 = 10_000;
/// Descriptors that are for something else.
const OTHERS: u64 = 256;
const BOOKINGS: usize = 20;
const CANCELLATIONS: usize = 20;
/// How far the listeners are: their round trips.
const ROUND_TRIPS_MS: [f64; 10] = [2.0, 10.0, 30.0, 60.0, 90.0, 120.0, 160.0, 200.0, 240.0, 280.0];
/// How often a listener compares clocks.
const SAMPLES: usize = 8;
/// Long enough for every stream's comment, which comes every 15 s.
const IDLE: Duration = Duration::from_secs(20);

fn main() -> Outcome<()> {
    if told("--test") {
        return Ok(());
    }
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Of its connections, a scheduler lets three quarters listen.
    let listeners = usize::try_from(LISTENERS.min(descriptors.saturating_sub(OTHERS) / 4 * 3))?;
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(&services, listeners))
}

async fn run(services: &Services, listeners: usize) -> Outcome<()> {
    let (pid, address) = (services.scheduler.pid(), services.agenda_address());
    // What the first booking and the first listener make once is no listener's.
    assert_eq!(services.book(1, "2020-01-01T00:00:00Z").0, 201);
    let heard = Rc::new(Heard::default());
    listen(&address, &heard).await?;
    heard.wait("the first listens", |heard| heard.linked.get() == 1).await?;
    let (kib_before, cpu_before, begun) = (resident_kib(pid), cpu_us(pid), Instant::now());
    for _ in 1..listeners {
        listen(&address, &heard).await?;
    }
    heard.wait("all listen", |heard| heard.linked.get() == listeners).await?;
    let opening = [begun.elapsed().as_secs_f64() * 1e6, cpu_us(pid) - cpu_before].map(|us| us / listeners as f64);
    let kib_each = (resident_kib(pid) - kib_before) / (listeners - 1) as f64;

    let cpu_before = cpu_us(pid);
    tokio::time::sleep(IDLE).await;
    let idle_percent = (cpu_us(pid) - cpu_before) / IDLE.as_secs_f64() / 1e4;

    let (mut all, mut medians, mut last, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
    for number in 0..BOOKINGS {
        heard.at.borrow_mut().clear();
        let start = format!("2020-01-02T{:02}:{:02}:00Z", number / 12, number % 12 * 5);
        let (url, body) =
            (services.agenda("/agendamentos"), format!(r#"{{"cientista_id":1,"horario_inicio_utc":"{start}"}}"#));
        let (cpu_before, sent) = (cpu_us(pid), Instant::now());
        let booking =
            tokio::task::spawn_blocking(move || common::http("POST", &url, Some(("application/json", &body))).status);
        heard.wait("all have heard", |heard| heard.at.borrow().len() == listeners).await?;
        assert_eq!(booking.await?, 201);
        cpu += cpu_us(pid) - cpu_before;
        let mut delays: Vec<Duration> = heard.at.borrow().iter().map(|at| *at - sent).collect();
        delays.sort_unstable();
        medians.push(rank(&delays, 50));
        last.extend(delays.last().copied());
        all.extend(delays);
    }
    for sorted in [&mut all, &mut medians, &mut last] {
        sorted.sort_unstable();
    }
    let kib_all = resident_kib(pid);
    let ms = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1e3);
    let figures = [
        ("listeners", listeners.to_string()),
        ("memory of the scheduler, all listening, MiB", format!("{:.1}", kib_all / 1024.0)),
        ("memory for each listener, KiB", format!("{kib_each:.1}")),
        ("opening one: time, µs", format!("{:.0}", opening[0])),
        ("opening one: CPU of the scheduler, µs", format!("{:.0}", opening[1])),
        ("CPU of the scheduler while nothing happens, % of one", format!("{idle_percent:.1}")),
        ("a booking known to the first, ms", ms(rank(&all, 0))),
        ("a booking known to half of them, ms (median booking)", ms(rank(&medians, 50))),
        ("a booking known to the last, ms (median booking)", ms(rank(&last, 50))),
        ("a booking known to the last, ms (worst booking)", ms(rank(&last, 99))),
        ("CPU of the scheduler for each delivery, µs", format!("{:.1}", cpu / (listeners * BOOKINGS) as f64)),
    ];
    eprintln!("{BOOKINGS} bookings, from just before each is sent; the listeners run on the same machine");
    eprintln!("{}", table(["", "figure"], figures.map(|(name, figure)| [name.to_owned(), figure])));
    open(services, &heard, listeners).await
}

/// Random numbers, the same in every run.
struct Random(SplitMix64);

impl Random {
    /// A number of [0, 1).
    fn next(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One way of a round trip, in milliseconds: half of it and up to a tenth more.
    fn way(&mut self, round_trip_ms: f64) -> f64 {
        round_trip_ms / 2.0 * (1.0 + 0.1 * self.next())
    }

    /// By how much a clock is wrong that was compared over such ways, in milliseconds.
    fn clock_error(&mut self, round_trip_ms: f64) -> f64 {
        let ways: Vec<(f64, f64)> = (0..SAMPLES).map(|_| (self.way(round_trip_ms), self.way(round_trip_ms))).collect();
        let least = ways.iter().min_by(|one, other| (one.0 + one.1).total_cmp(&(other.0 + other.1)));
        least.map_or(0.0, |(there, back)| (there - back) / 2.0)
    }
}

/// What the listeners of one cancellation have seen, in milliseconds from the instant at which its slot opens.
#[derive(Default)]
struct Seen {
    /// When each could have shown the slot at once: when it had heard.
    heard: Vec<f64>,
    /// When each shows it.
    shown: Vec<f64>,
    /// How far ahead the instant was when the cancellation was written.
    lead: f64,
}

/// Cancels bookings, whose slots open a moment later, and tells when the listeners hear of it and when they show them.
async fn open(services: &Services, heard: &Rc<Heard>, listeners: usize) -> Outcome<()> {
    let (mut random, mut all) = (Random(SplitMix64::seed_from_u64(7)), Vec::new());
    let far = Duration::from_millis(280);
    for number in 0..CANCELLATIONS {
        heard.at.borrow_mut().clear();
        let slot = format!("2020-01-03T{:02}:{:02}:00Z", number / 12, number % 12 * 5);
        let (url, time) = (services.agenda(""), services.agenda("/time"));
        let ask = move |method: &str, url: &str, body: Option<&str>| {
            common::http(method, url, body.map(|body| ("application/json", body))).json()
        };
        let prepared = tokio::task::spawn_blocking(move || {
            // Such a client is waited for five minutes.
            let first = ask("GET", &format!("{time}?nonce=a"), None);
            std::thread::sleep(far);
            ask("GET", &format!("{time}?nonce=b&anterior={}", first["token_hora"].as_str().unwrap_or_default()), None);
            let body = format!(r#"{{"cientista_id":1,"horario_inicio_utc":"{slot}"}}"#);
            let booked = ask("POST", &format!("{url}/agendamentos"), Some(&body));
            (ask, url, booked)
        });
        let (ask, url, booked) = prepared.await?;
        heard.wait("all have heard of the booking", |heard| heard.at.borrow().len() == listeners).await?;
        heard.at.borrow_mut().clear();
        let path = booked["_links"]["self"]["href"].as_str().unwrap_or_default().to_owned();
        let cancelled = tokio::task::spawn_blocking(move || ask("DELETE", &format!("{url}{path}"), None));
        heard.wait("all have heard of the cancellation", |heard| heard.at.borrow().len() == listeners).await?;
        let cancelled = cancelled.await?;
        let instant = |name: &str| -> Outcome<f64> {
            let text = cancelled[name].as_str().ok_or_else(|| format!("no {name}: {cancelled}"))?;
            Ok(sctec::time::Timestamp::parse_rfc3339(text)?.as_micros() as f64 / 1e3)
        };
        let (opens_at, written) = (instant("abre_em_utc")?, instant("cancelado_em_utc")?);
        let (now, official) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3);
        let mut seen = Seen { lead: opens_at - written, ..Seen::default() };
        for (nth, at) in heard.at.borrow().iter().enumerate() {
            let round_trip_ms = ROUND_TRIPS_MS[nth % ROUND_TRIPS_MS.len()];
            let read = official - (now - *at).as_secs_f64() * 1e3;
            let heard = read + random.way(round_trip_ms) - opens_at;
            seen.heard.push(heard);
            seen.shown.push(heard.max(random.clock_error(round_trip_ms)));
        }
        all.push(seen);
    }
    tell_openings(&all, listeners);
    Ok(())
}

/// The figures of the openings.
fn tell_openings(all: &[Seen], listeners: usize) {
    let sorted = |values: &mut dyn Iterator<Item = f64>| {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let at = |sorted: &[f64], percent: usize| {
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    };
    let three = |sorted: &[f64]| format!("{:.1}, {:.1}, {:.1}", at(sorted, 50), at(sorted, 99), at(sorted, 100));
    // From the first listener's on.
    let spread = |of: fn(&Seen) -> &[f64]| {
        sorted(&mut all.iter().flat_map(|seen| {
            let first = of(seen).iter().copied().fold(f64::MAX, f64::min);
            of(seen).iter().map(move |at| at - first)
        }))
    };
    let off = sorted(&mut all.iter().flat_map(|seen| seen.shown.iter().map(|at| at.abs())));
    let late = all.iter().flat_map(|seen| &seen.heard).filter(|at| **at > 0.0).count();
    let too_late = off.iter().filter(|off| **off > 5.0).count();
    let share = |count: usize| format!("{:.2} %", 100.0 * count as f64 / (listeners * all.len()).max(1) as f64);
    let leads = sorted(&mut all.iter().map(|seen| seen.lead));
    let figures = [
        ("how far ahead a slot opens, ms (median)", format!("{:.0}", at(&leads, 50))),
        (
            "the listeners hear of it, ms after the first: half of them, 99 of 100, the last",
            three(&spread(|seen| &seen.heard)),
        ),
        ("they show it, ms after the first: the same", three(&spread(|seen| &seen.shown))),
        ("they show it, ms from the instant: the same", three(&off)),
        ("hear of it after the instant", share(late)),
        ("show it more than 5 ms from the instant", share(too_late)),
    ];
    eprintln!("{} cancellations; the listeners are 2 to 280 ms away (emulated)", all.len());
    eprintln!("{}", table(["", "figure"], figures.map(|(name, figure)| [name.to_owned(), figure])));
}
