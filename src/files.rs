//! Facts about files that the file system tells: which file a path leads to, and whether its name is on disk.
//!
//! A file that is open may lose its name: it is deleted, moved, or replaced by another one. Programs that write for weeks
//! (the log, the audit trail, the agenda, the coordinator's state) look for that.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Which file it is under all its names: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that the path leads to, through symbolic links.
    ///
    /// # Errors
    /// The system's, when the path leads nowhere.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&std::fs::metadata(path)?))
    }

    /// The open file.
    ///
    /// # Errors
    /// The system's.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Whether the path still leads to the open file.
pub fn leads_to(path: &Path, file: &File) -> bool {
    matches!((FileId::of(file), FileId::at(path)), (Ok(open), Ok(named)) if open == named)
}

/// Makes the name of a file or folder durable, by an fsync of the folder above it. The fsync of a file makes its content
/// durable, but not its name.
///
/// # Errors
/// The system's.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_a_file_until_another_has_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        let file = File::create(&path).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(leads_to(&path, &file) && leads_to(&link, &file));
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        assert!(!leads_to(&path, &file));
        File::create(&path).unwrap();
        assert!(!leads_to(&path, &file) && !leads_to(&link, &file));
        assert!(leads_to(&folder.path().join("moved"), &file));
    }
}
