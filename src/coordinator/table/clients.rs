//! What each client has of the table: the resources that it holds or retains, and its places in queues.

use std::collections::HashMap;

use super::bounds::Client;
use super::entries::Usage;
use super::footprint;

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
