//! The lock on `audit.lock`, whose holder is the exporter, and the fault that the holder reports to the other processes.
//!
//! The file has one line of a fixed length: the reason why the holder cannot write the trail, or spaces. Overwriting the
//! line needs no disk space, so it also works on a full disk.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::files::{FileId, private_no_link};

/// Bytes of the line, its break included.
const LENGTH: usize = 1024;

/// The lock, held until it is dropped.
pub struct ExporterLock {
    path: PathBuf,
    file: File,
    /// Which file that is.
    locked: FileId,
}

impl ExporterLock {
    /// Takes the lock of the trail at `trail`; `None` if another process holds it.
    pub fn try_take(trail: &Path) -> Result<Option<Self>, String> {
        let path = path_of(trail);
        let explain = |error: io::Error| format!("{}: {error}", path.display());
        let open = private_no_link().create(true).truncate(false).read(true).write(true).open(&path);
        let file = open.map_err(explain)?;
        match file.try_lock() {
            Ok(()) => {
                let locked = FileId::of(&file).map_err(explain)?;
                let lock = Self { path, file, locked };
                lock.tell(None);
                Ok(Some(lock))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(explain(error)),
        }
    }

    /// Whether the path still leads to the locked file. If not, another process may hold the lock on a new one.
    pub fn is_in_force(&self) -> bool {
        self.locked.is_at(&self.path)
    }

    /// Tells the other processes why the trail cannot be written. If this write fails, they see that no more records are
    /// exported.
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

/// Does the same without the lock object, for the thread that watches the lock holder's thread.
pub fn tell_at(trail: &Path, fault: &str) {
    if let Ok(file) = private_no_link().write(true).open(path_of(trail)) {
        let _ = file.write_all_at(&line(fault), 0);
    }
}

/// Why the holder of the lock cannot write the trail at `trail`, if it cannot.
pub fn told(trail: &Path) -> Option<String> {
    let mut text = String::new();
    private_no_link().read(true).open(path_of(trail)).ok()?.read_to_string(&mut text).ok()?;
    let fault = text.trim();
    (!fault.is_empty()).then(|| fault.to_owned())
}

/// Whether a service is writing the trail at `trail`: then it holds the lock.
pub fn is_written(trail: &Path) -> bool {
    let path = path_of(trail);
    // Opening a named pipe would wait for its other end.
    let lock = std::fs::metadata(&path)
        .and_then(|found| if found.is_file() { File::open(&path) } else { Err(io::ErrorKind::NotFound.into()) });
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The lock's file, beside the trail's.
pub fn path_of(trail: &Path) -> PathBuf {
    trail.with_extension("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_holds_the_lock_and_the_others_read_its_fault() {
        let folder = tempfile::tempdir().unwrap();
        let trail = folder.path().join("audit.jsonl");
        assert!(!is_written(&trail));
        let lock = ExporterLock::try_take(&trail).unwrap().unwrap();
        assert!(ExporterLock::try_take(&trail).unwrap().is_none() && is_written(&trail));
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
