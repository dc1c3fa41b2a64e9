//! The lines of a request in one sequence of files, in order, one at a time.

use std::collections::VecDeque;
use std::io::Read;
use std::rc::Rc;

use anyhow::Context;
use memchr::memmem;
use rust_i18n::t;

use super::files::{Kind, Series};
use super::line::{self, Entry, Lookout};
use crate::audit::filter::is_record;
use crate::audit::record::SERVICE;
use crate::commands::audit::foreign;
use crate::commands::audit::inputs::Input;
use crate::commands::audit::lines::{Line, Lines};
use crate::commands::audit::not_records::NotRecords;
use crate::commands::audit::reading::cannot_read;
use crate::commands::audit::source::{Source as Bytes, Watched, is_damage, tell_damage};
use crate::commands::output::tell;
use crate::coordinator::SERVICE as COORDINATOR;

/// The most lines of a file that was named: they are sorted in memory.
const SORTED_MAX: usize = 100_000;

/// A line, and where it stands.
pub struct Found {
    /// The line.
    pub entry: Entry,
    /// Its place in the order of time. Within one log the order of the lines is kept, also if a clock was set back.
    pub key: i64,
    /// The file's name.
    pub origin: Rc<str>,
    /// The line's number in the file, from 1.
    pub number: u64,
}

/// How a sequence of files begins.
pub struct Begin {
    /// When the first line was made.
    pub at: i64,
    /// The name of its file.
    pub origin: Rc<str>,
    /// Whether the service wrote the line when it started, as in a log that was never rotated.
    pub is_start: bool,
}

/// One sequence of files.
pub struct Source {
    /// What the files have.
    pub kind: Kind,
    /// Whether a file could not be read to its end. A message was printed.
    pub incomplete: bool,
    /// How many lines were passed over, because they are too long.
    pub too_long: u64,
    /// The first line that has a time.
    pub begins: Option<Begin>,
    /// Whether there are lines of the scheduler.
    pub has_scheduler: bool,
    /// Whether there are lines of the coordinator.
    pub has_coordinator: bool,
    inputs: VecDeque<Input>,
    lookout: Lookout,
    open: Option<Open>,
    last_key: i64,
    /// The lines of a file that was named, in the order of time; `None` before they are read.
    sorted: Option<VecDeque<Found>>,
}

/// The file that is being read.
struct Open {
    origin: Rc<str>,
    not_records: NotRecords,
    lines: Lines<Bytes<Box<dyn Read>>>,
    number: u64,
}

impl Source {
    /// The lines of request `id` in these files.
    pub fn new(series: Series, id: &str) -> Self {
        let has_files = !series.inputs.is_empty();
        Self {
            kind: series.kind,
            incomplete: series.incomplete,
            too_long: 0,
            begins: None,
            has_scheduler: matches!(series.kind, Kind::Trail | Kind::Scheduler) && has_files,
            has_coordinator: series.kind == Kind::Coordinator && has_files,
            inputs: series.inputs.into(),
            lookout: Lookout::new(id),
            open: None,
            last_key: 0,
            sorted: None,
        }
    }

    /// The next line, or `None` after the last.
    ///
    /// # Errors
    /// When a file cannot be opened or read.
    pub fn next(&mut self) -> anyhow::Result<Option<Found>> {
        if self.kind != Kind::Named {
            return self.next_in_file();
        }
        if self.sorted.is_none() {
            self.sorted = Some(self.sort()?);
        }
        Ok(self.sorted.as_mut().and_then(VecDeque::pop_front))
    }

    /// The lines of a file that was named, in the order of time. It may have the logs of both services, one after the other: a
    /// container engine prints them so.
    fn sort(&mut self) -> anyhow::Result<VecDeque<Found>> {
        let mut all = Vec::new();
        while let Some(mut found) = self.next_in_file()? {
            if all.len() == SORTED_MAX {
                tell(t!(
                    "%{name} has more than %{most} lines of this request, and sctec reads no more; give a shorter part of the file",
                    name = found.origin,
                    most = SORTED_MAX
                ));
                self.incomplete = true;
                break;
            }
            found.key = found.entry.at.unwrap_or(found.key);
            all.push(found);
        }
        all.sort_by_key(|found| found.key);
        Ok(all.into())
    }

    fn next_in_file(&mut self) -> anyhow::Result<Option<Found>> {
        loop {
            if self.open.is_none() {
                let Some(input) = self.inputs.pop_front() else { return Ok(None) };
                self.open = self.start(input)?;
                continue;
            }
            let read = self.read_on();
            if let Ok(Some(found)) = read {
                return Ok(Some(found));
            }
            if let Some(mut ended) = self.open.take() {
                self.incomplete |= ended.not_records.tell(&ended.origin);
            }
            match read {
                Err(error) if is_damage(&error) => {
                    tell_damage(&error);
                    self.incomplete = true;
                }
                read => {
                    read?;
                }
            }
        }
    }

    fn start(&mut self, input: Input) -> anyhow::Result<Option<Open>> {
        let name = input.name();
        let not_records = NotRecords::of(self.kind == Kind::Trail);
        let bytes: Box<dyn Read> = match input.open()? {
            None => Box::new(Watched::stdin().with_context(|| cannot_read(&name))?),
            Some(open) if open.is_regular() => Box::new(open.file),
            Some(open) => Box::new(Watched::file(open.file)),
        };
        let bytes = Bytes::of(bytes).with_context(|| cannot_read(&name))?;
        if let Bytes::Foreign(foreign, _) = bytes {
            tell(format_args!("{}: {}", cannot_read(&name), foreign::told(foreign)));
            self.incomplete = true;
            return Ok(None);
        }
        Ok(Some(Open { origin: name.into(), not_records, lines: Lines::new(bytes), number: 0 }))
    }

    /// The next line of the open file.
    fn read_on(&mut self) -> anyhow::Result<Option<Found>> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let origin = Rc::clone(&open.origin);
        while open.lines.next().with_context(|| cannot_read(&*origin))?.is_some() {
            open.number += 1;
            let line = open.lines.line();
            let is_told = open.not_records.must_be_record(open.lines.is_whole())
                && !matches!(line, Line::Bytes(line) if is_record(line));
            open.not_records.note(u64::from(is_told), is_told.then_some(open.number));
            let Line::Bytes(line) = line else {
                self.too_long += u64::from(!is_told);
                continue;
            };
            if self.begins.is_none() {
                self.begins = line::instant(line).map(|at| Begin {
                    at,
                    origin: Rc::clone(&origin),
                    is_start: open.number == 1 && line::is_start(line),
                });
            }
            if self.kind == Kind::Named {
                self.has_scheduler = self.has_scheduler || memmem::find(line, SERVICE.as_bytes()).is_some();
                self.has_coordinator = self.has_coordinator || memmem::find(line, COORDINATOR.as_bytes()).is_some();
            }
            if let Some(entry) = self.lookout.judge(line) {
                let key = entry.at.unwrap_or(self.last_key).max(self.last_key);
                self.last_key = key;
                return Ok(Some(Found { entry, key, origin, number: open.number }));
            }
        }
        Ok(None)
    }
}
