//! Verification: whether files hold a whole and unchanged trail.
//!
//! The bytes are checked as they are; a record is never serialised again for comparison. Each byte is read once, and a record's
//! fields are found from the two ends of its line, so almost all of the time is spent in SHA-256. That part is done on all cores: a
//! [`Checker`] checks lines in any order, and the [`Verifier`] joins what was found in the order of the lines. Memory does not grow
//! with the file. There are two kinds of finding:
//!
//! - **tampered**: a line is not a record, its hash is wrong, it does not follow the record before, or it differs from a head
//!   that was noted elsewhere;
//! - **incomplete**: the last line is torn, as a crash leaves it, records up to a noted head are missing (perhaps not written
//!   yet), or the files begin after the first record and the records before are unknown.
//!
//! A file that was cut at the end of a line is a whole trail with fewer records. Only an [`Anchor`] shows that there were more
//! records: the database's head, or a head noted elsewhere. The same is true of a trail that somebody rewrote from its first
//! record with new hashes.

mod checked;
mod found;

use rust_i18n::t;

pub use self::checked::{Checked, Checker};
use self::checked::{Part, Record, Run, WrongLines, has_a_beginning};
pub use self::found::{Anchor, Before, DatabaseNow, Fault, FileSeen, Held, Report, Torn, Verdict, Wrong};
use self::found::{FAULTS_KEPT, Hash, Instant};
use super::shape::{self, Misshapen};

/// The last line that was taken, as the end of the chain.
#[derive(Clone, Copy)]
struct Last {
    seq: u64,
    /// `None` after a line whose hash cannot be read.
    hash: Option<Hash>,
}

/// The beginning of the files, if they do not begin with the trail's first record.
#[derive(Clone)]
struct Begins {
    /// How many records come before the files.
    after: u64,
    /// The hash of the last record before the files, as the first record in them gives it.
    prev: Hash,
    /// The place to report if that hash is wrong.
    line: u64,
    offset: u64,
    file: usize,
}

/// Verifies files: takes their lines in order, as a [`Checker`] has checked them.
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
    sound: Option<(u64, Hash)>,
    records: u64,
    span: Option<(Instant, Instant)>,
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

    /// What checks lines for this verification, on any thread.
    pub fn checker(&self) -> Checker {
        Checker { anchored: self.anchors.iter().map(|(anchor, _)| anchor.seq).collect() }
    }

    /// Takes the next whole lines, as a [`Checker`] has checked them.
    pub fn take(&mut self, checked: Checked) {
        self.is_trail |= checked.is_trail;
        for part in checked.parts {
            match part {
                Part::Records(run) => self.take_run(&run),
                Part::Wrong(lines) => self.take_wrong(lines),
            }
        }
    }

    /// Takes a line that is too long to be a record, given with its first bytes. `length` includes the line break.
    pub fn take_too_long(&mut self, begin: &[u8], length: u64) {
        self.line += 1;
        self.is_trail |= has_a_beginning(begin);
        let expected = self.expected();
        self.fault(expected, Wrong::NotARecord(Misshapen::TooLong));
        self.last = Some(Last { seq: expected, hash: None });
        self.file().bytes += length;
    }

    /// Ends a file. `rest` are the bytes after its last line break: the beginning of a line.
    pub fn end_file(&mut self, rest: &[u8], is_last: bool) {
        if rest.is_empty() {
            return;
        }
        self.line += 1;
        self.is_trail |= has_a_beginning(rest);
        let expected = self.expected();
        if !is_last {
            self.fault(expected, Wrong::EndsWithinALine);
        } else if self.was_closed() {
            self.fault(expected, Wrong::ClosedWithinALine);
        } else if self.may_be_torn(shape::without_zeros(rest)) {
            self.torn = Some(Torn { offset: self.file().bytes, bytes: rest.len() as u64 });
            self.torn_bytes = shape::without_zeros(rest).to_vec();
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

    /// Takes records of which each follows the one before it.
    fn take_run(&mut self, run: &Run) {
        self.line += 1;
        self.take_record(&run.first, run.contest.as_deref());
        self.file().bytes += run.first_bytes;
        if run.more > 0 {
            self.line += run.more;
            self.go_on_to(&run.last, run.more);
            self.file().bytes += run.more_bytes;
        }
    }

    /// Takes a record with a right hash and checks that it follows the one before.
    fn take_record(&mut self, record: &Record, contest: Option<&str>) {
        let found = record.seq;
        match self.last {
            None => self.take_first(record),
            Some(last) => {
                if let Some((seq, wrong)) = self.wrong_after(last, found, &record.prev) {
                    self.fault(seq, wrong);
                }
            }
        }
        self.check_anchors(found, &record.hash, found);
        if let Some(why) = contest {
            self.fault(found, Wrong::Contest { seq: found, why: why.to_owned() });
        }
        self.first = self.first.or(Some(found));
        let file = self.file();
        file.records = file.records.or(Some((found, found)));
        self.go_on_to(record, 1);
    }

    /// Makes a record the last one, `count` records after the last one so far.
    fn go_on_to(&mut self, record: &Record, count: u64) {
        let (seq, hash) = (record.seq, record.hash);
        self.last = Some(Last { seq, hash: Some(hash) });
        self.sound = Some((seq, hash));
        self.records += count;
        let file = self.file();
        file.records = file.records.map(|(first, _)| (first, seq));
        self.span = Some((self.span.map_or(record.at, |(first, _)| first), record.at));
    }

    /// Takes lines that are not records. Each counts as the expected record, so that one changed line is one fault.
    fn take_wrong(&mut self, lines: WrongLines) {
        let WrongLines { first, count, bytes, last_hash } = lines;
        let (expected, line, begin) = (self.expected(), self.line, self.file().bytes);
        self.fault_count += count - first.len() as u64;
        for (nth, (offset, wrong)) in (0..).zip(first) {
            self.line = line + nth + 1;
            self.file().bytes = begin + offset;
            self.fault(expected.saturating_add(nth), wrong);
        }
        self.line = line + count;
        self.file().bytes = begin + bytes;
        self.last = Some(Last { seq: expected.saturating_add(count - 1), hash: last_hash });
    }

    /// The fault of a record that does not follow the last one, with the number to report it under.
    fn wrong_after(&self, last: Last, found: u64, prev: &[u8]) -> Option<(u64, Wrong)> {
        let expected = last.seq.saturating_add(1);
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
        last.hash.is_some_and(|hash| hash != prev).then_some((found, Wrong::NotLinked(found)))
    }

    /// Takes the first record of all files. An anchor may confirm the record before it: the trail's beginning, or a noted head.
    fn take_first(&mut self, record: &Record) {
        let after = record.seq - 1;
        match self.check_anchors(after, &record.prev, record.seq) {
            Some(Held::Yes) => self.elsewhere = after,
            None if after > 0 => {
                let (file, line, offset) = (self.files.len() - 1, self.line, self.file().bytes);
                self.begins = Some(Begins { after, prev: record.prev, line, offset, file });
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
        let follows = self.last.is_none_or(|last| self.wrong_after(last, link.seq, link.prev).is_none());
        let is_known = |seq, hash: &[u8]| {
            self.anchors.iter().all(|(anchor, _)| anchor.seq != seq || anchor.hash.as_bytes() == hash)
        };
        link.hash_is_right() && follows && is_known(link.seq - 1, link.prev) && is_known(link.seq, link.hash)
    }
}

#[cfg(test)]
mod tests;
