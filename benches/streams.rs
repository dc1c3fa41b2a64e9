//! The cost of a listener of the agenda, and how soon ten thousand of them know of a booking: `cargo bench --bench streams`
//!
//! The real executable runs as two processes, and this process has ten thousand connections to the scheduler's `GET /eventos`. Then
//! it sends one booking after the other, and measures from just before the request until each listener has read the event. The
//! listeners use the same processors as the services, and read one after the other. So the last one waits for this process too.
//!
//! Ten thousand connections take ten thousand file descriptors in both processes: `ulimit -n 16384` or more. With fewer descriptors
//! there are fewer listeners.

#[path = "../tests/it/common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a bench uses part of what the tests use")]
mod common;
mod measure;

use std::rc::Rc;
use std::time::{Duration, Instant};

use common::Services;
use measure::listeners::{Heard, listen};
use measure::{Outcome, cpu_us, rank, resident_kib, table, told};
use rustix::process::{Resource, getrlimit};
use tokio::task::LocalSet;

const LISTENERS: u64 = 10_000;
/// Descriptors that are for something else.
const OTHERS: u64 = 256;
const BOOKINGS: usize = 20;
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
    Ok(())
}
