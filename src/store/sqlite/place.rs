//! Whether the database's paths still lead to the open files: the files may have been deleted, moved or replaced.
//!
//! A write to a file that has lost its name is lost when the process ends, and SQLite does not notice it. So the device and
//! inode of the files are compared before and after each commit and each read, as they are for the audit trail's files.
//!
//! Two faults do not change the inode. First, a database may be moved and its old name made a link to it. It then has two
//! logs: a process that opens it by the link writes a log beside the target. Second, a file that was emptied or overwritten
//! has lost its pages.
//!
//! A change is refused before its lock is asked for if there is a fault ([`Place::recent_fault`]). That look only saves work, because the
//! change's transaction looks again. So a look of a moment ago counts for it.
//!
//! # Locking
//!
//! The files are never opened here; only `stat` is called. A process that closes any descriptor of a file loses all its
//! locks on that file, including SQLite's locks.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::files::FileId;

/// How long a look that found no fault counts where the transaction looks once more.
const COUNTS_FOR: Duration = Duration::from_millis(1);

/// The files of an open database, as they were when it was opened.
#[derive(Debug)]
pub struct Place {
    database: Named,
    /// The database's path with all symbolic links resolved: the log is beside that file.
    real: PathBuf,
    /// The last component of the path itself: the file, or a link to it.
    entry: FileId,
    /// The database's length. It never shrinks while the database is in use, because nothing vacuums it.
    length: u64,
    /// The write-ahead log.
    log: Named,
    /// The log's shared-memory file. Two processes with different shared-memory files do not see each other's locks.
    index: Named,
    opened: Instant,
    /// Until when the last look counts that found no fault, in nanoseconds after the opening.
    well_until: AtomicU64,
}

#[derive(Debug)]
struct Named {
    path: PathBuf,
    identity: FileId,
}

impl Place {
    /// The files of the database at `path`, whose log is open too. `opened` is the file to which the path led at the
    /// opening.
    ///
    /// # Errors
    /// When one of the files is missing or was replaced.
    pub fn of(path: &Path, opened: FileId) -> io::Result<Self> {
        let real = std::fs::canonicalize(path)?;
        let named = |path: PathBuf| Ok::<_, io::Error>(Named { identity: FileId::at(&path)?, path });
        let place = Self {
            database: Named { path: path.to_owned(), identity: opened },
            log: named(beside(&real, "-wal"))?,
            index: named(beside(&real, "-shm"))?,
            entry: FileId::from(&std::fs::symlink_metadata(path)?),
            length: std::fs::metadata(path)?.len(),
            real,
            opened: Instant::now(),
            well_until: AtomicU64::new(0),
        };
        match place.fault() {
            None => Ok(place),
            // This text is for the command line, in English.
            Some(_) => Err(io::Error::other("its files were moved or replaced while they were opened")),
        }
    }

    /// Why a write made now would not be found at the path, if there is such a fault.
    pub fn fault(&self) -> Option<String> {
        let until = self.since_opening() + nanos(COUNTS_FOR);
        let fault = if self.is_as_it_was() { None } else { self.named_fault() };
        self.well_until.store(if fault.is_none() { until } else { 0 }, Ordering::Relaxed);
        fault
    }

    /// The same, but a look of the last [`COUNTS_FOR`] counts: for a caller who only saves others work if it finds a fault.
    pub fn recent_fault(&self) -> Option<String> {
        if self.since_opening() < self.well_until.load(Ordering::Relaxed) { None } else { self.fault() }
    }

    fn since_opening(&self) -> u64 {
        nanos(self.opened.elapsed())
    }

    /// Whether the path itself is the file, and no link, and each file is in its place. That is the usual case, and one system call for
    /// each file tells it.
    fn is_as_it_was(&self) -> bool {
        let entry = std::fs::symlink_metadata(&self.database.path);
        let is_there = |found: &Metadata| FileId::from(found) == self.database.identity && found.len() >= self.length;
        entry.is_ok_and(|found| is_there(&found)) && self.log.is_in_place() && self.index.is_in_place()
    }

    fn named_fault(&self) -> Option<String> {
        let named = [&self.database, &self.log, &self.index].into_iter().find_map(Named::fault);
        named.or_else(|| self.same_file_fault())
    }

    /// The write-ahead log.
    pub fn log_path(&self) -> &Path {
        &self.log.path
    }

    /// The files: what happens to one of them may be a fault.
    pub fn files(&self) -> Vec<PathBuf> {
        [&self.database, &self.log, &self.index].map(|named| named.path.clone()).to_vec()
    }

    /// The faults that are possible although the path leads to the same file.
    fn same_file_fault(&self) -> Option<String> {
        let name = || self.database.name();
        if self.is_behind_another_link() {
            let name = name();
            return Some(format!(
                "{name} é agora um link, e quem o abre por ele usa outro -wal: devolva o arquivo, ou reinicie o serviço"
            ));
        }
        let length = std::fs::metadata(&self.database.path).ok()?.len();
        (length < self.length).then(|| {
            let name = name();
            format!("{name} foi truncado ou sobrescrito ({length} bytes; eram {}): restaure-o de uma cópia e reinicie o serviço", self.length)
        })
    }

    /// Whether the path leads to the file by a link that was not there when it was opened.
    fn is_behind_another_link(&self) -> bool {
        // Only a new link is resolved again: that takes a system call for each folder of the path.
        let path = &self.database.path;
        let is_new = std::fs::symlink_metadata(path).is_ok_and(|entry| FileId::from(&entry) != self.entry);
        is_new && std::fs::canonicalize(path).ok().as_ref() != Some(&self.real)
    }

    /// Whether the path leads to the database, but the next start will not find the log: the log was deleted and no other
    /// file has its name, or the database was moved away from it. In this case the log's content can still be saved into the
    /// database.
    pub fn has_only_lost_its_log(&self) -> bool {
        let is_gone = |named: &Named| named.found().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let is_parted = self.log.is_in_place() && self.index.is_in_place() && self.is_behind_another_link();
        let has_no_log = is_gone(&self.log) && (self.index.is_in_place() || is_gone(&self.index));
        self.database.is_in_place() && (is_parted || has_no_log)
    }
}

impl Named {
    fn found(&self) -> io::Result<FileId> {
        FileId::at(&self.path)
    }

    fn is_in_place(&self) -> bool {
        self.identity.is_at(&self.path)
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().display().to_string()
    }

    fn fault(&self) -> Option<String> {
        let found = self.found();
        if found.as_ref().is_ok_and(|found| *found == self.identity) {
            return None;
        }
        let name = self.name();
        match found {
            Ok(_) => Some(format!(
                "no lugar de {name} está agora outro arquivo: devolva o que foi tirado, ou reinicie o serviço para usar o que está lá"
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(format!(
                "{name} foi apagado ou movido: devolva-o, ou reinicie o serviço para seguir com o que houver na pasta"
            )),
            Err(error) => Some(format!("{name} não pode ser visto na pasta: {error}")),
        }
    }
}

/// 64 bits are enough for centuries.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The path of the write-ahead log of the database at `path`: beside the file itself, not beside a symbolic link to it.
pub fn log_of(path: &Path) -> PathBuf {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    beside(&real, "-wal")
}

/// A file beside a database, with the same name and a suffix.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path) -> Place {
        for suffix in ["", "-wal", "-shm"] {
            std::fs::write(folder.join(format!("a.db{suffix}")), "as long as it was").unwrap();
        }
        let path = folder.join("a.db");
        Place::of(&path, FileId::at(&path).unwrap()).unwrap()
    }

    #[test]
    fn each_file_that_goes_or_is_replaced_is_named_until_it_is_back() {
        for suffix in ["", "-wal", "-shm"] {
            let folder = tempfile::tempdir().unwrap();
            let place = place(folder.path());
            let name = format!("a.db{suffix}");
            let (path, away) = (folder.path().join(&name), folder.path().join("away"));
            std::fs::rename(&path, &away).unwrap();
            assert!(place.fault().unwrap().contains(&format!("{name} foi apagado ou movido")), "{:?}", place.fault());
            assert_eq!(place.recent_fault(), place.fault(), "a fault counts at once");
            std::fs::copy(&away, &path).unwrap();
            assert!(place.fault().unwrap().contains(&format!("no lugar de {name} ")), "{:?}", place.fault());
            std::fs::rename(&away, &path).unwrap();
            assert_eq!(place.fault(), None);
        }
    }

    #[test]
    fn a_folder_that_moves_and_a_link_that_turns_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, other) = (folder.path().join("inner"), folder.path().join("other"));
        std::fs::create_dir(&inner).unwrap();
        let moved = place(&inner);
        std::fs::rename(&inner, &other).unwrap();
        assert!(moved.fault().is_some());

        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(other.join("a.db"), &link).unwrap();
        let linked = Place::of(&link, FileId::at(&link).unwrap()).unwrap();
        assert_eq!(linked.fault(), None);
        std::fs::write(folder.path().join("b.db"), "").unwrap();
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(folder.path().join("b.db"), &link).unwrap();
        assert!(linked.fault().is_some());
    }

    #[test]
    fn a_database_that_was_moved_behind_a_link_is_noticed() {
        // A second scheduler that opened the database by the link had its own log, and both schedulers sold the same slot.
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let (path, away) = (folder.path().join("a.db"), folder.path().join("away.db"));
        std::fs::rename(&path, &away).unwrap();
        std::os::unix::fs::symlink(&away, &path).unwrap();
        assert!(place.fault().unwrap().contains("a.db é agora um link"), "{:?}", place.fault());
        // The next start would look for the log beside the link's target.
        assert!(place.has_only_lost_its_log());
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(place.fault(), None);
        assert!(!place.has_only_lost_its_log());
        // The folder's own name may become a link: the log's path then leads to the same log.
        let (inner, other) = (folder.path().join("inner"), folder.path().join("other"));
        std::fs::create_dir(&inner).unwrap();
        let inside = self::place(&inner);
        std::fs::rename(&inner, &other).unwrap();
        std::os::unix::fs::symlink(&other, &inner).unwrap();
        assert_eq!(inside.fault(), None);
    }

    #[test]
    fn a_database_that_was_emptied_or_copied_over_is_noticed() {
        // Before this check, one more booking was acknowledged, and the next start found no database.
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let path = folder.path().join("a.db");
        for content in ["", "shorter"] {
            std::fs::write(&path, content).unwrap();
            assert!(place.fault().unwrap().contains("a.db foi truncado"), "{:?}", place.fault());
        }
        std::fs::write(&path, "as long as it was, and more").unwrap();
        assert_eq!(place.fault(), None);
    }

    #[test]
    fn a_look_without_a_fault_counts_for_a_moment_where_the_transaction_looks_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let (path, away) = (folder.path().join("a.db"), folder.path().join("away"));
        std::fs::rename(&path, &away).unwrap();
        // As if a look had found no fault an instant ago, on a machine as slow as any.
        place.well_until.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(place.recent_fault(), None);
        assert!(place.fault().is_some() && place.recent_fault().is_some());
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(place.recent_fault(), None);
        std::fs::rename(&path, &away).unwrap();
        std::thread::sleep(COUNTS_FOR);
        assert!(place.recent_fault().is_some(), "it counts no longer");
    }

    #[test]
    fn a_log_that_alone_is_gone_can_be_saved() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        assert!(!place.has_only_lost_its_log());
        std::fs::remove_file(folder.path().join("a.db-wal")).unwrap();
        assert!(place.has_only_lost_its_log());
        std::fs::remove_file(folder.path().join("a.db-shm")).unwrap();
        assert!(place.has_only_lost_its_log());
        std::fs::write(folder.path().join("a.db-wal"), "").unwrap();
        assert!(!place.has_only_lost_its_log());
        std::fs::remove_file(folder.path().join("a.db-wal")).unwrap();
        std::fs::remove_file(folder.path().join("a.db")).unwrap();
        assert!(!place.has_only_lost_its_log());
    }
}
