//! Lines of the data folder's trail that are not records. The service writes only records there, so such a line was changed or
//! damaged, and the record that it was would be missing from every search without a word.
//!
//! Other files, such as `app.log`, have other lines by their nature: there they are passed over.

use rust_i18n::t;

use super::lines::Line;
use crate::commands::output::tell;

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Its number in the file, from 1, if the file was read from its beginning.
    pub number: Option<u64>,
    /// Whether its line break was written. Without it the service may still be writing the line, or a crash tore it.
    pub is_whole: bool,
}

/// The lines of one file that are not records.
#[derive(Debug, Default)]
pub struct NotRecords {
    /// Whether the file is one of the data folder's trail.
    is_trail: bool,
    count: u64,
    /// The number of the first of them.
    first: Option<u64>,
}

impl NotRecords {
    /// None yet, in a file that is one of the trail or not.
    pub fn of(is_trail: bool) -> Self {
        Self { is_trail, ..Self::default() }
    }

    /// Counts a line, if it had to be a record and is none by `is_record`. Returns whether it was counted.
    pub fn note(&mut self, line: &Line<'_>, at: At, is_record: impl FnOnce(&[u8]) -> bool) -> bool {
        let must_be_record = self.is_trail && at.is_whole;
        let counts = must_be_record && !matches!(line, Line::Bytes(line) if is_record(line));
        if counts {
            self.count += 1;
            self.first = self.first.or(at.number);
        }
        counts
    }

    /// Names the lines that were counted, in one message for all of them, and forgets them. Returns whether there were any.
    pub fn tell(&mut self, name: &str) -> bool {
        let (count, first) = (std::mem::take(&mut self.count), self.first.take());
        match (count, first) {
            (0, _) => return false,
            (1, Some(first)) => {
                tell(t!("%{name}: line %{n} is not a record; run sctec audit --verify", name = name, n = first));
            }
            (1, None) => tell(t!("%{name}: a line is not a record; run sctec audit --verify", name = name)),
            (count, Some(first)) => tell(t!(
                "%{name}: %{n} lines are not records, the first is line %{first}; run sctec audit --verify",
                name = name,
                n = count,
                first = first
            )),
            (count, None) => {
                tell(t!("%{name}: %{n} lines are not records; run sctec audit --verify", name = name, n = count));
            }
        }
        true
    }
}
