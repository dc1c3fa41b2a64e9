//! Reading beside the writer: a pool of connections, for readings and for what need not outlive a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
    Transaction,
};
use futures_util::future::BoxFuture;
use tokio_postgres::IsolationLevel;

use super::connect::{self, Connector, OPEN_TIMEOUT};
use super::errors::Error;
use super::growth::Growth;
use super::location::Location;
use crate::store::StoreError;

/// Connections at most: the server has few, and all schedulers share them.
const MAX: usize = 8;
/// How long a reading waits for a connection that others use.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may take to throw its plans away.
const PLAN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a reading may take: a server that is stopped answers nothing, and its connection stays open.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// The same for a reading of the whole database, which a person waits for and can end.
const LONG_READ_TIMEOUT: Duration = Duration::from_secs(12 * 3600);

/// The pool.
pub struct Readers {
    pool: Pool,
    connector: Connector,
    /// Whose turn it was at the last look: the connections that are in the pool were opened since.
    turn: AtomicUsize,
}

impl Readers {
    /// A pool without a connection yet. Each is opened when it is needed first.
    pub fn new(location: &Location, connector: Connector) -> Result<Self, Error> {
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(location.config().clone(), connector.clone(), settings);
        let pool = Pool::builder(manager)
            .post_recycle(planned_by(Arc::clone(connector.growth())))
            .max_size(MAX)
            .wait_timeout(Some(WAIT_TIMEOUT))
            .create_timeout(Some(OPEN_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .build();
        let pool = pool.map_err(|error| Error::NoConnection(error.to_string()))?;
        let turn = connector.turned().into();
        Ok(Self { pool, connector, turn })
    }

    /// How the trail there grows.
    pub fn growth(&self) -> &Growth {
        self.connector.growth()
    }

    /// Runs `read` with a connection of its own.
    pub async fn run<T: Send>(
        &self,
        read: impl for<'c> FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>> + Send,
    ) -> Result<T, StoreError> {
        self.run_within(READ_TIMEOUT, read).await
    }

    /// The same for a reading of the whole database.
    pub async fn run_long<T: Send>(
        &self,
        read: impl for<'c> FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>> + Send,
    ) -> Result<T, StoreError> {
        self.run_within(LONG_READ_TIMEOUT, read).await
    }

    async fn run_within<T: Send>(
        &self,
        limit: Duration,
        read: impl for<'c> FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>> + Send,
    ) -> Result<T, StoreError> {
        let seen = self.connector.turned();
        if self.turn.swap(seen, Ordering::Relaxed) != seen {
            // Another task has found a host silent. Each connection to it would keep a reading waiting.
            self.pool.retain(|_, _| false);
        }
        let client = self.pool.get().await;
        if matches!(client, Err(PoolError::Timeout(TimeoutType::Create))) {
            // A server that is stopped takes connections, and says nothing.
            self.connector.turn_from(seen);
        }
        let mut client = client.map_err(Error::from)?;
        let result = tokio::time::timeout(limit, read(&mut client)).await;
        let result = result.unwrap_or(Err(Error::Silent(limit)));
        if matches!(result, Err(Error::Silent(_))) {
            self.connector.turn_from(seen);
        }
        if result.as_ref().is_err_and(Error::is_lost) {
            // Out of the pool: the next reading looks for the primary anew.
            drop(Object::take(client));
        }
        Ok(result?)
    }
}

/// Has the server plan a connection's statements anew before it is used again, if the trail has grown much since it was used.
fn planned_by(growth: Arc<Growth>) -> Hook {
    Hook::async_fn(move |client, used| {
        let is_outgrown = growth.has_grown_since(used.recycled.unwrap_or(used.created));
        Box::pin(async move {
            if !is_outgrown {
                return Ok(());
            }
            // A connection that does not answer is closed, and the pool opens another one.
            let planned = tokio::time::timeout(PLAN_TIMEOUT, connect::plan_anew(client)).await;
            planned.unwrap_or(Err(Error::Silent(PLAN_TIMEOUT))).map_err(|error| HookError::message(error.to_string()))
        })
    })
}

/// A transaction in which all statements read the same moment.
pub async fn moment(client: &mut Client) -> Result<Transaction<'_>, Error> {
    Ok(client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?)
}
