//! An agenda that moves here from another database, with its trail: all of it in one transaction, so that there is the whole agenda or
//! nothing of it.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_postgres::Transaction;

use super::connect::{Connector, Opened, Use};
use super::errors::Error;
use super::location::Location;
use super::open_error::OpenError;
use super::rows::get;
use super::schema;
use crate::audit::chain::ChainHead;
use crate::store::kind::DatabaseKind;
use crate::store::tables::{Cell, TABLES, Table};

/// Bytes that are sent at once.
const CHUNK: usize = 64 << 10;
/// Chunks that wait to be sent.
const WAITING: usize = 8;

/// An agenda that moves here.
pub trait Source: Send + Sync + 'static {
    /// The identity of its trail, with which the chain begins.
    fn identity(&self) -> &str;
    /// The last record of its trail.
    fn head(&self) -> ChainHead;
    /// The largest fencing token that a slot of it has seen.
    fn highest_token(&self) -> u64;
    /// Passes the rows of a table to `each`, those of the trail in its order.
    ///
    /// # Errors
    /// In words, when they cannot be read; or those of `each`.
    fn rows(&self, table: &Table, each: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), String>) -> Result<(), String>;
    /// Whether it is still as it was when it was first looked at.
    fn is_unchanged(&self) -> bool;
}

/// Why an agenda did not move. Nothing was written, but for [`NotMoved::Unknown`].
#[derive(Debug, thiserror::Error)]
pub enum NotMoved {
    /// The database cannot be used.
    #[error(transparent)]
    Target(#[from] OpenError),
    /// It has an agenda already.
    #[error("it has an agenda already")]
    NotEmpty,
    /// It cannot be written.
    #[error("{0}")]
    Unwritable(#[from] Error),
    /// The answer to the COMMIT did not come, or it says that only this server has the agenda.
    #[error("{0}")]
    Unknown(String),
    /// The source cannot be read, or was changed meanwhile.
    #[error("{0}")]
    Source(String),
    /// The records of the source are no chain that ends with its head.
    #[error("the chain of the trail is broken at record {0}")]
    Broken(u64),
}

/// Moves an agenda to the database at `location`, which must have none. Tells how many rows moved.
///
/// # Errors
/// [`NotMoved`].
pub async fn move_to(location: &Location, source: Arc<dyn Source>) -> Result<u64, NotMoved> {
    let at = location.shown();
    let connector = Connector::new(location, DatabaseKind::Agenda);
    let unreachable = |error: Error| OpenError::Unreachable { at: at.clone(), reason: error.to_string() };
    let Opened { mut client, warnings, .. } = connector.open(Use::Writing).await.map_err(unreachable)?;
    schema::check(&client, &at).await?;
    schema::prepare(&mut client, DatabaseKind::Agenda, &at).await?;
    let transaction = client.transaction().await.map_err(Error::from)?;
    // A scheduler that starts meanwhile waits for this row before it reads anything else, and then has the agenda that has moved. The server
    // must not take the long reading of a file for a client that is gone.
    let begin = "SET LOCAL idle_in_transaction_session_timeout = 0; SELECT versao FROM esquema WHERE id = 1 FOR UPDATE";
    transaction.batch_execute(begin).await.map_err(Error::from)?;
    must_be_empty(&transaction).await?;
    transaction.batch_execute("DELETE FROM cientistas; DELETE FROM telescopios").await.map_err(Error::from)?;
    let mut moved = 0;
    for table in &TABLES {
        moved += copy(&transaction, table, &source).await?;
    }
    // Without the numbers of rows the first lists would be planned for empty tables.
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    transaction.batch_execute(&format!("ANALYZE {}", names.join(", "))).await.map_err(Error::from)?;
    let (identity, head, token) = (source.identity(), source.head(), source.highest_token().cast_signed());
    transaction
        .execute(
            "UPDATE trilha SET identidade = $1, seq = $2, hash = $3 WHERE id = 1",
            &[&identity, &head.seq.cast_signed(), &head.hash],
        )
        .await
        .map_err(Error::from)?;
    transaction
        .execute("UPDATE resumo SET maior_token = $1, catalogo = catalogo + 1 WHERE id = 1", &[&token])
        .await
        .map_err(Error::from)?;
    if !source.is_unchanged() {
        return Err(NotMoved::Source("it was changed while it was being read; stop its services".to_owned()));
    }
    drop(warnings.take());
    match transaction.commit().await.map_err(Error::from) {
        Err(error) if error.is_lost() => Err(NotMoved::Unknown(error.to_string())),
        Err(error) => Err(error.into()),
        // It is on the primary, and nobody knows whether on the standby.
        Ok(()) => warnings.take().map_or(Ok(moved), |warning| Err(NotMoved::Unknown(warning))),
    }
}

/// An error if anything was ever written to the agenda that is there.
async fn must_be_empty(transaction: &Transaction<'_>) -> Result<(), NotMoved> {
    let head = transaction.query_one("SELECT seq FROM trilha WHERE id = 1 FOR UPDATE", &[]).await;
    let mut is_empty = get::<i64>(&head.map_err(Error::from)?, 0)? == 0;
    // Of the catalogue a fresh database has the demonstration's, which nobody has changed while there is no record.
    for table in TABLES.iter().filter(|table| !["telescopios", "cientistas"].contains(&table.name)) {
        let sql = format!("SELECT 1 FROM {} LIMIT 1", table.name);
        is_empty &= transaction.query_opt(&sql, &[]).await.map_err(Error::from)?.is_none();
    }
    if is_empty { Ok(()) } else { Err(NotMoved::NotEmpty) }
}

/// Copies the rows of a table, and tells how many they were. The source is read on a thread of its own.
async fn copy(transaction: &Transaction<'_>, table: &'static Table, source: &Arc<dyn Source>) -> Result<u64, NotMoved> {
    let (chunks, mut waiting) = mpsc::channel::<Bytes>(WAITING);
    let from = Arc::clone(source);
    let reading = tokio::task::spawn_blocking(move || read(&*from, table, &chunks));
    let sql = format!("COPY {} ({}) FROM STDIN", table.name, table.columns.join(", "));
    let sink = transaction.copy_in::<_, Bytes>(&sql).await.map_err(Error::from)?;
    let mut sink = pin!(sink);
    let mut sent = Ok(());
    while let Some(chunk) = waiting.recv().await {
        sent = sink.send(chunk).await;
        if sent.is_err() {
            break;
        }
    }
    // The thread ends when nobody takes its chunks.
    drop(waiting);
    let read = reading.await.map_err(|error| NotMoved::Source(error.to_string()))?;
    sent.map_err(Error::from)?;
    read?;
    Ok(sink.finish().await.map_err(Error::from)?)
}

/// Reads the rows of a table, and passes them on as COPY takes them.
fn read(source: &dyn Source, table: &Table, chunks: &mpsc::Sender<Bytes>) -> Result<(), NotMoved> {
    let gone = || "the database takes no more rows".to_owned();
    let is_trail = table.name == "auditoria";
    let mut head = ChainHead::genesis(source.identity());
    let mut broken = None;
    let mut text = Vec::with_capacity(2 * CHUNK);
    let read = source.rows(table, &mut |cells| {
        if is_trail
            && !cells.get(1).is_some_and(|line| matches!(line, Cell::Text(line) if head.follow(line.as_bytes())))
        {
            broken = Some(head.seq + 1);
            return Err(String::new());
        }
        write_row(cells, &mut text);
        if text.len() < CHUNK {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::replace(&mut text, Vec::with_capacity(2 * CHUNK)));
        chunks.blocking_send(chunk).map_err(|_| gone())
    });
    if let Some(seq) = broken {
        return Err(NotMoved::Broken(seq));
    }
    read.map_err(NotMoved::Source)?;
    if is_trail && head != source.head() {
        return Err(NotMoved::Broken(head.seq + 1));
    }
    if text.is_empty() { Ok(()) } else { chunks.blocking_send(text.into()).map_err(|_| NotMoved::Source(gone())) }
}

/// A row in the text form of COPY.
fn write_row(cells: &[Cell<'_>], text: &mut Vec<u8>) {
    for (nth, cell) in cells.iter().enumerate() {
        if nth > 0 {
            text.push(b'\t');
        }
        match cell {
            Cell::Null => text.extend_from_slice(b"\\N"),
            Cell::Number(number) => text.extend_from_slice(number.to_string().as_bytes()),
            Cell::Bytes(bytes) => {
                text.extend_from_slice(b"\\\\x");
                text.extend_from_slice(base16ct::lower::encode_string(bytes).as_bytes());
            }
            Cell::Text(line) => {
                for byte in line.bytes() {
                    match byte {
                        b'\\' => text.extend_from_slice(b"\\\\"),
                        b'\n' => text.extend_from_slice(b"\\n"),
                        b'\r' => text.extend_from_slice(b"\\r"),
                        b'\t' => text.extend_from_slice(b"\\t"),
                        other => text.push(other),
                    }
                }
            }
        }
    }
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_copy_says_where_each_value_ends() {
        let mut text = Vec::new();
        let cells = [Cell::Number(-1), Cell::Null, Cell::Text("a\tb\\N\r\nç"), Cell::Bytes(&[0, 255]), Cell::Text("")];
        write_row(&cells, &mut text);
        assert_eq!(String::from_utf8(text).unwrap(), "-1\t\\N\ta\\tb\\\\N\\r\\nç\t\\\\x00ff\t\n");
    }
}
