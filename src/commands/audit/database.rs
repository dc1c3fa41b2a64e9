//! Searching the records in a database, where every scheduler's files are copies of it.

use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use rust_i18n::t;

use super::args::AuditArgs;
use super::kept::Kept;
use super::latest;
use super::search::Search;
use crate::commands::output::{CANNOT_WRITE, pause, tell};
use crate::store::postgres::Outside;

/// Records that are read at once.
const AT_ONCE: u32 = 1000;
/// How often new records are looked for.
const POLL: Duration = Duration::from_millis(250);
/// More than any record's number.
const END: u64 = i64::MAX.cast_unsigned();

/// The trail in the database of `--store`, if one is given.
pub fn outside(args: &AuditArgs) -> anyhow::Result<Option<Outside>> {
    let location = args.store.location()?;
    location.map(|location| Ok(Outside::new(&location, args.kind())?)).transpose()
}

/// Reads the records of a trail, and its new ones if they are followed.
///
/// # Errors
/// When they cannot be read, or the output cannot be written.
pub fn run<W: Write>(search: &mut Search<W>, outside: &Outside, args: &AuditArgs) -> anyhow::Result<()> {
    if args.follow {
        return follow(search, outside, args.last);
    }
    if args.last.is_some() || args.reverse {
        let lines = Backward { outside, before: END, lines: Vec::new().into_iter() };
        return latest::of_lines(search, lines, args.last, args.reverse);
    }
    let mut feed = Feed { outside, seq: 0, count: 0, text: Vec::new(), at: 0 };
    let read = read_all(search, &mut feed, outside.name());
    // Of a trail that begins with record 1, each number is a line.
    search.tell_missing_within(outside.name(), Some(1), Some(feed.seq), feed.count);
    read
}

fn read_all<W: Write>(search: &mut Search<W>, input: impl Read, name: &str) -> anyhow::Result<()> {
    search.begin(true);
    let read = search.read_lines(input, name, &ProgressBar::hidden());
    search.tell_not_records(name);
    read
}

/// Reads all records, or the last ones, and then each new one, until the output's pipe is closed.
fn follow<W: Write>(search: &mut Search<W>, outside: &Outside, last: Option<usize>) -> anyhow::Result<()> {
    let cannot_read = || t!("cannot read %{name}", name = outside.name());
    let mut seq = 0;
    if last == Some(0) {
        seq = outside.ends().with_context(cannot_read)?[1].seq;
    }
    search.keep(last.map(|most| Kept::new(Some(most))));
    let (mut is_away, mut text) = (false, Vec::new());
    loop {
        text.clear();
        match outside.lines_after(seq, AT_ONCE, &mut text) {
            Ok(Some(reached)) => {
                (seq, is_away) = (reached, false);
                read_all(search, &text[..], outside.name())?;
                continue;
            }
            Ok(None) => is_away = false,
            // Another server may become the primary.
            Err(error) if !std::mem::replace(&mut is_away, true) => {
                tell(t!("cannot read %{name}: %{error}; waiting for it", name = outside.name(), error = error));
            }
            Err(_) => {}
        }
        search.release_last()?;
        search.printer.flush().context(CANNOT_WRITE)?;
        if !pause(POLL) {
            return Ok(());
        }
    }
}

/// The lines of a trail, from its first record on.
struct Feed<'a> {
    outside: &'a Outside,
    /// The last record that was read.
    seq: u64,
    /// How many were read.
    count: u64,
    text: Vec<u8>,
    at: usize,
}

impl Read for Feed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() {
            (self.text, self.at) = (Vec::new(), 0);
            let read = self.outside.lines_after(self.seq, AT_ONCE, &mut self.text).map_err(io::Error::other)?;
            let Some(seq) = read else { return Ok(0) };
            self.seq = seq;
            self.count += memchr::memchr_iter(b'\n', &self.text).count() as u64;
        }
        let mut left = &self.text[self.at..];
        let read = left.read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

/// The lines of a trail, from its last record on.
struct Backward<'a> {
    outside: &'a Outside,
    before: u64,
    lines: std::vec::IntoIter<(u64, String)>,
}

impl Iterator for Backward<'_> {
    type Item = anyhow::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.lines.as_slice().is_empty() {
            let read = self.outside.lines_before(self.before, AT_ONCE);
            match read.with_context(|| t!("cannot read %{name}", name = self.outside.name())) {
                Ok(lines) => self.lines = lines.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
        let (seq, line) = self.lines.next()?;
        self.before = seq;
        Some(Ok(line))
    }
}
