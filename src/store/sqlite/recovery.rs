//! Whether a database and the write-ahead log that was found beside it belong together.
//!
//! SQLite cannot tell: it puts every whole page of the log over any database that is there. When somebody puts an older copy
//! of the database back and leaves the log of the newer one, the result is neither of the two, and often no error shows it. So
//! after a crash the two are read together, and only then is anything kept. The work is bounded: a contradiction in an old part
//! of a large database is found by the thorough check (`--deep`).

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::place::log_of;
use super::trail;
use crate::audit::chain::Link;

/// A database up to this size is read whole, with its indexes.
const WHOLE_MAX_BYTES: i64 = 64 * 1024 * 1024;
/// The last audit records, which have to follow one another: many more than one log holds.
const RECORDS: u64 = 20_000;
/// Bytes of a log that has nothing but its header.
const LOG_HEADER: u64 = 32;

/// Whether there is a log beside the database at `path`, with something in it.
pub fn has_log(path: &Path) -> bool {
    std::fs::metadata(log_of(path)).is_ok_and(|metadata| metadata.len() > LOG_HEADER)
}

/// What in the database contradicts the rest of it, if anything does. Nothing is written.
///
/// # Errors
/// When it cannot be read, which may be the same.
pub fn contradiction(connection: &Connection) -> rusqlite::Result<Option<String>> {
    // One transaction: a service may be at work.
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
            "its audit trail ends with record {}, and the last that is there is {last}",
            head.seq
        )));
    }
    // The oldest may have been taken away, but none between two that are there.
    let (there, first): (i64, Option<i64>) = connection.query_row(
        "SELECT count(*), min(seq) FROM auditoria WHERE seq > ?1",
        [head.seq.saturating_sub(RECORDS).cast_signed()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let missing = first.map_or(0, |first| head.seq.cast_signed() - first + 1 - there);
    Ok((missing > 0).then(|| format!("{missing} audit records between the others are not there")))
}

/// The first finding of SQLite's checks, without their heading.
pub fn first_words(found: &str) -> String {
    found.lines().find(|line| !line.starts_with("***")).unwrap_or(found).to_owned()
}
