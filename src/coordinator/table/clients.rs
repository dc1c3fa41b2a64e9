//! What each client has of the table: the resources that it holds or retains, and its places in queues.

use std::collections::HashMap;

use super::Table;
use super::bounds::{Client, OverQuota};
use super::footprint;
use super::values::{Acquire, NotGranted};

/// What one client has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resources under its leases, or retained by it.
    pub resources: usize,
    /// Places in queues.
    pub places: usize,
}

/// Those that have anything.
#[derive(Debug, Default)]
pub struct Clients {
    usage: HashMap<Client, Usage>,
    bytes: usize,
}

impl Clients {
    pub fn len(&self) -> usize {
        self.usage.len()
    }

    /// The memory of the records.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn usage(&self, client: &Client) -> Usage {
        self.usage.get(client).copied().unwrap_or_default()
    }

    /// The same client, with the name that is in use already: so a name is in memory once.
    pub fn known(&self, client: &Client) -> Client {
        self.usage.get_key_value(client).map_or(client, |(known, _)| known).clone()
    }

    /// Changes what a client has. A client without a quota has none counted.
    pub fn change(&mut self, client: Option<&Client>, change: impl FnOnce(&mut Usage)) {
        let Some(client) = client else { return };
        let bytes = &mut self.bytes;
        let usage = self.usage.entry(client.clone()).or_insert_with(|| {
            *bytes += footprint::client(client);
            Usage::default()
        });
        change(usage);
        if *usage == Usage::default() {
            self.usage.remove(client);
            self.bytes -= footprint::client(client);
        }
    }

    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = (&Client, &Usage)> {
        self.usage.iter()
    }
}

impl Table {
    /// Whether the request keeps its client within its quotas. What waits counts as if it were held, so a waiter that gets its lease
    /// cannot pass the quota then.
    pub(super) fn check_quota(
        &self,
        request: &Acquire,
        client: Option<&Client>,
        waits: bool,
    ) -> Result<(), NotGranted> {
        let Some(client) = client else { return Ok(()) };
        let Usage { resources, places } = self.clients.usage(client);
        let wanted = request.resources.len();
        if waits && places + wanted > self.limits.client_places {
            let (client, most) = (client.clone(), self.limits.client_places);
            return Err(NotGranted::Quota(OverQuota { client, places: true, used: places, wanted, most }));
        }
        let (used, most) = (resources + places, self.limits.client_resources);
        if used + wanted > most {
            return Err(NotGranted::Quota(OverQuota { client: client.clone(), places: false, used, wanted, most }));
        }
        Ok(())
    }
}
