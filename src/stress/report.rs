//! The results of a run, as tables for people and as one JSON object for programs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use rust_i18n::t;
use serde::Serialize;

use super::Seen;
use super::config::Config;
use super::histogram::histogram;
use super::outcome::Reason;
use super::stats::{Expectation, Fate, Latencies, Summary};
use super::target::{Listed, wire_instant};
use crate::language::counted;
use crate::text::{escaped, wrapped};
use crate::time::micros;

/// The most requests that are shown one by one.
const ROWS_MAX: usize = 50;
/// The most bookings of one slot that are shown.
const LISTED_MAX: usize = 50;
/// The most bookings that are shown where each request had a slot of its own.
const LISTED_DISTINCT_MAX: usize = 10;

/// The width of the histogram where there is no terminal.
const WIDTH: u16 = 80;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// How the report for people looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Whether it has colours.
    pub colour: bool,
    /// The width of the terminal; `None` is no terminal, and lines are not wrapped.
    pub width: Option<u16>,
}

impl Look {
    /// One line, wrapped at the terminal's width, the further lines below its text.
    pub(super) fn line(self, label: &str, text: &str) -> String {
        let Some(width) = self.width else {
            return format!("{label}{text}\n");
        };
        let indent = " ".repeat(label.chars().count());
        wrapped(text, width.into(), label, &indent) + "\n"
    }

    /// The last line: whether all was as expected.
    pub(super) fn verdict(self, said: &str, as_expected: bool) -> String {
        let line = self.line("", said);
        let line = line.trim_end();
        match (self.colour, as_expected) {
            (false, _) => format!("{line}\n"),
            (true, true) => format!("{GREEN}{line}{PLAIN}\n"),
            (true, false) => format!("{RED}{line}{PLAIN}\n"),
        }
    }
}

/// The report for people.
pub fn human(config: &Config, seen: &Seen, look: Look) -> String {
    let mut text = String::new();
    let (telescope, slot) = (escaped(&seen.telescope), wire_instant(seen.slot));
    let (n, connections) = (config.n, config.connections);
    let requests_over = t!(
        "%{requests} over %{connections}",
        requests = counted(n as usize, t!("1 request"), t!("%{n} requests", n = n)),
        connections = counted(connections as usize, t!("1 connection"), t!("%{n} connections", n = connections))
    );
    let head = if config.distinct {
        t!(
            "%{requests} for %{telescope}, each for a slot of its own; the first slot is %{slot}",
            requests = requests_over,
            telescope = telescope,
            slot = slot
        )
    } else {
        t!("%{requests} for %{telescope}, slot %{slot}", requests = requests_over, telescope = telescope, slot = slot)
    };
    text.push_str(&look.line("", &head));
    requests(&mut text, &seen.fates, look);
    totals(&mut text, config.expectation, seen, look);
    listed(&mut text, config, &seen.listed);
    verdict(&mut text, config.expectation, seen, look);
    text
}

fn requests(text: &mut String, fates: &[Fate], look: Look) {
    // Winners are kept first, because a reader looks for them; shown in the order of their numbers.
    let mut shown: Vec<&Fate> = fates.iter().collect();
    shown.sort_by_key(|fate| !fate.won());
    let left_out = shown.split_off(shown.len().min(ROWS_MAX));
    shown.sort_by_key(|fate| fate.number);
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        t!("request"),
        "status".into(),
        t!("outcome"),
        t!("latency ms"),
        t!("booking"),
        "req".into(),
    ]);
    if let Some(width) = look.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for fate in shown {
        table.add_row([
            fate.number.to_string(),
            fate.status.map_or_else(|| t!("none").into_owned(), |status| status.to_string()),
            fate.outcome.words().into_owned(),
            millis(fate.latency),
            fate.booking_id.map_or_else(String::new, |id| id.to_string()),
            fate.request_id.clone(),
        ]);
    }
    for column in [0, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let _ = writeln!(text, "{table}");
    if !left_out.is_empty() {
        let winners = left_out.iter().filter(|fate| fate.won()).count();
        let said = t!("… and %{n} more requests, %{winners} of them 201", n = left_out.len(), winners = winners);
        let _ = writeln!(text, "{said}");
    }
}

fn totals(text: &mut String, expectation: Expectation, seen: &Seen, look: Look) {
    let summary = &seen.summary;
    let _ = writeln!(text);
    let outcomes_of = |wanted: Option<u16>| {
        let of_status = summary.outcomes.iter().filter(|((status, _), _)| *status == wanted);
        of_status.map(|((_, outcome), count)| format!("{} {count}", outcome.words())).collect::<Vec<_>>().join(", ")
    };
    for (status, count) in &summary.statuses {
        let label = format!("{:<12}{count:>7}   ", t!("status %{status}", status = status));
        text.push_str(&look.line(&label, &outcomes_of(Some(*status))));
        // The reason for which nothing is judged stands in the last line.
        if let Some(reason) = summary.reasons.get(status).filter(|_| seen.verdict.refused.is_none()) {
            text.push_str(&look.line(&" ".repeat(22), &reason.words()));
        }
    }
    if summary.errors > 0 {
        let label = format!("{:<12}{:>7}   ", t!("no answer"), summary.errors);
        text.push_str(&look.line(&label, &outcomes_of(None)));
    }
    if let Some(Latencies { min, p50, p95, p99, max }) = summary.latencies {
        let [min, p50, p95, p99, max] = [min, p50, p95, p99, max].map(millis);
        let said = t!(
            "min %{min}   p50 %{p50}   p95 %{p95}   p99 %{p99}   max %{max}",
            min = min,
            p50 = p50,
            p95 = p95,
            p99 = p99,
            max = max
        );
        let _ = writeln!(text, "{:<12}{said}", t!("latency ms"));
    }
    text.push_str(&histogram(&seen.fates, look.width.unwrap_or(WIDTH), look.colour));
    let rate = t!(
        "%{rate} requests/s (%{answered} answered in %{wall} ms)",
        rate = format!("{:.0}", summary.throughput_per_s()),
        answered = summary.answered(),
        wall = millis(summary.wall)
    );
    let _ = writeln!(text, "{:<12}{rate}", t!("throughput"));
    if seen.without_locks {
        let note = t!("takes no locks (serve-scheduler --no-lock): several may win, which --expect race expects");
        text.push_str(&look.line(&format!("{:<12}", t!("scheduler")), &note));
    } else if expectation == Expectation::Race && !seen.verdict.as_expected && seen.verdict.refused.is_none() {
        let note = t!("takes locks, so one wins; the race needs serve-scheduler --no-lock");
        text.push_str(&look.line(&format!("{:<12}", t!("scheduler")), &note));
    }
}

fn listed(text: &mut String, config: &Config, listed: &[Listed]) {
    let n = listed.len();
    let (said, most) = if config.distinct {
        (counted(n, t!("1 booking for these slots"), t!("%{n} bookings for these slots", n = n)), LISTED_DISTINCT_MAX)
    } else {
        (counted(n, t!("1 booking for this slot"), t!("%{n} bookings for this slot", n = n)), LISTED_MAX)
    };
    let _ = writeln!(text, "{:<12}{said}", t!("listed now"));
    for Listed { id, cientista_id, horario_inicio_utc } in listed.iter().take(most) {
        let booking = t!(
            "booking %{id}, scientist %{scientist}, %{start}",
            id = id,
            scientist = cientista_id,
            start = escaped(horario_inicio_utc)
        );
        let _ = writeln!(text, "{:12}{booking}", "");
    }
    if listed.len() > most {
        let _ = writeln!(text, "{:12}{}", "", t!("… and %{n} more", n = listed.len() - most));
    }
}

fn verdict(text: &mut String, expectation: Expectation, seen: &Seen, look: Look) {
    let verdict = &seen.verdict;
    let line = if verdict.as_expected {
        t!("as expected: %{expected}", expected = expectation)
    } else if let Some(status) = verdict.refused {
        not_judged(&seen.summary, status).into()
    } else {
        t!(
            "NOT as expected: %{seen} (expected: %{expected})",
            seen = verdict.words(&seen.summary),
            expected = expectation
        )
    };
    text.push('\n');
    text.push_str(&look.verdict(&line, verdict.as_expected));
}

/// That every request was refused with this status, and why.
fn not_judged(summary: &Summary, status: u16) -> String {
    let outcome = summary.outcomes.keys().next().map_or_else(String::new, |(_, outcome)| outcome.words().into_owned());
    let said = t!(
        "not judged: every request was refused with %{status} %{outcome}, and not because the slot was taken",
        status = status,
        outcome = outcome
    );
    match summary.reasons.get(&status) {
        Some(reason) => format!("{said}; {}", reason.words()),
        None => said.into_owned(),
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
}

#[derive(Serialize)]
struct Json<'a> {
    n: u32,
    concurrency: u32,
    telescope: &'a str,
    slot: String,
    run: &'a str,
    expect: &'static str,
    as_expected: bool,
    judged: bool,
    seen: String,
    statuses: &'a BTreeMap<u16, usize>,
    outcomes: BTreeMap<Cow<'a, str>, usize>,
    reasons: BTreeMap<u16, Cow<'a, str>>,
    grace_left_ms: Option<u64>,
    errors: usize,
    latency_us: Option<LatencyUs>,
    throughput_per_s: f64,
    winners: Vec<Winner<'a>>,
    listed: &'a [Listed],
}

#[derive(Serialize)]
struct LatencyUs {
    min: u64,
    p50: u64,
    p95: u64,
    p99: u64,
    max: u64,
}

#[derive(Serialize)]
struct Winner<'a> {
    number: usize,
    booking_id: Option<i64>,
    request_id: &'a str,
    latency_us: u64,
}

/// The report for programs: one object on one line.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn json<'a>(config: &Config, seen: &'a Seen) -> serde_json::Result<String> {
    let summary = &seen.summary;
    let mut outcomes = BTreeMap::new();
    for ((_, outcome), count) in &summary.outcomes {
        *outcomes.entry(outcome.text()).or_insert(0) += count;
    }
    let winner = |fate: &'a Fate| Winner {
        number: fate.number,
        booking_id: fate.booking_id,
        request_id: &fate.request_id,
        latency_us: micros(fate.latency),
    };
    let report = Json {
        n: config.n,
        concurrency: config.connections,
        telescope: &seen.telescope,
        slot: wire_instant(seen.slot),
        run: &seen.run,
        expect: match config.expectation {
            Expectation::One => "one",
            Expectation::Race => "race",
            Expectation::All => "all",
        },
        as_expected: seen.verdict.as_expected,
        judged: seen.verdict.refused.is_none(),
        seen: seen.verdict.text(summary),
        statuses: &summary.statuses,
        outcomes,
        reasons: summary.reasons.iter().map(|(status, reason)| (*status, reason.text())).collect(),
        grace_left_ms: summary.reasons.values().find_map(Reason::grace_left_ms),
        errors: summary.errors,
        latency_us: summary.latencies.map(|l| LatencyUs {
            min: micros(l.min),
            p50: micros(l.p50),
            p95: micros(l.p95),
            p99: micros(l.p99),
            max: micros(l.max),
        }),
        throughput_per_s: summary.throughput_per_s(),
        winners: seen.fates.iter().filter(|fate| fate.won()).map(winner).collect(),
        listed: &seen.listed,
    };
    // Inside a JSON text an escape stands for the same character.
    Ok(escaped(&serde_json::to_string(&report)?) + "\n")
}
