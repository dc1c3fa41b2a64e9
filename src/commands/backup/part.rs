//! A backup that is being written. It has another name until it is whole, and a lock tells it from what an interrupted backup has left.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rust_i18n::t;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::files::{FileId, private_no_link, sync_parent};

/// What the name ends with while the backup is not whole.
const SUFFIX: &str = ".incompleta";

/// The unfinished file. It is removed when dropped, unless it was published.
pub struct Part {
    path: PathBuf,
    file: File,
    is_published: bool,
}

impl Part {
    /// Makes the file for a backup that will be `target`. What an interrupted backup has left under its name is removed.
    ///
    /// # Errors
    /// When it cannot be made, or another backup is being written there.
    pub fn begin(target: &Path) -> anyhow::Result<Self> {
        let mut name = OsString::from(target);
        name.push(SUFFIX);
        let path = PathBuf::from(name);
        let cannot = || t!("cannot write %{path}", path = path.display());
        if let Ok(left) = private_no_link().read(true).open(&path) {
            if is_locked(&left) {
                bail!(t!("another backup is being written to %{path}", path = path.display()));
            }
            std::fs::remove_file(&path).with_context(cannot)?;
        }
        let file = private_no_link().read(true).write(true).create_new(true).open(&path).with_context(cannot)?;
        // Nobody else locks a file that was made just now, and a file system without locks does no harm.
        let _ = file.try_lock();
        Ok(Self { path, file, is_published: false })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes its content durable, and returns its length.
    ///
    /// # Errors
    /// When that fails, or another file has its name.
    pub fn sync(&self) -> anyhow::Result<u64> {
        let synced = self.file.sync_all().and_then(|()| {
            let is_there = FileId::at(&self.path)? == FileId::of(&self.file)?;
            if is_there { Ok(self.file.metadata()?.len()) } else { Err(io::ErrorKind::NotFound.into()) }
        });
        synced.with_context(|| t!("cannot write %{path}", path = self.path.display()))
    }

    /// Gives it its name, which nothing may have.
    ///
    /// # Errors
    /// When that fails.
    pub fn publish(mut self, target: &Path) -> anyhow::Result<()> {
        rename_to_new(&self.path, target).with_context(|| t!("cannot write %{path}", path = target.display()))?;
        self.is_published = true;
        sync_parent(target).with_context(|| t!("cannot write %{path}", path = target.display()))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn is_locked(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Renames a file to a name that nothing has.
///
/// # Errors
/// The system's; also when something has that name.
pub fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // This file system cannot do it at once.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match std::fs::symlink_metadata(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => std::fs::rename(from, to),
        },
        renamed => renamed.map_err(io::Error::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_its_name_alone_and_is_gone_unless_it_was_published() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.db");
        let left = folder.path().join("a.db.incompleta");
        std::fs::write(&left, "an interrupted backup").unwrap();
        let part = Part::begin(&target).unwrap();
        assert_eq!(part.sync().unwrap(), 0);
        assert!(Part::begin(&target).is_err_and(|error| error.to_string().contains("another backup")));
        drop(part);
        assert!(!left.exists());
        Part::begin(&target).unwrap().publish(&target).unwrap();
        assert!(target.exists() && !left.exists());
        // Somebody else made a file of that name meanwhile.
        let part = Part::begin(&target).unwrap();
        assert!(part.publish(&target).is_err());
        assert!(!left.exists());
    }
}
