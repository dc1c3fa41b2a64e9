//! The agenda that a data folder has, and how another one takes its place.
//!
//! # Crashes
//!
//! First the database gets a second name in the folder where it is kept, then the files of the trail are moved there: a scheduler that
//! starts now finds the agenda as it was, and writes its trail anew. Then the restored database takes the name of the other one, in one
//! step, and last its trail is put beside it; without it a scheduler writes it anew.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use rust_i18n::t;
use rustix::fs::{FlockOperation, fcntl_lock};

use super::staged::Staged;
use crate::audit::TRAIL_FILE;
use crate::commands::backup::rename_to_new;
use crate::data_dir::DATABASE_FILE;
use crate::files::{create_folder, private_no_link, sync_parent};
use crate::time::Timestamp;

/// The beginning of the name of a folder in which an agenda is kept.
const KEPT: &str = "antes-da-restauracao-";
/// The mark of a clean stop: it belongs to the database's file.
const MARK: &str = "sctec.db-limpo";
/// The files of SQLite beside a database that is open, or whose service was killed.
const LOGS: [&str; 3] = ["sctec.db-wal", "sctec.db-shm", "sctec.db-journal"];

/// The agenda's files in a data folder.
pub struct Standing {
    folder: PathBuf,
    database: Option<PathBuf>,
    /// The files of the trail, and the mark of a clean stop.
    others: Vec<PathBuf>,
}

impl Standing {
    /// Looks for them.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn find(folder: &Path) -> anyhow::Result<Self> {
        let mut found = Self { folder: folder.to_owned(), database: None, others: Vec::new() };
        let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.with_context(|| t!("cannot read %{name}", name = folder.display()))? {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name == DATABASE_FILE {
                found.database = Some(entry.path());
            } else if name == MARK
                || name.starts_with(TRAIL_FILE)
                || name.starts_with("audit-") && name.contains(".jsonl")
            {
                found.others.push(entry.path());
            }
        }
        found.others.sort();
        Ok(found)
    }

    /// Its database.
    pub fn database(&self) -> Option<&Path> {
        self.database.as_deref()
    }

    /// Whether a backup may take its place.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn may_be_replaced(&self, replace: bool) -> anyhow::Result<()> {
        self.must_have_no_log()?;
        if let Some(database) = &self.database {
            let kind = std::fs::symlink_metadata(database)
                .with_context(|| t!("cannot read %{name}", name = database.display()))?;
            if !kind.is_file() {
                bail!(t!(
                    "%{path} is not a plain file; name the folder in which the agenda itself is with --data-dir",
                    path = database.display()
                ));
            }
        }
        if !self.is_empty() && !replace {
            bail!(t!(
                "%{path} has an agenda already; --replace keeps it in a folder of its own and puts the backup in its place",
                path = self.folder.display()
            ));
        }
        Ok(())
    }

    fn must_have_no_log(&self) -> anyhow::Result<()> {
        let left: Vec<String> =
            LOGS.iter().filter(|name| self.folder.join(name).exists()).map(|&name| name.into()).collect();
        if left.is_empty() {
            return Ok(());
        }
        bail!(t!(
            "%{folder} has %{left}: another program has the agenda open, or its service was killed, and its last bookings are there. Start the \
             service and stop it again, so that they go into sctec.db; if that is not possible, move sctec.db, sctec.db-wal and sctec.db-shm \
             together to another folder, keep them, and restore again",
            folder = self.folder.display(),
            left = left.join(", ")
        ));
    }

    fn is_empty(&self) -> bool {
        self.database.is_none() && self.others.is_empty()
    }

    /// The folder where it will be kept, which is not there yet; `None` if there is nothing to keep.
    pub fn place_to_keep(&self, now: Timestamp) -> Option<PathBuf> {
        let now = now.seconds().to_string().replace(['-', ':'], "");
        let names = (1..).map(|n| if n == 1 { format!("{KEPT}{now}") } else { format!("{KEPT}{now}-{n}") });
        let mut places = names.map(|name| self.folder.join(name));
        if self.is_empty() { None } else { places.find(|place| !place.exists()) }
    }

    /// Puts the copy in its place, and it into the folder `kept`.
    ///
    /// # Errors
    /// When that fails, half way or before the beginning.
    pub fn change(&self, kept: Option<&Path>, staged: &Staged) -> anyhow::Result<()> {
        // While this is held, a scheduler that starts waits.
        let _held = self.database().map(hold).transpose()?;
        self.must_have_no_log()?;
        let changed = self.keep(kept).and_then(|()| self.put(staged));
        changed.with_context(|| {
            t!(
                "the restoration stopped half way; nothing is lost (see %{folder}): mend the cause and restore again",
                folder = self.folder.display()
            )
        })
    }

    fn keep(&self, kept: Option<&Path>) -> io::Result<()> {
        let Some(kept) = kept else { return Ok(()) };
        create_folder(kept)?;
        if let Some(database) = self.database() {
            let second = kept.join(DATABASE_FILE);
            // Some file systems know no second names.
            std::fs::hard_link(database, &second).or_else(|_| std::fs::rename(database, &second))?;
        }
        for path in &self.others {
            std::fs::rename(path, kept.join(path.file_name().unwrap_or_default()))?;
        }
        sync_parent(&kept.join(DATABASE_FILE))?;
        sync_parent(kept)
    }

    fn put(&self, staged: &Staged) -> io::Result<()> {
        let (database, trail) = (self.folder.join(DATABASE_FILE), self.folder.join(TRAIL_FILE));
        if self.database.is_some() {
            std::fs::rename(staged.database(), &database)?;
        } else {
            // A scheduler may have made one meanwhile.
            rename_to_new(&staged.database(), &database)?;
        }
        sync_parent(&database)?;
        rename_to_new(&staged.trail(), &trail)?;
        sync_parent(&trail)
    }
}

/// Takes SQLite's lock on a database, which no other program may have open. Closing the file ends it.
fn hold(database: &Path) -> anyhow::Result<File> {
    let file = private_no_link().read(true).write(true).open(database);
    let file = file.with_context(|| t!("cannot write %{path}", path = database.display()))?;
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| anyhow!(t!("another program has %{path} open; end it first", path = database.display())))?;
    Ok(file)
}
