//! The trail's file as the exporter has it open: its last record, its length, and whether its path still leads to it.
//!
//! A file that differs from the trail is never written to: an alteration is evidence, and the database has the records.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use slog::{Logger, info, warn};

use super::recover::{self, Durable, Refused};
use super::source::{Extent, Source};
use crate::audit::chain::ChainHead;
use crate::audit::files;
use crate::files::{FileId, private, sync_parent};

/// The open file and its content.
pub struct OpenFile {
    path: PathBuf,
    /// Locked, so that two processes never write it, even when `audit.lock` was deleted.
    file: File,
    /// Which file that is.
    identity: FileId,
    /// The number of the last record in the file, or, while the file has no record, of the record before the file.
    pub head: ChainHead,
    /// The file's length after that record.
    pub length: u64,
    /// The number of the first record in it.
    first: Option<u64>,
}

impl OpenFile {
    /// Opens the file, compares it with the database, and cuts a torn line off its end. `reached` is the last record that this
    /// process has made durable.
    ///
    /// # Errors
    /// In words, when the file cannot be used or is not this trail's.
    pub fn recover(path: &Path, source: &impl Source, reached: u64, log: &Logger) -> Result<Self, String> {
        let explain = |error: io::Error| format!("{}: {error}", path.display());
        recover::must_be_regular(path)?;
        let mut file = private().create(true).read(true).append(true).open(path).map_err(explain)?;
        lock(path, &file)?;
        sync_parent(path).map_err(explain)?;
        // A database restored from a copy may have fewer records than were noted.
        let exported = source.exported()?;
        let noted = exported.seq.max(reached).min(source.head()?);
        let durable = Durable { noted, exported };
        let found =
            recover::compare(path, &mut file, source, durable, reached > 0).map_err(|refused| match refused {
                Refused::Unreadable(reason) => reason,
                // Either the database or the file was altered: the one whose chain is unbroken is right.
                Refused::Differs { from } => match recover::first_broken(source) {
                    Ok(Some(seq)) => recover::database_broken(seq),
                    Ok(None) if source.head().is_ok_and(|head| from > head) => recover::beyond_the_database(path, from),
                    Ok(None) => recover::not_as_written(path, from),
                    Err(reason) => reason,
                },
            })?;
        if found.torn > 0 {
            warn!(log, "{}: linha incompleta ao fim ({} bytes), cortada", path.display(), found.torn);
            file.set_len(found.length).map_err(explain)?;
        }
        // The lines of a process that was killed may not be on disk yet, but a noted record must be on disk.
        file.sync_data().map_err(explain)?;
        if let Some(until) = found.lost_until {
            warn!(log, "{}: faltam registros que já estiveram no arquivo, refeitos a partir do banco", path.display();
                "de" => found.head.seq + 1, "a" => until);
        }
        let first = (found.head.seq > found.before).then_some(found.before + 1);
        let identity = FileId::of(&file).map_err(explain)?;
        Ok(Self { path: path.to_owned(), file, identity, head: found.head, length: found.length, first })
    }

    /// The file's extent.
    pub fn extent(&self) -> Extent {
        Extent { before: self.first.map_or(self.head.seq, |first| first - 1), bytes: self.length }
    }

    /// Whether the path still leads to this file, and its length is as this process left it.
    pub fn is_as_written(&self) -> bool {
        self.identity.found_at(&self.path).is_some_and(|found| found.len() == self.length)
    }

    /// Appends whole lines, up to `head`, and makes them durable.
    ///
    /// # Errors
    /// In words, when they cannot be written; then the file is as it was, or [`OpenFile::is_as_written`] says that it is not.
    pub fn append(&mut self, lines: &[u8], head: ChainHead) -> Result<(), String> {
        if let Err(error) = self.file.write_all(lines).and_then(|()| self.file.sync_data()) {
            // The part that was written is cut off, so that the next attempt writes all of it again: after a failed fsync the
            // system may report pages as written that are not. If cutting fails too, the file's length shows it.
            let _ = self.file.set_len(self.length);
            return Err(format!("{}: {error}", self.path.display()));
        }
        self.first = self.first.or(Some(self.head.seq + 1));
        self.head = head;
        self.length += lines.len() as u64;
        Ok(())
    }

    /// Closes the file under a name made from its first record, and opens a new file under the usual name, in which the
    /// chain continues. `Ok(None)`: the file was closed, and the new one has to be opened by [`OpenFile::recover`].
    ///
    /// # Errors
    /// In words, when it cannot be renamed. Then the trail goes on in this file.
    pub fn close(&self, log: &Logger) -> Result<Option<Self>, String> {
        let first = self.first.ok_or_else(|| format!("{}: não tem registros", self.path.display()))?;
        if std::fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.is_symlink()) {
            return Err(format!(
                "{}: é um link simbólico, e o arquivo seguinte ficaria em outro lugar",
                self.path.display()
            ));
        }
        let closed = files::closed_path(&self.path, first);
        let explain = |error: io::Error| format!("{}: {error}", closed.display());
        // Only the exporter makes these files, and there is only one exporter.
        if closed.try_exists().map_err(explain)? {
            return Err(format!("{}: já existe", closed.display()));
        }
        std::fs::rename(&self.path, &closed).map_err(explain)?;
        info!(log, "{} fechado; a trilha continua em {}", closed.display(), self.path.display();
            "de" => first, "a" => self.head.seq);
        let opened = private().create_new(true).read(true).append(true).open(&self.path);
        let Ok(file) = opened else { return Ok(None) };
        let (Ok(()), Ok(()), Ok(identity)) = (lock(&self.path, &file), sync_parent(&self.path), FileId::of(&file))
        else {
            return Ok(None);
        };
        Ok(Some(Self { path: self.path.clone(), file, identity, head: self.head.clone(), length: 0, first: None }))
    }
}

/// Locks the file for this process alone.
fn lock(path: &Path, file: &File) -> Result<(), String> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(format!("{}: outro processo o está escrevendo", path.display())),
        Err(TryLockError::Error(error)) => Err(format!("{}: {error}", path.display())),
    }
}
