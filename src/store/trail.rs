//! The audit trail's rows: the records' lines and the chain's head, written in the transaction of what they record.

use rusqlite::Connection;

use crate::audit::chain::Head;

/// The chain's head as of this transaction.
pub fn head(connection: &Connection) -> rusqlite::Result<Head> {
    connection
        .prepare_cached("SELECT seq, hash FROM trilha WHERE id = 1")?
        .query_row((), |row| Ok(Head { seq: row.get::<_, i64>(0)?.cast_unsigned(), hash: row.get(1)? }))
}

/// Writes the head's row as it is.
pub fn touch(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE trilha SET exportado = exportado WHERE id = 1")?.execute(())?;
    Ok(())
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
