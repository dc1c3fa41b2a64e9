//! The outbox in PostgreSQL: the committed audit records, and the note of how far this scheduler's own file is.
//!
//! Every scheduler writes the whole trail to a file of its own, so the note is beside that file and not in the database.

use std::path::Path;

use super::threads::Threads;
use super::trail;
use crate::audit::export::{Exported, Extent, Note, Source};
use crate::store::StoreError;

/// The committed records, for the exporter's thread.
pub struct PostgresOutbox {
    /// Connections of the exporter alone: that others read must not keep it waiting.
    records: Threads,
    beginning: String,
    note: Note,
}

impl PostgresOutbox {
    /// The outbox for the trail's file at `file`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn open(records: Threads, file: &Path) -> Result<Self, StoreError> {
        let beginning = records.wait(|client| Box::pin(trail::beginning(&*client)))?.hash;
        let note = Note::beside(file, &beginning);
        Ok(Self { records, beginning, note })
    }
}

impl Source for PostgresOutbox {
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String> {
        let read = self.records.wait(move |client| Box::pin(trail::lines_after(&*client, seq, limit)));
        let (lines, last) = read.map_err(|error| error.to_string())?;
        // A scheduler that changes nothing learns here how much the others have written.
        last.inspect(|last| self.records.growth().note(*last));
        text.extend_from_slice(&lines);
        Ok(last)
    }

    fn line(&self, seq: u64) -> Result<Option<String>, String> {
        self.records.wait(move |client| Box::pin(trail::line(&*client, seq))).map_err(|error| error.to_string())
    }

    fn bytes_between(&self, first: u64, last: u64) -> Result<u64, String> {
        let read = self.records.wait(move |client| Box::pin(trail::bytes_between(&*client, first, last)));
        read.map_err(|error| error.to_string())
    }

    fn beginning(&self) -> Result<String, String> {
        Ok(self.beginning.clone())
    }

    fn head(&self) -> Result<u64, String> {
        self.records.wait(|client| Box::pin(trail::head(&*client))).map_err(|error| error.to_string())
    }

    fn exported(&self) -> Result<Exported, String> {
        Ok(self.note.read())
    }

    fn note_exported(&self, seq: u64, file: Extent) -> Result<(), String> {
        self.note.write(seq, file).map_err(|error| error.to_string())
    }
}
