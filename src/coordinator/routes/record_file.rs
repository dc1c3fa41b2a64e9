//! The records of operators' orders, in the coordinator's log: each is durable before its order is carried out.
//!
//! The file is opened by its name for each record. If it was moved or deleted meanwhile, a new one is made, so no record goes
//! into a file without a name.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::files::{leads_to, private, sync_parent};

/// The file.
#[derive(Clone, Debug)]
pub struct RecordFile {
    path: PathBuf,
}

/// A record that is not durable.
#[derive(Debug)]
pub struct NotRecorded {
    /// The system's error.
    pub error: io::Error,
    /// Whether the line may be in the file all the same.
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
        let text = format!("{start}{line}\n");
        if let Err((written, error)) = write_all(&mut file, text.as_bytes()) {
            // Nor may a half of this one swallow the next; a disk that is full may refuse that too.
            let _ = file.write_all(b"\n");
            // All but the line break may be there: the next line begins with one.
            return Err(NotRecorded { error, stands: written + 1 >= text.len() });
        }
        self.make_durable(&file, is_new).map_err(|error| NotRecorded { error, stands: true })
    }

    fn open(&self) -> io::Result<(File, bool)> {
        let is_new = match std::fs::metadata(&self.path) {
            Ok(found) if found.is_file() => false,
            // A device or a pipe keeps nothing, and opening a pipe may never end.
            Ok(_) => return Err(io::Error::other("não é um arquivo comum")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        Ok((private().create(true).read(true).append(true).open(&self.path)?, is_new))
    }

    fn make_durable(&self, file: &File, is_new: bool) -> io::Result<()> {
        file.sync_all()?;
        if is_new {
            sync_parent(&self.path)?;
        }
        if leads_to(&self.path, file) { Ok(()) } else { Err(io::Error::other("foi trocado enquanto se escrevia")) }
    }
}

/// Writes all of `bytes`.
///
/// # Errors
/// With how many of them were written.
fn write_all(mut to: impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match to.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

fn ends_a_line(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(true) };
    let mut byte = [0; 1];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
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
    fn a_failed_write_says_how_much_of_it_is_there() {
        let mut room = [0; 4];
        assert_eq!(write_all(&mut room[..], b"line\n").unwrap_err().0, 4);
        assert!(write_all(&mut room[..], b"line").is_ok());
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
