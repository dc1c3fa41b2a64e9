//! The rows that decisions are made by.

use std::collections::BTreeMap;
use std::time::Instant;

use super::write::Write;
use crate::access::Caller;
use crate::agenda::maintenance::Maintenance;
use crate::agenda::opening::{Reopening, is_looked_at};
use crate::agenda::proposal::Proposal;
use crate::agenda::{Booking, Scientist, SlotRange, Status, Telescope, Wait};
use crate::audit::chain::ChainHead;
use crate::audit::fields::booking_of;
use crate::audit::record::{Cause, Event};
use crate::http::request_id::RequestId;
use crate::time::Timestamp;

/// A part of the agenda as it stands in a transaction: what was loaded, and what was decided since.
///
/// A backend may load no more than a batch touches, or keep all of the agenda in one.
#[derive(Clone, Debug)]
pub struct View {
    /// The instant that the transaction's rows and records carry.
    pub now: Timestamp,
    /// When the transaction began, on the monotonic clock.
    pub began: Instant,
    /// The audit trail's last record.
    pub head: ChainHead,
    /// The number of the next booking.
    pub next_booking_id: i64,
    /// The number of the next scientist.
    pub next_scientist_id: i64,
    /// The number of the next proposal.
    pub next_proposal_id: i64,
    /// The number of the next maintenance.
    pub next_maintenance_id: i64,
    /// Telescopes by their codes.
    pub telescopes: BTreeMap<String, Telescope>,
    /// Scientists by their numbers.
    pub scientists: BTreeMap<i64, Scientist>,
    /// The number of the next entry of a waiting list.
    pub next_wait_id: i64,
    /// Proposals by their numbers.
    pub proposals: BTreeMap<i64, Proposal>,
    /// The minutes that are charged to proposals, by proposal and telescope.
    pub used_min: BTreeMap<(i64, String), i64>,
    /// Bookings by their numbers.
    pub bookings: BTreeMap<i64, Booking>,
    /// What scientists have booked at telescopes, by the telescope's code and the scientist's number.
    pub held: BTreeMap<String, BTreeMap<i64, Held>>,
    /// Entries of waiting lists by their numbers.
    pub waits: BTreeMap<i64, Wait>,
    /// The slots of each telescope that were ever claimed.
    pub slots: BTreeMap<String, Slots>,
}

/// The slots of one scientist's active bookings at one telescope, by the bookings' numbers.
pub type Held = BTreeMap<i64, SlotRange>;

/// A telescope's claims by the starts of their slots. A slot without one was never booked.
pub type Slots = BTreeMap<Timestamp, Claim>;

/// The state of a slot that was ever booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The booking that has it, with its scientist; `None` if it is free.
    pub taken: Option<Taken>,
    /// The largest fencing token that it has seen.
    pub token: u64,
    /// When it opens, or has opened, since its last booking gave it up, if not at once.
    pub opens_at: Option<Timestamp>,
}

/// The booking that has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its number.
    pub booking_id: i64,
    /// Its scientist.
    pub scientist_id: i64,
}

impl View {
    /// A view with nothing in it yet, nor the numbers of the next scientist, proposal, maintenance and entry of a waiting list.
    pub fn empty(now: Timestamp, began: Instant, head: ChainHead, next_booking_id: i64) -> Self {
        Self {
            now,
            began,
            head,
            next_booking_id,
            next_wait_id: 0,
            next_scientist_id: 0,
            next_proposal_id: 0,
            next_maintenance_id: 0,
            proposals: BTreeMap::new(),
            used_min: BTreeMap::new(),
            telescopes: BTreeMap::new(),
            scientists: BTreeMap::new(),
            bookings: BTreeMap::new(),
            held: BTreeMap::new(),
            waits: BTreeMap::new(),
            slots: BTreeMap::new(),
        }
    }

    /// The claims of these slots, in order; a slot that was never booked has none.
    pub fn claims(&self, telescope: &str, slots: SlotRange) -> impl Iterator<Item = (Timestamp, Claim)> {
        let claims = self.slots.get(telescope);
        let claims = claims.into_iter().flat_map(move |claims| claims.range(slots.start()..slots.end()));
        claims.map(|(start, claim)| (*start, *claim))
    }

    /// When these slots open, or have opened, since they have become free: as far as a request that comes now can be too early.
    pub(super) fn opens(&self, telescope: &str, slots: SlotRange) -> Option<Timestamp> {
        let reopens = self.telescopes.get(telescope).and_then(|telescope| telescope.reopens(slots, self.now));
        let freed = self.claims(telescope, slots).filter_map(|(_, claim)| claim.opens_at);
        freed.filter(|at| is_looked_at(*at, self.now)).chain(reopens).max()
    }

    /// What a scientist has booked at a telescope, without the booking `but`.
    pub fn held(
        &self,
        telescope: &str,
        scientist_id: i64,
        but: Option<i64>,
    ) -> impl Iterator<Item = SlotRange> + Clone {
        let held = self.held.get(telescope).and_then(|held| held.get(&scientist_id));
        held.into_iter().flatten().filter(move |(id, _)| but != Some(**id)).map(|(_, slots)| *slots)
    }

    /// What a scientist has booked at a telescope, to be added to.
    pub fn held_mut(&mut self, telescope: &str, scientist_id: i64) -> &mut Held {
        // Most often it is there, and then its name is not copied.
        if !self.held.contains_key(telescope) {
            self.held.insert(telescope.to_owned(), BTreeMap::new());
        }
        let of_telescope = self.held.get_mut(telescope).expect("it was added where it was not there");
        of_telescope.entry(scientist_id).or_default()
    }

    /// The record of `event` and of its cause, as the one after the last.
    pub(super) fn record(&self, event: &Event<'_>, request: Option<&RequestId>, caller: &Caller) -> Write {
        append(&mut self.head.clone(), event, self.now, request, caller)
    }

    /// The record of `event` as the one after `head`, which it then is: for a decision with several.
    pub(super) fn next_record(&self, head: &mut ChainHead, event: &Event<'_>, cause: &Cause) -> Write {
        append(head, event, self.now, Some(&cause.request_id), &cause.caller)
    }

    /// Makes the view what it is after `write`.
    pub fn apply(&mut self, write: Write) {
        match write {
            Write::InsertBooking { booking, .. } => {
                self.count(&booking, 1);
                self.next_booking_id = self.next_booking_id.max(booking.id + 1);
                self.bookings.insert(booking.id, booking);
            }
            Write::ClaimSlots { telescope, slots, booking_id, scientist_id, token } => {
                let claims = self.slots.entry(telescope).or_default();
                let taken = Some(Taken { booking_id, scientist_id });
                claims.extend(slots.starts().map(|start| (start, Claim { taken, token, opens_at: None })));
            }
            Write::UpdateBooking { booking, .. } => {
                if let Some(before) = self.bookings.get(&booking.id).cloned() {
                    self.count(&before, -1);
                }
                self.count(&booking, 1);
                self.bookings.insert(booking.id, booking);
            }
            Write::InsertProposal { proposal } => {
                self.next_proposal_id = self.next_proposal_id.max(proposal.id + 1);
                self.proposals.insert(proposal.id, proposal);
            }
            Write::UpdateProposal { proposal } => _ = self.proposals.insert(proposal.id, proposal),
            Write::FreeSlots { telescope, slots, booking_id, token, opens_at } => {
                let claims = self.slots.entry(telescope).or_default();
                for (_, claim) in claims.range_mut(slots.start()..slots.end()) {
                    if claim.taken.is_some_and(|taken| taken.booking_id == booking_id) {
                        let token = claim.token.max(token.unwrap_or(0));
                        *claim = Claim { taken: None, token, opens_at };
                    }
                }
            }
            Write::InsertWait { wait, .. } => {
                self.next_wait_id = self.next_wait_id.max(wait.id + 1);
                self.waits.insert(wait.id, wait);
            }
            Write::UpdateWait { wait } => _ = self.waits.insert(wait.id, wait),
            Write::InsertTelescope { telescope } | Write::UpdateTelescope { telescope } => {
                self.telescopes.insert(telescope.code.clone(), telescope);
            }
            Write::InsertScientist { scientist } => {
                self.next_scientist_id = self.next_scientist_id.max(scientist.id + 1);
                self.scientists.insert(scientist.id, scientist);
            }
            Write::UpdateScientist { scientist } => _ = self.scientists.insert(scientist.id, scientist),
            Write::InsertMaintenance { telescope, maintenance } => {
                self.next_maintenance_id = self.next_maintenance_id.max(maintenance.id + 1);
                self.change_maintenance(&telescope, |all| all.push(maintenance));
            }
            Write::RemoveMaintenance { telescope, id, opens_at, .. } => {
                if let Some(opens_at) = opens_at {
                    self.reopen(&telescope, id, opens_at);
                }
                self.change_maintenance(&telescope, |all| all.retain(|one| one.id != id));
            }
            Write::AppendRecord { seq, hash, .. } => self.head = ChainHead { seq, hash },
            // No decision looks at it.
            Write::KeepAnswer { .. } => {}
        }
    }

    /// Counts an active booking with what its scientist has, and charges it to its proposal; or takes both back, `times` being -1.
    fn count(&mut self, booking: &Booking, times: i64) {
        if booking.status != Status::Active {
            return;
        }
        let held = self.held_mut(&booking.telescope, booking.scientist_id);
        if times > 0 {
            held.insert(booking.id, booking.slots)
        } else {
            held.remove(&booking.id)
        };
        if let Some(proposal) = booking.proposal_id {
            let used = self.used_min.entry((proposal, booking.telescope.clone())).or_default();
            *used += times * booking.slots.duration_min();
        }
    }

    /// What a maintenance has closed opens at this instant.
    fn reopen(&mut self, telescope: &str, id: i64, opens_at: Timestamp) {
        let Some(known) = self.telescopes.get_mut(telescope) else { return };
        let gone = known.maintenance.iter().find(|one| one.id == id).map(|one| one.when.clone());
        let now = self.now;
        let recent = known.reopening.iter().filter(|one| is_looked_at(one.opens_at, now)).cloned();
        known.reopening = recent.chain(gone.map(|when| Reopening { when, opens_at })).collect();
    }

    fn change_maintenance(&mut self, telescope: &str, change: impl FnOnce(&mut Vec<Maintenance>)) {
        if let Some(known) = self.telescopes.get_mut(telescope) {
            let mut all = known.maintenance.to_vec();
            change(&mut all);
            *known = known.clone().with_maintenance(all);
        }
    }
}

/// The record of `event` as the one after `head`, which it then is.
fn append(
    head: &mut ChainHead,
    event: &Event<'_>,
    now: Timestamp,
    request: Option<&RequestId>,
    caller: &Caller,
) -> Write {
    let line = head.append(event.open_json(now), request, caller);
    let booking_id = event.booking_id();
    debug_assert_eq!(booking_id, booking_of(&line), "a record is filed under the booking that its line names");
    Write::AppendRecord { seq: head.seq, line, booking_id, hash: head.hash.clone() }
}
