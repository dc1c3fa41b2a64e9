//! How this program's own files are made, for its user alone; and facts that the file system tells: which file a path leads to,
//! and whether its name is on disk.
//!
//! A file that is open may lose its name: it is deleted, moved, or replaced by another one. Programs that write for weeks
//! (the log, the audit trail, the agenda, the coordinator's state) look for that.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The permissions of a file under any umask: its owner reads and writes it.
const FILE_MODE: u32 = 0o600;
/// Those of a folder.
const FOLDER_MODE: u32 = 0o700;

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

    /// What is at the path, if the path leads to this file. An open file stays the same, so its own identity need not be asked for again:
    /// this is one system call.
    pub fn found_at(self, path: &Path) -> Option<Metadata> {
        std::fs::metadata(path).ok().filter(|found| Self::from(found) == self)
    }

    /// Whether the path leads to this file.
    pub fn is_at(self, path: &Path) -> bool {
        self.found_at(path).is_some()
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Whether the path still leads to the open file.
pub fn leads_to(path: &Path, file: &File) -> bool {
    FileId::of(file).is_ok_and(|open| open.is_at(path))
}

/// To open one of our own files: if it has to be made, it is for this user alone.
#[cfg_attr(not(test), expect(clippy::disallowed_methods, reason = "here the permissions are set"))]
pub fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// The same for a file that is never behind a symbolic link; opening a link is an error.
pub fn private_no_link() -> OpenOptions {
    let mut options = private();
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Makes a file anew and opens it for writing. What an interrupted attempt has left at the path is removed, and nothing that stands
/// there is written to.
///
/// # Errors
/// The system's.
pub fn create_anew(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => private().write(true).create_new(true).open(path),
    }
}

/// Makes a folder for this user alone.
///
/// # Errors
/// The system's.
#[cfg_attr(not(test), expect(clippy::disallowed_methods, reason = "here the permissions are set"))]
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)
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
    fn what_is_made_is_its_users_alone_and_no_link_is_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        let [file, anew, inner, target, link] =
            ["file", "anew", "inner", "target", "link"].map(|name| folder.path().join(name));
        private().write(true).create(true).truncate(false).open(&file).unwrap();
        create_folder(&inner).unwrap();
        std::fs::write(&target, "kept").unwrap();
        for left in [None, Some("a file"), Some("a link")] {
            match left {
                Some("a file") => std::fs::write(&anew, "left").unwrap(),
                Some(_) => std::os::unix::fs::symlink(&target, &anew).unwrap(),
                None => {}
            }
            create_anew(&anew).unwrap();
            assert!(std::fs::symlink_metadata(&anew).unwrap().is_file() && mode(&anew) == 0o600, "{left:?}");
            assert_eq!(std::fs::read_to_string(&anew).unwrap(), "", "{left:?}");
            std::fs::remove_file(&anew).unwrap();
        }
        assert_eq!((mode(&file), mode(&inner)), (0o600, 0o700));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(private_no_link().write(true).create(true).truncate(true).open(&link).is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
    }

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
