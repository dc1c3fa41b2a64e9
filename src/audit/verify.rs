//! Verification: whether files hold a trail, whole and unchanged.
//!
//! It works on the bytes as they stand and never writes a record anew to compare. Each byte is looked at once, a record's
//! own fields are found from its two ends, so that almost all of the time is SHA-256's; memory does not grow with the
//! file. What it finds is told apart:
//!
//! - **tampered**: a line is not a record, its bytes do not give its hash, it does not follow the one before, or it is
//!   not the one that a head noted elsewhere says it was;
//! - **incomplete**: the last line was not written to its end, as a crash leaves it, or records that a head speaks of are
//!   not there (yet).
//!
//! A file that ends earlier, at the end of a line, is a whole trail with fewer records: nothing in it says that there were
//! more. Only a [`Anchor`] can, the database's head or one noted elsewhere. The same is true of a trail written anew from
//! its first record, hashes and all.

use super::chain::{HASH_DIGITS, HASH_FIELD, Link, is_hash};

/// How every record begins; `d` is a digit.
const BEGINNING: &[u8] = b"{\"timestamp_utc\":\"dddd-dd-ddTdd:dd:dd.ddddddZ\",\"level\":\"AUDIT\",\"event_type\":\"";
/// What follows the event.
const SERVICE_FIELD: &[u8] = b"\",\"service\":\"";
/// What follows the service.
const DETAILS_FIELD: &[u8] = b"\",\"details\":{";
/// Faults that are kept for the report; the others are counted.
const FAULTS_KEPT: usize = 5;
/// The longest line that is taken for a record's: one is some hundreds of bytes, some thousands at the most.
pub const LINE_MAX: usize = 1 << 20;

/// A head that was noted elsewhere: the record with this number had this hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The record's number; 0 is the trail's beginning, whose hash the first record carries as `prev`.
    pub seq: u64,
    /// Its hash, 64 lower-case hexadecimal digits.
    pub hash: String,
    /// Who says so, for the report.
    pub from: String,
}

/// What became of an [`Anchor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The record is there and is the one.
    Yes,
    /// The record is there and is another.
    No,
    /// The files end before it.
    NotReached,
    /// The files begin after it, or have a gap there.
    NotSeen,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
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
    #[error(
        "record {0} does not follow the record {before} that stands before it: one of them was replaced",
        before = .0 - 1
    )]
    NotLinked(u64),
    #[error("record {seq} is not the one that {from} speaks of: that had the hash {hash}")]
    NotAsNoted { seq: u64, from: String, hash: String },
    #[error("the file goes on after record {0}, the last one that the database has")]
    BeyondTheDatabase(u64),
    #[error("the file ends within a line, and is not the last one")]
    EndsWithinALine,
    #[error("what stands after the last whole line is not the beginning of a record")]
    Garbage,
}

fn missing(expected: u64, found: u64) -> String {
    if found - expected == 1 { format!("{expected} is") } else { format!("{expected} to {} are", found - 1) }
}

/// Something wrong, and where.
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

/// What one file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSeen {
    /// As it was given.
    pub name: String,
    /// The first and the last record in it.
    pub records: Option<(u64, u64)>,
    /// Its length.
    pub bytes: u64,
}

/// A last line that was not written to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins.
    pub offset: u64,
    /// How much of it there is.
    pub bytes: u64,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every record follows the one before, and every head that is known is there.
    Whole,
    /// What is there is as it was written, but not all is there.
    Incomplete,
    /// Something was changed, removed, put in or exchanged.
    Tampered,
}

/// All that was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// The files, in order.
    pub files: Vec<FileSeen>,
    /// How many records.
    pub records: u64,
    /// The last one: its number and its hash.
    pub head: Option<(u64, String)>,
    /// The `timestamp_utc` of the first and the last record.
    pub span: Option<(String, String)>,
    /// The first things that are wrong.
    pub faults: Vec<Fault>,
    /// How many things are wrong.
    pub fault_count: u64,
    /// A last line that was not written to its end.
    pub torn: Option<Torn>,
    /// The files begin after this many records, in a file that says so by its name.
    pub missing_before: u64,
    /// What became of the heads that were known.
    pub anchors: Vec<(Anchor, Held)>,
}

/// Where the chain is.
#[derive(Clone, Copy)]
struct Last {
    seq: u64,
    /// `None` after a line whose hash cannot be told.
    hash: Option<[u8; HASH_DIGITS]>,
}

/// Verifies files as their bytes come.
#[derive(Clone)]
pub struct Verifier {
    /// By number.
    anchors: Vec<(Anchor, Held)>,
    next_anchor: usize,
    files: Vec<FileSeen>,
    /// The number that the first file's name says it begins with.
    starts_at: Option<u64>,
    line: u64,
    last: Option<Last>,
    records: u64,
    span: Option<([u8; TIMESTAMP_LENGTH], [u8; TIMESTAMP_LENGTH])>,
    faults: Vec<Fault>,
    fault_count: u64,
    torn: Option<Torn>,
    missing_before: u64,
}

const TIMESTAMP_LENGTH: usize = "2025-10-26T18:00:05.123456Z".len();
const TIMESTAMP_AT: usize = "{\"timestamp_utc\":\"".len();

impl Verifier {
    /// A verification against these heads; none is fine, and proves less.
    pub fn new(mut anchors: Vec<Anchor>) -> Self {
        anchors.sort_by_key(|anchor| anchor.seq);
        Self {
            anchors: anchors.into_iter().map(|anchor| (anchor, Held::NotReached)).collect(),
            next_anchor: 0,
            files: Vec::new(),
            starts_at: None,
            line: 0,
            last: None,
            records: 0,
            span: None,
            faults: Vec::new(),
            fault_count: 0,
            torn: None,
            missing_before: 0,
        }
    }

    /// A file begins. `starts_at` is the record that its name says it begins with, if it says so.
    pub fn begin_file(&mut self, name: &str, starts_at: Option<u64>) {
        if self.files.is_empty() {
            self.starts_at = starts_at;
        }
        self.files.push(FileSeen { name: name.to_owned(), ..FileSeen::default() });
        self.line = 0;
    }

    /// Takes the whole lines at the beginning of `bytes` and gives how many bytes they are. The rest is for the next call,
    /// with more behind it, or for [`Verifier::end_file`].
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(length) = memchr::memchr(b'\n', &bytes[taken..]) {
            self.take_line(&bytes[taken..taken + length]);
            taken += length + 1;
        }
        taken
    }

    /// Passes over a line that is too long to be a record's: its length, line break included.
    pub fn take_too_long(&mut self, length: u64) {
        self.line += 1;
        let expected = self.expected();
        self.fault(expected, Wrong::NotARecord("it is too long"));
        self.last = Some(Last { seq: expected, hash: None });
        self.file().bytes += length;
    }

    /// The file ends, with `rest` after its last line break.
    pub fn end_file(&mut self, rest: &[u8], is_last: bool) {
        if rest.is_empty() {
            return;
        }
        self.line += 1;
        let expected = self.expected();
        if !is_last {
            self.fault(expected, Wrong::EndsWithinALine);
        } else if self.may_be_torn(rest) {
            self.torn = Some(Torn { offset: self.file().bytes, bytes: rest.len() as u64 });
        } else {
            self.fault(expected, Wrong::Garbage);
        }
        self.file().bytes += rest.len() as u64;
    }

    /// The number of the last record so far; 0 before the first.
    pub fn reached(&self) -> u64 {
        self.last.map_or(0, |last| last.seq)
    }

    /// Everything was read. `database_head` is the number of the last record that the database has by now: no file can
    /// have more.
    pub fn finish(mut self, database_head: Option<u64>) -> Report {
        if let Some(head) = database_head
            && self.reached() > head
            && !self.files.is_empty()
        {
            self.fault(head + 1, Wrong::BeyondTheDatabase(head));
        }
        let incomplete = self.torn.is_some()
            || self.missing_before > 0
            || self.anchors.iter().any(|(anchor, held)| *held == Held::NotReached && anchor.seq > 0);
        let verdict = match (self.fault_count, incomplete) {
            (0, false) => Verdict::Whole,
            (0, true) => Verdict::Incomplete,
            _ => Verdict::Tampered,
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Report {
            verdict,
            files: self.files,
            records: self.records,
            head: self.last.and_then(|last| Some((last.seq, text(&last.hash?)))),
            span: self.span.map(|(first, last)| (text(&first), text(&last))),
            faults: self.faults,
            fault_count: self.fault_count,
            torn: self.torn,
            missing_before: self.missing_before,
            anchors: self.anchors,
        }
    }

    fn file(&mut self) -> &mut FileSeen {
        self.files.last_mut().expect("a file begins before its bytes come")
    }

    /// The number that the next record should have.
    fn expected(&self) -> u64 {
        self.last.map_or_else(|| self.starts_at.unwrap_or(1), |last| last.seq.saturating_add(1))
    }

    fn fault(&mut self, seq: u64, wrong: Wrong) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_KEPT {
            let fault = Fault { file: self.files.len() - 1, line: self.line, offset: self.file().bytes, seq, wrong };
            self.faults.push(fault);
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        self.line += 1;
        match check_shape(line) {
            Ok(link) if link.hash_is_right() => self.take_record(line, &link),
            shaped => {
                let expected = self.expected();
                let hash = shaped.as_ref().ok().and_then(|link| link.hash.try_into().ok());
                self.fault(expected, diagnose(line, shaped));
                // Whatever it says, it stands for the record that should be there: so one changed line is one fault.
                self.last = Some(Last { seq: expected, hash });
            }
        }
        self.file().bytes += line.len() as u64 + 1;
    }

    /// A line that is a record by itself: does it follow the one before?
    fn take_record(&mut self, line: &[u8], link: &Link<'_>) {
        let expected = self.expected();
        let found = link.seq;
        match self.last {
            None => self.take_first(link),
            Some(_) if found > expected => self.fault(expected, Wrong::Missing { expected, found }),
            Some(_) if found < expected => self.fault(expected, Wrong::OutOfOrder { expected, found }),
            Some(Last { hash: Some(hash), .. }) if hash != link.prev => self.fault(found, Wrong::NotLinked(found)),
            Some(_) => {}
        }
        self.hold_anchors(found, link.hash);
        self.last = Some(Last { seq: found, hash: link.hash.try_into().ok() });
        self.records += 1;
        let file = self.file();
        file.records = Some((file.records.map_or(found, |(first, _)| first), found));
        // Its shape was checked, so the instant is there.
        if let Some(at) = line.get(TIMESTAMP_AT..TIMESTAMP_AT + TIMESTAMP_LENGTH).and_then(|at| at.try_into().ok()) {
            self.span = Some((self.span.map_or(at, |(first, _)| first), at));
        }
    }

    /// The first record of all follows nothing, but may be known to: from its trail's identity, or a noted head.
    fn take_first(&mut self, link: &Link<'_>) {
        let before = link.seq - 1;
        let mut known = false;
        while let Some((anchor, _)) = self.anchors.get(self.next_anchor).filter(|(anchor, _)| anchor.seq <= before) {
            let held = if anchor.seq < before { Held::NotSeen } else { held_if(anchor.hash.as_bytes() == link.prev) };
            let wrong = (held == Held::No).then(|| not_as_noted(anchor));
            known |= held == Held::Yes;
            self.anchors[self.next_anchor].1 = held;
            self.next_anchor += 1;
            if let Some(wrong) = wrong {
                self.fault(link.seq, wrong);
            }
        }
        if before == 0 || known {
            return;
        }
        if self.starts_at == Some(link.seq) {
            self.missing_before = before;
        } else {
            self.fault(1, Wrong::Missing { expected: 1, found: link.seq });
        }
    }

    fn hold_anchors(&mut self, seq: u64, hash: &[u8]) {
        while let Some((anchor, _)) = self.anchors.get(self.next_anchor).filter(|(anchor, _)| anchor.seq <= seq) {
            let held = if anchor.seq < seq { Held::NotSeen } else { held_if(anchor.hash.as_bytes() == hash) };
            let wrong = (held == Held::No).then(|| not_as_noted(anchor));
            self.anchors[self.next_anchor].1 = held;
            self.next_anchor += 1;
            if let Some(wrong) = wrong {
                self.fault(seq, wrong);
            }
        }
    }

    /// Whether a crash may have left this: the beginning of a record, up to all of it but the line break. A system that
    /// lost its power may have made the file longer before it wrote the bytes, which then are zeros.
    fn may_be_torn(&self, rest: &[u8]) -> bool {
        let written = rest.len() - rest.iter().rev().take_while(|&&byte| byte == 0).count();
        let written = &rest[..written];
        let beginning = &BEGINNING[..BEGINNING.len().min(written.len())];
        if !matches_pattern(&written[..beginning.len()], beginning) || written.iter().any(u8::is_ascii_control) {
            return false;
        }
        // Inside a text a quotation mark is escaped, so this is found in its own place only.
        let Some(at) = memchr::memmem::find(written, HASH_FIELD.as_bytes()) else { return true };
        let tail = &written[at + HASH_FIELD.len()..];
        match tail.split_at_checked(HASH_DIGITS) {
            None => tail.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            Some((hash, b"" | b"\"")) => is_hash(hash),
            // All of it: then it has to be right as well.
            Some((_, b"\"}")) => check_shape(written).is_ok_and(|link| {
                let follows = match self.last {
                    Some(last) => {
                        link.seq == last.seq.saturating_add(1) && last.hash.is_none_or(|hash| hash == link.prev)
                    }
                    None => link.seq == self.expected(),
                };
                link.hash_is_right() && follows
            }),
            Some(_) => false,
        }
    }
}

fn held_if(same: bool) -> Held {
    if same { Held::Yes } else { Held::No }
}

fn not_as_noted(anchor: &Anchor) -> Wrong {
    Wrong::NotAsNoted { seq: anchor.seq, from: anchor.from.clone(), hash: anchor.hash.clone() }
}

/// Holds a line against the form that every record has, its hash aside.
fn check_shape(line: &[u8]) -> Result<Link<'_>, &'static str> {
    if line.len() < BEGINNING.len() || !matches_pattern(&line[..BEGINNING.len()], BEGINNING) {
        return Err("it does not begin as one does, with timestamp_utc, level and event_type");
    }
    let link = Link::of(line).ok_or("it does not end as one does, with seq, req, prev and hash")?;
    let between = link.body.get(BEGINNING.len()..).ok_or("its fields overlap")?;
    let event = between.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'_').count();
    let service = between[event..].strip_prefix(SERVICE_FIELD).filter(|_| event > 0);
    let service = service.ok_or("after event_type comes something else than service")?;
    let length = service.iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'-').count();
    let details = service[length..].strip_prefix(DETAILS_FIELD).filter(|_| length > 0);
    match details.ok_or("after service comes something else than details")?.last() {
        Some(b'}') => Ok(link),
        _ => Err("before seq stands something else than details"),
    }
}

/// `pattern` has `d` for a digit, in the places that `text` has one.
fn matches_pattern(text: &[u8], pattern: &[u8]) -> bool {
    const DIGITS: std::ops::Range<usize> = TIMESTAMP_AT..TIMESTAMP_AT + TIMESTAMP_LENGTH;
    text.iter().zip(pattern).enumerate().all(|(at, (&byte, &want))| {
        if want == b'd' && DIGITS.contains(&at) { byte.is_ascii_digit() } else { byte == want }
    })
}

/// Says what is wrong with a line that is not a record, or not one any more.
fn diagnose(line: &[u8], shaped: Result<Link<'_>, &'static str>) -> Wrong {
    if line.trim_ascii().is_empty() {
        return Wrong::Blank;
    }
    if line.ends_with(b"\r") {
        return Wrong::CarriageReturn;
    }
    // Inside a text a quotation mark is escaped, so this is a beginning.
    if memchr::memmem::find_iter(line, &BEGINNING[..TIMESTAMP_AT]).nth(1).is_some() {
        return Wrong::TwoOnALine;
    }
    match shaped {
        Ok(link) => Wrong::Changed(link.seq),
        Err(why) => Wrong::NotARecord(why),
    }
}

#[cfg(test)]
mod tests;
