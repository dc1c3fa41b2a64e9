//! Lines of the data folder's trail that are not records. The service writes only records there, so such a line was changed or
//! damaged, and the record that it was would be missing from every search without a word.
//!
//! Other files, such as `app.log`, have other lines by their nature: there they are passed over.

use rust_i18n::t;

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

    /// Whether a line there must be a record.
    pub fn must_be_record(&self, is_whole: bool) -> bool {
        self.is_trail && is_whole
    }

    /// Counts lines that had to be records and are none. The first of them has this number, if it is known.
    pub fn note(&mut self, count: u64, first: Option<u64>) {
        self.count += count;
        self.first = self.first.or(first);
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
