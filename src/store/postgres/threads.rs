//! The database for threads: a thread waits for its answer, and what it asks runs where the service's other tasks run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use deadpool_postgres::Client;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::errors::Error;
use super::growth::Growth;
use super::readers::Readers;
use crate::store::StoreError;

/// How long the database may keep a thread waiting until that counts as a fault.
const SILENT_AFTER: Duration = Duration::from_secs(3);

/// Connections for threads.
#[derive(Clone)]
pub struct Threads {
    readers: Arc<Readers>,
    runtime: Handle,
    state: State,
}

/// How the last question went, and when the present one was asked.
///
/// A std lock around small values: held to read or to replace them.
type State = Arc<Mutex<(Option<String>, Option<Instant>)>>;

impl Threads {
    /// Those that these readers have. They should be nobody else's, so that others do not keep a thread waiting.
    pub fn new(readers: Readers, runtime: Handle) -> Self {
        Self { readers: Arc::new(readers), runtime, state: State::default() }
    }

    /// How the trail there grows.
    pub fn growth(&self) -> &Growth {
        self.readers.growth()
    }

    /// Asks with a connection of its own, and waits for the answer.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub fn wait<T: Send + 'static>(
        &self,
        ask: impl for<'c> FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.state().1 = Some(Instant::now());
        let answered = self.ask(ask);
        let mut state = self.state();
        state.1 = None;
        match &answered {
            Ok(_) => state.0 = None,
            Err(StoreError::Unavailable(reason) | StoreError::Unknown(reason)) => state.0 = Some(reason.clone()),
            // It answers, but not what makes sense.
            Err(StoreError::Refused(_)) => {}
        }
        drop(state);
        answered
    }

    fn ask<T: Send + 'static>(
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

    /// Why the database cannot be used, if the last question of a thread that asks all the time says so.
    pub fn fault(&self) -> Option<String> {
        let state = self.state();
        let silent = state.1.map(|asked| asked.elapsed()).filter(|silent| *silent >= SILENT_AFTER);
        state.0.clone().or_else(|| silent.map(|silent| format!("o banco não responde há {} s", silent.as_secs())))
    }

    /// Notes that the database has just done what another connection asked. What a thread was told before says nothing of it any more, and the
    /// thread may not ask for a while: the records that it would ask for are handed to it.
    pub fn note_answered(&self) {
        self.state().0 = None;
    }

    fn state(&self) -> MutexGuard<'_, (Option<String>, Option<Instant>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::connect::Connector;
    use super::super::location::Location;
    use super::*;
    use crate::store::kind::DatabaseKind;

    #[test]
    fn a_fault_ends_when_the_database_has_answered_another_connection() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        // Nothing listens on port 1.
        let nowhere = Location::parse("postgres://sctec@127.0.0.1:1/sctec").unwrap();
        let readers = Readers::new(&nowhere, Connector::new(&nowhere, DatabaseKind::Agenda)).unwrap();
        let threads = Threads::new(readers, runtime.handle().clone());
        assert!(threads.wait(|_| Box::pin(async { Ok(()) })).is_err());
        assert!(threads.fault().is_some());
        threads.note_answered();
        assert_eq!(threads.fault(), None);
    }
}
