//! Lines, checked each by itself: the part of a verification that can be done in any order, and so on all cores.
//!
//! A record has the hash of the record before it, so whether it follows that one is known without what comes earlier. Records that
//! follow one another become one [`Run`], and the [`Verifier`](super::Verifier) only joins the runs.

use super::found::{FAULTS_KEPT, Hash, Instant, Wrong};
use crate::audit::chain::Link;
use crate::audit::contested::contradiction;
use crate::audit::shape::{self, Misshapen};

/// Checks lines. It knows of the verification only which records are to be compared with a noted head.
#[derive(Clone, Debug)]
pub struct Checker {
    /// The numbers of those records, in order.
    pub(super) anchored: Vec<u64>,
}

/// Whole lines that were checked.
#[derive(Debug, Default)]
pub struct Checked {
    pub(super) parts: Vec<Part>,
    /// Whether a line begins like a record, or has such a beginning within it.
    pub(super) is_trail: bool,
}

/// Lines that stand together.
#[derive(Debug)]
pub(super) enum Part {
    Records(Box<Run>),
    Wrong(WrongLines),
}

/// Records with right hashes, of which each follows the one before it.
#[derive(Debug)]
pub(super) struct Run {
    /// The only one that may have to be compared with a noted head.
    pub first: Record,
    /// The length of its line, with the line break.
    pub first_bytes: u64,
    /// What contradicts the contest that the first one tells of, if something does.
    pub contest: Option<String>,
    /// How many records follow the first.
    pub more: u64,
    /// The length of their lines, with the line breaks.
    pub more_bytes: u64,
    /// The last record: the first, if no other follows.
    pub last: Record,
}

/// What the chain needs of a record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub seq: u64,
    pub prev: Hash,
    pub hash: Hash,
    pub at: Instant,
}

/// Lines that are not records, or whose bytes do not give their hash.
#[derive(Debug, Default)]
pub(super) struct WrongLines {
    /// What is wrong with the first ones, and where each begins among these lines.
    pub first: Vec<(u64, Wrong)>,
    pub count: u64,
    /// Their length, with the line breaks.
    pub bytes: u64,
    /// The hash that the last one has, if it can be read.
    pub last_hash: Option<Hash>,
}

impl Checker {
    /// Checks whole lines, each with its line break.
    pub fn check(&self, bytes: &[u8]) -> Checked {
        let (mut checked, mut begin) = (Checked::default(), 0);
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[begin..end];
            begin = end + 1;
            checked.is_trail = checked.is_trail || has_a_beginning(line);
            self.check_line(line, &mut checked.parts);
        }
        checked
    }

    fn check_line(&self, line: &[u8], parts: &mut Vec<Part>) {
        let bytes = line.len() as u64 + 1;
        let shaped = shape::check(line);
        let sound = shaped.as_ref().ok().filter(|link| link.hash_is_right());
        if let Some(record) = sound.and_then(|link| Record::of(line, link)) {
            let contest = contradiction(line);
            match parts.last_mut() {
                Some(Part::Records(run)) if contest.is_none() && self.continues(run, &record) => {
                    run.more += 1;
                    run.more_bytes += bytes;
                    run.last = record;
                }
                _ => {
                    let (first, last) = (record.clone(), record);
                    let run = Run { first, first_bytes: bytes, contest, more: 0, more_bytes: 0, last };
                    parts.push(Part::Records(Box::new(run)));
                }
            }
            return;
        }
        if !matches!(parts.last(), Some(Part::Wrong(_))) {
            parts.push(Part::Wrong(WrongLines::default()));
        }
        if let Some(Part::Wrong(lines)) = parts.last_mut() {
            lines.last_hash = shaped.as_ref().ok().and_then(|link| link.hash.try_into().ok());
            if lines.first.len() < FAULTS_KEPT {
                lines.first.push((lines.bytes, diagnose(line, shaped)));
            }
            lines.count += 1;
            lines.bytes += bytes;
        }
    }

    /// Whether the record follows the last one of a run, and has not to be compared with a noted head.
    fn continues(&self, run: &Run, record: &Record) -> bool {
        run.last.seq.checked_add(1) == Some(record.seq)
            && run.last.hash == record.prev
            && self.anchored.binary_search(&record.seq).is_err()
    }
}

impl Record {
    /// The shape of the line was checked, so all of it is there.
    fn of(line: &[u8], link: &Link<'_>) -> Option<Self> {
        let at = line.get(shape::INSTANT)?.try_into().ok()?;
        Some(Self { seq: link.seq, prev: link.prev.try_into().ok()?, hash: link.hash.try_into().ok()?, at })
    }
}

/// Whether a line begins like a record, or has such a beginning within it.
pub(super) fn has_a_beginning(line: &[u8]) -> bool {
    memchr::memmem::find(line, shape::FIRST_FIELD).is_some()
}

/// The fault of a line that is not a valid record.
fn diagnose(line: &[u8], shaped: Result<Link<'_>, Misshapen>) -> Wrong {
    if line.trim_ascii().is_empty() {
        return Wrong::Blank;
    }
    if line.ends_with(b"\r") {
        return Wrong::CarriageReturn;
    }
    // Inside a string quotation marks are escaped, so each of these begins a record.
    if memchr::memmem::find_iter(line, shape::FIRST_FIELD).nth(1).is_some() {
        return Wrong::TwoOnALine;
    }
    match shaped {
        Ok(link) => Wrong::Changed(link.seq),
        Err(why) => Wrong::NotARecord(why),
    }
}
