//! The copy of a backup inside the data folder, under names that no service uses, until it takes the agenda's place.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rust_i18n::t;

use crate::audit::record::Restoration;
use crate::commands::progress::{progress_bar, spinner};
use crate::files::create_anew;
use crate::store::sqlite::{self, Contents, NotWhole};
use crate::time::Timestamp;

/// The copy of the database, and the files that SQLite makes beside it.
const COPY: &str = "sctec.db-restaurando";
const BESIDE: [&str; 3] = ["sctec.db-restaurando-wal", "sctec.db-restaurando-shm", "sctec.db-restaurando-journal"];
/// Its trail.
const TRAIL: &str = "audit.restaurando";

/// The copy. What is left of it is removed when it is dropped.
pub struct Staged {
    folder: PathBuf,
    bytes: u64,
}

impl Staged {
    /// Copies the backup into the folder. What an interrupted restoration has left there is removed.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn copy(file: &Path, folder: &Path) -> anyhow::Result<Self> {
        let mut staged = Self { folder: folder.to_owned(), bytes: 0 };
        staged.remove();
        let copied = File::open(file).and_then(|from| {
            let bar = progress_bar(from.metadata()?.len());
            let mut to = create_anew(&staged.database())?;
            let copied = io::copy(&mut bar.wrap_read(from), &mut to);
            bar.finish_and_clear();
            to.sync_all()?;
            copied
        });
        let cannot = || {
            t!(
                "cannot copy %{from} to %{to}; nothing is left of it",
                from = file.display(),
                to = staged.database().display()
            )
        };
        staged.bytes = copied.with_context(cannot)?;
        Ok(staged)
    }

    /// The copy of the database.
    pub fn database(&self) -> PathBuf {
        self.folder.join(COPY)
    }

    /// Its trail.
    pub fn trail(&self) -> PathBuf {
        self.folder.join(TRAIL)
    }

    /// Checks all of the copy.
    ///
    /// # Errors
    /// Why it is no whole agenda.
    pub fn examine(&self) -> Result<Contents, NotWhole> {
        let checking = spinner(self.bytes, t!("checking the backup").into_owned());
        let examined = sqlite::examine(&self.database());
        checking.finish_and_clear();
        examined
    }

    /// Brings the copy up to date, adds the record of the restoration, and makes all of it durable.
    ///
    /// # Errors
    /// When that fails.
    pub fn complete(&mut self, restoration: &Restoration, now: Timestamp) -> anyhow::Result<()> {
        let path = self.database();
        sqlite::complete(&path, restoration, now)?;
        let cannot = || t!("cannot write %{path}", path = path.display());
        if BESIDE.iter().any(|name| self.folder.join(name).exists()) {
            bail!(cannot());
        }
        // Opened to be written to, since some systems make nothing durable otherwise.
        crate::files::private_no_link().write(true).open(&path).and_then(|file| file.sync_all()).with_context(cannot)
    }

    /// Writes the trail's file from the records.
    ///
    /// # Errors
    /// When that fails.
    pub fn write_trail(&self) -> anyhow::Result<()> {
        let path = self.trail();
        let written = create_anew(&path).and_then(|file| {
            let mut out = BufWriter::with_capacity(1 << 16, file);
            sqlite::write_trail(&self.database(), &mut out)?;
            out.flush()?;
            out.get_ref().sync_all()
        });
        written.with_context(|| t!("cannot write %{path}", path = path.display()))
    }

    fn remove(&self) {
        for name in [COPY, TRAIL].iter().chain(&BESIDE) {
            let _ = std::fs::remove_file(self.folder.join(name));
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.remove();
    }
}
