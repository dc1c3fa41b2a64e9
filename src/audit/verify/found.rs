//! The anchors of a verification, and its findings.

use std::borrow::Cow;
use std::fmt::{self, Display};

use rust_i18n::t;

use crate::audit::chain::HASH_DIGITS;
use crate::audit::shape::{INSTANT_LENGTH, Misshapen};
use crate::text::escaped;

/// The most faults that are kept for the report. Further faults are only counted.
pub(super) const FAULTS_KEPT: usize = 5;

/// A hash, as its digits.
pub(super) type Hash = [u8; HASH_DIGITS];
/// An instant, as a record writes it.
pub(super) type Instant = [u8; INSTANT_LENGTH];

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The line is blank.
    Blank,
    /// The line ends with a carriage return, which no record has.
    CarriageReturn,
    /// Two records stand on one line.
    TwoOnALine,
    /// The line is not a record.
    NotARecord(Misshapen),
    /// The bytes of this record do not give its hash.
    Changed(u64),
    /// Records are missing.
    Missing { expected: u64, found: u64 },
    /// A record with a smaller number than expected.
    OutOfOrder { expected: u64, found: u64 },
    /// The first record of a file is one that was read before.
    SeenAlready(u64),
    /// The first record of a file comes before all that were read.
    FilesOutOfOrder { before: u64, found: u64 },
    /// The `prev` of this record is not the hash of the record before it.
    NotLinked(u64),
    /// A record has another hash than an anchor.
    NotAsNoted { seq: u64, from: String, hash: String },
    /// The file goes on after this record, the last one of the database.
    BeyondTheDatabase(u64),
    /// A file that is not the last one ends within a line.
    EndsWithinALine,
    /// A closed file ends within a line.
    ClosedWithinALine,
    /// The bytes after the last whole line are not the beginning of a record.
    Garbage,
    /// The bytes after the last whole line are not the beginning of this record, as the database has it.
    NotTheNext(u64),
    /// The contest of this record, decided anew, is not as the record says.
    Contest { seq: u64, why: String },
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Blank => t!("the line is blank"),
            Self::CarriageReturn => {
                t!("the line ends with a carriage return, which no record has: the file was converted")
            }
            Self::TwoOnALine => t!("two records stand on one line"),
            Self::NotARecord(why) => t!("the line is not a record: %{why}", why = why),
            Self::Changed(seq) => t!("record %{seq} was changed: its bytes do not give its hash", seq = seq),
            Self::Missing { expected, found } | Self::OutOfOrder { expected, found } => instead_of(*expected, *found),
            Self::SeenAlready(seq) => {
                t!("record %{seq} was already read: is a file named twice, or are files out of order?", seq = seq)
            }
            Self::FilesOutOfOrder { before, found } => t!(
                "record %{found} stands after record %{before}: are the files named out of order?",
                found = found,
                before = before
            ),
            Self::NotLinked(seq) => t!(
                "record %{seq} does not follow record %{before}, which stands before it: one of them was replaced",
                seq = seq,
                before = seq - 1
            ),
            Self::NotAsNoted { seq: 0, from, hash } => t!(
                "the trail's beginning differs from %{from}, where its hash is %{hash}",
                from = escaped(from),
                hash = hash
            ),
            Self::NotAsNoted { seq, from, hash } => t!(
                "record %{seq} differs from %{from}, where its hash is %{hash}",
                seq = seq,
                from = escaped(from),
                hash = hash
            ),
            Self::BeyondTheDatabase(seq) => {
                t!("the file goes on after record %{seq}, which is the last one of the database", seq = seq)
            }
            Self::EndsWithinALine => t!("the file ends within a line, and is not the last one"),
            Self::ClosedWithinALine => t!(
                "the file ends within a line, but was closed; a file is closed only after its last line was written, so this one \
                 was cut"
            ),
            Self::Garbage => t!("the bytes after the last whole line are not the beginning of a record"),
            Self::NotTheNext(seq) => t!(
                "the bytes after the last whole line are not the beginning of record %{seq}, as the database has it",
                seq = seq
            ),
            Self::Contest { seq, why } => {
                t!("the contest of record %{seq} was not decided so: %{why}", seq = seq, why = escaped(why))
            }
        })
    }
}

/// A record that stands in the place of another one.
fn instead_of(expected: u64, found: u64) -> Cow<'static, str> {
    if found < expected {
        t!(
            "record %{found} stands where record %{expected} should: it was put in again, or records were swapped",
            found = found,
            expected = expected
        )
    } else if found - expected == 1 {
        t!(
            "record %{found} stands where record %{expected} should: %{expected} is missing",
            found = found,
            expected = expected
        )
    } else {
        t!(
            "record %{found} stands where record %{expected} should: %{expected} to %{last} are missing",
            found = found,
            expected = expected,
            last = found - 1
        )
    }
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
    /// The number and the hash of the last record whose bytes give its hash.
    pub head: Option<(u64, String)>,
    /// The number that the last line should have, also if it is no record; 0 if there are no lines.
    pub reached: u64,
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
