//! Who the exporter is: the holder of a lock on `audit.lock`; and what the others have to know from it.
//!
//! The file has one line of a fixed length, which the holder writes over: why it cannot write the trail, or nothing. Writing
//! over what is there takes no room, so it works on a full disk too.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::files::leads_to;

/// Bytes of the line, its break included.
const LENGTH: usize = 1024;

/// The lock, held until it is dropped.
pub struct ExporterLock {
    path: PathBuf,
    file: File,
}

impl ExporterLock {
    /// Takes the lock of the trail at `trail`, if nobody has it.
    ///
    /// # Errors
    /// In words, when the file cannot be opened or locked.
    pub fn try_take(trail: &Path) -> Result<Option<Self>, String> {
        let path = path_of(trail);
        let explain = |error: io::Error| format!("{}: {error}", path.display());
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let file = open.map_err(explain)?;
        match file.try_lock() {
            Ok(()) => {
                let lock = Self { path, file };
                lock.tell(None);
                Ok(Some(lock))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(explain(error)),
        }
    }

    /// Whether it still says who the exporter is: someone may have deleted the file, and another process may hold a new one.
    pub fn is_in_force(&self) -> bool {
        leads_to(&self.path, &self.file)
    }

    /// Tells the others why the trail cannot be written. If that cannot be told, they find out by the records that do not
    /// come.
    pub fn tell(&self, fault: Option<&str>) {
        let _ = self.file.write_all_at(&line(fault.unwrap_or_default()), 0);
    }
}

/// The file's line that says `fault`.
fn line(fault: &str) -> Vec<u8> {
    let mut line = String::with_capacity(LENGTH);
    for c in fault.chars().filter(|c| !c.is_control()) {
        if line.len() + c.len_utf8() >= LENGTH {
            break;
        }
        line.push(c);
    }
    let mut line = line.into_bytes();
    line.resize(LENGTH - 1, b' ');
    line.push(b'\n');
    line
}

/// Tells the others why the trail at `trail` cannot be written, for the holder of the lock, which is busy.
pub fn tell_at(trail: &Path, fault: &str) {
    if let Ok(file) = OpenOptions::new().write(true).open(path_of(trail)) {
        let _ = file.write_all_at(&line(fault), 0);
    }
}

/// What the holder of the lock last told: why it cannot write the trail at `trail`, if it cannot.
pub fn told(trail: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path_of(trail)).ok()?;
    let fault = text.trim();
    (!fault.is_empty()).then(|| fault.to_owned())
}

fn path_of(trail: &Path) -> PathBuf {
    trail.with_extension("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_and_the_others_read_why_it_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let trail = folder.path().join("audit.jsonl");
        let lock = ExporterLock::try_take(&trail).unwrap().unwrap();
        assert!(ExporterLock::try_take(&trail).unwrap().is_none());
        assert_eq!(told(&trail), None);
        lock.tell(Some("disco\ncheio"));
        assert_eq!(told(&trail).as_deref(), Some("discocheio"));
        lock.tell(Some(&"é".repeat(LENGTH)));
        assert_eq!(told(&trail).unwrap().chars().count(), (LENGTH - 1) / 2);
        lock.tell(None);
        assert_eq!(told(&trail), None);
        assert_eq!(std::fs::metadata(path_of(&trail)).unwrap().len(), LENGTH as u64);

        assert!(lock.is_in_force());
        std::fs::remove_file(path_of(&trail)).unwrap();
        assert!(!lock.is_in_force());
        let next = ExporterLock::try_take(&trail).unwrap().unwrap();
        assert!(next.is_in_force() && !lock.is_in_force());
    }
}
