//! A log's file: appended to, made anew when it was moved away, and rotated when it is full.
//!
//! Several processes may write one file (two schedulers on a folder). Each appends whole lines with one call. A process that
//! finds the file full takes the file's own lock, checks that the path still leads to the file, and renames it. The other
//! processes then see that the path leads to another file, and open that one. The lines that they write until then are whole,
//! and are in the renamed file.

use std::ffi::OsString;
use std::fmt::{self, Debug};
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use slog::Level;

use super::line::{Format, note};
use crate::files::{FileId, private};
use crate::stirring::Stirring;
use crate::time::Timestamp;

/// The rotated files that are kept: `app.log.1`, the newest, to `app.log.5`.
const KEPT: usize = 5;
/// The pause after a failed rotation.
const ROTATE_RETRY: Duration = Duration::from_secs(1);

/// A request to open the log's file again, shared by its clones.
#[derive(Clone, Default)]
pub struct Reopen(Arc<Requests>);

#[derive(Default)]
struct Requests {
    count: AtomicU64,
    /// The writers that carry a request out, except those that have ended. A std lock, held to add a writer or to tell them.
    told: Mutex<Vec<Tell>>,
}

/// Tells somebody that it was asked for. False if there is nobody any more.
type Tell = Box<dyn Fn() -> bool + Send>;

impl Reopen {
    /// Asks for it. The file is opened again at once.
    pub fn ask(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        self.told().retain(|tell| tell());
    }

    /// How many times it was asked for.
    fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    fn told(&self) -> MutexGuard<'_, Vec<Tell>> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Reopen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reopen").field(&self.count()).finish()
    }
}

/// The open file, and the lines that were lost.
pub struct LogFile {
    path: PathBuf,
    output: File,
    /// Which file that is.
    identity: FileId,
    format: Format,
    rotate_bytes: Option<u64>,
    reopen: Reopen,
    /// The requests to open it again that were carried out.
    reopened: u64,
    /// Those of them that were told of.
    told: u64,
    /// Whether the last write failed.
    failing: bool,
    lost_lines: usize,
    /// Whether the last write stopped inside a line.
    torn: bool,
    /// Whether the path could not be opened, which was reported.
    misplaced: bool,
    /// When a rotation failed.
    rotation_failed: Option<Instant>,
    /// Tells when something happens to the file at the path.
    stirring: Option<Stirring>,
}

impl LogFile {
    /// Opens the file at `path` for appending. It is rotated at `rotate_mb` megabytes, or never if that is 0.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, format: Format, rotate_mb: u64, reopen: Reopen) -> io::Result<Self> {
        let output = private().create(true).append(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            identity: FileId::of(&output)?,
            output,
            format,
            rotate_bytes: (rotate_mb > 0).then(|| rotate_mb.saturating_mul(1_000_000)),
            reopened: reopen.count(),
            told: reopen.count(),
            reopen,
            failing: false,
            lost_lines: 0,
            torn: false,
            misplaced: false,
            rotation_failed: None,
            stirring: None,
        })
    }

    /// From now on calls `wake` each time that the file has to be looked after. It gives false when that is not wanted any more.
    pub fn tell(&mut self, wake: impl Fn() -> bool + Clone + Send + Sync + 'static) {
        self.reopen.told().push(Box::new(wake.clone()));
        self.stirring = Some(Stirring::of(&self.path, move || {
            wake();
        }));
    }

    /// Whether it is told when the file has to be looked after. If not, it is to be looked after again and again.
    pub fn is_told(&self) -> bool {
        !self.misplaced && self.stirring.as_ref().is_some_and(Stirring::is_told)
    }

    /// Opens the file again if its path does not lead to it any more, or if that was asked for. To be called often, also when
    /// there is nothing to write.
    pub fn look_after(&mut self) {
        self.look();
    }

    /// The same. Gives what was found at the path, if that is the file.
    fn look(&mut self) -> Option<Metadata> {
        let asked = self.reopen.count();
        let found = self.identity.found_at(&self.path).filter(|_| asked == self.reopened);
        if found.is_none() {
            self.reopened = asked;
            self.open_again();
        }
        found
    }

    /// Whether the file was opened again by request since the last call.
    pub fn was_reopened(&mut self) -> bool {
        let was = self.told != self.reopened && !self.misplaced;
        if was {
            self.told = self.reopened;
        }
        was
    }

    /// Appends whole lines, of which the first was made at `at`.
    pub fn write(&mut self, mut lines: &[u8], at: Timestamp) {
        let mut found = self.look();
        while !lines.is_empty() {
            let (now, later) = lines.split_at(self.rotate_bytes.map_or(lines.len(), |limit| within(lines, limit)));
            self.make_room(now.len() as u64, found.take());
            self.append(now, at);
            lines = later;
        }
    }

    fn is_at_its_path(&self) -> bool {
        self.identity.is_at(&self.path)
    }

    /// Opens the file at the path, or makes it. If that fails, the old file stays open: if it was only moved, no line is lost.
    fn open_again(&mut self) {
        match open_at_once(&self.path).and_then(|output| Ok((FileId::of(&output)?, output))) {
            Ok((identity, output)) => {
                (self.identity, self.output) = (identity, output);
                (self.misplaced, self.torn) = (false, false);
            }
            Err(error) => {
                if !self.misplaced {
                    self.say("open", &error);
                }
                self.misplaced = true;
            }
        }
    }

    /// Rotates the file if `bytes` more would not fit. `found` is the file as it was found a moment ago, if it was.
    fn make_room(&mut self, bytes: u64, found: Option<Metadata>) {
        let Some(limit) = self.rotate_bytes else { return };
        let Some(metadata) = found.or_else(|| self.output.metadata().ok()) else { return };
        // A terminal or a pipe has no size, and an empty file is not rotated.
        if !metadata.is_file() || metadata.len() == 0 || metadata.len().saturating_add(bytes) <= limit {
            return;
        }
        if self.rotation_failed.is_some_and(|at| at.elapsed() < ROTATE_RETRY) {
            return;
        }
        match self.rotate() {
            Ok(()) => self.rotation_failed = None,
            Err(error) => {
                if self.rotation_failed.is_none() {
                    self.say("rotate", &error);
                }
                self.rotation_failed = Some(Instant::now());
            }
        }
    }

    /// Renames the file and opens the next one, unless another process is doing so.
    fn rotate(&mut self) -> io::Result<()> {
        match self.output.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Another process may have rotated the file while it had the lock.
        let moved = if self.is_at_its_path() { move_along(&self.path) } else { Ok(()) };
        let unlocked = self.output.unlock();
        moved?;
        unlocked?;
        self.open_again();
        Ok(())
    }

    /// Appends lines. A failure (a full disk) is reported once on standard error; lost lines are counted, and the count is
    /// written to the file when it can be written again.
    fn append(&mut self, lines: &[u8], at: Timestamp) {
        match self.try_append(lines, at) {
            Ok(()) => {
                self.failing = false;
                self.lost_lines = 0;
            }
            Err(error) => {
                if !self.failing {
                    self.say("write", &error);
                }
                self.failing = true;
                self.lost_lines += memchr::memchr_iter(b'\n', lines).count();
            }
        }
    }

    fn try_append(&mut self, lines: &[u8], at: Timestamp) -> io::Result<()> {
        if self.misplaced && self.output.metadata()?.nlink() == 0 {
            return Err(io::Error::other("the file was deleted, and no other can be made there"));
        }
        if self.lost_lines == 0 {
            return self.write_all(lines);
        }
        let lost = note(self.format, Level::Error, at, &format!("{} linhas perdidas", self.lost_lines));
        let new_line: &[u8] = if self.torn { b"\n" } else { b"" };
        self.write_all(&[new_line, lost.as_bytes(), lines].concat())
    }

    /// Like `write_all`, but notes whether it stopped inside a line.
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.output.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.torn = bytes[count - 1] != b'\n';
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reports a failure of the log on standard error, which may be closed.
    fn say(&self, what: &str, error: &io::Error) {
        let _ = writeln!(io::stderr(), "sctec: cannot {what} the log {}: {error}", self.path.display());
    }
}

/// Opens the file at the path. A pipe without a reader is an error, and does not block.
fn open_at_once(path: &Path) -> io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = private().create(true).append(true).custom_flags(nonblocking).open(path)?;
    // Writes block again.
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

/// The length of the whole lines that fit in `limit`; at least one line.
fn within(lines: &[u8], limit: u64) -> usize {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if lines.len() <= limit {
        return lines.len();
    }
    match memchr::memrchr(b'\n', &lines[..limit]) {
        Some(end) => end + 1,
        None => memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1),
    }
}

/// Renames `app.log` to `app.log.1`, that one to `app.log.2` and so on. The oldest is overwritten.
fn move_along(path: &Path) -> io::Result<()> {
    // A symbolic link stays; the file that it leads to is renamed.
    let file = path.canonicalize()?;
    let closed = |number: usize| {
        let mut name = OsString::from(&file);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..KEPT).rev() {
        match std::fs::rename(closed(number), closed(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(&file, closed(1))
}

#[cfg(test)]
mod tests;
