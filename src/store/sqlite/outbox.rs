//! The outbox in SQLite: the committed audit records, and the exporter's note of how far its file is.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::place::Place;
use super::stopped::InUse;
use super::trail;
use super::writer::Writer;
use crate::audit::export::{Exported, Extent, Source};

/// The committed records, and the note of how far the file is.
pub struct SqliteOutbox {
    connection: Connection,
    place: Arc<Place>,
    writer: Writer,
    /// Dropped after the connection.
    _in_use: InUse,
}

impl SqliteOutbox {
    pub fn new(connection: Connection, place: Arc<Place>, writer: Writer, in_use: InUse) -> Self {
        Self { connection, place, writer, _in_use: in_use }
    }

    /// Reads, unless the database is not in its place: the records of a file that was moved away are not the trail's.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, String> {
        let in_place = || match self.place.fault() {
            None => Ok(()),
            Some(reason) => {
                self.writer.look();
                Err(reason)
            }
        };
        in_place()?;
        let result = read(&self.connection).map_err(|error| error.to_string());
        in_place()?;
        result
    }
}

impl Source for SqliteOutbox {
    fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, String> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT seq, linha FROM auditoria WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            let mut rows = statement.query((seq.cast_signed(), limit))?;
            let mut last = None;
            while let Some(row) = rows.next()? {
                last = Some(row.get::<_, i64>(0)?.cast_unsigned());
                text.extend_from_slice(row.get_ref(1)?.as_bytes()?);
                text.push(b'\n');
            }
            Ok(last)
        })
    }

    fn files(&self) -> Option<Vec<PathBuf>> {
        Some(self.place.files())
    }

    fn line(&self, seq: u64) -> Result<Option<String>, String> {
        self.read(|connection| {
            connection
                .query_row("SELECT linha FROM auditoria WHERE seq = ?1", [seq.cast_signed()], |row| row.get(0))
                .optional()
        })
    }

    fn bytes_between(&self, first: u64, last: u64) -> Result<u64, String> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT coalesce(sum(octet_length(linha) + 1), 0) FROM auditoria WHERE seq BETWEEN ?1 AND ?2",
                    (first.cast_signed(), last.cast_signed()),
                    |row| row.get::<_, i64>(0),
                )
                .map(i64::cast_unsigned)
        })
    }

    fn beginning(&self) -> Result<String, String> {
        self.read(|connection| trail::ends(connection).map(|[beginning, _]| beginning.hash))
    }

    fn head(&self) -> Result<u64, String> {
        self.read(|connection| trail::head(connection).map(|head| head.seq))
    }

    fn exported(&self) -> Result<Exported, String> {
        let sql = "SELECT t.exportado, r.exportado_antes, r.exportado_bytes FROM trilha t
             LEFT JOIN resumo r ON r.exportado = t.exportado WHERE t.id = 1";
        let exported = |row: &Row<'_>| {
            let seq = row.get::<_, i64>(0)?.cast_unsigned();
            let file: Option<(i64, i64)> = row.get::<_, Option<i64>>(1)?.zip(row.get(2)?);
            let extent =
                |(before, bytes): (i64, i64)| Extent { before: before.cast_unsigned(), bytes: bytes.cast_unsigned() };
            Ok(Exported { seq, file: file.map(extent) })
        };
        self.read(|connection| connection.query_row(sql, (), exported))
    }

    fn note_exported(&self, seq: u64, Extent { before, bytes }: Extent) -> Result<(), String> {
        let noted = self.writer.run_blocking(move |tx| {
            tx.connection
                .prepare_cached("UPDATE trilha SET exportado = max(exportado, ?1) WHERE id = 1")?
                .execute([seq.cast_signed()])?;
            tx.connection
                .prepare_cached("UPDATE resumo SET exportado = ?1, exportado_antes = ?2, exportado_bytes = ?3")?
                .execute([seq, before, bytes].map(u64::cast_signed))?;
            Ok(())
        });
        noted.map_err(|error| error.to_string())
    }
}
