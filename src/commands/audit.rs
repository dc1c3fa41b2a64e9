//! `audit`: searches the trail, follows it, verifies it.
//!
//! Files are read as streams, in order, and each record that matches is printed as it comes; only a table waits for
//! the end, to know how wide its columns are.

mod cell;
mod follow;
mod inputs;
mod lines;
mod print;
mod report;
mod verify;

use std::cmp::Ordering;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};

use self::inputs::{Input, OpenFile};
use self::lines::{LINE_MAX_MIB, Line, Lines};
use self::print::Printer;
use super::{Outcome, in_english, is_broken_pipe};
use crate::audit::filter::{Filter, Verdict, Wanted, without_mark};
use crate::audit::record::EVENT_TYPES;
use crate::cli::{AuditArgs, AuditFormat};
use crate::logging::escaped;
use crate::time::Timestamp;

/// Files larger than this take long enough to show how far the search is.
const PROGRESS_BYTES: u64 = 64 << 20;

/// Exit status of a verification: it could not run. 2 is for a trail that was tampered with.
pub const EXIT_VERIFY_CANNOT_RUN: u8 = 1;

/// Prints the records that match, or verifies them.
///
/// # Errors
/// When the arguments make no sense, or something cannot be read or written.
pub fn run(args: &AuditArgs) -> Outcome {
    if args.verify { Ok(verify::run(args)) } else { search(args) }
}

fn search(args: &AuditArgs) -> Outcome {
    let filter = Filter::new(wanted(args)?);
    let stdout = io::stdout().lock();
    let terminal = stdout.is_terminal();
    let default_format = if terminal && !args.follow { AuditFormat::Table } else { AuditFormat::Jsonl };
    let format = args.format.unwrap_or(default_format);
    if args.follow && format == AuditFormat::Table {
        bail!("--follow prints each record as it comes, and a table waits for the last; use --format jsonl or csv");
    }
    if args.bom && format != AuditFormat::Csv {
        bail!("--bom is for spreadsheets; use it with --format csv");
    }
    let inputs = inputs::inputs(args)?;
    let printer = if args.count {
        Printer::counting(stdout)
    } else {
        Printer::new(format, args.bom, stdout).context(CANNOT_WRITE)?
    };
    let mut search = Search {
        filter,
        printer,
        // On one terminal, a bar and lines that come one by one would write over each other.
        shows_progress: format == AuditFormat::Table || args.count || !terminal,
        broken: 0,
        too_long: 0,
        last_of: None,
    };
    let searched = search.read_all(inputs, args);
    let (broken, too_long, unread) = (search.broken, search.too_long, search.printer.unread());
    // What was found before a file failed is printed all the same.
    let printed = search.printer.finish().context(CANNOT_WRITE);
    if let Err(error) = searched.and(printed) {
        // Whoever read the output has seen enough.
        return if is_broken_pipe(&error) { Ok(ExitCode::SUCCESS) } else { Err(error) };
    }
    tell_passed_over(broken, too_long, unread);
    if let Some(event) = args.event.as_deref()
        && !EVENT_TYPES.contains(&event)
    {
        eprintln!("sctec: {event:?} is no event that this version knows; those are {}", EVENT_TYPES.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(args: &AuditArgs) -> anyhow::Result<Wanted> {
    let since = instant("--since", args.since.as_deref())?;
    let until = instant("--until", args.until.as_deref())?;
    if let (Some(since), Some(until)) = (since, until) {
        let (from, to) = (since.micros(), until.micros());
        match since.cmp(&until) {
            Ordering::Less => {}
            Ordering::Equal => {
                bail!("--since {from} is --until {to}, and nothing is before it and not; make --until later")
            }
            Ordering::Greater => bail!("--since {from} is after --until {to}; exchange them"),
        }
    }
    Ok(Wanted {
        event: args.event.clone(),
        scientist: args.scientist,
        booking: args.booking,
        slot: instant("--slot", args.slot.as_deref())?,
        telescope: args.telescope.clone(),
        request: args.req.clone(),
        since,
        until,
    })
}

fn instant(option: &str, text: Option<&str>) -> anyhow::Result<Option<Timestamp>> {
    let at = text
        .map(|text| Timestamp::parse_rfc3339(text).map_err(|error| anyhow!("{option} {text:?} {}", in_english(error))));
    at.transpose()
}

/// The search, across files.
struct Search<W: Write> {
    filter: Filter,
    printer: Printer<W>,
    shows_progress: bool,
    /// Lines that look like records but are not whole.
    broken: u64,
    too_long: u64,
    /// The file that was read last, and the last record in it.
    last_of: Option<(String, u64)>,
}

impl<W: Write> Search<W> {
    /// Reads each input to its end, and the last one on from there if it is followed.
    fn read_all(&mut self, mut inputs: Vec<Input>, args: &AuditArgs) -> anyhow::Result<()> {
        let followed = if args.follow { inputs.pop() } else { None };
        inputs.into_iter().try_for_each(|input| self.read(input))?;
        let Some(followed) = followed else { return Ok(()) };
        let trail = match &followed {
            // A closed one that stands last: the one that is written was not there.
            Input::Closed(_) => inputs::trail(args),
            Input::File(path) | Input::Open(OpenFile { path, .. }) => path.clone(),
            Input::Stdin => return self.read(followed),
        };
        let name = followed.name();
        match followed.open()? {
            Some(open) => {
                self.tell_gap(&open, &name)?;
                follow::follow(self, open, &trail)
            }
            None => Ok(()),
        }
    }

    fn read(&mut self, input: Input) -> anyhow::Result<()> {
        let name = input.name();
        let Some(open) = input.open()? else {
            return self.read_lines(io::stdin().lock(), &name, &ProgressBar::hidden());
        };
        self.tell_gap(&open, &name)?;
        let file = open.file;
        let length = file.metadata().with_context(|| cannot_read(&name))?.len();
        let bar = if self.shows_progress { progress_bar(length) } else { ProgressBar::hidden() };
        let read = self.read_lines(bar.wrap_read(file), &name, &bar);
        bar.finish_and_clear();
        read
    }

    /// Says which records are missing between this file and the one before, where both say what they hold.
    fn tell_gap(&mut self, open: &OpenFile, name: &str) -> anyhow::Result<()> {
        let is_file = open.file.metadata().is_ok_and(|metadata| metadata.is_file());
        let records = if is_file { inputs::records_in(&open.file).with_context(|| cannot_read(name))? } else { None };
        if let (Some((before, last)), Some((first, _))) = (&self.last_of, records)
            && first > last + 1
        {
            let (before, name) = (escaped(before), escaped(name));
            match (last + 1, first - 1) {
                (one, same) if one == same => eprintln!("sctec: record {one} is missing between {before} and {name}"),
                (from, to) => eprintln!("sctec: records {from} to {to} are missing between {before} and {name}"),
            }
        }
        // A file without records, such as a new one, is between none.
        if let Some((_, last)) = records {
            self.last_of = Some((name.to_owned(), last));
        }
        Ok(())
    }

    fn read_lines(&mut self, input: impl Read, name: &str, bar: &ProgressBar) -> anyhow::Result<()> {
        let mut lines = Lines::new(input);
        loop {
            // A writer that is still at work, as `tail -f`, may keep us waiting: nobody else should wait for that.
            if lines.may_wait() {
                self.printer.flush().context(CANNOT_WRITE)?;
            }
            let Some(line) = lines.next().with_context(|| cannot_read(name))? else { return Ok(()) };
            self.judge(&line)?;
            if self.printer.table_is_full() {
                bar.suspend(|| self.printer.print_table()).context(CANNOT_WRITE)?;
            }
        }
    }

    fn judge(&mut self, line: &Line<'_>) -> anyhow::Result<()> {
        let Line::Bytes(line) = line else {
            self.too_long += 1;
            return Ok(());
        };
        let line = without_mark(line);
        match self.filter.judge(line) {
            Verdict::Wanted(record) => self.printer.record(line, &record).context(CANNOT_WRITE)?,
            Verdict::Broken => self.broken += 1,
            Verdict::Other => {}
        }
        Ok(())
    }
}

const CANNOT_WRITE: &str = "cannot write the output";

fn cannot_read(name: impl AsRef<Path>) -> String {
    format!("cannot read {}", name.as_ref().display())
}

/// A bar on standard error for a file of that length, if it takes long and people watch.
fn progress_bar(length: u64) -> ProgressBar {
    if length <= PROGRESS_BYTES || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Says which lines a reader might miss. Standard error may be closed, which is no reason to fail.
fn tell_passed_over(broken: u64, too_long: u64, unread: u64) {
    let mut stderr = io::stderr().lock();
    let _ = match broken {
        0 => Ok(()),
        1 => writeln!(stderr, "1 line looks like an audit record but is not whole; sctec passed over it"),
        n => writeln!(stderr, "{n} lines look like audit records but are not whole; sctec passed over them"),
    };
    let _ = match too_long {
        0 => Ok(()),
        1 => writeln!(stderr, "1 line is longer than {LINE_MAX_MIB} MiB; sctec passed over it"),
        n => writeln!(stderr, "{n} lines are longer than {LINE_MAX_MIB} MiB; sctec passed over them"),
    };
    let _ = match unread {
        0 => Ok(()),
        1 => writeln!(stderr, "1 record has details that cannot be read; sctec shows the other fields"),
        n => writeln!(stderr, "{n} records have details that cannot be read; sctec shows the other fields"),
    };
}
