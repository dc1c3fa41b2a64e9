//! What the audit trail's exporter reads of any storage.

use std::path::PathBuf;

use crate::audit::export::{Exported, Extent, Source};

/// The committed audit records, and the note of how far their file is.
pub struct Outbox(Box<dyn Source>);

impl Outbox {
    /// The outbox of one storage.
    pub(super) fn new(source: impl Source) -> Self {
        Self(Box::new(source))
    }
}

impl Source for Outbox {
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String> {
        self.0.lines_after(seq, limit, text)
    }

    fn line(&self, seq: u64) -> Result<Option<String>, String> {
        self.0.line(seq)
    }

    fn bytes_between(&self, first: u64, last: u64) -> Result<u64, String> {
        self.0.bytes_between(first, last)
    }

    fn beginning(&self) -> Result<String, String> {
        self.0.beginning()
    }

    fn head(&self) -> Result<u64, String> {
        self.0.head()
    }

    fn exported(&self) -> Result<Exported, String> {
        self.0.exported()
    }

    fn files(&self) -> Option<Vec<PathBuf>> {
        self.0.files()
    }

    fn note_exported(&self, seq: u64, file: Extent) -> Result<(), String> {
        self.0.note_exported(seq, file)
    }
}
