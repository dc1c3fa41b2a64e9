//! Whether a database and the write-ahead log that was found beside it belong together.
//!
//! SQLite cannot tell: it applies every whole page of the log to any database file at that path. When somebody restores an
//! older copy of the database and leaves the newer log beside it, the result is a mixture of both, and often no error shows
//! it. So after a crash the database is first read together with its log, and the log is folded in only if they agree. The
//! work is bounded: a contradiction in an old part of a large database is found only by the thorough check (`--deep`).

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::place::log_of;
use super::trail;
use crate::audit::chain::Link;

/// A database up to this size is read whole, with its indexes.
const WHOLE_MAX_BYTES: i64 = 64 * 1024 * 1024;
/// How many of the last audit records are checked to follow one another: many more than one log holds.
const RECORDS: u64 = 20_000;
/// The length in bytes of a log that has only its header.
const LOG_HEADER: u64 = 32;

/// Whether the database at `path` has a write-ahead log that is not empty.
pub fn has_log(path: &Path) -> bool {
    std::fs::metadata(log_of(path)).is_ok_and(|metadata| metadata.len() > LOG_HEADER)
}

/// The first contradiction inside the database, if there is one. Nothing is written.
///
/// # Errors
/// When the database cannot be read. The cause may be the same contradiction.
pub fn contradiction(connection: &Connection) -> rusqlite::Result<Option<String>> {
    // One transaction, because a service may be writing.
    let connection = &connection.unchecked_transaction()?;
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("page_count")?.saturating_mul(pragma("page_size")?) <= WHOLE_MAX_BYTES {
        let found: String = connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))?;
        if found != "ok" {
            return Ok(Some(first_words(&found)));
        }
    }
    let head = trail::head(connection)?;
    let last: Option<(i64, String)> = connection
        .query_row("SELECT seq, linha FROM auditoria ORDER BY seq DESC LIMIT 1", (), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let agrees = match &last {
        None => head.seq == 0,
        Some((seq, line)) => {
            seq.cast_unsigned() == head.seq
                && Link::of(line.as_bytes()).is_some_and(|link| link.hash == head.hash.as_bytes())
        }
    };
    if !agrees {
        let last = last.map_or(0, |(seq, _)| seq);
        return Ok(Some(format!(
            "its audit trail should end with record {}, but the last record in it is {last}",
            head.seq
        )));
    }
    // The oldest records may have been removed, but no record between two remaining ones may be missing.
    let (there, first): (i64, Option<i64>) = connection.query_row(
        "SELECT count(*), min(seq) FROM auditoria WHERE seq > ?1",
        [head.seq.saturating_sub(RECORDS).cast_signed()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let missing = first.map_or(0, |first| head.seq.cast_signed() - first + 1 - there);
    Ok((missing > 0).then(|| format!("{missing} audit records are missing between the others")))
}

/// The first finding of SQLite's checks, without their heading.
pub fn first_words(found: &str) -> String {
    found.lines().find(|line| !line.starts_with("***")).unwrap_or(found).to_owned()
}
