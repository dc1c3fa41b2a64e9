//! Verification: whether files hold a whole and unchanged trail.
//!
//! The bytes are checked as they are; a record is never serialised again for comparison. Each byte is read once, and a record's
//! fields are found from the two ends of its line, so almost all of the time is spent in SHA-256. Memory does not grow with the
//! file. There are two kinds of finding:
//!
//! - **tampered**: a line is not a record, its hash is wrong, it does not follow the record before, or it differs from a head
//!   that was noted elsewhere;
//! - **incomplete**: the last line is torn, as a crash leaves it, records up to a noted head are missing (perhaps not written
//!   yet), or the files begin after the first record and the records before are unknown.
//!
//! A file that was cut at the end of a line is a whole trail with fewer records. Only an [`Anchor`] shows that there were more
//! records: the database's head, or a head noted elsewhere. The same is true of a trail that somebody rewrote from its first
//! record with new hashes.

mod found;

use rust_i18n::t;

pub use self::found::{Anchor, Before, DatabaseNow, Fault, FileSeen, Held, Report, Torn, Verdict, Wrong};
use super::chain::{HASH_DIGITS, Link};
use super::contested::contradiction;
use super::shape::{self, Misshapen};

/// The most faults that are kept for the report. Further faults are only counted.
const FAULTS_KEPT: usize = 5;

/// The last line that was taken, as the end of the chain.
#[derive(Clone, Copy)]
struct Last {
    seq: u64,
    /// `None` after a line whose hash cannot be read.
    hash: Option<[u8; HASH_DIGITS]>,
}

/// The beginning of the files, if they do not begin with the trail's first record.
#[derive(Clone)]
struct Begins {
    /// How many records come before the files.
    after: u64,
    /// The hash of the last record before the files, as the first record in them gives it.
    prev: Vec<u8>,
    /// The place to report if that hash is wrong.
    line: u64,
    offset: u64,
    file: usize,
}

/// Verifies files as their bytes come.
#[derive(Clone)]
pub struct Verifier {
    /// Sorted by number.
    anchors: Vec<(Anchor, Held)>,
    next_anchor: usize,
    files: Vec<FileSeen>,
    /// The number of the first record according to the file's name.
    named: Option<u64>,
    line: u64,
    /// The first record of all files.
    first: Option<u64>,
    last: Option<Last>,
    begins: Option<Begins>,
    /// The last record whose bytes give its hash.
    sound: Option<(u64, [u8; HASH_DIGITS])>,
    records: u64,
    span: Option<([u8; shape::INSTANT_LENGTH], [u8; shape::INSTANT_LENGTH])>,
    faults: Vec<Fault>,
    fault_count: u64,
    torn: Option<Torn>,
    torn_bytes: Vec<u8>,
    elsewhere: u64,
    /// Whether any line, or part of a line, begins like a record.
    is_trail: bool,
}

impl Verifier {
    /// A verification against these heads. There may be none; then a cut at the end is not found.
    pub fn new(mut anchors: Vec<Anchor>) -> Self {
        anchors.sort_by_key(|anchor| anchor.seq);
        Self {
            anchors: anchors.into_iter().map(|anchor| (anchor, Held::NotReached)).collect(),
            next_anchor: 0,
            files: Vec::new(),
            named: None,
            line: 0,
            first: None,
            last: None,
            begins: None,
            sound: None,
            records: 0,
            span: None,
            faults: Vec::new(),
            fault_count: 0,
            torn: None,
            torn_bytes: Vec::new(),
            elsewhere: 0,
            is_trail: false,
        }
    }

    /// Begins a file. `named` is the number of its first record according to its name, if the name gives one.
    pub fn begin_file(&mut self, name: &str, named: Option<u64>) {
        self.named = named;
        self.files.push(FileSeen { name: name.to_owned(), ..FileSeen::default() });
        self.line = 0;
    }

    /// Takes the whole lines at the beginning of `bytes` and returns how many bytes they are. The caller passes the rest again
    /// with more bytes after it, or passes it to [`Verifier::end_file`].
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(length) = memchr::memchr(b'\n', &bytes[taken..]) {
            self.take_line(&bytes[taken..taken + length]);
            taken += length + 1;
        }
        taken
    }

    /// Records a line that is too long to be a record. `length` includes the line break.
    pub fn take_too_long(&mut self, length: u64) {
        self.line += 1;
        let expected = self.expected();
        self.fault(expected, Wrong::NotARecord(Misshapen::TooLong));
        self.last = Some(Last { seq: expected, hash: None });
        self.file().bytes += length;
    }

    /// Ends a file. `rest` are the bytes after its last line break.
    pub fn end_file(&mut self, rest: &[u8], is_last: bool) {
        if rest.is_empty() {
            return;
        }
        self.line += 1;
        self.look_for_a_record(rest);
        let expected = self.expected();
        if !is_last {
            self.fault(expected, Wrong::EndsWithinALine);
        } else if self.was_closed() {
            self.fault(expected, Wrong::ClosedWithinALine);
        } else if self.may_be_torn(without_zeros(rest)) {
            self.torn = Some(Torn { offset: self.file().bytes, bytes: rest.len() as u64 });
            self.torn_bytes = without_zeros(rest).to_vec();
        } else {
            self.fault(expected, Wrong::Garbage);
        }
        self.file().bytes += rest.len() as u64;
    }

    /// The number of the last record so far; 0 before the first.
    pub fn reached(&self) -> u64 {
        self.last.map_or(0, |last| last.seq)
    }

    /// How many records come before the files, if no anchor has confirmed the last of them. The database may confirm it: see
    /// [`DatabaseNow::before`].
    pub fn begins_after(&self) -> Option<u64> {
        self.begins.as_ref().map(|begins| begins.after)
    }

    /// Ends the verification and returns the report. `database` was read after the files.
    pub fn finish(mut self, database: Option<&DatabaseNow>) -> Report {
        if let Some(database) = database {
            self.compare_with(database);
        }
        let missing_before = self.begins.as_ref().map_or(0, |begins| begins.after);
        let incomplete = self.torn.is_some()
            || missing_before > 0
            || self.anchors.iter().any(|(anchor, held)| *held == Held::NotReached && anchor.seq > 0);
        let verdict = match (self.fault_count, incomplete) {
            (0, false) => Verdict::Whole,
            (0, true) => Verdict::Incomplete,
            _ => Verdict::Tampered,
        };
        let reached = self.reached();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Report {
            verdict,
            files: self.files,
            records: self.records,
            reached,
            head: self.sound.map(|(seq, hash)| (seq, text(&hash))),
            span: self.span.map(|(first, last)| (text(&first), text(&last))),
            faults: self.faults,
            fault_count: self.fault_count,
            torn: self.torn,
            missing_before,
            elsewhere: self.elsewhere,
            anchors: self.anchors,
            is_trail: self.is_trail,
        }
    }

    /// Compares the beginning and the end of the files with the database: the record before the first one, the last one, and a torn
    /// line after it.
    fn compare_with(&mut self, database: &DatabaseNow) {
        let reached = self.reached();
        if let (Some(begins), Some(before)) = (self.begins.clone(), &database.before) {
            self.begins = None;
            let wrong = if before.hash.as_bytes() != begins.prev {
                let (seq, from) = (begins.after, t!("the database").into_owned());
                Some(Wrong::NotAsNoted { seq, from, hash: before.hash.clone() })
            } else if !before.fills_a_file {
                Some(Wrong::Missing { expected: 1, found: begins.after + 1 })
            } else {
                self.elsewhere = begins.after;
                None
            };
            if let Some(wrong) = wrong {
                let Begins { after, line, offset, file, .. } = begins;
                self.fault_count += 1;
                // The beginning of the files comes before all other faults.
                self.faults.insert(0, Fault { file, line, offset, seq: after + 1, wrong });
                self.faults.truncate(FAULTS_KEPT);
            }
        }
        if self.files.is_empty() {
            return;
        }
        if reached > database.head || (self.torn.is_some() && reached == database.head) {
            self.fault(database.head + 1, Wrong::BeyondTheDatabase(database.head));
        } else if self.torn.is_some()
            && self.fault_count == 0
            && let Some(next) = database.next.as_ref().filter(|_| self.last.is_some())
            && !next.starts_with(&self.torn_bytes)
        {
            self.fault(reached + 1, Wrong::NotTheNext(reached + 1));
        }
    }

    fn file(&mut self) -> &mut FileSeen {
        self.files.last_mut().expect("a file begins before its bytes come")
    }

    /// Notes whether a line, or the beginning of a line that is too long, begins like a record.
    pub fn look_for_a_record(&mut self, line: &[u8]) {
        self.is_trail = self.is_trail || memchr::memmem::find(line, shape::FIRST_FIELD).is_some();
    }

    /// The number that the next record should have.
    fn expected(&self) -> u64 {
        self.last.map_or_else(|| self.named.unwrap_or(1), |last| last.seq.saturating_add(1))
    }

    /// Whether this is a closed file: it has the name of one, and its first record has the number in that name.
    fn was_closed(&self) -> bool {
        let first = self.files.last().and_then(|file| file.records).map(|(first, _)| first);
        let first = first.or_else(|| self.last.map(|_| self.expected()));
        self.named.is_some() && self.named == first
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
        self.look_for_a_record(line);
        match shape::check(line) {
            Ok(link) if link.hash_is_right() => self.take_record(line, &link),
            shaped => {
                let expected = self.expected();
                let hash = shaped.as_ref().ok().and_then(|link| link.hash.try_into().ok());
                self.fault(expected, diagnose(line, shaped));
                // The line counts as the expected record, so that one changed line is one fault.
                self.last = Some(Last { seq: expected, hash });
            }
        }
        self.file().bytes += line.len() as u64 + 1;
    }

    /// Takes a record with a right hash and checks that it follows the one before.
    fn take_record(&mut self, line: &[u8], link: &Link<'_>) {
        let found = link.seq;
        match self.last {
            None => self.take_first(link),
            Some(last) => {
                if let Some((seq, wrong)) = self.wrong_after(last, link) {
                    self.fault(seq, wrong);
                }
            }
        }
        self.check_anchors(found, link.hash, found);
        if let Some(why) = contradiction(line) {
            self.fault(found, Wrong::Contest { seq: found, why });
        }
        self.first = self.first.or(Some(found));
        let hash = link.hash.try_into().ok();
        self.last = Some(Last { seq: found, hash });
        self.sound = hash.map(|hash| (found, hash)).or(self.sound);
        self.records += 1;
        let file = self.file();
        file.records = Some((file.records.map_or(found, |(first, _)| first), found));
        // The shape was checked, so the line has an instant.
        if let Some(at) = line.get(shape::INSTANT).and_then(|at| at.try_into().ok()) {
            self.span = Some((self.span.map_or(at, |(first, _)| first), at));
        }
    }

    /// The fault of a record that does not follow the last one, with the number to report it under.
    fn wrong_after(&self, last: Last, link: &Link<'_>) -> Option<(u64, Wrong)> {
        let (expected, found) = (last.seq.saturating_add(1), link.seq);
        if found > expected {
            return Some((expected, Wrong::Missing { expected, found }));
        }
        if found < expected {
            // The user may have named whole files in the wrong order.
            let begins_file = self.line == 1 && self.files.len() > 1;
            return Some(match self.first {
                Some(first) if begins_file && found >= first => (found, Wrong::SeenAlready(found)),
                Some(_) if begins_file => (found, Wrong::FilesOutOfOrder { before: last.seq, found }),
                _ => (expected, Wrong::OutOfOrder { expected, found }),
            });
        }
        last.hash.is_some_and(|hash| hash != link.prev).then_some((found, Wrong::NotLinked(found)))
    }

    /// Takes the first record of all files. An anchor may confirm the record before it: the trail's beginning, or a noted head.
    fn take_first(&mut self, link: &Link<'_>) {
        let after = link.seq - 1;
        match self.check_anchors(after, link.prev, link.seq) {
            Some(Held::Yes) => self.elsewhere = after,
            None if after > 0 => {
                let (file, line, offset) = (self.files.len() - 1, self.line, self.file().bytes);
                self.begins = Some(Begins { after, prev: link.prev.to_vec(), line, offset, file });
            }
            _ => {}
        }
    }

    /// Compares the anchors of record `seq` with its hash, and marks the anchors before it as not seen. A fault is reported under
    /// the number `at`. Returns the result for `seq`, if it has an anchor.
    fn check_anchors(&mut self, seq: u64, hash: &[u8], at: u64) -> Option<Held> {
        let mut of_this = None;
        while let Some((anchor, held)) = self.anchors.get_mut(self.next_anchor).filter(|(anchor, _)| anchor.seq <= seq)
        {
            self.next_anchor += 1;
            *held = Held::NotSeen;
            if anchor.seq < seq {
                continue;
            }
            let is_it = anchor.hash.as_bytes() == hash;
            *held = if is_it { Held::Yes } else { Held::No };
            of_this = of_this.filter(|before| *before == Held::No).or(Some(*held));
            if !is_it {
                let Anchor { seq, hash, from } = anchor.clone();
                self.fault(at, Wrong::NotAsNoted { seq, from, hash });
            }
        }
        of_this
    }

    /// Whether a crash may have left these bytes: the beginning of a record, or a whole record without its line break.
    fn may_be_torn(&self, rest: &[u8]) -> bool {
        let link = match shape::rest(rest) {
            shape::Rest::Begun => return true,
            shape::Rest::Other => return false,
            // A whole record must also have a right hash and follow the last one.
            shape::Rest::Whole(link) => link,
        };
        let follows = self.last.is_none_or(|last| self.wrong_after(last, &link).is_none());
        let is_known = |seq, hash: &[u8]| {
            self.anchors.iter().all(|(anchor, _)| anchor.seq != seq || anchor.hash.as_bytes() == hash)
        };
        link.hash_is_right() && follows && is_known(link.seq - 1, link.prev) && is_known(link.seq, link.hash)
    }
}

/// The bytes without the zeros at their end. After a power failure a file may have its new length without its new bytes; it then
/// ends with zeros.
fn without_zeros(rest: &[u8]) -> &[u8] {
    &rest[..rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)]
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

#[cfg(test)]
mod tests;
