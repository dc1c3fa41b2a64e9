//! Where records come from: files that were named, standard input, or the trail of a data folder, which may be growing and
//! be closed under another name while it is read.

use std::fs::{File, FileType};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::cannot_read;
use crate::audit::chain::Link;
use crate::audit::files::{self, Closed, leads_to};
use crate::audit::shape::LINE_MAX;
use crate::audit::{RACE_TRAIL_FILE, TRAIL_FILE};
use crate::cli::AuditArgs;
use crate::logging::escaped;

/// One input.
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file that was named.
    File(PathBuf),
    /// The data folder's file that is written.
    Open(OpenFile),
    /// One of its that was closed.
    Closed(PathBuf),
}

/// A file that is open, and the name it had.
pub struct OpenFile {
    /// The name.
    pub path: PathBuf,
    /// The file.
    pub file: File,
}

/// What the reader of a growing trail does next.
pub enum Next {
    /// The file is still the one that is written.
    Same,
    /// It was closed and has been read to its end: the chain goes on here.
    Closed(OpenFile),
    /// It was closed, but the next one is not there yet.
    NotYet,
    /// Another file stands in its place.
    Replaced(OpenFile),
}

/// The file that the data folder's trail is written to.
pub fn trail(args: &AuditArgs) -> PathBuf {
    args.data_dir.join(if args.race { RACE_TRAIL_FILE } else { TRAIL_FILE })
}

/// What is to be read, in order.
///
/// # Errors
/// When there is nothing, with what to do, or something that cannot be read.
pub fn inputs(args: &AuditArgs) -> anyhow::Result<Vec<Input>> {
    let inputs = if args.files.is_empty() { trail_of(&trail(args))? } else { named(args) };
    if inputs.is_empty() {
        bail!(nothing(args));
    }
    Ok(inputs)
}

/// The files that were named.
fn named(args: &AuditArgs) -> Vec<Input> {
    let input = |path: &PathBuf| if path.as_os_str() == "-" { Input::Stdin } else { Input::File(path.clone()) };
    args.files.iter().map(input).collect()
}

/// Says that there is no trail, with what to do.
pub fn nothing(args: &AuditArgs) -> String {
    let race = args.data_dir.join(RACE_TRAIL_FILE);
    let race = match race.try_exists() {
        Ok(true) if !args.race => format!("; the race demonstration's records are in {}: --race", race.display()),
        _ => String::new(),
    };
    format!("there is no {}; name a file, or the data folder with --data-dir{race}", trail(args).display())
}

/// The files of the trail that is written at `path`, which may be none. That one is opened first: if it is closed meanwhile,
/// it is among the closed ones, or was listed before it was; so every record up to now is read once.
///
/// # Errors
/// When something cannot be read.
pub fn trail_of(path: &Path) -> anyhow::Result<Vec<Input>> {
    let current = open_if_there(path).with_context(|| cannot_read(path))?;
    let mut closed = files::closed(path).unwrap_or_default();
    let is_closed = |closed: &Closed| current.as_ref().is_some_and(|open| leads_to(&closed.path, &open.file));
    let was_closed = closed.iter().any(is_closed);
    closed.retain(begins_as_named);
    let mut inputs: Vec<Input> = closed.into_iter().map(|closed| Input::Closed(closed.path)).collect();
    inputs.extend(current.filter(|_| !was_closed).map(Input::Open));
    Ok(inputs)
}

/// Whether it is a file that was closed, by what it begins with; of another one it is said that it is passed over.
fn begins_as_named(closed: &Closed) -> bool {
    let mut line = Vec::new();
    let Ok(mut file) = open_file(&closed.path) else { return true };
    // What cannot be read now will not be read later either, and that is said then.
    let _ = first_line(&mut file, &mut line);
    let begins = files::may_be_closed(closed.first, &line);
    if !begins {
        let name = closed.path.display().to_string();
        eprintln!(
            "sctec: {} begins before record {}, so it is not the trail's; passed over it",
            escaped(&name),
            closed.first
        );
    }
    begins
}

fn first_line(file: &mut File, line: &mut Vec<u8>) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    BufReader::new(file).take(LINE_MAX as u64).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(())
}

/// The first and the last record of a trail's file, if its first and its last line are records.
///
/// # Errors
/// When it cannot be read.
pub fn records_in(mut file: &File) -> io::Result<Option<(u64, u64)>> {
    /// More than a record has.
    const TAIL: u64 = 64 << 10;
    let mut ends = [Vec::new(), Vec::new()];
    let length = file.metadata()?.len();
    first_line(&mut file.try_clone()?, &mut ends[0])?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    file.take(TAIL).read_to_end(&mut ends[1])?;
    file.seek(SeekFrom::Start(0))?;
    let tail = ends[1].strip_suffix(b"\n").unwrap_or_default();
    let last = memchr::memrchr(b'\n', tail).map_or(tail, |end| &tail[end + 1..]);
    Ok(Link::of(&ends[0]).zip(Link::of(last)).map(|(first, last)| (first.seq, last.seq)))
}

impl Input {
    /// Its path; standard input has none.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdin => None,
            Self::File(path) | Self::Closed(path) | Self::Open(OpenFile { path, .. }) => Some(path),
        }
    }

    /// Its name, for people.
    pub fn name(&self) -> String {
        self.path().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
    }

    /// The file, opened if it was not; `None` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(self) -> anyhow::Result<Option<OpenFile>> {
        match self {
            Self::Stdin => Ok(None),
            Self::Open(open) => Ok(Some(open)),
            Self::Closed(path) => {
                let file = open_file(&path).with_context(|| cannot_read(&path))?;
                Ok(Some(OpenFile { path, file }))
            }
            // Whoever names a pipe may wait for what comes through it.
            Self::File(path) => {
                let file = File::open(&path).with_context(|| cannot_read(&path))?;
                Ok(Some(OpenFile { path, file }))
            }
        }
    }
}

impl OpenFile {
    /// Looks where the trail goes on that is written at `trail`, and of which this is a file. Ask when this one was read to
    /// its end, and read it to its end once more if the answer is not [`Next::Same`]: it may have grown before it was closed.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn next(&self, trail: &Path) -> io::Result<Next> {
        if leads_to(trail, &self.file) {
            return Ok(Next::Same);
        }
        let position = |closed: &[Closed]| closed.iter().position(|closed| leads_to(&closed.path, &self.file));
        let mut closed = files::closed(trail)?;
        let Some(mut at) = position(&closed) else {
            return Ok(match open_if_there(trail)? {
                // It may have been closed between the two looks.
                Some(_) if position(&files::closed(trail)?).is_some() => Next::NotYet,
                Some(open) => Next::Replaced(open),
                None => Next::NotYet,
            });
        };
        if at + 1 == closed.len() {
            let Some(open) = open_if_there(trail)? else { return Ok(Next::NotYet) };
            closed = files::closed(trail)?;
            let Some(again) = position(&closed) else { return Ok(Next::NotYet) };
            if again + 1 == closed.len() {
                return Ok(Next::Closed(open));
            }
            // Closed as well before it was opened here: the one in between comes first.
            at = again;
        }
        let path = closed.swap_remove(at + 1).path;
        Ok(Next::Closed(OpenFile { file: open_file(&path)?, path }))
    }
}

fn open_if_there(path: &Path) -> io::Result<Option<OpenFile>> {
    match open_file(path) {
        Ok(file) => Ok(Some(OpenFile { path: path.to_owned(), file })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens what should be a file, as all in a data folder should: opening a named pipe would wait for its writer.
///
/// # Errors
/// When it cannot be opened, or is something else.
pub fn open_file(path: &Path) -> io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() { File::open(path) } else { Err(io::Error::other(format!("it is {}, not a file", what(kind)))) }
}

fn what(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}
