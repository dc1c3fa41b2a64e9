//! Whether the service stopped cleanly: a mark beside the database. It is made when this process has closed the database and
//! the whole log is folded in.
//!
//! The mark holds the database file's inode, length and time of change at a clean stop. It counts only if all three are
//! unchanged and there is no write-ahead log: any write to the database changes one of the three, or creates a log. So
//! neither a crash nor an old mark is taken for a clean stop. A copy of the database, or a file that was written to later,
//! counts as not stopped cleanly: then a thread reads all of its pages (`pages`).

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::damage::Damage;
use super::place::{beside, log_of};
use crate::files::{create_anew, sync_parent};

/// Makes the mark when the last of its clones is dropped. Each owner of a connection keeps a clone, and drops it after the
/// connection.
#[derive(Clone)]
pub struct InUse(Arc<Inner>);

struct Inner {
    database: PathBuf,
    damage: Damage,
    /// Whether all pages were readable, in this run or at the last clean stop.
    is_sound: AtomicBool,
    /// Whether the files were moved or replaced. It is never reset.
    is_elsewhere: AtomicBool,
}

impl InUse {
    /// Removes the mark. Returns whether it showed a clean stop.
    pub fn begin(database: &Path, damage: Damage) -> (Self, bool) {
        let mark = mark_of(database);
        let stopped_cleanly =
            std::fs::read_to_string(&mark).is_ok_and(|text| state(database).is_ok_and(|now| now == text));
        // A mark that cannot be removed does no harm: the first write to the database makes it obsolete.
        if std::fs::remove_file(&mark).is_ok() {
            let _ = sync_parent(&mark);
        }
        let inner = Inner {
            database: database.to_owned(),
            damage,
            is_sound: AtomicBool::new(stopped_cleanly),
            is_elsewhere: AtomicBool::new(false),
        };
        (Self(Arc::new(inner)), stopped_cleanly)
    }

    /// Notes that the database is not at its path any more. The file that is now at the path was not closed by this process,
    /// and gets no mark.
    pub fn is_elsewhere(&self) {
        self.0.is_elsewhere.store(true, Ordering::Release);
    }

    /// Notes that all pages could be read.
    pub fn is_sound(&self) {
        self.0.is_sound.store(true, Ordering::Release);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let is_ours = !self.is_elsewhere.load(Ordering::Acquire);
        if is_ours && self.is_sound.load(Ordering::Acquire) && !self.damage.is_found() {
            // Without the mark the next start reads all pages, in the background.
            let _ = make_mark(&self.database);
        }
    }
}

fn make_mark(database: &Path) -> io::Result<()> {
    let state = state(database)?;
    let path = mark_of(database);
    let mut mark = create_anew(&path)?;
    mark.write_all(state.as_bytes())?;
    mark.sync_all()?;
    sync_parent(&path)
}

/// The database file's inode, length and time of change, if it has no write-ahead log.
fn state(database: &Path) -> io::Result<String> {
    match std::fs::metadata(log_of(database)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(metadata) if metadata.len() == 0 => {}
        Ok(_) => return Err(io::Error::other("it has a write-ahead log")),
        Err(error) => return Err(error),
    }
    let file = std::fs::metadata(database)?;
    Ok(format!("{} {} {}.{:09}\n", file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

fn mark_of(database: &Path) -> PathBuf {
    beside(database, "-limpo")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn begin(database: &Path) -> (InUse, bool) {
        InUse::begin(database, Damage::default())
    }

    #[test]
    fn only_the_last_to_go_marks_a_clean_stop_and_nothing_else_passes_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("sctec.db");
        let set = |text: &str| std::fs::write(&database, text).unwrap();
        set("um");
        let (first, clean) = begin(&database);
        assert!(!clean, "nobody stopped it yet");
        // The pages were not checked in this run.
        drop(first);
        assert!(!mark_of(&database).exists());
        let stop = || {
            let (open, _) = begin(&database);
            open.is_sound();
            let other = open.clone();
            drop(open);
            assert!(!mark_of(&database).exists(), "someone has it open");
            drop(other);
            assert!(mark_of(&database).exists());
        };
        stop();
        let (open, clean) = begin(&database);
        assert!(clean && !mark_of(&database).exists());
        // A crash: nothing is dropped.
        std::mem::forget(open);
        assert!(!begin(&database).1);

        // The file was changed later, with the same length and with another one; and the file was copied.
        stop();
        std::fs::File::options()
            .write(true)
            .open(&database)
            .unwrap()
            .set_modified(SystemTime::now() + Duration::from_secs(1))
            .unwrap();
        assert!(!begin(&database).1);
        stop();
        set("outro");
        assert!(!begin(&database).1);
        stop();
        std::fs::copy(&database, folder.path().join("copia")).unwrap();
        std::fs::rename(folder.path().join("copia"), &database).unwrap();
        assert!(!begin(&database).1);

        // Another process still has the database open, so its log exists at the stop and at the start.
        std::fs::write(beside(&database, "-wal"), "x").unwrap();
        let (open, _) = begin(&database);
        open.is_sound();
        drop(open);
        assert!(!mark_of(&database).exists());
        std::fs::remove_file(beside(&database, "-wal")).unwrap();
        stop();
        std::fs::write(beside(&database, "-wal"), "x").unwrap();
        assert!(!begin(&database).1);
    }

    #[test]
    fn another_file_in_its_place_is_not_marked_nor_one_whose_log_is_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("sctec.db");
        std::fs::write(&database, "um").unwrap();
        let (open, _) = begin(&database);
        open.is_elsewhere();
        // The check of the pages may end later.
        open.is_sound();
        drop(open);
        assert!(!mark_of(&database).exists());

        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&database, &link).unwrap();
        std::fs::write(beside(&database, "-wal"), "x").unwrap();
        let (open, _) = begin(&link);
        open.is_sound();
        drop(open);
        assert!(!mark_of(&link).exists(), "another process still has it open");
    }

    #[test]
    fn a_damaged_database_is_not_marked() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("sctec.db");
        std::fs::write(&database, "um").unwrap();
        let damage = Damage::default();
        let (open, _) = InUse::begin(&database, damage.clone());
        open.is_sound();
        let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        damage.look_at(&rusqlite::Error::SqliteFailure(corrupt, None));
        assert!(damage.check().is_err_and(|why| why.to_string().contains("restaure")));
        drop(open);
        assert!(!mark_of(&database).exists());
    }
}
