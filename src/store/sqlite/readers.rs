//! Reading beside the writer: read-only connections, used off the async threads.
//!
//! Rows of a file that is not in its place are not served: they may be of the file that was moved away, or of another one that
//! took its name.
//!
//! # Locking
//!
//! The mutex guards the list of idle connections, not a connection in use; it is held for a pop or a push.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connect;
use super::damage::Damage;
use super::errors::unavailable;
use super::place::Place;
use super::stopped::InUse;
use crate::panics;
use crate::store::StoreError;

/// Connections at most, so that many readers neither fill the memory nor use up the file descriptors.
const MAX: usize = 8;

pub struct Readers {
    path: PathBuf,
    place: Arc<Place>,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    damage: Damage,
    /// Dropped after the connections.
    _in_use: InUse,
}

impl Readers {
    pub fn new(path: &Path, place: Arc<Place>, damage: Damage, in_use: InUse) -> Self {
        let permits = Arc::new(Semaphore::new(MAX));
        Self { path: path.to_owned(), place, idle: Mutex::new(Vec::new()), permits, damage, _in_use: in_use }
    }

    /// Runs `read` with a connection of its own, on a thread that may block.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let task = panics::blocking(move || {
            let result = readers.read(read);
            // Held until here: the reading goes on when its caller has gone away.
            drop(permit);
            result
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    /// The same on this thread.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let in_place = || self.place.fault().map_or(Ok(()), |reason| Err(StoreError::Unavailable(reason)));
        in_place()?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect::open_for_reading(&self.path).map_err(|error| unavailable(&error))?,
        };
        let result = read(&connection);
        // Also after a failure, whose reason a missing file is. And a connection that was opened meanwhile may have another file.
        in_place()?;
        // A connection that failed may be broken; a new one is cheap.
        match &result {
            Ok(_) => self.idle().push(connection),
            Err(error) => self.damage.look_at(error),
        }
        result.map_err(|error| unavailable(&error))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
