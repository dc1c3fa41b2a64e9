//! A log's file: appended to, made anew when it was moved away, and rotated when it is full.
//!
//! Several processes may write one file (two schedulers on a folder). Each appends whole lines with one call. A process that
//! finds the file full takes the file's own lock, checks that the path still leads to the file, and renames it. The other
//! processes then see that the path leads to another file, and open that one. The lines that they write until then are whole,
//! and are in the renamed file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use slog::Level;

use super::line::{Format, note};
use crate::files::leads_to;
use crate::time::Timestamp;

/// The rotated files that are kept: `app.log.1`, the newest, to `app.log.5`.
const KEPT: usize = 5;
/// The pause after a failed rotation.
const ROTATE_RETRY: Duration = Duration::from_secs(1);

/// A request to open the log's file again, shared by its clones.
#[derive(Clone, Debug, Default)]
pub struct Reopen(Arc<AtomicU64>);

impl Reopen {
    /// Asks for it. The file is opened again within a second.
    pub fn ask(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many times it was asked for.
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The open file, and the lines that were lost.
pub struct LogFile {
    path: PathBuf,
    output: File,
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
}

impl LogFile {
    /// Opens the file at `path` for appending. It is rotated at `rotate_mb` megabytes, or never if that is 0.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, format: Format, rotate_mb: u64, reopen: Reopen) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            output: OpenOptions::new().create(true).append(true).open(path)?,
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
        })
    }

    /// Opens the file again if its path does not lead to it any more, or if that was asked for. To be called often, also when
    /// there is nothing to write.
    pub fn look_after(&mut self) {
        let asked = self.reopen.count();
        if self.is_at_its_path() && asked == self.reopened {
            return;
        }
        self.reopened = asked;
        self.open_again();
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
        self.look_after();
        while !lines.is_empty() {
            let (now, later) = lines.split_at(self.rotate_bytes.map_or(lines.len(), |limit| within(lines, limit)));
            self.make_room(now.len() as u64);
            self.append(now, at);
            lines = later;
        }
    }

    fn is_at_its_path(&self) -> bool {
        leads_to(&self.path, &self.output)
    }

    /// Opens the file at the path, or makes it. If that fails, the old file stays open: if it was only moved, no line is lost.
    fn open_again(&mut self) {
        match open_at_once(&self.path) {
            Ok(output) => {
                self.output = output;
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

    /// Rotates the file if `bytes` more would not fit.
    fn make_room(&mut self, bytes: u64) {
        let Some(limit) = self.rotate_bytes else { return };
        let Ok(metadata) = self.output.metadata() else { return };
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
        self.write_all(&[new_line, &lost, lines].concat())
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
    let file = OpenOptions::new().create(true).append(true).custom_flags(nonblocking).open(path)?;
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
mod tests {
    use super::*;

    fn text(folder: &Path, name: &str) -> String {
        std::fs::read_to_string(folder.join(name)).unwrap_or_default()
    }

    /// A file that is rotated at `bytes`.
    fn log_file(folder: &Path, bytes: u64) -> LogFile {
        let file = LogFile::open(&folder.join("app.log"), Format::Text, 1, Reopen::default()).unwrap();
        LogFile { rotate_bytes: Some(bytes), ..file }
    }

    #[test]
    fn a_full_file_is_rotated_and_five_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = log_file(folder.path(), 10);
        for number in 0..8 {
            file.write(format!("{number} line\n").as_bytes(), Timestamp::MIN);
        }
        assert_eq!(text(folder.path(), "app.log"), "7 line\n");
        for number in 1..=KEPT {
            assert_eq!(text(folder.path(), &format!("app.log.{number}")), format!("{} line\n", 7 - number));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), KEPT + 1);
    }

    #[test]
    fn no_line_is_split_however_long() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = log_file(folder.path(), 10);
        file.write(b"a\nbb\nccccccccccccccccccccccc\nd\ne\n", Timestamp::MIN);
        assert_eq!(text(folder.path(), "app.log.2"), "a\nbb\n");
        assert_eq!(text(folder.path(), "app.log.1"), "ccccccccccccccccccccccc\n");
        assert_eq!(text(folder.path(), "app.log"), "d\ne\n");
    }

    #[test]
    fn of_two_writers_one_rotates_and_both_go_on_in_the_next_file() {
        let folder = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (log_file(folder.path(), 12), log_file(folder.path(), 12));
        one.write(b"one 1\n", Timestamp::MIN);
        other.write(b"other 1\n", Timestamp::MIN);
        assert_eq!(text(folder.path(), "app.log.1"), "one 1\n");
        one.write(b"1 2\n", Timestamp::MIN);
        assert_eq!(text(folder.path(), "app.log"), "other 1\n1 2\n");
        // The other has the file's lock: this one goes on writing, and closes the file the next time.
        other.output.lock().unwrap();
        one.write(b"one 3\n", Timestamp::MIN);
        assert_eq!(text(folder.path(), "app.log"), "other 1\n1 2\none 3\n");
        other.output.unlock().unwrap();
        one.write(b"one 4\n", Timestamp::MIN);
        assert_eq!(text(folder.path(), "app.log"), "one 4\n");
        assert_eq!(text(folder.path(), "app.log.1"), "other 1\n1 2\none 3\n");
    }

    #[test]
    fn writers_at_once_lose_and_split_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                // So few closings that none of the closed files goes.
                let mut file = log_file(folder.path(), 8000);
                std::thread::spawn(move || {
                    for line in 0..500 {
                        file.write(format!("writer {writer} line {line:04}\n").as_bytes(), Timestamp::MIN);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let mut lines: Vec<String> = Vec::new();
        for name in ["app.log", "app.log.1", "app.log.2", "app.log.3", "app.log.4", "app.log.5"] {
            lines.extend(text(folder.path(), name).lines().map(str::to_owned));
        }
        lines.sort_unstable();
        let all = (0..4).flat_map(|writer| (0..500).map(move |line| format!("writer {writer} line {line:04}")));
        assert!(lines.iter().cloned().eq(all), "{} lines", lines.len());
    }

    #[test]
    fn a_file_that_was_moved_is_made_anew() {
        // carbon #197, monero #8259: the log was never opened again.
        let folder = tempfile::tempdir().unwrap();
        let (at, away) = (folder.path().join("app.log"), folder.path().join("app.log.old"));
        let mut file = log_file(folder.path(), 1000);
        file.write(b"before\n", Timestamp::MIN);
        std::fs::rename(&at, &away).unwrap();
        file.look_after();
        assert_eq!(text(folder.path(), "app.log"), "");
        assert!(at.exists());
        file.write(b"after\n", Timestamp::MIN);
        assert_eq!(
            (text(folder.path(), "app.log.old").as_str(), text(folder.path(), "app.log").as_str()),
            ("before\n", "after\n")
        );
        std::fs::remove_file(&at).unwrap();
        file.write(b"again\n", Timestamp::MIN);
        assert_eq!(text(folder.path(), "app.log"), "again\n");
    }

    #[test]
    fn lines_are_kept_in_a_moved_folder_and_counted_as_lost_in_a_deleted_one() {
        let folder = tempfile::tempdir().unwrap();
        let (home, away) = (folder.path().join("home"), folder.path().join("away"));
        std::fs::create_dir(&home).unwrap();
        let mut file = log_file(&home, 1000);
        std::fs::rename(&home, &away).unwrap();
        file.write(b"in the old one\n", Timestamp::MIN);
        assert_eq!(text(&away, "app.log"), "in the old one\n");
        std::fs::remove_dir_all(&away).unwrap();
        file.write(b"lost\nlost too\n", Timestamp::MIN);
        std::fs::create_dir(&home).unwrap();
        file.write(b"back\n", Timestamp::MIN);
        let lines = text(&home, "app.log");
        let lines: Vec<&str> = lines.lines().collect();
        assert!(
            lines.len() == 2
                && lines[0] == "ERROR:1970-01-01T00:00:00.000Z:log:2 linhas perdidas us=000"
                && lines[1] == "back",
            "{lines:?}"
        );
    }

    #[test]
    fn the_file_is_opened_again_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = log_file(folder.path(), 1000);
        file.reopen.ask();
        file.look_after();
        assert!(file.was_reopened());
        file.look_after();
        assert!(!file.was_reopened());
    }

    #[test]
    fn a_symbolic_link_stays_and_its_target_is_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("real.log"), folder.path().join("app.log")).unwrap();
        let mut file = log_file(folder.path(), 10);
        file.write(b"1 line\n", Timestamp::MIN);
        file.write(b"2 line\n", Timestamp::MIN);
        assert!(folder.path().join("app.log").is_symlink());
        assert_eq!(
            (text(&elsewhere, "real.log.1").as_str(), text(&elsewhere, "real.log").as_str()),
            ("1 line\n", "2 line\n")
        );
    }
}
