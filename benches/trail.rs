//! How fast a long trail is searched and verified, compared with common tools: `cargo bench --bench trail`
//!
//! It makes a file of a million records in a temporary folder (`TRAIL_RECORDS` sets another number). Then the tools take turns. Each
//! reads the file from the page cache and writes to a pipe that is read:
//!
//! - records of one event: `sctec audit --event`, `grep -F`, `jq`;
//! - verification: `sctec audit --verify`, `sha256sum`, `openssl dgst -sha256`.
//!
//! sctec uses all cores, the other tools one. `sha256sum` may be built without the processor's SHA instructions; `openssl` uses them, as
//! sctec does. The best turn counts. Figures depend on the machine. Compare the ratios.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use sctec::access::Caller;
use sctec::agenda::{Booking, Scientist, SlotRange, Status};
use sctec::audit::chain::ChainHead;
use sctec::audit::record::Event;
use sctec::http::request_id::RequestId;
use sctec::time::Timestamp;

const RECORDS: u64 = 1_000_000;
/// One record in so many is a cancellation.
const CANCELLED_EVERY: u64 = 10;
const TURNS: u32 = 5;
/// How often a tool's memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(5);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What one tool did at its best.
struct Measured {
    name: String,
    best: Duration,
    memory_kib: u64,
    lines: usize,
}

fn main() -> Outcome<()> {
    // `cargo test --benches` only asks whether it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let records = std::env::var("TRAIL_RECORDS").ok().map_or(Ok(RECORDS), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("audit.jsonl");
    let bytes = make_trail(&file, records)?;
    let path = file.to_str().ok_or("the temporary folder's name is not text")?;
    eprintln!("{records} records, {bytes} bytes; the best of {TURNS} turns each, jq's of one");
    let sctec = env!("CARGO_BIN_EXE_sctec");
    for event in ["AGENDAMENTO_CANCELADO", "AGENDAMENTO_CRIADO"] {
        let (pattern, select) = (format!("\"event_type\":\"{event}\""), format!("select(.event_type==\"{event}\")"));
        compare(
            &[
                ("sctec audit --event", vec![sctec, "audit", path, "--event", event, "--format", "jsonl"], TURNS),
                ("grep -F", vec!["grep", "-F", &pattern, path], TURNS),
                ("jq -c select", vec!["jq", "-c", &select, path], 1),
            ],
            event,
        )?;
    }
    compare(
        &[
            ("sctec audit --verify", vec![sctec, "audit", "--verify", path], TURNS),
            ("sha256sum", vec!["sha256sum", path], TURNS),
            ("openssl dgst -sha256", vec!["openssl", "dgst", "-sha256", path], TURNS),
        ],
        "verify",
    )
}

/// Writes a trail as the scheduler would have, and gives its length.
fn make_trail(path: &Path, records: u64) -> Outcome<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut head = ChainHead::genesis("5f2d7c0be14a4b6c9d3e8f7a6b5c4d3e");
    let begin = Timestamp::parse_rfc3339("2025-10-26T18:00:00Z")?;
    let names = ["Galileu Galilei", "Marie Curie", "Vera Rubin", "César Lattes"];
    for index in 0..records {
        let at = begin.saturating_add(Duration::from_micros(index * 1700));
        let start = begin.as_micros() + i64::try_from(index)? * 300_000_000;
        let start = Timestamp::from_micros(start).ok_or("too many records")?;
        let name = names[usize::try_from(index % 4)?];
        let scientist_id = i64::try_from(index % 10)? + 1;
        let booking = Booking {
            id: i64::try_from(index)? + 1,
            telescope: "Hubble-Acad".to_owned(),
            scientist_id,
            proposal_id: None,
            slots: SlotRange::new(start, 5)?,
            status: Status::Active,
            target: Some("Galáxia de Andrômeda, M31".to_owned()),
            notes: None,
            clicked_at: Some(at),
            stamped_at: None,
            is_contested: false,
            created_at: at,
            version: 1,
            changed_at: None,
            cancelled_at: None,
            cancel_reason: Some("nuvens de poeira".to_owned()),
            receipt: None,
            opens_at: None,
        };
        let name = name.to_owned();
        let scientist =
            Scientist { id: scientist_id, name, institution: String::new(), country: String::new(), active: true };
        let token = Some(index + 1);
        let caller = Caller::anonymous(([192, 0, 2, 10], 4711).into());
        let event = if index % CANCELLED_EVERY == 0 {
            Event::BookingCancelled { booking: &booking, scientist_name: &scientist.name, token }
        } else {
            Event::BookingCreated { booking: &booking, scientist: &scientist, token, wait_id: None, stamp: None }
        };
        let request = RequestId::parse(&format!("6b1f-{index:x}")).ok_or("no such identifier")?;
        writeln!(out, "{}", head.append(event.open_json(at), Some(&request), &caller))?;
    }
    Ok(out.into_inner()?.metadata()?.len())
}

/// Takes turns, and prints how the first one compares.
fn compare(tools: &[(&str, Vec<&str>, u32)], title: &str) -> Outcome<()> {
    let mut measured: Vec<Option<Measured>> = tools.iter().map(|_| None).collect();
    for turn in 0..TURNS {
        for ((name, command, turns), best) in tools.iter().zip(&mut measured) {
            if turn >= *turns {
                continue;
            }
            match run(name, command) {
                Ok(this) if best.as_ref().is_none_or(|best| this.best < best.best) => *best = Some(this),
                Ok(_) => {}
                Err(error) => eprintln!("{name}: left out: {error}"),
            }
        }
    }
    let ours = measured[0].as_ref().ok_or("sctec did not run")?.best.as_secs_f64();
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([title, "seconds", "sctec's share of it", "peak memory MiB", "lines"]);
    for tool in measured.iter().flatten() {
        table.add_row([
            tool.name.clone(),
            format!("{:.3}", tool.best.as_secs_f64()),
            format!("{:.2}", ours / tool.best.as_secs_f64()),
            format!("{:.1}", tool.memory_kib as f64 / 1024.0),
            tool.lines.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    eprintln!("{table}");
    Ok(())
}

/// Runs one tool to its end, reading what it prints.
fn run(name: &str, command: &[&str]) -> Outcome<Measured> {
    let begun = Instant::now();
    let mut child = Command::new(command[0]).args(&command[1..]).env("LC_ALL", "C").stdout(Stdio::piped()).spawn()?;
    let mut printed = child.stdout.take().ok_or("it is piped")?;
    let (pid, ended) = (child.id(), AtomicBool::new(false));
    let (lines, status, best, memory_kib) = std::thread::scope(|scope| -> Outcome<_> {
        // Looked at from beside: a tool that prints at its end only is read from only then.
        let watcher = scope.spawn(|| watch_memory_kib(pid, &ended));
        let lines = count_lines(&mut printed);
        let status = child.wait();
        let best = begun.elapsed();
        ended.store(true, Ordering::Relaxed);
        let memory_kib = watcher.join().map_err(|_| "watching the memory failed")?;
        Ok((lines?, status?, best, memory_kib))
    })?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok(Measured { name: name.to_owned(), best, memory_kib, lines })
}

fn count_lines(printed: &mut impl Read) -> std::io::Result<usize> {
    let (mut buffer, mut lines) = (vec![0; 1 << 16], 0);
    loop {
        let read = printed.read(&mut buffer)?;
        if read == 0 {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..read]).count();
    }
}

/// The most memory that a process has had by the time it ended, or a moment before.
fn watch_memory_kib(pid: u32, ended: &AtomicBool) -> u64 {
    let mut most = 0;
    while !ended.load(Ordering::Relaxed) {
        most = most.max(peak_memory_kib(pid));
        std::thread::sleep(MEMORY_EVERY);
    }
    most
}

/// The most memory that a process has had, as Linux counts it; 0 where it does not say.
fn peak_memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
}
