//! The files of a trail: the current one, and those that rotation closed.
//!
//! The current file is always `audit.jsonl`. A closed file is named after its first record, `audit-000000001707.jsonl`. The names
//! sort in the order of the records, and no name is used twice. Closed files may be compressed with gzip
//! (`audit-000000001707.jsonl.gz`); the commands read them without unpacking.

use std::io;
use std::path::{Path, PathBuf};

/// The least digits of the number in a closed file's name; a larger number has more.
const DIGITS: usize = 12;

/// The smallest size at which rotation may close a file.
pub const CLOSED_MIN_BYTES: u64 = 1_000_000;

/// A file that rotation closed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Closed {
    /// The first record in it, by its name.
    pub first: u64,
    /// Its path.
    pub path: PathBuf,
}

/// The name of the closed file of the trail at `path` that begins with record `first`.
pub fn closed_path(path: &Path, first: u64) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{first:0DIGITS$}.jsonl"))
}

/// The suffix that gzip adds to a name.
const GZIP_SUFFIX: &str = ".gz";
/// The suffixes of other compression and encryption programs. sctec cannot read their files.
const UNREAD_SUFFIXES: [&str; 13] =
    [".zst", ".xz", ".bz2", ".lz4", ".lz", ".lzma", ".lzo", ".Z", ".zip", ".7z", ".br", ".gpg", ".age"];

/// The first record of a closed file, according to its name. The file may be of any trail.
pub fn first_in(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(GZIP_SUFFIX).unwrap_or(name);
    let (_, number) = name.strip_suffix(".jsonl")?.rsplit_once('-')?;
    (number.len() >= DIGITS && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| number.parse().ok())?
}

/// Whether a file's name says that gzip compressed it.
pub fn is_gzipped(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(GZIP_SUFFIX.as_bytes())
}

/// Whether a file with the name of a closed file may be one. A copy with a date in its name is not: its first record comes before
/// the record that its name gives. `first_line` is without its line break.
pub fn may_be_closed(first: u64, first_line: &[u8]) -> bool {
    super::chain::checked_seq(first_line).is_none_or(|begins| begins >= first)
}

/// The closed files of the trail at `path` that were not compressed, in the order of their records.
///
/// # Errors
/// When their folder cannot be read.
pub fn closed(path: &Path) -> io::Result<Vec<Closed>> {
    with_suffix(path, "")
}

/// The closed files of the trail at `path`, plain or compressed with gzip, in the order of their records. If a file exists in both
/// forms, the plain one is returned: gzip may still be writing the other.
///
/// # Errors
/// When their folder cannot be read.
pub fn closed_or_gzipped(path: &Path) -> io::Result<Vec<Closed>> {
    let mut found = closed(path)?;
    for gzipped in with_suffix(path, GZIP_SUFFIX)? {
        if found.iter().all(|plain| plain.first != gzipped.first) {
            found.push(gzipped);
        }
    }
    found.sort();
    Ok(found)
}

/// The closed files of the trail at `path` that exist only in a form that sctec cannot read, according to their names.
///
/// # Errors
/// When their folder cannot be read.
pub fn closed_and_unread(path: &Path) -> io::Result<Vec<Closed>> {
    let mut found = Vec::new();
    for suffix in UNREAD_SUFFIXES {
        found.append(&mut with_suffix(path, suffix)?);
    }
    if !found.is_empty() {
        let read = closed_or_gzipped(path)?;
        found.retain(|unread| read.iter().all(|closed| closed.first != unread.first));
    }
    found.sort();
    Ok(found)
}

/// The files that have the name of a closed file followed by `suffix`.
fn with_suffix(path: &Path, suffix: &str) -> io::Result<Vec<Closed>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(plain) = name.to_str().and_then(|name| name.strip_suffix(suffix)) else { continue };
        let Some(first) = first_in(Path::new(plain)) else { continue };
        // A file of another trail, or with another number of digits, is not a closed file of this trail.
        if path.with_file_name(plain) == closed_path(path, first) {
            found.push(Closed { first, path: path.with_file_name(&name) });
        }
    }
    found.sort();
    Ok(found)
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
        for name in ["audit-000000001707.jsonl.gz", "audit-000000000500.jsonl.gz", "audit-000000000003.jsonl.zst"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(closed(&path).unwrap().len(), 3);
        let names = |closed: Vec<Closed>| {
            closed.into_iter().map(|closed| closed.path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            names(closed_or_gzipped(&path).unwrap()),
            [
                "audit-000000000001.jsonl",
                "audit-000000000500.jsonl.gz",
                "audit-000000001707.jsonl",
                "audit-1000000000000.jsonl"
            ]
        );
        assert_eq!(names(closed_and_unread(&path).unwrap()), ["audit-000000000003.jsonl.zst"]);
        assert_eq!(first_in(Path::new("a/audit-000000000009.jsonl.gz")), Some(9));
        assert_eq!(closed_path(&path, 1707), folder.path().join("audit-000000001707.jsonl"));
        assert_eq!(first_in(Path::new("a/corrida-audit-000000000009.jsonl")), Some(9));
        assert_eq!(first_in(&path), None);
    }
}
