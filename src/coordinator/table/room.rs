//! Whether there is room for a request: in its client's quotas, in the table, and in the queues.

use std::sync::Arc;

use super::Table;
use super::bounds::{Bound, Client, Limits, Measure, OverQuota};
use super::entries::Usage;
use super::footprint;
use super::values::{Acquire, NotGranted};

impl Table {
    /// The memory of all that is held, retained or waited for. It never exceeds the limit: only [`Table::acquire`] adds to it.
    pub fn bytes(&self) -> usize {
        self.bytes + self.waiters.bytes() + self.clients.bytes()
    }

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

    /// Whether the table has room for the request.
    pub(super) fn check_room(&self, request: &Acquire, client: Option<&Client>, waits: bool) -> Result<(), NotGranted> {
        let Limits { resources, bytes, .. } = self.limits;
        if self.held + self.retained + self.waiters.places() + request.resources.len() > resources {
            return Err(NotGranted::Full(Bound { measure: Measure::Count, most: resources }));
        }
        let Acquire { owner, request_id, resources, .. } = request;
        let itself = if waits {
            footprint::waiter(request)
        } else {
            footprint::lease(owner.as_ref(), request_id.as_ref(), resources)
        };
        let entries: usize = resources.iter().map(|resource| footprint::entry(resource)).sum();
        if self.bytes() + itself + entries + client.map_or(0, footprint::client) > bytes {
            return Err(NotGranted::Full(Bound { measure: Measure::Bytes, most: bytes }));
        }
        Ok(())
    }

    /// Whether the queues have room for a request.
    pub(super) fn check_queues(&self, request: &Acquire) -> Result<(), NotGranted> {
        let Limits { places, waiters_of_one, queue_bytes, .. } = self.limits;
        let full = |measure, most| Err(NotGranted::QueueFull(Bound { measure, most }));
        if self.waiters.places() + request.resources.len() > places {
            return full(Measure::Count, places);
        }
        let queue_of = |resource: &Arc<str>| self.resources.get(resource).map_or(0, |entry| entry.queue.len());
        if request.resources.iter().any(|resource| queue_of(resource) >= waiters_of_one) {
            return full(Measure::Count, waiters_of_one);
        }
        if self.waiters.bytes() + footprint::waiter(request) > queue_bytes {
            return full(Measure::Bytes, queue_bytes);
        }
        Ok(())
    }
}
