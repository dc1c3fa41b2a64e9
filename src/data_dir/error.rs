//! Why a data folder cannot be used, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use rust_i18n::t;

use crate::language::io_message;

/// Why the data folder or a file in it cannot be used. Only a person at the command line reads it, at the start of a service, so it is in the language of
/// the process.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The system refuses.
    #[error("{}", t!("cannot write %{path}: %{reason}; check the folder's permissions and free space, or choose another data folder (on the command line: --data-dir)", path = path.display(), reason = reason))]
    Access {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A file stands where a folder should be.
    #[error("{}", t!("%{path} is a file, not a folder; choose another data folder (on the command line: --data-dir)", path = path.display()))]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// Another user's folder: that user could exchange what is in it.
    #[error("{}", t!("%{path} belongs to another user (uid %{owner}), who could change what is in it; run the service as that user, make the folder yours (chown %{user} %{path}), or choose another one (on the command line: --data-dir)", path = path.display(), owner = owner, user = user))]
    AnothersFolder {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user who runs this.
        user: u32,
    },
    /// Others than the owner may make, exchange and remove files in the folder.
    #[error("{}", t!("others may write to %{path} (its mode is %{mode}); only its owner should: chmod 700 %{path}", path = path.display(), mode = format!("{mode:04o}")))]
    OthersWrite {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file or link under a name of ours that another user has put there.
    #[error("{}", t!("%{path} belongs to another user (uid %{owner}), who could read or change what the service writes there; look at what it is, and move it away, or make it yours (chown -h %{user} %{path})", path = path.display(), owner = owner, user = user))]
    AnothersFile {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user who runs this.
        user: u32,
    },
    /// A symbolic link where the file itself must be.
    #[error("{}", t!("%{path} is a symbolic link, and the service does not write this file through one; put the file itself there, or remove the link", path = path.display()))]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// Another coordinator uses the folder.
    #[error("{}", t!("%{path} is in use by another coordinator; stop that one, or choose another data folder (on the command line: --data-dir)", path = path.display()))]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Every number below 2^53 has been given.
    #[error("{}", t!("the fencing tokens of %{path} are used up; move it away, and start with a new agenda", path = path.display()))]
    TokensUsedUp {
        /// The state file.
        path: PathBuf,
    },
    /// A state file whose content is wrong.
    #[error("{}", t!("%{path} is damaged (%{reason}); restore it from a backup, or move it away: the scheduler then raises the token counter again", path = path.display(), reason = reason))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl DataDirError {
    /// The system's refusal of `path`.
    pub fn access(path: &Path, error: &io::Error) -> Self {
        Self::Access { path: path.to_owned(), reason: io_message(error) }
    }
}
