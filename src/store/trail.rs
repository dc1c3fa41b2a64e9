//! The audit trail's rows: the records' lines, the chain's head, and how far the file is.

use rusqlite::{Connection, OptionalExtension};

use super::writer::Writer;
use crate::audit::chain::Head;
use crate::audit::export::Source;

/// The chain's head as of this transaction.
pub fn head(connection: &Connection) -> rusqlite::Result<Head> {
    connection
        .prepare_cached("SELECT seq, hash FROM trilha WHERE id = 1")?
        .query_row((), |row| Ok(Head { seq: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? }))
}

/// Notes the new head.
pub fn set_head(connection: &Connection, head: &Head) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE trilha SET seq = ?1, hash = ?2 WHERE id = 1")?
        .execute((head.seq.cast_signed(), &head.hash))?;
    Ok(())
}

/// Adds a record's line.
pub fn insert(connection: &Connection, seq: u64, line: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO auditoria (seq, linha) VALUES (?1, ?2)")?
        .execute((seq.cast_signed(), line))?;
    Ok(())
}

/// The trail as its exporter sees it: committed lines, and a place to note how far the file is.
pub struct Trail {
    connection: Connection,
    writer: Writer,
}

impl Trail {
    pub(super) fn new(connection: Connection, writer: Writer) -> Self {
        Self { connection, writer }
    }
}

impl Source for Trail {
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String> {
        let mut read = || -> rusqlite::Result<Option<u64>> {
            let mut statement = self
                .connection
                .prepare_cached("SELECT seq, linha FROM auditoria WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            let mut rows = statement.query((seq.cast_signed(), limit))?;
            let mut last = None;
            while let Some(row) = rows.next()? {
                last = Some(row.get::<_, i64>(0)?.cast_unsigned());
                text.extend_from_slice(row.get_ref(1)?.as_bytes()?);
                text.push(b'\n');
            }
            Ok(last)
        };
        read().map_err(|error| error.to_string())
    }

    fn line(&self, seq: u64) -> Result<Option<String>, String> {
        self.connection
            .query_row("SELECT linha FROM auditoria WHERE seq = ?1", [seq.cast_signed()], |row| row.get(0))
            .optional()
            .map_err(|error| error.to_string())
    }

    fn note_exported(&self, seq: u64) -> Result<(), String> {
        let noted = self.writer.run_blocking(move |tx| {
            tx.connection
                .prepare_cached("UPDATE trilha SET exportado = max(exportado, ?1) WHERE id = 1")?
                .execute([seq.cast_signed()])?;
            Ok(())
        });
        noted.map_err(|error| error.to_string())
    }
}
