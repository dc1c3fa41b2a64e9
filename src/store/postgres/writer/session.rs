//! The connection that writes, with its statements prepared.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Statement;

use super::super::connect::{Connector, Opened, Use, Warnings};
use super::super::errors::Error;
use super::super::{apply, load};

/// All that the writer asks is found by keys. A plan that was made when a table was small must not read all of it when it is large. A server
/// that does not know one of these settings does without.
const PLANS: [&str; 5] = [
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET jit = off",
    "SET plan_cache_mode = force_generic_plan",
];

/// The connection that writes. Dropping it closes its socket at once.
pub struct Session {
    /// For requests.
    pub client: ClientWrapper,
    /// Locks the trail's head.
    pub head: Statement,
    /// What the server has warned of.
    pub warnings: Warnings,
}

impl Session {
    /// A new one, on a database that is ready.
    pub async fn open(connector: &Connector) -> Result<Self, Error> {
        Self::of(connector.open(Use::Writing).await?).await
    }

    /// A connection, with its statements prepared.
    pub async fn of(Opened { client, warnings, task }: Opened) -> Result<Self, Error> {
        let client = ClientWrapper::new(client, task);
        for setting in PLANS {
            match client.batch_execute(setting).await.map_err(Error::from) {
                Err(error) if error.is_lost() => return Err(error),
                _ => {}
            }
        }
        apply::prepare(&client).await?;
        let head = client.prepare(load::HEAD).await?;
        Ok(Self { client, head, warnings })
    }
}
