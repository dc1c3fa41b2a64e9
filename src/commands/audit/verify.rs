//! `--verify`: checks the trail's files against their own hash chain, against the database beside them, and against heads that were
//! noted elsewhere.
//!
//! The service may be writing during the verification. Each record that was committed before the verification began must be in
//! the files at its end. The files may have no record that is not committed at its end.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use rust_i18n::t;

use super::args::AuditArgs;
use super::database::outside;
use super::foreign;
use super::heads;
use super::inputs::{self, Input, Next, OpenFile};
use super::pieces::{Found, Pieces};
use super::reading::cannot_read;
use super::report::{self, Database};
use super::source::Source;
use crate::audit::chain::ChainHead;
use crate::audit::export::is_written;
use crate::audit::files::{self, first_in};
use crate::audit::shape::LINE_MAX;
use crate::audit::verify::{Anchor, DatabaseNow, Report, Verdict, Verifier};
use crate::commands::outcome::{EXIT_INCOMPLETE, EXIT_TAMPERED, EXIT_VERIFY_CANNOT_RUN};
use crate::commands::output::{CANNOT_WRITE, tell};
use crate::commands::progress::progress_bar;
use crate::language::{chain, io_message};
use crate::store::{Deep, sqlite};

/// How long the files of a running service may be behind its database.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How long another process may need to take over the writing of the files. It checks the lock every quarter of a second, then
/// reads the ends of the files.
const TAKE_OVER: Duration = Duration::from_millis(600);
/// How often the files are read again while they are behind.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Verifies the trail and prints the report.
pub fn run(args: &AuditArgs) -> ExitCode {
    let (report, database) = match verify(args) {
        Ok(found) => found,
        Err(error) => {
            tell(chain(error.as_ref()));
            return ExitCode::from(if deep_finds_faults(args) { EXIT_TAMPERED } else { EXIT_VERIFY_CANNOT_RUN });
        }
    };
    let deep = args.deep.then(|| deep(args, &database));
    let mut stdout = io::stdout().lock();
    let mut printed = report::print(&mut stdout, &report, &database);
    match &deep {
        Some(Ok(found)) => printed = printed.and_then(|()| report::print_deep(&mut stdout, found)),
        Some(Err(error)) => tell(format_args!("{error:#}")),
        None => printed = printed.and_then(|()| report::print_not_deep(&mut stdout, &report, &database)),
    }
    // The exit status is the verdict even if the output's pipe was closed.
    let unwritten = printed.and_then(|()| stdout.flush()).err();
    let unwritten = unwritten.filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
    if let Some(error) = &unwritten {
        tell(format_args!("{CANNOT_WRITE}: {}", io_message(error)));
    }
    let contradicts = matches!(&deep, Some(Ok(found)) if found.fault_count > 0);
    match report.verdict {
        _ if contradicts => ExitCode::from(EXIT_TAMPERED),
        // The report could not be printed, or the check of the database failed: then success must not be claimed.
        Verdict::Whole if unwritten.is_some() || matches!(deep, Some(Err(_))) => ExitCode::from(EXIT_VERIFY_CANNOT_RUN),
        Verdict::Whole => ExitCode::SUCCESS,
        Verdict::Incomplete => ExitCode::from(EXIT_INCOMPLETE),
        Verdict::Tampered => ExitCode::from(EXIT_TAMPERED),
    }
}

/// Runs `--deep` after the verification of the trail failed: a database that contradicts itself may be the cause. Prints the
/// findings and returns whether there are faults.
fn deep_finds_faults(args: &AuditArgs) -> bool {
    let path = args.database();
    if !args.deep || args.store.is_given() || !args.files.is_empty() || !path.is_file() {
        return false;
    }
    let printed = deep_of(args, &path).and_then(|found| {
        let mut stdout = io::stdout().lock();
        report::print_deep(&mut stdout, &found).and_then(|()| stdout.flush()).context(CANNOT_WRITE)?;
        Ok(found.fault_count > 0)
    });
    printed.unwrap_or_else(|error| {
        tell(chain(error.as_ref()));
        false
    })
}

/// Checks the database itself.
fn deep(args: &AuditArgs, database: &Database) -> anyhow::Result<Deep> {
    match database {
        Database::At(path) => deep_of(args, path),
        Database::Store(outside) => outside.deep().with_context(|| t!("cannot read %{name}", name = outside.name())),
        Database::NotThere(_) | Database::NotAsked => {
            bail!(t!("--deep reads the database, and there is none beside the trail"))
        }
    }
}

fn deep_of(args: &AuditArgs, path: &Path) -> anyhow::Result<Deep> {
    let trail = args.trail();
    sqlite::deep(path, args.kind(), || is_written(&trail)).with_context(|| cannot_read(path))
}

fn verify(args: &AuditArgs) -> anyhow::Result<(Report, Database)> {
    let mut anchors = match &args.head {
        Some(path) => heads::noted(args, path)?,
        None => Vec::new(),
    };
    let trail = args.trail();
    // The database is read before the files: each record that it has now must be in them.
    let (database, at_first) = database(args, &trail)?;
    for head in at_first.iter().flatten() {
        anchors.push(Anchor { seq: head.seq, hash: head.hash.clone(), from: t!("the database").into_owned() });
    }
    let mut reading = Reading { verifier: Verifier::new(anchors), pieces: Pieces::new(LINE_MAX) };
    let is_folder = args.files.is_empty();
    let inputs = match &at_first {
        Some([_, head]) if is_folder => folder_inputs(&trail, head.seq)?,
        _ => inputs::inputs(args)?,
    };
    let count = inputs.len();
    for (index, input) in inputs.into_iter().enumerate() {
        let (name, is_last) = (input.name(), index + 1 == count);
        let named = if matches!(input, Input::Open(_)) { None } else { input.path().and_then(first_in) };
        reading.verifier.begin_file(&name, named);
        let of_folder = matches!(input, Input::Open(_) | Input::Closed(_));
        match input.open()? {
            None => reading.read_source(io::stdin().lock(), of_folder).with_context(|| cannot_verify(&name))?,
            Some(open) => {
                reading.read_file(&open.file, of_folder).with_context(|| cannot_verify(&name))?;
                if is_last
                    && is_folder
                    && let Some([_, head]) = &at_first
                {
                    reading.catch_up(open, &trail, head.seq).with_context(|| cannot_verify(&name))?;
                }
            }
        }
        reading.end_file(is_last);
    }
    let now = match &database {
        Database::At(path) => Some(around(path, &trail, &reading.verifier)?),
        Database::Store(outside) => {
            let (before, last) = (reading.verifier.begins_after(), reading.verifier.reached());
            Some(outside.around(before, last).with_context(|| t!("cannot read %{name}", name = outside.name()))?)
        }
        Database::NotThere(_) | Database::NotAsked => None,
    };
    let report = reading.verifier.finish(now.as_ref());
    must_be_a_trail(&report)?;
    if let Database::At(path) = &database
        && report.verdict == Verdict::Tampered
    {
        must_have_its_log(path)?;
    }
    Ok((report, database))
}

fn cannot_verify(name: &str) -> String {
    t!("cannot verify %{name}", name = name).into_owned()
}

/// An error if no line of the files begins like a record, and there is no database or head to compare them with: then the files
/// are not a trail.
fn must_be_a_trail(report: &Report) -> anyhow::Result<()> {
    if report.is_trail || !report.anchors.is_empty() || report.files.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = report.files.iter().map(|file| file.name.as_str()).collect();
    let is_empty = report.files.iter().all(|file| file.bytes == 0);
    let why = if is_empty {
        t!("it is empty; name the files of a trail (audit.jsonl)")
    } else {
        t!("nothing in it begins as an audit record does; name the files of a trail (audit.jsonl)")
    };
    bail!("{}: {why}", cannot_verify(&names.join(", ")));
}

/// The files of a trail whose database has records up to `head`. If there is no file yet and a service is running, this waits
/// until the service writes one.
fn folder_inputs(trail: &Path, head: u64) -> anyhow::Result<Vec<Input>> {
    if let Some(unread) = files::closed_and_unread(trail).unwrap_or_default().first() {
        bail!(inputs::unread(unread));
    }
    let mut patience = Patience::new(trail);
    loop {
        let inputs = inputs::trail_of(trail)?;
        if !inputs.is_empty() || head == 0 || !patience.is_left() {
            return Ok(inputs);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The database of a data folder, and its chain heads before the first record and at the last one. No database if files were
/// named.
fn database(args: &AuditArgs, trail: &Path) -> anyhow::Result<(Database, Option<[ChainHead; 2]>)> {
    if let Some(outside) = outside(args)? {
        let ends = outside.ends().with_context(|| t!("cannot read %{name}", name = outside.name()))?;
        return Ok((Database::Store(outside), Some(ends)));
    }
    if !args.files.is_empty() {
        return Ok((Database::NotAsked, None));
    }
    let path = args.database();
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Database::NotThere(path), None)),
        // Opening a named pipe would block for ever.
        Ok(metadata) if !metadata.is_file() => {
            bail!(t!(
                "%{name} is not a file; name the trail's files to verify them without the database",
                name = path.display()
            ))
        }
        _ => {}
    }
    let ends = match sqlite::trail_ends(&path, || is_written(trail)) {
        Ok(ends) => ends,
        Err(error) => {
            must_have_its_log(&path)?;
            return Err(error).with_context(|| {
                t!(
                    "cannot read %{name}; name the trail's files to verify them without the database",
                    name = path.display()
                )
            });
        }
    };
    Ok((Database::At(path), Some(ends)))
}

/// An error if the database's write-ahead log may be beside another hard link of the database: then the last writes cannot be
/// read.
fn must_have_its_log(path: &Path) -> anyhow::Result<()> {
    if sqlite::log_may_be_elsewhere(path) {
        bail!(t!(
            "cannot verify: %{name} has other names (hard links), and SQLite's log of the last writes is beside the one that the \
             service opens; name the folder of that one with --data-dir",
            name = path.display()
        ));
    }
    Ok(())
}

/// The records of the database before and after the records of the files. Asked after the files were read, so that each record
/// in the files must be in the database.
fn around(path: &Path, trail: &Path, verifier: &Verifier) -> anyhow::Result<DatabaseNow> {
    sqlite::trail_around(path, || is_written(trail), verifier.begins_after(), verifier.reached())
        .with_context(|| cannot_read(path))
}

/// Passes the lines of the files to the verifier, checked on all cores.
struct Reading {
    verifier: Verifier,
    pieces: Pieces,
}

impl Reading {
    fn read_file(&mut self, file: &File, of_folder: bool) -> anyhow::Result<()> {
        let bar: ProgressBar = progress_bar(file.metadata()?.len());
        let read = self.read_source(bar.wrap_read(file), of_folder);
        bar.finish_and_clear();
        read
    }

    /// Reads an input that may be compressed. A binary file in a data folder is a damaged trail, so its bytes are verified as they
    /// are; a binary file that was named is refused.
    fn read_source(&mut self, input: impl Read, of_folder: bool) -> anyhow::Result<()> {
        let source = Source::of(input)?;
        if let Source::Foreign(foreign, _) = source
            && (foreign.may_hold_a_trail() || !of_folder)
        {
            bail!("{}", foreign::told(foreign));
        }
        Ok(self.read_to_end(source)?)
    }

    fn read_to_end(&mut self, input: impl Read) -> io::Result<()> {
        let Self { verifier, pieces } = self;
        let checker = verifier.checker();
        let read = pieces.read::<_, Infallible>(
            input,
            |bytes| checker.check(bytes),
            |found| {
                match found {
                    Found::Lines(_, checked) => verifier.take(checked),
                    Found::TooLong { begin, length, .. } => verifier.take_too_long(begin, length),
                }
                Ok(())
            },
        );
        let Ok(read) = read;
        read
    }

    fn end_file(&mut self, is_last: bool) {
        self.verifier.end_file(self.pieces.rest(), is_last);
        self.pieces.forget_rest();
    }

    /// Reads new records, through rotation, while a service is writing `trail` and the files do not reach record `head`.
    fn catch_up(&mut self, mut open: OpenFile, trail: &Path, head: u64) -> anyhow::Result<()> {
        let mut patience = Patience::new(trail);
        while (!self.pieces.rest().is_empty() || self.verifier.reached() < head) && patience.is_left() {
            match open.next(trail)? {
                Next::Closed(next) => {
                    self.read_to_end(&open.file)?;
                    self.end_file(false);
                    self.verifier.begin_file(&next.path.display().to_string(), first_in(&next.path));
                    open = next;
                    self.read_source(&open.file, true)?;
                }
                // The new file belongs to another trail, which is not verified here.
                Next::Replaced(_) => return Ok(()),
                Next::Same | Next::NotYet => std::thread::sleep(LOOK_EVERY),
            }
            self.read_to_end(&open.file)?;
        }
        Ok(())
    }
}

/// How long to wait for files that are behind: while a service is writing them, or may take over soon.
struct Patience<'a> {
    trail: &'a Path,
    until: Instant,
    /// When the lock was last seen held. At first the present instant: a service may have just released it.
    seen: Instant,
}

impl<'a> Patience<'a> {
    fn new(trail: &'a Path) -> Self {
        let now = Instant::now();
        Self { trail, until: now + CATCH_UP, seen: now }
    }

    fn is_left(&mut self) -> bool {
        if is_written(self.trail) {
            self.seen = Instant::now();
        }
        Instant::now() < self.until && self.seen.elapsed() < TAKE_OVER
    }
}
