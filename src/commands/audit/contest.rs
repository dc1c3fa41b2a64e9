//! `audit --contest`: shows a contest from its record, and decides it anew.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use comfy_table::{Table, presets};
use rust_i18n::t;

use super::args::{AuditArgs, AuditFormat};
use super::print::Printer;
use super::search::Search;
use super::{database, inputs};
use crate::audit::contested::{Contest, Entry, Judged, holds, judge};
use crate::audit::filter::{Filter, Wanted};
use crate::audit::record::{CONTEST_DECIDED, SEEDS_COMMITTED};
use crate::commands::outcome::{EXIT_UNEXPECTED, Outcome};
use crate::commands::output::{CANNOT_WRITE, print, table_width, tell};
use crate::text::escaped;
use crate::time::Timestamp;

/// Shows the contest that this booking has won.
///
/// # Errors
/// When an input cannot be read, or the output cannot be written.
pub fn run(args: &AuditArgs, booking: i64) -> Outcome {
    let unexpected = ExitCode::from(EXIT_UNEXPECTED);
    let of_booking = Wanted { booking: Some(booking), ..Wanted::default() };
    let (lines, incomplete) = records(args, CONTEST_DECIDED, of_booking)?;
    let Some(line) = lines.split(|byte| *byte == b'\n').find(|line| !line.is_empty()) else {
        tell(t!("the trail has no contest that booking %{id} has won", id = booking));
        return Ok(unexpected);
    };
    let judged = match judge(line) {
        Ok(judged) => with_seed(judged, args)?,
        Err(error) => {
            tell(t!("the record of the contest cannot be read: %{error}", error = error));
            return Ok(unexpected);
        }
    };
    print(&shown(&judged))?;
    let is_confirmed = judged.wrong.is_empty() && judged.unknown.is_empty();
    Ok(if is_confirmed && !incomplete { ExitCode::SUCCESS } else { unexpected })
}

/// The contest, with what is to be said of its seed: it must be one of a chain that was recorded before.
fn with_seed(mut judged: Judged, args: &AuditArgs) -> anyhow::Result<Judged> {
    let Some(draw) = &judged.contest.draw else { return Ok(judged) };
    let (chains, _) = records(args, SEEDS_COMMITTED, Wanted::default())?;
    match chains.split(|byte| *byte == b'\n').find_map(|line| holds(line, &draw.seed)) {
        Some(true) => {}
        Some(false) => judged.wrong.push(t!("the seed is not of the chain that was recorded").into_owned()),
        None => judged.unknown.push(t!("these records do not have the chain of the seed").into_owned()),
    }
    Ok(judged)
}

/// The lines of an event's records, and whether a part of the trail could not be read.
fn records(args: &AuditArgs, event: &str, wanted: Wanted) -> anyhow::Result<(Vec<u8>, bool)> {
    let wanted = Wanted { event: Some(event.to_owned()), ..wanted };
    let mut lines = Vec::new();
    let printer = Printer::new(AuditFormat::Jsonl, false, &mut lines).context(CANNOT_WRITE)?;
    let incomplete = read(Search::new(Filter::new(wanted), printer, true), args)?;
    Ok((lines, incomplete))
}

/// Reads the whole trail, and tells whether a part of it could not be read.
fn read<W: Write>(mut search: Search<W>, args: &AuditArgs) -> anyhow::Result<bool> {
    if let Some(outside) = database::outside(args)? {
        database::run(&mut search, &outside, args)?;
    } else {
        let inputs = inputs::inputs(args)?;
        if args.files.is_empty() {
            search.tell_unread(args);
        }
        search.read_all(inputs)?;
    }
    let incomplete = search.incomplete;
    search.printer.finish().context(CANNOT_WRITE)?;
    Ok(incomplete)
}

fn shown(judged: &Judged) -> String {
    let Judged { contest, stamps, wrong, unknown } = judged;
    let Contest { booking_id, scientist_id, telescope, start, policy, window_ms, entries, .. } = contest;
    let mut text = t!(
        "Contest for %{telescope} at %{start}: booking %{booking} of scientist %{scientist}; policy %{policy}, window %{window} ms",
        telescope = escaped(telescope),
        start = start.seconds(),
        booking = booking_id,
        scientist = scientist_id,
        policy = escaped(policy),
        window = window_ms
    )
    .into_owned();
    let _ = write!(text, "\n\n{}\n\n", table(entries, stamps));
    for (line, words) in wrong.iter().map(|line| (line, true)).chain(unknown.iter().map(|line| (line, false))) {
        let line = if words { t!("wrong: %{what}", what = line) } else { t!("unknown: %{what}", what = line) };
        let _ = writeln!(text, "{line}");
    }
    let verdict = match (wrong.is_empty(), unknown.is_empty()) {
        (true, true) => t!("Decided anew, the winner is the same."),
        (true, false) => t!("Nothing contradicts the winner, but not all of it can be decided anew."),
        (false, _) => t!("The record contradicts itself."),
    };
    let _ = writeln!(text, "{verdict}");
    text
}

/// The entries, the winner first.
fn table(entries: &[Entry], stamps: &[Option<Timestamp>]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        t!("scientist"),
        t!("request"),
        t!("arrival"),
        t!("click, as claimed"),
        t!("round trip (µs)"),
        t!("stamp in the record"),
        t!("stamp, found anew"),
        t!("drawn"),
    ]);
    if let Some(width) = table_width() {
        table.set_width(width);
    }
    let instant = |at: Timestamp| at.micros().to_string();
    let perhaps = |at: Option<Timestamp>| at.map_or("–".to_owned(), instant);
    for (entry, found) in entries.iter().zip(stamps) {
        let (stamp, found) = (instant(entry.stamp), perhaps(*found));
        let drawn = if entry.is_drawn { "×" } else { "" }.to_owned();
        table.add_row(match &entry.seen {
            None => ["–", "–", "–", "–", "–", &stamp, &found, &drawn].map(str::to_owned),
            Some(seen) => [
                seen.scientist_id.to_string(),
                escaped(&seen.req),
                instant(seen.arrived),
                perhaps(seen.claim),
                seen.round_trip_us.map_or("–".to_owned(), |us| us.to_string()),
                stamp,
                found,
                drawn,
            ],
        });
    }
    table
}
