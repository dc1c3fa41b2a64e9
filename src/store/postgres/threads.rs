//! The database for threads: a thread waits for its answer, and what it asks runs where the service's other tasks run.

use std::sync::{Arc, mpsc};

use deadpool_postgres::Client;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::errors::Error;
use super::readers::Readers;
use crate::store::StoreError;

/// Connections for threads.
#[derive(Clone)]
pub struct Threads {
    readers: Arc<Readers>,
    runtime: Handle,
}

impl Threads {
    /// Those that these readers have. They should be nobody else's, so that others do not keep a thread waiting.
    pub fn new(readers: Readers, runtime: Handle) -> Self {
        Self { readers: Arc::new(readers), runtime }
    }

    /// Asks with a connection of its own, and waits for the answer.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub fn wait<T: Send + 'static>(
        &self,
        ask: impl for<'c> FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let (answer, answered) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // A thread that has gone away waits for nothing.
            let _ = answer.send(readers.run(ask).await);
        });
        answered.recv().unwrap_or_else(|_| Err(StoreError::Unavailable("o serviço está encerrando".to_owned())))
    }
}
