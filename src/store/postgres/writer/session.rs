//! The connection that writes, with its statements prepared.

use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Statement;

use super::super::apply;
use super::super::connect::{self, Connector, Opened, Use, Warnings};
use super::super::errors::Error;
use super::super::growth::Growth;
use super::super::load::{self, Loaded, Remembered};
use crate::store::decide::{Need, View};
use crate::time::Clock;

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
    growth: Arc<Growth>,
    /// The step that the growth had reached when the statements were planned.
    planned: u64,
}

impl Session {
    /// A new one, on a database that is ready.
    pub async fn open(connector: &Connector) -> Result<Self, Error> {
        Self::of(connector.open(Use::Writing).await?).await
    }

    /// A connection, with its statements prepared.
    pub async fn of(Opened { client, warnings, task, growth }: Opened) -> Result<Self, Error> {
        let client = ClientWrapper::new(client, task);
        for setting in PLANS {
            match client.batch_execute(setting).await.map_err(Error::from) {
                Err(error) if error.is_lost() => return Err(error),
                _ => {}
            }
        }
        apply::prepare(&client).await?;
        let head = client.prepare(load::HEAD).await?;
        let planned = growth.step();
        Ok(Self { client, head, warnings, growth, planned })
    }

    /// Begins a transaction, with the rows that `needs` names, as [`Loaded::begin`] does.
    pub async fn begin(
        &mut self,
        clock: &Clock,
        remembered: Remembered,
        needs: impl FnMut(&View, bool) -> Vec<Need>,
    ) -> Result<Loaded, Error> {
        self.plan().await?;
        let loaded = Loaded::begin(&self.client, &self.head, clock, remembered, needs).await?;
        self.growth.note(loaded.view.head.seq);
        Ok(loaded)
    }

    /// Has the server plan all statements anew, if the trail has outgrown their plans.
    async fn plan(&mut self) -> Result<(), Error> {
        let step = self.growth.step();
        if self.planned != step {
            connect::plan_anew(&self.client).await?;
            self.planned = step;
        }
        Ok(())
    }
}
