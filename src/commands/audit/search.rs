//! The search: reads each input to its end, and prints the records that match. Missing records and unreadable inputs are named,
//! and change the exit status.

use std::io::{Read, Write};

use anyhow::Context;
use indicatif::ProgressBar;
use rust_i18n::t;

use super::args::AuditArgs;
use super::foreign;
use super::inputs::{self, Input, OpenFile};
use super::judged::{Judged, JudgedLines, Wanted};
use super::kept::Kept;
use super::lines::{LINE_MAX, Line, Lines};
use super::not_records::{At, NotRecords};
use super::pieces::{Found, Pieces};
use super::print::Printer;
use super::reading::cannot_read;
use super::source::{Source, Watched, is_damage, tell_damage};
use crate::audit::chain::Link;
use crate::audit::fields::Record;
use crate::audit::files;
use crate::audit::filter::{Filter, Verdict};
use crate::audit::form::Foreign;
use crate::commands::output::{CANNOT_WRITE, tell};
use crate::commands::progress::progress_bar;
use crate::language::counted;

/// One search through all inputs.
pub struct Search<W: Write> {
    pub printer: Printer<W>,
    filter: Filter,
    shows_progress: bool,
    /// The matching records so far, if they are not printed at once.
    kept: Option<Kept>,
    /// Lines that look like records but are not whole.
    pub broken: u64,
    pub too_long: u64,
    /// Whether records are missing or an input could not be read. A message was printed for each.
    pub incomplete: bool,
    /// The last file that was read, and its last record.
    last_of: Option<(String, u64)>,
    /// The last record read of a compressed input: its end cannot be read first.
    reached: Option<u64>,
    /// Lines of the input that is being read.
    lines: u64,
    /// Those of them that should be records and are none.
    not_records: NotRecords,
}

impl<W: Write> Search<W> {
    /// A search that prints the records that `filter` wants to `printer`.
    pub fn new(filter: Filter, printer: Printer<W>, shows_progress: bool) -> Self {
        Self {
            printer,
            filter,
            shows_progress,
            kept: None,
            broken: 0,
            too_long: 0,
            incomplete: false,
            last_of: None,
            reached: None,
            lines: 0,
            not_records: NotRecords::default(),
        }
    }

    /// Reads each input to its end.
    ///
    /// # Errors
    /// When an input cannot be read, or the output cannot be written.
    pub fn read_all(&mut self, inputs: Vec<Input>) -> anyhow::Result<()> {
        inputs.into_iter().try_for_each(|input| self.read(input))
    }

    /// From now on keeps matching records, or prints them at once. Returns those that were kept.
    pub fn keep(&mut self, kept: Option<Kept>) -> Option<Kept> {
        std::mem::replace(&mut self.kept, kept)
    }

    /// Prints the last records that were kept, and each further one at once.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn release_last(&mut self) -> anyhow::Result<()> {
        let Some(Kept::Last { lines, .. }) = self.keep(None) else { return Ok(()) };
        lines.iter().try_for_each(|line| self.print(line))
    }

    /// Prints a record that is known to match.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn print(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.print_above(line, &ProgressBar::hidden())
    }

    /// The same above a progress bar.
    fn print_above(&mut self, line: &[u8], bar: &ProgressBar) -> anyhow::Result<()> {
        let Verdict::Wanted(record) = self.filter.judge(line) else { return Ok(()) };
        self.printer.record(line, &record).context(CANNOT_WRITE)?;
        if self.printer.table_is_full() {
            bar.suspend(|| self.printer.print_table()).context(CANNOT_WRITE)?;
        }
        Ok(())
    }

    /// Names the data folder's closed files in a form that sctec cannot read.
    pub fn tell_unread(&mut self, args: &AuditArgs) {
        // A folder that cannot be read is reported when its files are read.
        for unread in files::closed_and_unread(&args.trail()).unwrap_or_default() {
            tell(inputs::unread(&unread));
            self.incomplete = true;
        }
        // The trail of a data folder begins with record 1.
        self.last_of = Some((String::new(), 0));
    }

    /// Reads an input to its end.
    ///
    /// # Errors
    /// When it cannot be read, or the output cannot be written.
    pub fn read(&mut self, input: Input) -> anyhow::Result<()> {
        let name = input.name();
        self.begin(false);
        let read = match input.open()? {
            None => {
                let stdin = Watched::stdin().with_context(|| cannot_read(&name))?;
                self.read_lines(stdin, &name, &ProgressBar::hidden())
            }
            Some(open) if !open.is_regular() => {
                self.read_lines(Watched::file(open.file), &name, &ProgressBar::hidden())
            }
            Some(open) => self.read_file(&open, &name),
        };
        match read {
            Err(error) if is_damage(&error) => {
                tell_damage(&error);
                self.incomplete = true;
                Ok(())
            }
            read => read,
        }
    }

    /// Reads an input to its end. What comes before it in the trail does not matter.
    ///
    /// # Errors
    /// As [`Search::read`].
    pub fn read_alone(&mut self, input: Input) -> anyhow::Result<()> {
        let before = self.last_of.take();
        let read = self.read(input);
        self.last_of = before;
        read
    }

    /// The last record of the compressed input that was read.
    pub fn take_reached(&mut self) -> Option<u64> {
        self.reached.take()
    }

    fn read_file(&mut self, open: &OpenFile, name: &str) -> anyhow::Result<()> {
        let first = self.tell_gap(open, name)?;
        let last = inputs::last_record(&open.file).with_context(|| cannot_read(name))?;
        let length = open.file.metadata().with_context(|| cannot_read(name))?.len();
        let bar = if self.shows_progress { progress_bar(length) } else { ProgressBar::hidden() };
        (self.reached, self.lines) = (None, 0);
        self.begin(open.is_trail);
        let read = self.read_pieces(bar.wrap_read(&open.file), name, &bar);
        bar.finish_and_clear();
        self.tell_not_records(name);
        let last = last.or(self.reached);
        // A file without records, such as a new one, has no gap before or in it.
        if first.is_some() {
            self.last_of = last.map(|last| (name.to_owned(), last));
        }
        self.tell_missing_within(name, first, last, self.lines);
        read
    }

    /// Reports the records that are missing within a file of `lines` lines.
    pub fn tell_missing_within(&mut self, name: &str, first: Option<u64>, last: Option<u64>, lines: u64) {
        let (Some(first), Some(last)) = (first, last) else { return };
        // Each line of a trail is a record.
        let gap = (last + 1).saturating_sub(first).saturating_sub(lines);
        if gap > 0 {
            tell(counted(
                gap,
                t!("1 record is missing within %{name}; --verify says where", name = name),
                t!("%{n} records are missing within %{name}; --verify says where", n = gap, name = name),
            ));
            self.incomplete = true;
        }
    }

    /// Notes the last record of a followed file, to find a gap before the next file. After a file that was replaced there is no
    /// next file of the same trail, so nothing is noted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn followed(&mut self, open: &OpenFile, continues: bool) -> anyhow::Result<()> {
        let name = open.path.display().to_string();
        let last = inputs::last_record(&open.file).with_context(|| cannot_read(&name))?;
        self.last_of = last.filter(|_| continues).map(|last| (name, last));
        Ok(())
    }

    /// Reports the records that are missing between the file before and this one, if both have record numbers. Returns the first
    /// record of this file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tell_gap(&mut self, open: &OpenFile, name: &str) -> anyhow::Result<Option<u64>> {
        let first = inputs::first_record(&open.file).with_context(|| cannot_read(name))?;
        if let (Some((before, last)), Some(first)) = (self.last_of.clone(), first) {
            self.tell_missing(&before, last, name, first);
        }
        Ok(first)
    }

    /// Reports the records that are missing between the file `before` that ends with record `last` and the file `name` that
    /// begins with record `first`. If `last` is 0, there is no file before.
    pub fn tell_missing(&mut self, before: &str, last: u64, name: &str, first: u64) {
        if first <= last + 1 {
            return;
        }
        let (from, to) = (last + 1, first - 1);
        let missing = counted(
            to + 1 - from,
            t!("record %{n} is missing", n = from),
            t!("records %{from} to %{to} are missing", from = from, to = to),
        );
        if last == 0 {
            tell(t!(
                "%{missing} before %{name}; no file here has this part of the trail",
                missing = missing,
                name = name
            ));
        } else {
            tell(t!("%{missing} between %{before} and %{name}", missing = missing, before = before, name = name));
        }
        self.incomplete = true;
    }

    /// Reports the records that are missing before the trail's first file, given with its first record.
    pub fn tell_missing_before(&mut self, first_file: Option<&(String, u64)>) {
        if let (Some((name, first)), Some((_, 0))) = (first_file, &self.last_of) {
            self.tell_missing("", 0, name, *first);
        }
    }

    /// Reports an input that is not lines of text.
    pub fn tell_foreign(&mut self, foreign: Foreign, name: &str) {
        tell(format_args!("{}: {}", cannot_read(name), foreign::told(foreign)));
        self.incomplete = true;
    }

    /// Finds out what an input is. None is to be read if it is another program's file, of which this tells.
    fn opened<R: Read>(&mut self, input: R, name: &str) -> anyhow::Result<Option<Source<R>>> {
        // The input may be a pipe from `tail -f`: the records found so far are written out before the search waits for more.
        self.printer.flush().context(CANNOT_WRITE)?;
        let source = Source::of(input).with_context(|| cannot_read(name))?;
        if let Source::Foreign(foreign, _) = source {
            self.tell_foreign(foreign, name);
            return Ok(None);
        }
        Ok(Some(source))
    }

    /// Reads lines to the end of the input.
    ///
    /// # Errors
    /// When they cannot be read, or the output cannot be written.
    pub fn read_lines(&mut self, input: impl Read, name: &str, bar: &ProgressBar) -> anyhow::Result<()> {
        let Some(source) = self.opened(input, name)? else { return Ok(()) };
        let is_gzip = matches!(source, Source::Gzip(_));
        let mut lines = Lines::new(source);
        loop {
            if lines.may_wait() {
                self.printer.flush().context(CANNOT_WRITE)?;
            }
            if lines.next().with_context(|| cannot_read(name))?.is_none() {
                return Ok(());
            }
            let line = lines.line();
            self.lines += 1;
            if is_gzip && let Line::Bytes(line) = &line {
                self.reached = Link::of(line).map(|link| link.seq).or(self.reached);
            }
            self.judge(&line, At { number: Some(self.lines), is_whole: lines.is_whole() })?;
            if self.printer.table_is_full() {
                bar.suspend(|| self.printer.print_table()).context(CANNOT_WRITE)?;
            }
        }
    }

    /// Reads a file to its end, on all cores.
    fn read_pieces(&mut self, input: impl Read, name: &str, bar: &ProgressBar) -> anyhow::Result<()> {
        let Some(source) = self.opened(input, name)? else { return Ok(()) };
        let is_gzip = matches!(source, Source::Gzip(_));
        let (filter, must_be_records) = (self.filter.clone(), self.not_records.must_be_record(true));
        let mut pieces = Pieces::new(LINE_MAX + 1);
        let look = |bytes: &[u8]| JudgedLines::of(bytes, &filter, must_be_records);
        let read = pieces.read(source, look, |found| match found {
            Found::Lines(bytes, judged) => {
                if is_gzip {
                    self.reached = judged.reached.or(self.reached);
                }
                self.take(bytes, &judged, bar)
            }
            Found::TooLong { is_whole, .. } => self.take_last(&Line::TooLong, is_whole),
        })?;
        read.with_context(|| cannot_read(name))?;
        let rest = pieces.rest();
        if rest.is_empty() {
            return Ok(());
        }
        if is_gzip {
            self.reached = Link::of(rest).map(|link| link.seq).or(self.reached);
        }
        self.take_last(&Line::Bytes(rest), false)
    }

    /// Judges the next line by itself.
    fn take_last(&mut self, line: &Line<'_>, is_whole: bool) -> anyhow::Result<()> {
        self.lines += 1;
        self.judge(line, At { number: Some(self.lines), is_whole })
    }

    /// Takes what was found in the next whole lines.
    fn take(&mut self, bytes: &[u8], judged: &JudgedLines, bar: &ProgressBar) -> anyhow::Result<()> {
        for Wanted { place, count } in &judged.wanted {
            let lines = &bytes[place.clone()];
            if self.kept.is_none() && self.printer.lines(lines, *count).context(CANNOT_WRITE)? {
                continue;
            }
            for line in lines.split(|byte| *byte == b'\n') {
                match &mut self.kept {
                    Some(kept) => kept.keep(line).with_context(cannot_keep)?,
                    None => self.print_above(line, bar)?,
                }
            }
        }
        self.broken += judged.broken;
        self.not_records.note(judged.not_records, judged.first_not_record.map(|first| self.lines + first));
        self.lines += judged.lines;
        Ok(())
    }

    /// Prints or keeps a line if it is a record that is wanted.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn judge(&mut self, line: &Line<'_>, at: At) -> anyhow::Result<()> {
        let Some((line, record)) = self.wanted(line, at) else { return Ok(()) };
        match &mut self.kept {
            Some(kept) => kept.keep(line).with_context(cannot_keep),
            None => self.printer.record(line, &record).context(CANNOT_WRITE),
        }
    }

    /// The line without a mark, and what it says, if it is a record that is wanted. Counts what should be a record and is none.
    pub fn wanted<'a>(&mut self, line: &Line<'a>, at: At) -> Option<(&'a [u8], Record<'a>)> {
        match Judged::of(line, &self.filter, self.not_records.must_be_record(at.is_whole)) {
            Judged::Wanted(line, record) => return Some((line, record)),
            Judged::NotARecord => self.not_records.note(1, at.number),
            Judged::Broken => self.broken += 1,
            Judged::TooLong => self.too_long += 1,
            Judged::Other => {}
        }
        None
    }

    /// Begins to judge the lines of a file that is one of the data folder's trail or not.
    pub fn begin(&mut self, is_trail: bool) {
        self.not_records = NotRecords::of(is_trail);
    }

    /// Names the lines of that file that should be records and are none.
    pub fn tell_not_records(&mut self, name: &str) {
        self.incomplete |= self.not_records.tell(name);
    }
}

fn cannot_keep() -> String {
    t!("cannot write to the temporary file").into_owned()
}
