//! Which files a trail is in: the one that is written, and those that rotation closed.
//!
//! The one that is written keeps its name, `audit.jsonl`. A closed one is named after the first record in it,
//! `audit-000000001707.jsonl`, so that the names sort as the chain goes, no number is given twice, and a name says where
//! a record is.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Digits of the number in a closed file's name; a larger number has more.
const DIGITS: usize = 12;

/// A file is closed when the next record would make it larger than was asked for, which is this at the least.
pub const CLOSED_MIN_BYTES: u64 = 1_000_000;

/// A file that rotation closed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Closed {
    /// The first record in it, by its name.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// The name of the closed file of the trail at `path` that begins with record `first`.
pub fn closed_path(path: &Path, first: u64) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{first:0DIGITS$}.jsonl"))
}

/// The first record of a closed file, as its name has it, whichever trail it is of.
pub fn first_in(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let (_, number) = name.strip_suffix(".jsonl")?.rsplit_once('-')?;
    (number.len() >= DIGITS && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| number.parse().ok())?
}

/// Whether the file is one that was closed, and not one that someone named like one, such as a copy with a date in its name:
/// that begins before the record that its name says. `first_line` is without its line break.
pub fn may_be_closed(first: u64, first_line: &[u8]) -> bool {
    super::chain::checked_seq(first_line).is_none_or(|begins| begins >= first)
}

/// The closed files of the trail at `path`, in the order of their records.
///
/// # Errors
/// When their folder cannot be read.
pub fn closed(path: &Path) -> io::Result<Vec<Closed>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(first) = first_in(Path::new(&name)) else { continue };
        // Only this trail's, and only what it would have named so.
        let candidate = path.with_file_name(&name);
        if candidate == closed_path(path, first) {
            found.push(Closed { first, path: candidate });
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the path still leads to the file that is open: it may have been deleted or replaced.
pub fn leads_to(path: &Path, file: &File) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_files_are_found_by_name_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for name in [
            "audit.jsonl",
            "audit-000000001707.jsonl",
            "audit-000000000001.jsonl",
            "audit-1000000000000.jsonl",
            "audit-0000000000002.jsonl",
            "audit-12.jsonl",
            "audit-00000000000x.jsonl",
            "audit-+00000000001.jsonl",
            "corrida-audit-000000000009.jsonl",
            "audit-000000000003.jsonl.bak",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let firsts: Vec<u64> = closed(&path).unwrap().into_iter().map(|closed| closed.first).collect();
        assert_eq!(firsts, [1, 1707, 1_000_000_000_000]);
        assert_eq!(closed_path(&path, 1707), folder.path().join("audit-000000001707.jsonl"));
        assert_eq!(first_in(Path::new("a/corrida-audit-000000000009.jsonl")), Some(9));
        assert_eq!(first_in(&path), None);
    }
}
