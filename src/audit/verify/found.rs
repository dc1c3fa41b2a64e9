//! The anchors of a verification, and its findings.

use crate::text::escaped;

/// A head that was noted elsewhere: the record with this number had this hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The record's number; 0 is the trail's beginning, whose hash the first record carries as `prev`.
    pub seq: u64,
    /// Its hash, 64 lower-case hexadecimal digits.
    pub hash: String,
    /// The source of the anchor, for the report.
    pub from: String,
}

/// The records of the database before and after the files. Read after the files.
#[derive(Clone, Debug, Default)]
pub struct DatabaseNow {
    /// The number of its last record: no file can have more.
    pub head: u64,
    /// The record before the files' first one.
    pub before: Option<Before>,
    /// The line of the record after the files' last one, without its line break.
    pub next: Option<Vec<u8>>,
}

/// The record before the files' first one, as the database has it.
#[derive(Clone, Debug)]
pub struct Before {
    /// Its hash.
    pub hash: String,
    /// Whether the records up to this one have enough bytes to have filled a closed file.
    pub fills_a_file: bool,
}

/// The result of comparing an [`Anchor`] with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The record has the noted hash.
    Yes,
    /// The record has another hash.
    No,
    /// The files end before it.
    NotReached,
    /// The files begin after it, or have a gap there.
    NotSeen,
}

/// A kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("the line is blank")]
    Blank,
    #[error("the line ends with a carriage return, which no record has: the file was converted")]
    CarriageReturn,
    #[error("two records stand on one line")]
    TwoOnALine,
    #[error("the line is not a record: {0}")]
    NotARecord(&'static str),
    #[error("record {0} was changed: its bytes do not give its hash")]
    Changed(u64),
    #[error("record {found} stands where record {expected} should: {} missing", missing(*.expected, *.found))]
    Missing { expected: u64, found: u64 },
    #[error("record {found} stands where record {expected} should: it was put in again, or records were swapped")]
    OutOfOrder { expected: u64, found: u64 },
    #[error("the record {0} was already seen: is a file named twice, or out of order?")]
    SeenAlready(u64),
    #[error("the record {found} stands after record {before}: are the files named out of order?")]
    FilesOutOfOrder { before: u64, found: u64 },
    #[error(
        "record {0} does not follow the record {before} that stands before it: one of them was replaced",
        before = .0 - 1
    )]
    NotLinked(u64),
    #[error("record {seq} is not the one that {} speaks of: the noted one has the hash {hash}", escaped(from))]
    NotAsNoted { seq: u64, from: String, hash: String },
    #[error("the file goes on after record {0}, the last one that the database has")]
    BeyondTheDatabase(u64),
    #[error("the file ends within a line, and is not the last one")]
    EndsWithinALine,
    #[error(
        "the file ends within a line, although it was closed: a file is closed only after its last line was written, so it was cut"
    )]
    ClosedWithinALine,
    #[error("the bytes after the last whole line are not the beginning of a record")]
    Garbage,
    #[error("the bytes after the last whole line are not the beginning of record {0}, as the database has it")]
    NotTheNext(u64),
}

fn missing(expected: u64, found: u64) -> String {
    if found - expected == 1 { format!("{expected} is") } else { format!("{expected} to {} are", found - 1) }
}

/// A fault, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The position of its file in [`Report::files`].
    pub file: usize,
    /// The line, counted from 1.
    pub line: u64,
    /// The offset of the line's first byte.
    pub offset: u64,
    /// The number of the record that is, or should be, there.
    pub seq: u64,
    /// What is wrong.
    pub wrong: Wrong,
}

/// One file, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSeen {
    /// Its name, as it was given.
    pub name: String,
    /// The first and the last record in it.
    pub records: Option<(u64, u64)>,
    /// Its length.
    pub bytes: u64,
}

/// A last line that was not written to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The offset of its first byte.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every record follows the one before, and the record of every noted head is there.
    Whole,
    /// All records in the files are unchanged, but records are missing at the beginning or at the end.
    Incomplete,
    /// A record was changed, removed, inserted or exchanged.
    Tampered,
}

/// The findings.
#[derive(Clone, Debug)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// The files, in order.
    pub files: Vec<FileSeen>,
    /// How many records.
    pub records: u64,
    /// The number and the hash of the last record.
    pub head: Option<(u64, String)>,
    /// The `timestamp_utc` of the first and the last record.
    pub span: Option<(String, String)>,
    /// The first faults.
    pub faults: Vec<Fault>,
    /// The number of all faults.
    pub fault_count: u64,
    /// A last line that was not written to its end.
    pub torn: Option<Torn>,
    /// The files begin after this many records, and nothing confirms those.
    pub missing_before: u64,
    /// The files begin after this many records, and an anchor or the database confirms the last of those.
    pub elsewhere: u64,
    /// The anchors, each with the result of its comparison.
    pub anchors: Vec<(Anchor, Held)>,
    /// Whether any line, or part of a line, begins like a record. If not, the files are not a trail.
    pub is_trail: bool,
}
