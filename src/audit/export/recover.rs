//! Comparing the trail's file with the database at a start: up to which record the file agrees with the trail, and whether a
//! crash can have left the bytes after that record.
//!
//! Of the part that is known to be durable, the first line, the last line and the length are compared; the rest of it is for
//! `sctec audit --verify`. The bytes after that part are compared one by one: they may have reached the disk in part or not at
//! all. Only bytes that a crash can have left are cut off. Any others are evidence.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::source::{Exported, LINES_AT_ONCE, Source};
use crate::audit::chain::{self, ChainHead};
use crate::audit::files::{self, Closed};
use crate::audit::shape::LINE_MAX;

/// Bytes read at once when looking for the last line.
const TAIL_CHUNK: u32 = 64 * 1024;

/// The result of the comparison.
#[derive(Debug)]
pub struct Found {
    /// The number of the record before its first one.
    pub before: u64,
    /// The number of the last record in the file, or, while the file has no record, of the record before the file.
    pub head: ChainHead,
    /// The file's length up to the end of that record.
    pub length: u64,
    /// How many bytes after that were left by a crash.
    pub torn: u64,
    /// The last of the records that were durable in the file and are missing now.
    pub lost_until: Option<u64>,
}

/// Why the trail cannot go on in a file.
pub enum Refused {
    /// The file or the database cannot be read: in words.
    Unreadable(String),
    /// The file differs from the trail.
    Differs {
        /// The first record that may be wrong.
        from: u64,
    },
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self::Unreadable(reason)
    }
}

/// For up to this many records a start counts the bytes itself, and so finds an alteration of the database. For more records
/// it trusts the length that was noted; `sctec audit --verify` finds alterations among those records.
const COUNTED: u64 = 1000;

/// The part of the file that is known to be durable.
#[derive(Clone, Copy)]
pub struct Durable {
    /// The records up to this one.
    pub noted: u64,
    /// The database's note about that part.
    pub exported: Exported,
}

impl Durable {
    /// Bytes of the records after `before` up to `seq`. Only records that the note does not cover are counted: the note may
    /// cover millions.
    fn bytes(&self, before: u64, seq: u64, source: &impl Source) -> Result<u64, String> {
        let known = self.exported.file.filter(|file| file.before == before && self.exported.seq > before + COUNTED);
        match known {
            Some(file) if seq >= self.exported.seq => Ok(file.bytes + bytes_between(self.exported.seq, seq, source)?),
            Some(file) if seq > before => Ok(file.bytes.saturating_sub(bytes_between(seq, self.exported.seq, source)?)),
            _ => bytes_between(before, seq, source),
        }
    }
}

/// Compares the file at `path` with the database. With `afresh`, all bytes after the durable records count as torn: their fsync
/// has failed, and the system may report pages as written that are not.
pub fn compare(
    path: &Path,
    file: &mut File,
    source: &impl Source,
    known_durable: Durable,
    afresh: bool,
) -> Result<Found, Refused> {
    let noted = known_durable.noted;
    let explain = |error: io::Error| format!("{}: {error}", path.display());
    let length = file.metadata().map_err(explain)?.len();
    let before = match first_line(file).map_err(explain)? {
        Some(line) => known(&line, source)?.ok_or(Refused::Differs { from: 1 })? - 1,
        // The file continues the file that was closed last: a crash may have come between closing the old file and opening
        // the new one.
        None => last_closed(path, source)?,
    };
    let durable = if noted > before { known_durable.bytes(before, noted, source)? } else { 0 };
    let (held, last_line) = last_whole_line(file, length.min(durable)).map_err(explain)?;
    let seq = match &last_line {
        Some(line) => known(line, source)?.ok_or(Refused::Differs { from: before + 1 })?,
        None => before,
    };
    let complete = length >= durable;
    if held != known_durable.bytes(before, seq, source)? || (complete && (held != durable || seq != noted.max(before)))
    {
        return Err(Refused::Differs { from: before + 1 });
    }
    let durable_end = (seq, held);
    let (seq, reached) = if afresh { durable_end } else { go_along(file, durable_end, length, source)? };
    if !is_as_a_crash_leaves_it(file, (seq, reached), length, source)? {
        return Err(Refused::Differs { from: seq + 1 });
    }
    let lost_until = (!complete).then_some(noted);
    Ok(Found { before, head: head_at(seq, source)?, length: reached, torn: length - reached, lost_until })
}

/// The first record of the database that does not follow the one before it.
pub fn first_broken(source: &impl Source) -> Result<Option<u64>, String> {
    let mut head = ChainHead { seq: 0, hash: source.beginning()? };
    let mut lines = Vec::new();
    loop {
        lines.clear();
        if source.lines_after(head.seq, LINES_AT_ONCE, &mut lines)?.is_none() {
            // Rows are missing at the end.
            return Ok((source.head()? > head.seq).then_some(head.seq + 1));
        }
        if let Err(seq) = follow(&lines, &mut head) {
            return Ok(Some(seq));
        }
    }
}

/// Moves the head over whole lines. The error is the number of the first line that does not follow the one before it.
pub fn follow(lines: &[u8], head: &mut ChainHead) -> Result<(), u64> {
    let mut begins = 0;
    for ends in memchr::memchr_iter(b'\n', lines) {
        if !head.follow(&lines[begins..ends]) {
            return Err(head.seq + 1);
        }
        begins = ends + 1;
    }
    if begins == lines.len() { Ok(()) } else { Err(head.seq + 1) }
}

/// Starts at a record and the position of its end, and moves over all lines that are equal in the file and the database.
fn go_along(
    file: &File,
    (mut seq, mut offset): (u64, u64),
    length: u64,
    source: &impl Source,
) -> Result<(u64, u64), Refused> {
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    loop {
        expected.clear();
        let Some(last) = source.lines_after(seq, LINES_AT_ONCE, &mut expected)? else { return Ok((seq, offset)) };
        read_at(file, offset, length, expected.len(), &mut found)?;
        if found == expected {
            (seq, offset) = (last, offset + found.len() as u64);
            continue;
        }
        let same = found.iter().zip(&expected).take_while(|(found, expected)| found == expected).count();
        let whole = memchr::memrchr(b'\n', &expected[..same]).map_or(0, |end| end + 1);
        let records = memchr::memchr_iter(b'\n', &expected[..whole]).count();
        return Ok((seq + records as u64, offset + whole as u64));
    }
}

/// Whether each byte from there to the end is either the trail's byte or zero. After a loss of power the file may be longer
/// than the data that reached the disk, because the system writes its blocks in any order.
fn is_as_a_crash_leaves_it(
    file: &File,
    (mut seq, mut offset): (u64, u64),
    length: u64,
    source: &impl Source,
) -> Result<bool, Refused> {
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    while offset < length {
        expected.clear();
        let Some(last) = source.lines_after(seq, LINES_AT_ONCE, &mut expected)? else { return Ok(false) };
        read_at(file, offset, length, expected.len(), &mut found)?;
        if !found.iter().zip(&expected).all(|(found, expected)| found == expected || *found == 0) {
            return Ok(false);
        }
        (seq, offset) = (last, offset + found.len() as u64);
    }
    Ok(true)
}

/// Reads `most` bytes, or fewer at the end of the file.
fn read_at(file: &File, offset: u64, length: u64, most: usize, into: &mut Vec<u8>) -> Result<(), Refused> {
    let there = usize::try_from(length - offset).unwrap_or(usize::MAX);
    into.resize(most.min(there), 0);
    file.read_exact_at(into, offset)
        .map_err(|error| Refused::Unreadable(format!("a trilha não pôde ser lida: {error}")))
}

/// The data that are needed to compare a closed file.
#[derive(Default)]
struct Contents {
    first_line: Option<Vec<u8>>,
    last_line: Option<Vec<u8>>,
    /// The file's length up to its last line break.
    up_to_last: u64,
    /// The file's length.
    length: u64,
}

impl Contents {
    fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        if files::is_gzipped(path) {
            return Self::of_lines(MultiGzDecoder::new(BufReader::new(file)));
        }
        let length = file.metadata()?.len();
        let first_line = first_line(&mut file)?;
        let (up_to_last, last_line) = last_whole_line(&mut file, length)?;
        Ok(Self { first_line, last_line, up_to_last, length })
    }

    /// The same for an input without random access.
    fn of_lines(input: impl Read) -> io::Result<Self> {
        let mut reader = BufReader::new(input);
        let (mut found, mut line) = (Self::default(), Vec::new());
        loop {
            line.clear();
            match reader.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut line)? {
                0 => return Ok(found),
                read => found.length += read as u64,
            }
            if line.pop() == Some(b'\n') {
                found.up_to_last = found.length;
                found.first_line.get_or_insert_with(|| line.clone());
                found.last_line = Some(line.clone());
            }
        }
    }
}

/// The last record of the file that was closed last, compressed or not; 0 if there is none.
fn last_closed(path: &Path, source: &impl Source) -> Result<u64, Refused> {
    let closed = files::closed_or_gzipped(path).map_err(|error| format!("{}: {error}", path.display()))?;
    for Closed { first, path } in closed.iter().rev() {
        must_be_regular(path)?;
        let found = Contents::of(path).map_err(|error| format!("{}: {error}", path.display()))?;
        // A copy whose name has a date is skipped.
        if found.first_line.as_ref().is_none_or(|line| files::may_be_closed(*first, line)) {
            return last_in(path, *first, found, source);
        }
    }
    Ok(0)
}

/// The last record of a closed file, if the file has not changed since it was closed.
fn last_in(path: &Path, named: u64, found: Contents, source: &impl Source) -> Result<u64, Refused> {
    let Contents { first_line, last_line, up_to_last: whole, length } = found;
    let first = first_line.map(|line| known(&line, source)).transpose()?.flatten();
    let last = last_line.map(|line| known(&line, source)).transpose()?.flatten();
    match (first, last) {
        (Some(first), Some(last)) if whole == length && whole == bytes_between(first - 1, last, source)? => Ok(last),
        _ if whole < length => Err(Refused::Unreadable(format!(
            "{}: foi fechado inteiro e já não termina em um registro inteiro; restaure-o de uma cópia, ou mova-o para outro lugar e o que falta será refeito",
            path.display()
        ))),
        _ => Err(Refused::Unreadable(not_as_written(path, named))),
    }
}

/// The fault of a file that differs from the trail, from record `from` on.
pub fn not_as_written(path: &Path, from: u64) -> String {
    format!(
        "{}: não é o que foi escrito, do registro {from} em diante; mova o arquivo para outro lugar e ele será refeito",
        path.display()
    )
}

/// The fault of a file that has more records than the database; `from` is the first of the additional records.
pub fn beyond_the_database(path: &Path, from: u64) -> String {
    format!(
        "{}: depois do último registro do banco, o {}, ainda há mais: se o banco foi restaurado de uma cópia antiga, este arquivo é o que sabe o resto; guarde-o em outro lugar, e ele será refeito",
        path.display(),
        from - 1
    )
}

/// Bytes of the records after `before` up to `last`.
fn bytes_between(before: u64, last: u64, source: &impl Source) -> Result<u64, String> {
    if last > before { source.bytes_between(before + 1, last) } else { Ok(0) }
}

/// The head as of record `seq`.
fn head_at(seq: u64, source: &impl Source) -> Result<ChainHead, String> {
    if seq == 0 {
        return Ok(ChainHead { seq, hash: source.beginning()? });
    }
    let line = source.line(seq)?;
    let link = line.as_deref().and_then(|line| chain::Link::of(line.as_bytes()));
    let hash = link.map(|link| String::from_utf8_lossy(link.hash).into_owned());
    Ok(ChainHead { seq, hash: hash.ok_or_else(|| database_broken(seq))? })
}

/// The fault of a database whose record `seq` does not follow the one before.
pub fn database_broken(seq: u64) -> String {
    format!(
        "o banco foi alterado: o registro de auditoria {seq} não segue o anterior; guarde o banco e os arquivos da trilha como estão, e restaure o banco de uma cópia"
    )
}

/// The number of the record, if the line is one of this trail.
fn known(line: &[u8], source: &impl Source) -> Result<Option<u64>, String> {
    let Some(seq) = chain::checked_seq(line) else { return Ok(None) };
    Ok(source.line(seq)?.is_some_and(|known| known.as_bytes() == line).then_some(seq))
}

/// Refuses a path that leads to a folder, a pipe or a device: opening one of those could block.
pub fn must_be_regular(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(format!("{}: é uma pasta, e não um arquivo", path.display())),
        Ok(metadata) if !metadata.is_file() => Err(format!("{}: não é um arquivo comum", path.display())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The first line, if there is a whole one.
fn first_line(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    BufReader::new(&mut *file).take(LINE_MAX as u64).read_until(b'\n', &mut line)?;
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

/// Looks at the file's first `end` bytes. Returns the length up to their last line break, and the line before that.
fn last_whole_line(file: &mut File, end: u64) -> io::Result<(u64, Option<Vec<u8>>)> {
    let mut start = end;
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let end = tail.iter().rposition(|&byte| byte == b'\n');
        if let Some(end) = end {
            let before = tail[..end].iter().rposition(|&byte| byte == b'\n');
            if before.is_some() || start == 0 {
                let line = tail[before.map_or(0, |position| position + 1)..end].to_vec();
                return Ok((start + end as u64 + 1, Some(line)));
            }
        } else if start == 0 {
            return Ok((0, None));
        }
        let chunk = u32::try_from(start).unwrap_or(u32::MAX).min(TAIL_CHUNK);
        start -= u64::from(chunk);
        let mut read = vec![0; chunk as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut read)?;
        read.append(&mut tail);
        tail = read;
    }
}
