//! Reading a trail from outside: for commands, whose threads wait for each reading.

use deadpool_postgres::{Client, GenericClient};
use futures_util::future::BoxFuture;
use tokio::runtime::Runtime;

use super::connect::Connector;
use super::deep;
use super::errors::Error;
use super::location::Location;
use super::readers::{self, Readers};
use super::trail;
use crate::audit::chain::{ChainHead, Link};
use crate::audit::files::CLOSED_MIN_BYTES;
use crate::audit::verify::{Before, DatabaseNow};
use crate::store::StoreError;
use crate::store::deep::Deep;
use crate::store::kind::DatabaseKind;

/// How many records are added up to tell whether they fill a file: more than enough.
const FILLING: u64 = 10_000;

/// The trail in a database.
pub struct Outside {
    runtime: Runtime,
    readers: Readers,
    at: String,
    kind: DatabaseKind,
}

impl Outside {
    /// The trail of the agenda of this kind there. No connection is opened yet.
    ///
    /// # Errors
    /// When the process cannot wait for a connection.
    pub fn new(location: &Location, kind: DatabaseKind) -> Result<Self, StoreError> {
        // A thread of its own serves the connection between two readings too: the server ends one that leaves a transaction open.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let readers = Readers::new(location, Connector::new(location, kind))?;
        Ok(Self { runtime, readers, at: location.shown(), kind })
    }

    /// Where it is, for people.
    pub fn name(&self) -> &str {
        &self.at
    }

    /// Where the chain begins and where it ends.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn ends(&self) -> Result<[ChainHead; 2], StoreError> {
        self.read(|client| {
            Box::pin(async move {
                let moment = readers::moment(client).await?;
                Ok([trail::beginning(&moment).await?, trail::latest(&moment).await?.head])
            })
        })
    }

    /// The records next to a set of trail files: the record `before`, which precedes the files if they say which one it is, and the record
    /// after `last`, with which they end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn around(&self, before: Option<u64>, last: u64) -> Result<DatabaseNow, StoreError> {
        self.read(move |client| {
            Box::pin(async move {
                let moment = readers::moment(client).await?;
                let before = match before {
                    Some(seq) => before_files(&moment, seq).await?,
                    None => None,
                };
                let next = trail::line(&moment, last.saturating_add(1)).await?.map(String::into_bytes);
                Ok(DatabaseNow { head: trail::head(&moment).await?, before, next })
            })
        })
    }

    /// Appends the lines after record `seq` to `text`, at most `limit`, with their line breaks, and tells the number of the last one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn lines_after(&self, seq: u64, limit: u32, text: &mut Vec<u8>) -> Result<Option<u64>, StoreError> {
        let (lines, last) = self.read(move |client| Box::pin(trail::lines_after(&*client, seq, limit)))?;
        text.extend_from_slice(&lines);
        Ok(last)
    }

    /// The lines before record `seq`, at most `limit`, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn lines_before(&self, seq: u64, limit: u32) -> Result<Vec<(u64, String)>, StoreError> {
        self.read(move |client| Box::pin(trail::lines_before(&*client, seq, limit)))
    }

    /// Reads all of the database, and compares what it has.
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub fn deep(&self) -> Result<Deep, StoreError> {
        let kind = self.kind;
        let look = self
            .readers
            .run_long(move |client| Box::pin(async move { deep::look(&readers::moment(client).await?, kind).await }));
        self.runtime.block_on(look)
    }

    fn read<T: Send>(
        &self,
        read: impl for<'c> FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>> + Send,
    ) -> Result<T, StoreError> {
        self.runtime.block_on(self.readers.run(read))
    }
}

/// The record before a set of files, with what tells whether they could begin after it.
async fn before_files(client: &impl GenericClient, seq: u64) -> Result<Option<Before>, Error> {
    let line = trail::line(client, seq).await?;
    let link = line.as_deref().and_then(|line| Link::of(line.as_bytes())).filter(|link| link.seq == seq);
    let Some(link) = link else { return Ok(None) };
    let hash = String::from_utf8_lossy(link.hash).into_owned();
    // Whether the records up to it and the next one, which no longer fitted, are together large enough for the file to be closed.
    let bytes = trail::bytes_between(client, (seq + 1).saturating_sub(FILLING), seq + 1).await?;
    Ok(Some(Before { hash, fills_a_file: bytes > CLOSED_MIN_BYTES }))
}
