//! `audit`: searches the trail, follows it, verifies it.
//!
//! Files are read as streams, in order, and each matching record is printed at once. Only a table is printed at the end: its
//! column widths depend on all rows. The last records, and the newest first, are read from the ends of the files.

mod args;
mod backward;
mod cell;
mod colours;
mod contest;
mod contradiction;
mod database;
mod follow;
mod foreign;
mod heads;
mod incident;
mod inputs;
mod judged;
mod kept;
mod latest;
mod lines;
mod not_records;
mod pieces;
mod print;
mod reading;
mod report;
mod search;
mod shorten;
pub(super) mod source;
mod table;
mod verify;

use std::cmp::Ordering;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use rust_i18n::t;

pub use self::args::AuditArgs;
use self::args::AuditFormat;
use self::print::Printer;
use self::reading::tell_passed_over;
use self::search::Search;
use super::moments;
use super::outcome::{EXIT_CANNOT_RUN, EXIT_UNEXPECTED, EXIT_VERIFY_CANNOT_RUN, Outcome};
use super::output::{CANNOT_WRITE, is_broken_pipe, tell};
use crate::audit::filter::{Filter, Wanted};
use crate::audit::record::EVENT_TYPES;
use crate::time::{Clock, Timestamp};

/// Prints the records that match, or verifies the trail.
///
/// # Errors
/// When the arguments contradict each other, or an input or the output fails.
pub fn run(args: &AuditArgs) -> Outcome {
    if let Some(contradiction) = contradiction::of(args) {
        tell(contradiction);
        return Ok(ExitCode::from(if args.verify { EXIT_VERIFY_CANNOT_RUN } else { EXIT_CANNOT_RUN }));
    }
    if args.verify {
        return Ok(verify::run(args));
    }
    if let Some(booking) = args.contest {
        return contest::run(args, booking);
    }
    let wanted = wanted(args, Clock::system().now())?;
    if args.tells_a_request() { incident::run(args, &wanted) } else { search(args, wanted) }
}

fn search(args: &AuditArgs, wanted: Wanted) -> Outcome {
    let filter = Filter::new(wanted);
    let stdout = io::stdout().lock();
    let terminal = stdout.is_terminal();
    let format = args.format.unwrap_or(if terminal { AuditFormat::Table } else { AuditFormat::Jsonl });
    let outside = database::outside(args)?;
    let inputs = if args.follow || outside.is_some() { Vec::new() } else { inputs::inputs(args)? };
    let printer = match format {
        _ if args.count => Printer::counting(stdout),
        AuditFormat::Table if args.follow => Printer::rows(stdout).context(CANNOT_WRITE)?,
        format => Printer::new(format, args.bom, stdout).context(CANNOT_WRITE)?,
    };
    // On one terminal, a progress bar and printed lines would overwrite each other.
    let shows_progress = format == AuditFormat::Table || args.count || !terminal;
    let mut search = Search::new(filter, printer, shows_progress);
    let searched = if let Some(outside) = &outside {
        database::run(&mut search, outside, args)
    } else if args.follow {
        follow::run(&mut search, args)
    } else {
        if args.files.is_empty() {
            search.tell_unread(args);
        }
        if args.last.is_some() || args.reverse {
            latest::run(&mut search, inputs, args.last, args.reverse)
        } else {
            search.read_all(inputs)
        }
    };
    let found = search.printer.count();
    let (broken, too_long, unread) = (search.broken, search.too_long, search.printer.unread());
    // Records that were found before an error are printed too.
    let printed = search.printer.finish().context(CANNOT_WRITE);
    if let Err(error) = searched.and(printed) {
        // A closed pipe of the output is a normal end.
        return if is_broken_pipe(&error) { Ok(ExitCode::SUCCESS) } else { Err(error) };
    }
    tell_passed_over(broken, too_long, unread);
    if let Some(event) = args.event.as_deref().filter(|event| known_event(event).is_none()) {
        tell_unknown_event(event);
    }
    if let Some(telescope) = args.telescope.as_deref().filter(|_| found == 0 && !args.follow) {
        tell(t!(
            "no record matches; if there should be one, check the telescope %{name}: its identifier has to be exact, as Hubble-Acad",
            name = format!("{telescope:?}")
        ));
    }
    Ok(if search.incomplete { ExitCode::from(EXIT_UNEXPECTED) } else { ExitCode::SUCCESS })
}

fn wanted(args: &AuditArgs, now: Timestamp) -> anyhow::Result<Wanted> {
    let instant = |option, text: &Option<String>| {
        let parsed = |text: &String| moments::parse(text, now).map_err(|error| anyhow!("{option} {text:?} {error}"));
        text.as_ref().map(parsed).transpose()
    };
    let since = instant("--since", &args.since)?;
    let until = instant("--until", &args.until)?;
    if let (Some(since), Some(until)) = (since, until) {
        let (from, to) = (since.micros(), until.micros());
        match since.cmp(&until) {
            Ordering::Less => {}
            Ordering::Equal => {
                bail!(t!(
                    "--since %{from} equals --until %{to}, so no record can match; make --until later",
                    from = from,
                    to = to
                ))
            }
            Ordering::Greater => {
                bail!(t!("--since %{from} is after --until %{to}; exchange them", from = from, to = to))
            }
        }
    }
    Ok(Wanted {
        event: args.event.as_deref().map(|event| known_event(event).unwrap_or(event).to_owned()),
        scientist: args.scientist,
        booking: args.booking,
        slot: instant("--slot", &args.slot)?,
        telescope: args.telescope.clone(),
        request: args.req.clone(),
        author: args.author.clone(),
        ip: args.ip,
        since,
        until,
    })
}

/// The event of that name, in capital letters or not.
fn known_event(name: &str) -> Option<&'static str> {
    EVENT_TYPES.into_iter().find(|event| event.eq_ignore_ascii_case(name))
}

/// Says that there is no such event, and which one may be meant. A record of another version may have it nevertheless.
fn tell_unknown_event(name: &str) {
    let upper = name.to_ascii_uppercase();
    let distance = |event: &str| strsim::damerau_levenshtein(&upper, event);
    // The last words of a name, as CRIADO.
    let is_part = |event: &str| event.strip_suffix(&*upper).is_some_and(|rest| rest.ends_with('_'));
    // Of several that end so, the first: the list begins with the bookings.
    let near = EVENT_TYPES.into_iter().min_by_key(|event| if is_part(event) { 0 } else { 1 + distance(event) });
    let (quoted, events) = (format!("{name:?}"), EVENT_TYPES.join(", "));
    match near.filter(|event| is_part(event) || distance(event) <= event.len() / 4) {
        Some(near) => tell(t!(
            "%{event} is not an event of this version of sctec; did you mean %{near}? Its events are %{events}",
            event = quoted,
            near = near,
            events = events
        )),
        None => tell(t!(
            "%{event} is not an event of this version of sctec; its events are %{events}",
            event = quoted,
            events = events
        )),
    }
}
