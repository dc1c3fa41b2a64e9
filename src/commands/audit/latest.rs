//! `--last` and `--reverse`: reads the inputs from their ends, the last input first.
//!
//! So the last records of a trail of gigabytes are found at once. A compressed file or a pipe cannot be read from its end: it is
//! read as always, and the records that match are kept until then, beyond some megabytes in a temporary file.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use anyhow::Context;
use rust_i18n::t;

use super::backward::Backward;
use super::inputs::{self, Input, OpenFile};
use super::kept::Kept;
use super::lines::Line;
use super::not_records::At;
use super::reading::cannot_read;
use super::search::Search;
use crate::audit::form::{self, Form};

/// What the search still wants, and where its records go.
struct Wants {
    left: Option<usize>,
    /// The records that were found, the newest first, if they are to be printed in the other order.
    found: Option<Vec<Vec<u8>>>,
}

impl Wants {
    fn take<W: Write>(&mut self, search: &mut Search<W>, line: &[u8]) -> anyhow::Result<()> {
        self.left = self.left.map(|left| left.saturating_sub(1));
        match &mut self.found {
            Some(found) => found.push(line.to_owned()),
            None => search.print(line)?,
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.left == Some(0)
    }
}

/// Prints the last `last` records that match, or all; `newest_first` or in the order of the trail.
///
/// # Errors
/// When an input cannot be read, or the output cannot be written.
pub fn run<W: Write>(
    search: &mut Search<W>,
    inputs: Vec<Input>,
    last: Option<usize>,
    newest_first: bool,
) -> anyhow::Result<()> {
    let mut wants = Wants { left: last, found: (!newest_first).then(Vec::new) };
    let found_all = find(search, &mut wants, inputs);
    // Records that were found before an error are printed too.
    let found = wants.found.unwrap_or_default();
    let printed = found.iter().rev().try_for_each(|line| search.print(line));
    found_all.and(printed)
}

/// The same with lines that come from the last one on.
///
/// # Errors
/// When one cannot be read, or the output cannot be written.
pub fn of_lines<W: Write>(
    search: &mut Search<W>,
    lines: impl Iterator<Item = anyhow::Result<String>>,
    last: Option<usize>,
    newest_first: bool,
) -> anyhow::Result<()> {
    let mut wants = Wants { left: last, found: (!newest_first).then(Vec::new) };
    let mut read = Ok(());
    for line in lines {
        if wants.is_done() {
            break;
        }
        match line {
            Ok(line) => {
                let at = At { number: None, is_whole: true };
                if let Some((line, _)) = search.wanted(&Line::Bytes(line.as_bytes()), at) {
                    wants.take(search, line)?;
                }
            }
            Err(error) => {
                read = Err(error);
                break;
            }
        }
    }
    let found = wants.found.unwrap_or_default();
    found.iter().rev().try_for_each(|line| search.print(line))?;
    read
}

/// Reads the inputs, from the last one on, until nothing more is wanted.
fn find<W: Write>(search: &mut Search<W>, wants: &mut Wants, inputs: Vec<Input>) -> anyhow::Result<()> {
    // The file that was read before, which follows in the trail, and its first record.
    let mut next: Option<(String, u64)> = None;
    let mut inputs = inputs.into_iter().rev();
    while !wants.is_done() {
        let Some(input) = inputs.next() else {
            search.tell_missing_before(next.as_ref());
            break;
        };
        let name = input.name();
        let read = match input.open()? {
            Some(open) if open.is_regular() => {
                let first = inputs::first_record(&open.file).with_context(|| cannot_read(&name))?;
                let reached = read(search, wants, open, &name)?;
                if let (Some((next, next_first)), Some(reached)) = (&next, reached) {
                    search.tell_missing(&name, reached, next, *next_first);
                }
                next = first.map(|first| (name, first)).or(next);
                continue;
            }
            Some(open) => Input::Open(open),
            None => Input::Stdin,
        };
        read_whole(search, wants, read)?;
    }
    Ok(())
}

/// Reads a regular file. Returns its last record, if it has numbers.
fn read<W: Write>(
    search: &mut Search<W>,
    wants: &mut Wants,
    open: OpenFile,
    name: &str,
) -> anyhow::Result<Option<u64>> {
    let mut begin = [0; form::LOOKED_AT];
    let length = open.file.read_at(&mut begin, 0).with_context(|| cannot_read(name))?;
    if Form::of(&begin[..length]) != Form::Lines {
        read_whole(search, wants, Input::Open(open))?;
        return Ok(search.take_reached());
    }
    let last = inputs::last_record(&open.file).with_context(|| cannot_read(name))?;
    let first = inputs::first_record(&open.file).with_context(|| cannot_read(name))?;
    let mut lines = Backward::new(&open.file).with_context(|| cannot_read(name))?;
    search.begin(open.is_trail);
    let read = read_lines(search, wants, &mut lines, name);
    search.tell_not_records(name);
    // What comes before the last record that is wanted is not counted.
    if let Some(count) = read? {
        search.tell_missing_within(name, first, last, count);
    }
    Ok(last)
}

/// Takes the records that are wanted, from the last line on. Returns how many lines there are, if all were read.
fn read_lines<W: Write>(
    search: &mut Search<W>,
    wants: &mut Wants,
    lines: &mut Backward<&File>,
    name: &str,
) -> anyhow::Result<Option<u64>> {
    let (mut count, ends_whole) = (0, lines.ends_whole());
    while let Some(line) = lines.next().with_context(|| cannot_read(name))? {
        count += 1;
        // Read from the end, a line has no number.
        let at = At { number: None, is_whole: count > 1 || ends_whole };
        if let Some((line, _)) = search.wanted(&line, at) {
            wants.take(search, line)?;
            if wants.is_done() {
                return Ok(None);
            }
        }
    }
    Ok(Some(count))
}

/// Reads an input from its beginning, and then takes its records from the last one on.
fn read_whole<W: Write>(search: &mut Search<W>, wants: &mut Wants, input: Input) -> anyhow::Result<()> {
    search.keep(Some(Kept::new(wants.left)));
    let read = search.read_alone(input);
    match search.keep(None) {
        Some(Kept::Last { lines, .. }) => lines.iter().rev().try_for_each(|line| wants.take(search, line))?,
        Some(Kept::All(file)) => {
            let kept = || t!("cannot read the temporary file");
            let mut lines = Backward::new(file).with_context(kept)?;
            while let Some(line) = lines.next().with_context(kept)? {
                if let Line::Bytes(line) = line {
                    wants.take(search, line)?;
                }
            }
        }
        None => {}
    }
    read
}
