//! Attacks on the scheduler: large answers, asked for by many, and connections that do nothing.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use sctec::time::Timestamp;
use serde_json::json;

use crate::common::Services;
use crate::honest::ask;
use crate::measure::Outcome;
use crate::sockets::{dripping, kept, readers, silent};
use crate::{Attack, Kept, Target};

/// The slots of the week that is booked: the first of 2031.
const WEEK: usize = 2016;
const WEEK_BEGINS_US: i64 = 1_924_992_000_000_000;
const SLOT_US: i64 = 300_000_000;
const WEEK_PATH: &str = "/telescopios/Hubble-Acad/agenda?de=2031-01-01T00:00:00Z&ate=2031-01-08T00:00:00Z";

const SLOW_BODY: &str =
    "POST /agendamentos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n";

pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "week, 30 slow readers",
        begin: |target| async move { reading(&target, 30, WEEK_PATH, "", Some(50)) }.boxed(),
    },
    Attack {
        name: "week, 250 quick readers",
        begin: |target| async move { reading(&target, 250, WEEK_PATH, "", None) }.boxed(),
    },
    Attack {
        name: "week in gzip, 250 quick readers",
        begin: |target| async move { reading(&target, 250, WEEK_PATH, "Accept-Encoding: gzip\r\n", None) }.boxed(),
    },
    Attack {
        name: "list of 500, 250 slow readers",
        begin: |target| async move { reading(&target, 250, "/agendamentos?limite=500", "", Some(50)) }.boxed(),
    },
    Attack {
        name: "trail of 500, 250 quick readers",
        begin: |target| async move { reading(&target, 250, "/auditoria?limite=500", "", None) }.boxed(),
    },
    Attack { name: "4000 answers of 100 KB that are not read", begin: |target| unread(target).boxed() },
    Attack { name: "10,000 idle connections", begin: |target| idle(target).boxed() },
    Attack { name: "half-closed connections", begin: |target| half_closed(target).boxed() },
    Attack {
        name: "slow heads",
        begin: |target| async move { slow(&target, "GET /saude HTTP/1.1\r\nHost: localhost\r\nX: ", "x") }.boxed(),
    },
    Attack { name: "slow bodies", begin: |target| async move { slow(&target, SLOW_BODY, " ") }.boxed() },
];

/// Both services, with a week of bookings that have the longest texts.
pub fn services() -> Outcome<Services> {
    let services = Services::start(&["--lock-retention-ms", "0"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    let address = services.agenda_address();
    runtime.block_on(async {
        let parts = (0..8).map(|part| fill(&address, part * WEEK / 8..(part + 1) * WEEK / 8));
        try_join_all(parts).await
    })?;
    eprintln!("{WEEK} bookings with the longest texts in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(services)
}

pub fn target(services: &Services) -> Target {
    Target {
        address: services.agenda_address(),
        pid: services.scheduler.pid(),
        name: "scheduler",
        requests: |number| match number % 4 {
            0 => ("GET", "/time".to_owned(), String::new()),
            1 => ("GET", format!("/agendamentos/{}", 1 + number % WEEK), String::new()),
            2 => ("GET", "/telescopios/Hubble-Acad/agenda?de=2035-01-01T00:00:00Z".to_owned(), String::new()),
            _ => ("POST", "/agendamentos".to_owned(), body(20 * WEEK + number, None)),
        },
    }
}

/// The body of a booking of that slot, counted from the first of the week.
fn body(slot: usize, notes: Option<&str>) -> String {
    let start = Timestamp::from_micros(WEEK_BEGINS_US + i64::try_from(slot).unwrap_or_default() * SLOT_US)
        .unwrap_or(Timestamp::MAX);
    let target = notes.map(|_| "\u{1f52d}".repeat(200));
    json!({"cientista_id": 1, "horario_inicio_utc": start.seconds().to_string(), "alvo": target, "observacoes": notes})
        .to_string()
}

/// Books these slots, each with the longest texts, which do not repeat themselves: they stay long in gzip.
async fn fill(address: &str, slots: Range<usize>) -> Outcome<()> {
    let mut sender = None;
    for slot in slots {
        let mut state = u32::try_from(slot).unwrap_or_default() + 1;
        let notes: String = (0..2000)
            .map(|_| {
                // xorshift
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                char::from_u32(0x20000 + state % 40_000).unwrap_or('x')
            })
            .collect();
        let request = ("POST", "/agendamentos", &*body(slot, Some(&notes)));
        let (status, answer) = ask(&mut sender, "127.0.0.1", address, request).await?;
        if status != 201 {
            return Err(format!("{status} {}", String::from_utf8_lossy(&answer)).into());
        }
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "an attack may fail")]
fn reading(target: &Target, count: usize, path: &str, headers: &str, pause_ms: Option<u64>) -> Outcome<Kept> {
    let readers = readers(count, &target.address, path, headers, pause_ms.map(Duration::from_millis));
    Ok(Kept { held: vec![Box::new(readers)], reached: format!("{count} clients that ask again and again") })
}

async fn unread(target: Target) -> Outcome<Kept> {
    let asked = b"GET /agendamentos?limite=12 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let streams = silent(4000, &target.address, asked).await;
    let reached = format!("{} connections", streams.len());
    Ok(kept(streams, reached))
}

async fn idle(target: Target) -> Outcome<Kept> {
    let asked = b"GET /saude HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // Half of them have had an answer, half have said nothing.
    let mut streams = silent(5000, &target.address, asked).await;
    streams.extend(silent(5000, &target.address, b"").await);
    let reached = format!("{} connections", streams.len());
    Ok(kept(streams, reached))
}

/// Clients that close their sending side: half of them in a head, half after the request of an answer that they do not read.
async fn half_closed(target: Target) -> Outcome<Kept> {
    let mut streams = silent(1000, &target.address, b"GET /saude HTTP/1.1\r\nHo").await;
    let asked = b"GET /agendamentos?limite=50 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    streams.extend(silent(1000, &target.address, asked).await);
    for stream in &mut streams {
        // It may be closed already.
        let _ = tokio::io::AsyncWriteExt::shutdown(stream).await;
    }
    let reached = format!("{} connections", streams.len());
    Ok(kept(streams, reached))
}

#[expect(clippy::unnecessary_wraps, reason = "an attack may fail")]
fn slow(target: &Target, head: &'static str, more: &'static str) -> Outcome<Kept> {
    let tasks = dripping(2000, &target.address, head, more, Duration::from_secs(1));
    Ok(Kept { held: vec![Box::new(tasks)], reached: "2000 clients that send a byte a second".to_owned() })
}
