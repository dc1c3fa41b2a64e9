//! `--verify`: holds the trail's files against themselves, against the database beside them, and against heads that were
//! noted elsewhere; and says what it found so that a person can act on it.
//!
//! The service may be writing meanwhile. What it has committed when the verification begins has to be in the files in the
//! end, and what it has committed by then is all that they may have.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde::Deserialize;

use super::inputs::{self, Input, Next, OpenFile};
use super::report::{self, Database};
use super::{EXIT_VERIFY_CANNOT_RUN, cannot_read, progress_bar};
use crate::audit::files::first_in;
use crate::audit::verify::{Anchor, LINE_MAX, Report, Verdict, Verifier};
use crate::audit::{TRAIL_FILE, chain};
use crate::cli::AuditArgs;
use crate::data_dir::DATABASE_FILE;
use crate::store;

/// Exit status: something was changed, removed, put in or exchanged.
const EXIT_TAMPERED: u8 = 2;
/// Exit status: a torn last line, or records that are not there.
const EXIT_INCOMPLETE: u8 = 3;

/// How long the files of a running service may be behind what it has committed.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How often they are looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Verifies, and prints what was found.
pub fn run(args: &AuditArgs) -> ExitCode {
    match verify(args) {
        Ok((report, database)) => {
            // The verdict is the exit status also where nobody reads the report.
            let _ = report::print(&mut io::stdout().lock(), &report, &database);
            ExitCode::from(match report.verdict {
                Verdict::Whole => 0,
                Verdict::Incomplete => EXIT_INCOMPLETE,
                Verdict::Tampered => EXIT_TAMPERED,
            })
        }
        Err(error) => {
            eprintln!("sctec: {error:#}");
            ExitCode::from(EXIT_VERIFY_CANNOT_RUN)
        }
    }
}

fn verify(args: &AuditArgs) -> anyhow::Result<(Report, Database)> {
    let mut anchors = match &args.head {
        Some(path) => noted_heads(path)?,
        None => Vec::new(),
    };
    // Before the files: what is in it by now has to be in them.
    let (database, at_first) = database(args)?;
    for head in at_first.iter().flatten() {
        anchors.push(Anchor { seq: head.seq, hash: head.hash.clone(), from: "the database".to_owned() });
    }
    let mut reading = Reading { verifier: Verifier::new(anchors), buffer: vec![0; LINE_MAX], filled: 0 };
    let inputs = inputs::inputs(args)?;
    let last = inputs.len() - 1;
    for (index, input) in inputs.into_iter().enumerate() {
        let name = input.name();
        let starts_at = if let Input::File(path) = &input { first_in(path) } else { None };
        reading.verifier.begin_file(&name, starts_at);
        match input.open()? {
            None => reading.read_to_end(io::stdin().lock()).with_context(|| cannot_read(&name))?,
            Some(open) => {
                reading.read_file(&open.file).with_context(|| cannot_read(&name))?;
                if index == last
                    && let Some([_, head]) = &at_first
                {
                    reading.catch_up(open, &args.data_dir, head.seq).with_context(|| cannot_read(&name))?;
                }
            }
        }
        reading.end_file(index == last);
    }
    // After the files: no record can be in them that is not in it.
    let now = match &database {
        Database::At(path) => Some(ends(path)?[1].seq),
        Database::NotThere(_) | Database::NotAsked => None,
    };
    Ok((reading.verifier.finish(now), database))
}

/// The database of a data folder, and where its trail begins and ends; of files that were named nothing is known.
fn database(args: &AuditArgs) -> anyhow::Result<(Database, Option<[chain::Head; 2]>)> {
    if !args.files.is_empty() {
        return Ok((Database::NotAsked, None));
    }
    let path = args.data_dir.join(DATABASE_FILE);
    if matches!(path.try_exists(), Ok(false)) {
        return Ok((Database::NotThere(path), None));
    }
    let ends = ends(&path)?;
    Ok((Database::At(path), Some(ends)))
}

fn ends(path: &Path) -> anyhow::Result<[chain::Head; 2]> {
    store::trail_ends(path).with_context(|| {
        format!("cannot read {}; name the trail's files to verify them without the database", path.display())
    })
}

/// A head as `GET /auditoria/cabeca` gives it; a record's own line has these fields too.
#[derive(Deserialize)]
struct NotedHead {
    seq: u64,
    hash: String,
}

fn noted_heads(path: &Path) -> anyhow::Result<Vec<Anchor>> {
    let name = path.display().to_string();
    let text = std::fs::read(path).with_context(|| cannot_read(&name))?;
    let expected = "it should have heads as GET /auditoria/cabeca gives them, {\"seq\": 1, \"hash\": \"…\"}";
    let mut anchors = Vec::new();
    for head in serde_json::Deserializer::from_slice(&text).into_iter::<NotedHead>() {
        let NotedHead { seq, hash } = head.with_context(|| format!("{name}: {expected}"))?;
        if !chain::is_hash(hash.as_bytes()) {
            bail!("{name}: {hash:?} is not a hash of 64 lower-case hexadecimal digits; {expected}");
        }
        anchors.push(Anchor { seq, hash, from: name.clone() });
    }
    if anchors.is_empty() {
        bail!("{name} is empty; {expected}");
    }
    Ok(anchors)
}

/// The files' bytes on their way to the verifier, through a buffer that stays the same.
struct Reading {
    verifier: Verifier,
    buffer: Vec<u8>,
    /// Bytes in it that are no whole line yet.
    filled: usize,
}

impl Reading {
    fn read_file(&mut self, file: &File) -> io::Result<()> {
        let bar: ProgressBar = progress_bar(file.metadata()?.len());
        let read = self.read_to_end(bar.wrap_read(file));
        bar.finish_and_clear();
        read
    }

    fn read_to_end(&mut self, mut input: impl Read) -> io::Result<()> {
        loop {
            let read = match input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.filled += read;
            let taken = self.verifier.take(&self.buffer[..self.filled]);
            self.buffer.copy_within(taken..self.filled, 0);
            self.filled -= taken;
            if self.filled == self.buffer.len() {
                self.pass_over_line(&mut input)?;
            }
        }
    }

    /// The buffer is full of one line: no record is as long.
    fn pass_over_line(&mut self, input: &mut impl Read) -> io::Result<()> {
        let mut length = self.filled as u64;
        loop {
            let read = match input.read(&mut self.buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = memchr::memchr(b'\n', &self.buffer[..read]);
            length += end.map_or(read, |end| end + 1) as u64;
            if read == 0 || end.is_some() {
                self.verifier.take_too_long(length);
                let rest = end.map_or(read, |end| end + 1)..read;
                self.filled = rest.len();
                self.buffer.copy_within(rest, 0);
                return Ok(());
            }
        }
    }

    fn end_file(&mut self, is_last: bool) {
        let rest = std::mem::take(&mut self.filled);
        self.verifier.end_file(&self.buffer[..rest], is_last);
    }

    /// Reads on, through rotation, while the service is at work and its files are not as far as `head`.
    fn catch_up(&mut self, mut open: OpenFile, data_dir: &Path, head: u64) -> io::Result<()> {
        let trail: PathBuf = data_dir.join(TRAIL_FILE);
        let until = Instant::now() + CATCH_UP;
        while (self.filled > 0 || self.verifier.reached() < head) && Instant::now() < until && is_written(&trail) {
            match open.next(&trail)? {
                Next::Closed(next) => {
                    self.read_to_end(&open.file)?;
                    self.end_file(false);
                    self.verifier.begin_file(&next.path.display().to_string(), first_in(&next.path));
                    open = next;
                }
                // What stands in its place now is another verification's to judge.
                Next::Replaced(_) => return Ok(()),
                Next::Same | Next::NotYet => std::thread::sleep(LOOK_EVERY),
            }
            self.read_to_end(&open.file)?;
        }
        Ok(())
    }
}

/// Whether a service is at work on the trail: it holds the lock beside it.
fn is_written(trail: &Path) -> bool {
    let Ok(lock) = File::open(trail.with_extension("lock")) else { return false };
    matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
}
