//! What the measurements share: their client, their statistics and their table.
#![allow(dead_code, reason = "each measurement is a crate of its own and uses part of this")]

pub mod database;
pub mod floor;
pub mod listeners;
pub mod rows;
pub mod ruled;
pub mod turns;

use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use comfy_table::{CellAlignment, Table, presets};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Whether the command line has this argument. `cargo test --benches` gives `--test` and only asks whether it builds and
/// starts.
pub fn told(wanted: &str) -> bool {
    std::env::args().any(|argument| argument == wanted)
}

/// The value that `percent` of `sorted` are not above; zero of none.
pub fn rank(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}

/// Names on the left, figures on the right.
pub fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Memory that a process has, in KiB, as Linux counts it; 0 where it does not say.
pub fn resident_kib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

/// Goes on until the time is up.
pub fn up_to(end: Instant) -> impl Fn() -> bool {
    move || Instant::now() < end
}

/// Processor time that a process has used, as Linux counts it, in microseconds; 0 where it does not say.
pub fn cpu_us(pid: u32) -> f64 {
    ticks_us(pid, [11, 12])
}

/// The same of the processes that it has started, once they have ended.
pub fn cpu_us_of_ended_children(pid: u32) -> f64 {
    ticks_us(pid, [13, 14])
}

/// The sum of two counters of `/proc/PID/stat`, counted from after the process's name.
fn ticks_us(pid: u32, counters: [usize; 2]) -> f64 {
    /// Linux's clock ticks are a hundredth of a second on every platform it runs on.
    const TICK_US: f64 = 10_000.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may have blanks in it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    counters.map(ticks).iter().sum::<f64>() * TICK_US
}

/// One request after the other, while `goes_on`; how long each took.
pub async fn one_connection(
    address: String,
    mut goes_on: impl FnMut() -> bool,
    status: u16,
    mut request: impl FnMut() -> Outcome<Request<Full<Bytes>>>,
) -> Outcome<Vec<Duration>> {
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut latencies = Vec::new();
    while goes_on() {
        let mut request = request()?;
        request.headers_mut().insert(HOST, address.parse()?);
        let sent = Instant::now();
        let answer = sender.send_request(request).await?;
        let answered = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        if answered != status {
            return Err(format!("{answered} {}", String::from_utf8_lossy(&body)).into());
        }
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

/// The number of the last record in a trail's file; 0 if it has none.
pub fn last_seq(trail: &Path) -> u64 {
    /// No record is longer.
    const LINE_BYTES_MAX: i64 = 1 << 20;
    let end = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(trail)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::End(-LINE_BYTES_MAX.min(length.cast_signed())))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = end().unwrap_or_default();
    // A last line that is being written has no line feed yet.
    let lines = bytes.rsplit(|byte| *byte == b'\n').skip(1).find_map(|line| serde_json::from_slice(line).ok());
    lines.and_then(|record: serde_json::Value| record["seq"].as_u64()).unwrap_or_default()
}
