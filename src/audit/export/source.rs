//! The source of the exporter's records: the database, behind an interface without SQL.

use std::path::PathBuf;

/// The most records that are read and appended at once.
pub const LINES_AT_ONCE: u32 = 4096;

/// The records in the database. Each error is a sentence for the log.
pub trait Source: Send + 'static {
    /// Appends the lines after `seq` to `text`, at most `limit`, and returns the last one's number.
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String>;
    /// The line of one record.
    fn line(&self, seq: u64) -> Result<Option<String>, String>;
    /// The bytes of the lines from `first` to `last`, line breaks included.
    fn bytes_between(&self, first: u64, last: u64) -> Result<u64, String>;
    /// The hash that the first record follows.
    fn beginning(&self) -> Result<String, String>;
    /// The number of the last record.
    fn head(&self) -> Result<u64, String>;
    /// The last note of the records that are durable in the file.
    fn exported(&self) -> Result<Exported, String>;
    /// Notes that the file is durable up to `seq`, and its extent then.
    fn note_exported(&self, seq: u64, file: Extent) -> Result<(), String>;
    /// The files that it is in, if it is in files of a folder where each process that adds records tries to be the exporter. `None` if
    /// others add records elsewhere.
    fn files(&self) -> Option<Vec<PathBuf>> {
        None
    }
}

/// A note of the records that are durable in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The last durable record.
    pub seq: u64,
    /// The file's extent at that time, if it was noted. With it the bytes need not be counted.
    pub file: Option<Extent>,
}

/// The first record of a file, and the file's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The number of the record before its first one.
    pub before: u64,
    /// The file's length in bytes.
    pub bytes: u64,
}
