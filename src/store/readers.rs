//! Reading beside the writer: read-only connections, used off the async threads.
//!
//! # Locking
//!
//! The mutex guards the list of idle connections, not a connection in use; it is held for a pop or a push.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::damage::Damage;
use super::stopped::InUse;
use super::{Unavailable, schema, unavailable};
use crate::panics;

/// Connections at most, so that many readers neither fill the memory nor use up the file descriptors.
const MAX: usize = 8;

pub struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    damage: Damage,
    /// Goes after the connections.
    _in_use: InUse,
}

impl Readers {
    pub fn new(path: &Path, damage: Damage, in_use: InUse) -> Self {
        let permits = Arc::new(Semaphore::new(MAX));
        Self { path: path.to_owned(), idle: Mutex::new(Vec::new()), permits, damage, _in_use: in_use }
    }

    /// Runs `read` with a connection of its own, on a thread that may block.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let readers = Arc::clone(self);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let task = panics::blocking(move || {
            let idle = readers.idle().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => schema::open_for_reading(&readers.path)?,
            };
            let result = read(&connection);
            // One that failed may be broken; a new one is cheap.
            match &result {
                Ok(_) => readers.idle().push(connection),
                Err(error) => readers.damage.look_at(error),
            }
            // Held until here: the work goes on when whoever asked for it has gone.
            drop(permit);
            result
        });
        match task.await {
            Ok(result) => result.map_err(|error| unavailable(&error)),
            Err(error) => Err(Unavailable(error.to_string())),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
