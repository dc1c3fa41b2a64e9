//! The inputs of a search: named files, standard input, or the trail of a data folder. The trail may grow and be rotated while it
//! is read.

use std::fs::{File, FileType};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rust_i18n::t;

use super::args::AuditArgs;
use super::reading::cannot_read;
use super::source::Source;
use crate::audit::RACE_TRAIL_FILE;
use crate::audit::chain::Link;
use crate::audit::files::{self, Closed};
use crate::audit::shape::LINE_MAX;
use crate::commands::output::tell;
use crate::files::leads_to;

/// One input.
pub enum Input {
    /// Standard input.
    Stdin,
    /// A named file.
    File(PathBuf),
    /// The data folder's current file.
    Open(OpenFile),
    /// One of the data folder's closed files.
    Closed(PathBuf),
}

/// An open file, and its path when it was opened.
pub struct OpenFile {
    /// Its path.
    pub path: PathBuf,
    /// The file.
    pub file: File,
    /// Whether it is one of the data folder's trail, so that each of its lines should be a record.
    pub is_trail: bool,
}

/// The state of the trail after a file was read to its end.
pub enum Next {
    /// The file is still the current one.
    Same,
    /// The file was closed, and this is the next file of the trail.
    Closed(OpenFile),
    /// The file was closed, and the next file does not exist yet.
    NotYet,
    /// The file was replaced by another one with the same name.
    Replaced(OpenFile),
}

/// The inputs in order; at least one.
pub fn inputs(args: &AuditArgs) -> anyhow::Result<Vec<Input>> {
    let inputs = there(args)?;
    if inputs.is_empty() {
        bail!(nothing(args));
    }
    Ok(inputs)
}

/// The inputs in order; perhaps none yet.
pub fn there(args: &AuditArgs) -> anyhow::Result<Vec<Input>> {
    if args.files.is_empty() { trail_of(&args.trail()) } else { Ok(named(args)) }
}

/// The message about a closed file in a form that sctec cannot read.
pub fn unread(closed: &Closed) -> String {
    let name = closed.path.display();
    t!("cannot read %{name}; decompress it first: the only compression that sctec reads is gzip", name = name)
        .into_owned()
}

/// The named files.
fn named(args: &AuditArgs) -> Vec<Input> {
    let input = |path: &PathBuf| if path.as_os_str() == "-" { Input::Stdin } else { Input::File(path.clone()) };
    args.files.iter().map(input).collect()
}

/// The message that there is no trail.
fn nothing(args: &AuditArgs) -> String {
    let race = args.folder().join(RACE_TRAIL_FILE);
    let trail = args.trail();
    let name = trail.display();
    match race.try_exists() {
        Ok(true) if !args.race => t!(
            "there is no %{name}; name a file, or the data folder with --data-dir; to read the records of the race demonstration, \
             in %{race}, add --race",
            name = name,
            race = race.display()
        ),
        _ => t!("there is no %{name}; name a file, or the data folder with --data-dir", name = name),
    }
    .into_owned()
}

/// The files of the trail whose current file is `path`; there may be none.
///
/// The current file is opened before the closed files are listed. If it is closed in between, it is found in the list and is not
/// read twice. So every record up to now is read once.
///
/// # Errors
/// When something cannot be read.
pub fn trail_of(path: &Path) -> anyhow::Result<Vec<Input>> {
    let current = open_if_there(path).with_context(|| cannot_read(path))?;
    let mut closed = files::closed_or_gzipped(path).unwrap_or_default();
    let is_closed = |closed: &Closed| current.as_ref().is_some_and(|open| leads_to(&closed.path, &open.file));
    let was_closed = closed.iter().any(is_closed);
    closed.retain(begins_as_named);
    let mut inputs: Vec<Input> = closed.into_iter().map(|closed| Input::Closed(closed.path)).collect();
    let current = current.filter(|_| !was_closed);
    inputs.extend(current.map(|open| Input::Open(OpenFile { is_trail: true, ..open })));
    Ok(inputs)
}

/// Whether the first record of a closed file fits its name. If it does not, the file is not read, and a message says so.
fn begins_as_named(closed: &Closed) -> bool {
    // If it cannot be read now, the search reports that when it reads the file.
    let Ok(line) = open_file(&closed.path).and_then(first_line) else { return true };
    let begins = files::may_be_closed(closed.first, &line);
    if !begins {
        tell(t!(
            "%{name} begins before record %{seq}, so it is not a file of the trail; sctec skipped it",
            name = closed.path.display(),
            seq = closed.first
        ));
    }
    begins
}

/// The first line of `file`, decompressed if necessary, without its line break.
fn first_line(file: impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(Source::of(file)?).take(LINE_MAX as u64).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}

/// Reads a file from `offset` on and leaves the file's own position unchanged.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// The number of the first record of a regular file, if its first line is a record.
pub fn first_record(file: &File) -> io::Result<Option<u64>> {
    // A compressed file that ends or is damaged within its first line has no first record; the search reports the damage.
    let line = first_line(At { file, offset: 0 }).or_else(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Ok(Vec::new()),
        _ => Err(error),
    })?;
    Ok(Link::of(&line).map(|link| link.seq))
}

/// The number of the last record of a regular file that is not compressed, if its last line is a record.
pub fn last_record(mut file: &File) -> io::Result<Option<u64>> {
    /// Longer than any record.
    const TAIL: u64 = 64 << 10;
    let mut tail = Vec::new();
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    file.take(TAIL).read_to_end(&mut tail)?;
    file.seek(SeekFrom::Start(0))?;
    let tail = tail.strip_suffix(b"\n").unwrap_or_default();
    let last = memchr::memrchr(b'\n', tail).map_or(tail, |end| &tail[end + 1..]);
    Ok(Link::of(last).map(|link| link.seq))
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
        self.path().map_or_else(|| t!("standard input").into_owned(), |path| path.display().to_string())
    }

    /// Opens the file, if it is not open yet; `None` for standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(self) -> anyhow::Result<Option<OpenFile>> {
        match self {
            Self::Stdin => Ok(None),
            Self::Open(open) => Ok(Some(open)),
            Self::Closed(path) => {
                let file = open_file(&path).with_context(|| cannot_read(&path))?;
                Ok(Some(OpenFile { path, file, is_trail: true }))
            }
            Self::File(path) => {
                let file = open_named(&path).with_context(|| cannot_read(&path))?;
                Ok(Some(OpenFile { path, file, is_trail: false }))
            }
        }
    }
}

impl OpenFile {
    /// Whether it is a regular file, and no pipe or terminal.
    pub fn is_regular(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.is_file())
    }

    /// Finds the file that follows this one in the trail whose current file is `trail`. To be called when this file was read to
    /// its end. If the result is not [`Next::Same`], this file must be read to its end once more: it may have grown before it
    /// was closed.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn next(&self, trail: &Path) -> io::Result<Next> {
        if leads_to(trail, &self.file) {
            return Ok(Next::Same);
        }
        let mut closed = files::closed_or_gzipped(trail)?;
        let Some(mut at) = self.among(&closed)? else {
            return Ok(match open_if_there(trail)? {
                // This file may have been closed after the closed files were listed.
                Some(_) if self.among(&files::closed_or_gzipped(trail)?)?.is_some() => Next::NotYet,
                Some(open) => Next::Replaced(OpenFile { is_trail: self.is_trail, ..open }),
                None => Next::NotYet,
            });
        };
        if at + 1 == closed.len() {
            let Some(open) = open_if_there(trail)? else { return Ok(Next::NotYet) };
            closed = files::closed_or_gzipped(trail)?;
            let Some(again) = self.among(&closed)? else { return Ok(Next::NotYet) };
            if again + 1 == closed.len() {
                return Ok(Next::Closed(OpenFile { is_trail: self.is_trail, ..open }));
            }
            // The next file was closed too before `open` was opened: it comes first.
            at = again;
        }
        let path = closed.swap_remove(at + 1).path;
        Ok(Next::Closed(OpenFile { file: open_file(&path)?, path, is_trail: self.is_trail }))
    }

    /// The position of this file among the closed ones. If it was compressed since, it is found by the first record in its name.
    fn among(&self, closed: &[Closed]) -> io::Result<Option<usize>> {
        let it = closed.iter().position(|closed| leads_to(&closed.path, &self.file));
        if it.is_some() {
            return Ok(it);
        }
        let first = first_record(&self.file)?;
        Ok(closed.iter().position(|closed| Some(closed.first) == first && files::is_gzipped(&closed.path)))
    }
}

/// Opens a file that the user named. A named pipe is allowed: the command then waits for its data. A device other than a terminal
/// is refused, because most devices never end.
fn open_named(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    let is_device = kind.is_char_device() || kind.is_block_device();
    if is_device && !file.is_terminal() {
        return Err(not_a_file(kind));
    }
    Ok(file)
}

/// Opens a file of a data folder, if it exists.
///
/// # Errors
/// When it cannot be opened, or is not a regular file.
pub fn open_if_there(path: &Path) -> io::Result<Option<OpenFile>> {
    match open_file(path) {
        Ok(file) => Ok(Some(OpenFile { path: path.to_owned(), file, is_trail: false })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a regular file and refuses everything else. Opening a named pipe would wait for its writer.
///
/// # Errors
/// When it cannot be opened, or is not a regular file.
pub fn open_file(path: &Path) -> io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() { File::open(path) } else { Err(not_a_file(kind)) }
}

fn not_a_file(kind: FileType) -> io::Error {
    let text = match kind {
        kind if kind.is_dir() => t!("it is a folder, not a file"),
        kind if kind.is_fifo() => t!("it is a named pipe, not a file"),
        kind if kind.is_socket() => t!("it is a socket, not a file"),
        _ => t!("it is a device, not a file"),
    };
    io::Error::other(text)
}
