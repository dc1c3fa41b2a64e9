//! The memory of the table's records, in bytes.
//!
//! Each figure is the most that a record takes on a 64-bit machine. A hash map and a B-tree may be half empty, so a record in one of
//! them counts twice. The table adds a record's figure when it makes the record, and takes away the same figure when it drops the record:
//! nothing is estimated later, so the sum cannot drift.
//!
//! A resource's name is one allocation, shared by the resource's entry and the lease that holds it; the entry counts it. Each
//! waiter has names of its own.

use std::sync::Arc;
use std::time::Duration;

use super::bounds::Client;
use super::entrants::{Contender, Contenders, Contest};
use super::entries::{Ending, Entry, Identity, Lease, Usage, Waiter};
use super::values::{Acquire, LeaseId, Ticket};

/// An entry in the order of what ends by itself.
const ENDING: usize = 2 * size_of::<(Duration, Ending)>();
/// The counters of a shared allocation, and what the allocator adds to it.
const SHARED: usize = 24;
/// A name in a list of names, without its text.
const NAME: usize = size_of::<Arc<str>>();
/// A lease without its texts and resources.
const LEASE: usize = 2 * size_of::<(LeaseId, Lease)>() + ENDING + SHARED;
/// A resource's entry, and the end of its retention.
const ENTRY: usize = 2 * size_of::<(Arc<str>, Entry)>() + ENDING;
/// What the coordinator's service keeps for a request that waits: who is to be told, its logger, its answer's place.
const SERVED: usize = 1024;
/// A waiter without its texts and resources.
const WAITER: usize = 2 * (size_of::<(Ticket, Waiter)>() + size_of::<(Identity, Ticket)>()) + ENDING + SHARED + SERVED;
/// A waiter's name in its list and its place in a queue. A queue of one has room for eleven.
const PLACE: usize = NAME + 11 * size_of::<Ticket>() + 2 * SHARED;
/// The longest text of a request.
const TEXT_MAX: usize = 200;
/// A client's record without its name.
const CLIENT: usize = 2 * size_of::<(Client, Usage)>();

// Nobody asks whether there is room when a waiter gets its lease: so a lease must not take more than its waiter.
const _: () = assert!(LEASE + SHARED + size_of::<Contender>() <= WAITER && NAME <= PLACE);

/// A shared text.
const fn text(length: usize) -> usize {
    (SHARED + length).next_multiple_of(16)
}

fn optional(shared: Option<&Arc<str>>) -> usize {
    shared.map_or(0, |shared| text(shared.len()))
}

/// A lease, without the entries of its resources.
pub fn of_lease(Lease { owner, request_id, resources, contenders, .. }: &Lease) -> usize {
    lease(owner.as_ref(), request_id.as_ref(), resources) + contenders.as_ref().map_or(0, contested)
}

/// What a lease has more if it was contested. Each of these took more while it waited.
pub fn contested(contenders: &Contenders) -> usize {
    let entries = contenders.entries.iter().map(|one| size_of::<Contender>() + optional(one.entry.as_ref()));
    let draw = contenders.draw.as_ref().map_or(0, |draw| text(draw.seed.len()) + text(draw.resource.len()));
    SHARED + entries.sum::<usize>() + draw
}

/// The lease of a request, without the entries of its resources.
pub fn lease(owner: Option<&Arc<str>>, request_id: Option<&Arc<str>>, resources: &[Arc<str>]) -> usize {
    LEASE + optional(owner) + optional(request_id) + NAME * resources.len()
}

/// A resource's entry.
pub fn entry(resource: &str) -> usize {
    ENTRY + text(resource.len())
}

/// What each of a lease's resources takes on after the lease, if they are retained: a part of the owner's name, which they share.
pub fn share_of_owner(owner: Option<&Arc<str>>, resources: usize) -> usize {
    optional(owner).div_ceil(resources.max(1))
}

/// A waiting request, without the entries of its resources.
pub fn waiter(request: &Acquire) -> usize {
    let names: usize = request.resources.iter().map(|resource| PLACE + text(resource.len())).sum();
    let contest = request.contest.as_ref().map_or(0, contest);
    WAITER + optional(request.owner.as_ref()) + optional(request.request_id.as_ref()) + names + contest
}

/// What a waiter has more in a contest. The lease keeps the seed of another one perhaps, so there is room for the largest.
fn contest(Contest { entry, tie, .. }: &Contest) -> usize {
    optional(entry.as_ref()) + optional(tie.group.as_ref()) + optional(tie.seed.as_ref()) + 2 * text(TEXT_MAX)
}

/// A client's record.
pub fn client(client: &Client) -> usize {
    CLIENT
        + match client {
            Client::Principal(name) => text(name.len()),
            Client::Address(_) => 0,
        }
}
