//! The data folder is its user's alone: nobody else may write to it, and nobody else's file stands in it under a name of ours.
//!
//! Once that is so, nobody else can put a file or a link there, so what was looked at here stays true. Files that an older version
//! made readable by others are closed to them. The permissions of a folder that was already there are its owner's choice; only
//! writing by others is refused.

use std::fs::{Metadata, Permissions, symlink_metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::geteuid;
use slog::{Logger, info};

use super::error::DataDirError;

/// The beginnings of the names of our files.
const OURS: [&str; 11] = [
    "acesso.db",
    "sctec.db",
    "corrida.db",
    "audit.",
    "audit-",
    "corrida-audit.",
    "corrida-audit-",
    "app.log",
    "coordenador.log",
    "coordenador.json",
    "coordenador.lock",
];
/// The files of ours that are never behind a link: an operator has no use for it, and what stands there decides who may write.
const NO_LINKS: [&str; 5] = ["acesso.db", "audit.lock", "corrida-audit.lock", "coordenador.lock", "coordenador.json"];
/// The permissions of everyone but the owner.
const OTHERS: u32 = 0o077;
/// Of these, those to write.
const OTHERS_WRITE: u32 = 0o022;

/// What was found in a data folder that can be used.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Files that others could read, or even write, until now.
    closed: Vec<String>,
    /// Whether others can read the names in it.
    is_readable: bool,
}

impl Found {
    /// Tells it.
    pub fn tell(&self, folder: &Path, log: &Logger) {
        if !self.closed.is_empty() {
            info!(log, "Arquivos que outros usuários podiam ler, e agora só o dono: {}", self.closed.join(", "));
        }
        if self.is_readable {
            info!(log, "Outros usuários podem ler os nomes na pasta de dados: chmod 700 {}", folder.display());
        }
    }
}

/// Checks the folder, and closes our files in it to others.
///
/// # Errors
/// When it is not this user's alone; the error says what to do.
pub fn check(folder: &Path) -> Result<Found, DataDirError> {
    let access = |error: io::Error| DataDirError::access(folder, &error);
    let metadata = std::fs::metadata(folder).map_err(access)?;
    let user = geteuid().as_raw();
    if metadata.uid() != user {
        return Err(DataDirError::AnothersFolder { path: folder.to_owned(), owner: metadata.uid(), user });
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Err(DataDirError::OthersWrite { path: folder.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    let mut found = Found { closed: Vec::new(), is_readable: metadata.mode() & OTHERS != 0 };
    // If this user may not read the folder, the opening of the files in it says so, or works.
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(found) };
    for entry in entries {
        let name = entry.map_err(access)?.file_name();
        let Some(name) = name.to_str().filter(|name| OURS.iter().any(|ours| name.starts_with(ours))) else { continue };
        let path = folder.join(name);
        // Another process on the folder may have renamed or removed it.
        let Ok(metadata) = symlink_metadata(&path) else { continue };
        check_file(&path, name, &metadata, user)?;
        if close(&path, &metadata) {
            found.closed.push(name.to_owned());
        }
    }
    found.closed.sort_unstable();
    Ok(found)
}

fn check_file(path: &Path, name: &str, metadata: &Metadata, user: u32) -> Result<(), DataDirError> {
    if metadata.uid() != user && metadata.uid() != 0 {
        return Err(DataDirError::AnothersFile { path: path.to_owned(), owner: metadata.uid(), user });
    }
    if metadata.is_symlink() && NO_LINKS.contains(&name) {
        return Err(DataDirError::Link { path: path.to_owned() });
    }
    Ok(())
}

/// Takes from others what they may do with a file. Returns whether they could do something, and now cannot. Nobody else can
/// have put a link in its place since it was looked at. The file is not opened: closing it would end SQLite's locks on it.
fn close(path: &Path, metadata: &Metadata) -> bool {
    let is_open = metadata.is_file() && metadata.mode() & OTHERS != 0;
    is_open && std::fs::set_permissions(path, Permissions::from_mode(metadata.mode() & 0o7777 & !OTHERS)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn our_files_are_closed_to_others_and_no_other_file_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        set(folder.path(), 0o700);
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        set(elsewhere.path(), 0o644);
        symlink(elsewhere.path(), folder.path().join("app.log")).unwrap();
        for (name, before) in [("sctec.db", 0o644), ("sctec.db-wal", 0o666), ("audit.jsonl", 0o600), ("notes", 0o644)] {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            set(&path, before);
        }
        let found = check(folder.path()).unwrap();
        assert_eq!(found, Found { closed: vec!["sctec.db".to_owned(), "sctec.db-wal".to_owned()], is_readable: false });
        for (name, after) in [("sctec.db", 0o600), ("sctec.db-wal", 0o600), ("audit.jsonl", 0o600), ("notes", 0o644)] {
            assert_eq!(mode(&folder.path().join(name)), after, "{name}");
        }
        assert_eq!(mode(elsewhere.path()), 0o644, "the target of a link is its owner's");
        assert_eq!(check(folder.path()).unwrap(), Found::default());
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused_and_one_that_they_may_read_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        for shared in [0o770, 0o775, 0o702, 0o1777] {
            set(folder.path(), shared);
            let refused = check(folder.path());
            assert!(matches!(&refused, Err(DataDirError::OthersWrite { mode, .. }) if *mode == shared), "{refused:?}");
        }
        for (readable, is_readable) in [(0o755, true), (0o750, true), (0o700, false)] {
            set(folder.path(), readable);
            assert_eq!(check(folder.path()).unwrap().is_readable, is_readable);
            assert_eq!(mode(folder.path()), readable, "the folder stays as its owner made it");
        }
    }

    #[test]
    fn a_lock_or_the_state_behind_a_link_is_refused() {
        for name in NO_LINKS {
            let folder = tempfile::tempdir().unwrap();
            set(folder.path(), 0o700);
            symlink("/nowhere/at/all", folder.path().join(name)).unwrap();
            assert!(matches!(check(folder.path()), Err(DataDirError::Link { .. })), "{name}");
        }
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        let user = geteuid().as_raw();
        // Only root can give a file away.
        let Some(other) = (user == 0).then_some(65_532) else { return };
        let folder = tempfile::tempdir().unwrap();
        set(folder.path(), 0o700);
        let planted = folder.path().join("audit.lock");
        std::fs::write(&planted, "").unwrap();
        std::os::unix::fs::chown(&planted, Some(other), None).unwrap();
        assert!(matches!(check(folder.path()), Err(DataDirError::AnothersFile { owner, .. }) if owner == other));
        std::fs::remove_file(&planted).unwrap();
        std::os::unix::fs::lchown(folder.path(), Some(other), None).unwrap();
        assert!(matches!(check(folder.path()), Err(DataDirError::AnothersFolder { owner, .. }) if owner == other));
    }
}
