//! Where what an operator did is recorded: in the coordinator's log, durable before it is done.
//!
//! The file is opened by its name for each record. So one that was moved away or deleted meanwhile is made anew, and a
//! record never goes into a file that nobody will find.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The file.
#[derive(Clone, Debug)]
pub struct RecordFile {
    path: PathBuf,
}

/// A record that is not durable.
#[derive(Debug)]
pub struct NotRecorded {
    /// What the system says.
    pub error: io::Error,
    /// Whether the line stands there all the same, for now.
    pub stands: bool,
}

impl RecordFile {
    /// The file at `path`, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Adds a line and makes it durable. Blocks on the disk.
    ///
    /// # Errors
    /// When that is not sure.
    pub fn append(&self, line: &str) -> Result<(), NotRecorded> {
        let (mut file, is_new) = self.open().map_err(|error| NotRecorded { error, stands: false })?;
        // A line that another write left half written must not swallow this one.
        let start = if ends_a_line(&file).unwrap_or(true) { "" } else { "\n" };
        if let Err(error) = file.write_all(format!("{start}{line}\n").as_bytes()) {
            // Nor may a half of this one swallow the next; a disk that is full may refuse that too.
            let _ = file.write_all(b"\n");
            return Err(NotRecorded { error, stands: false });
        }
        self.make_durable(&file, is_new).map_err(|error| NotRecorded { error, stands: true })
    }

    fn open(&self) -> io::Result<(File, bool)> {
        let is_new = match std::fs::metadata(&self.path) {
            Ok(found) if found.is_file() => false,
            // A device or a pipe keeps nothing, and opening a pipe may never end.
            Ok(_) => return Err(io::Error::other("it is not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        Ok((OpenOptions::new().create(true).read(true).append(true).open(&self.path)?, is_new))
    }

    fn make_durable(&self, file: &File, is_new: bool) -> io::Result<()> {
        file.sync_all()?;
        if is_new && let Some(folder) = self.path.parent() {
            // An empty parent is the working folder.
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        if same_file(&file.metadata()?, &std::fs::metadata(&self.path)?) {
            Ok(())
        } else {
            Err(io::Error::other("it was replaced meanwhile"))
        }
    }
}

fn ends_a_line(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(true) };
    let mut byte = [0; 1];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
}

/// Whether two looks were at one file.
pub fn same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_of_its_own_in_the_file_that_is_there_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = RecordFile::new(path.clone());
        std::fs::write(&path, "half a line").unwrap();
        file.append("one").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "half a line\none\n");
        std::fs::rename(&path, folder.path().join("away")).unwrap();
        file.append("two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn what_keeps_nothing_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for target in ["/dev/full", "/dev/null", "/", "/nowhere/at/all"] {
            let path = folder.path().join("link");
            let _ = std::fs::remove_file(&path);
            std::os::unix::fs::symlink(target, &path).unwrap();
            assert!(!RecordFile::new(path).append("one").unwrap_err().stands, "{target}");
        }
    }
}
