//! The trail's file as the exporter has it open: how far it goes, whether it is still the one, and what a crash or a person
//! left of it.
//!
//! Nothing is written to a file that is not this trail's, byte for byte as far as its length tells: what someone did to it
//! is evidence, and the database has the records.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use slog::{Logger, info, warn};

use super::Source;
use crate::audit::chain;
use crate::audit::files::{self, Closed, leads_to};
use crate::audit::verify::LINE_MAX;

/// Bytes read at once when looking for the last line.
const TAIL_CHUNK: u32 = 64 * 1024;

/// The file, and what is in it.
pub struct OpenFile {
    path: PathBuf,
    file: File,
    /// The number of the last record in it, or before it while it has none.
    pub seq: u64,
    /// Its length after that.
    pub length: u64,
    /// The number of the first record in it.
    first: Option<u64>,
}

impl OpenFile {
    /// Opens the file, cuts an incomplete last line, and finds out which record it ends with. `reached` is the last record
    /// that is known to have been written.
    ///
    /// # Errors
    /// In words, when it cannot be used or is not this trail's.
    pub fn recover(path: &Path, source: &impl Source, reached: u64, log: &Logger) -> Result<Self, String> {
        let explain = |error: io::Error| format!("{}: {error}", path.display());
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(explain)?;
        sync_folder(path).map_err(explain)?;
        let (whole, last_line) = last_whole_line(&mut file).map_err(explain)?;
        let length = file.metadata().map_err(explain)?.len();
        if whole < length {
            warn!(log, "{}: linha incompleta ao fim ({} bytes), cortada", path.display(), length - whole);
            file.set_len(whole).map_err(explain)?;
        }
        let (first, seq) = match last_line {
            Some(last_line) => {
                let (first, seq) = records_in(path, &mut file, &last_line, whole, source)?;
                (Some(first), seq)
            }
            // It goes on after the file that was closed last: a crash may have come between closing and opening.
            None => match files::closed(path).map_err(explain)?.last() {
                Some(closed) => (None, last_in(closed, source)?),
                None => (None, 0),
            },
        };
        // Lines of a process that was killed may not be on disk yet, and what is noted has to be.
        file.sync_data().map_err(explain)?;
        let noted = source.exported()?.max(reached);
        if seq < noted {
            warn!(log, "{}: faltam registros que já estiveram no arquivo, refeitos a partir do banco", path.display();
                "de" => seq + 1, "a" => noted);
        }
        Ok(Self { path: path.to_owned(), file, seq, length: whole, first })
    }

    /// Whether the path still leads to this file, and nobody has cut it or added to it.
    pub fn is_as_written(&self) -> bool {
        leads_to(&self.path, &self.file) && self.file.metadata().is_ok_and(|metadata| metadata.len() == self.length)
    }

    /// Appends whole lines, the last of which is record `last`, and makes them durable.
    ///
    /// # Errors
    /// In words, when they cannot be written; then the file is as it was, or [`OpenFile::is_as_written`] says that it is not.
    pub fn append(&mut self, lines: &[u8], last: u64) -> Result<(), String> {
        if let Err(error) = self.file.write_all(lines).and_then(|()| self.file.sync_data()) {
            // What was written of it goes, so that the next try begins where this one did. If that fails too, the file's
            // length shows it.
            let _ = self.file.set_len(self.length);
            return Err(format!("{}: {error}", self.path.display()));
        }
        self.first = self.first.or(Some(self.seq + 1));
        self.seq = last;
        self.length += lines.len() as u64;
        Ok(())
    }

    /// Closes the file under the name of its first record, and opens a new one under its own: the chain goes on there.
    /// `Ok(None)`: it was closed, and the new one has to be looked for.
    ///
    /// # Errors
    /// In words, when it cannot be renamed: then it is still the one that is written.
    pub fn close(&self, log: &Logger) -> Result<Option<Self>, String> {
        let first = self.first.ok_or_else(|| format!("{}: não tem registros", self.path.display()))?;
        let closed = files::closed_path(&self.path, first);
        let explain = |error: io::Error| format!("{}: {error}", closed.display());
        // Nobody but the exporter makes these, and it is the only one.
        if closed.try_exists().map_err(explain)? {
            return Err(format!("{}: já existe", closed.display()));
        }
        std::fs::rename(&self.path, &closed).map_err(explain)?;
        info!(log, "{} fechado; a trilha continua em {}", closed.display(), self.path.display();
            "de" => first, "a" => self.seq);
        let opened = OpenOptions::new().create_new(true).read(true).append(true).open(&self.path);
        let Ok(file) = opened else { return Ok(None) };
        if sync_folder(&self.path).is_err() {
            return Ok(None);
        }
        Ok(Some(Self { path: self.path.clone(), file, seq: self.seq, length: 0, first: None }))
    }
}

/// Makes the names in the file's folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// The last record of a file that was closed.
fn last_in(closed: &Closed, source: &impl Source) -> Result<u64, String> {
    let path = &closed.path;
    let explain = |error: io::Error| format!("{}: {error}", path.display());
    let mut file = File::open(path).map_err(explain)?;
    let (whole, last_line) = last_whole_line(&mut file).map_err(explain)?;
    let length = file.metadata().map_err(explain)?.len();
    match last_line {
        Some(last_line) if whole == length => {
            records_in(path, &mut file, &last_line, whole, source).map(|(_, seq)| seq)
        }
        _ => Err(foreign(path)),
    }
}

/// The first and the last record of a file that ends with `last_line` and has `whole` bytes, if they are those that the
/// database has.
fn records_in(
    path: &Path,
    file: &mut File,
    last_line: &[u8],
    whole: u64,
    source: &impl Source,
) -> Result<(u64, u64), String> {
    let mut first_line = Vec::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| BufReader::new(&mut *file).take(LINE_MAX as u64).read_until(b'\n', &mut first_line));
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    first_line.pop();
    let (first, seq) = (known(path, &first_line, source)?, known(path, last_line, source)?);
    let expected = source.bytes_between(first, seq)?;
    if whole != expected {
        return Err(format!(
            "{}: tem {whole} bytes nos registros {first} a {seq}, e deveria ter {expected}; mova o arquivo para outro lugar e ele será refeito",
            path.display()
        ));
    }
    Ok((first, seq))
}

/// The number of a line that is a record of this trail.
fn known(path: &Path, line: &[u8], source: &impl Source) -> Result<u64, String> {
    let seq = chain::checked_seq(line).ok_or_else(|| foreign(path))?;
    if source.line(seq)?.is_none_or(|known| known.as_bytes() != line) {
        return Err(foreign(path));
    }
    Ok(seq)
}

fn foreign(path: &Path) -> String {
    format!(
        "{}: a primeira ou a última linha não é um registro desta trilha; mova o arquivo para outro lugar e ele será refeito",
        path.display()
    )
}

/// The length of the file up to its last line break, and the line before that.
fn last_whole_line(file: &mut File) -> io::Result<(u64, Option<Vec<u8>>)> {
    let mut start = file.metadata()?.len();
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
