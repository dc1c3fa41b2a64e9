//! What was decided and is not written yet: the rows that writes touch. What is in them is in the view, so a row that several changes of a
//! batch have touched is written once, as the last one has left it.

use std::collections::{BTreeMap, BTreeSet};

use crate::agenda::keeping::Kept;
use crate::agenda::maintenance::Maintenance;
use crate::http::request_id::RequestId;
use crate::store::decide::{View, Write};
use crate::time::Timestamp;

/// The rows that are to be written.
#[derive(Debug, Default)]
pub struct Pending {
    /// New bookings, with what a booking itself does not have: its token, and the request that asked for it.
    pub new_bookings: BTreeMap<i64, (Option<u64>, RequestId)>,
    /// Bookings that are in the database already.
    pub bookings: BTreeSet<i64>,
    /// Slots by telescope and start, with the booking that each has in the database.
    pub slots: BTreeMap<(String, Timestamp), Option<i64>>,
    /// New entries of waiting lists, and the requests that asked for them.
    pub new_waits: BTreeMap<i64, RequestId>,
    /// Entries that are in the database already.
    pub waits: BTreeSet<i64>,
    /// New telescopes, by code, in the order in which they were added.
    pub new_telescopes: Vec<String>,
    /// Telescopes that are in the database already.
    pub telescopes: BTreeSet<String>,
    /// New scientists.
    pub new_scientists: BTreeSet<i64>,
    /// Scientists who are in the database already.
    pub scientists: BTreeSet<i64>,
    /// Proposals, new ones and others.
    pub proposals: BTreeSet<i64>,
    /// New maintenances, with the telescope's code.
    pub new_maintenances: Vec<(String, Maintenance)>,
    /// Maintenances that are taken away, and when.
    pub removed_maintenances: Vec<(i64, Timestamp, Option<Timestamp>)>,
    /// Answers that are kept.
    pub answers: Vec<(Kept, Timestamp)>,
    /// The records: their numbers, their lines, and the bookings that they are about.
    pub records: Vec<(u64, String, Option<i64>)>,
    /// The largest token that a slot has seen by these writes.
    pub token: u64,
    /// Whether the catalogue is otherwise.
    pub catalogue: bool,
}

impl Pending {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        // Each change of the agenda makes a record.
        self.records.is_empty()
    }

    /// Notes a write. The view is as it was before it.
    pub fn note(&mut self, write: &Write, before: &View) {
        match write {
            Write::InsertBooking { booking, token, request_id } => {
                self.new_bookings.insert(booking.id, (*token, request_id.clone()));
            }
            Write::UpdateBooking { booking, .. } => {
                if !self.new_bookings.contains_key(&booking.id) {
                    self.bookings.insert(booking.id);
                }
            }
            Write::ClaimSlots { telescope, slots, token, .. } => {
                self.token = self.token.max(*token);
                self.touch(before, telescope, slots.starts());
            }
            Write::FreeSlots { telescope, slots, token, booking_id, .. } => {
                self.token = self.token.max(token.unwrap_or(0));
                let own = before.claims(telescope, *slots);
                let own = own.filter(|(_, claim)| claim.taken.is_some_and(|taken| taken.booking_id == *booking_id));
                self.touch(before, telescope, own.map(|(start, _)| start));
            }
            Write::InsertWait { wait, request_id } => _ = self.new_waits.insert(wait.id, request_id.clone()),
            Write::UpdateWait { wait } => {
                if !self.new_waits.contains_key(&wait.id) {
                    self.waits.insert(wait.id);
                }
            }
            Write::InsertTelescope { telescope } => self.new_telescopes.push(telescope.code.clone()),
            Write::UpdateTelescope { telescope } => {
                if !self.new_telescopes.contains(&telescope.code) {
                    self.telescopes.insert(telescope.code.clone());
                }
            }
            Write::InsertScientist { scientist } => _ = self.new_scientists.insert(scientist.id),
            Write::UpdateScientist { scientist } => {
                if !self.new_scientists.contains(&scientist.id) {
                    self.scientists.insert(scientist.id);
                }
            }
            Write::InsertProposal { proposal } | Write::UpdateProposal { proposal } => {
                self.proposals.insert(proposal.id);
            }
            Write::InsertMaintenance { telescope, maintenance } => {
                self.new_maintenances.push((telescope.clone(), maintenance.clone()));
            }
            Write::RemoveMaintenance { id, at, opens_at, .. } => {
                self.removed_maintenances.push((*id, *at, *opens_at));
            }
            Write::KeepAnswer { kept, at } => self.answers.push(((**kept).clone(), *at)),
            Write::AppendRecord { seq, line, booking_id, .. } => {
                self.records.push((*seq, line.clone(), *booking_id));
            }
        }
        self.catalogue |= changes_catalogue(write);
    }

    /// Notes slots, and the booking that each has in the database if it was not touched yet.
    fn touch(&mut self, before: &View, telescope: &str, starts: impl Iterator<Item = Timestamp>) {
        let claims = before.slots.get(telescope);
        for start in starts {
            let taken = || claims.and_then(|claims| claims.get(&start)).and_then(|claim| claim.taken);
            let key = (telescope.to_owned(), start);
            self.slots.entry(key).or_insert_with(|| taken().map(|taken| taken.booking_id));
        }
    }
}

/// Whether those who have read the catalogue have to read it again.
fn changes_catalogue(write: &Write) -> bool {
    match write {
        Write::InsertTelescope { .. }
        | Write::UpdateTelescope { .. }
        | Write::InsertScientist { .. }
        | Write::UpdateScientist { .. }
        | Write::InsertProposal { .. }
        | Write::UpdateProposal { .. }
        | Write::InsertMaintenance { .. }
        | Write::RemoveMaintenance { .. } => true,
        Write::InsertBooking { .. }
        | Write::ClaimSlots { .. }
        | Write::UpdateBooking { .. }
        | Write::FreeSlots { .. }
        | Write::InsertWait { .. }
        | Write::UpdateWait { .. }
        | Write::KeepAnswer { .. }
        | Write::AppendRecord { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::agenda::SlotRange;
    use crate::audit::chain::ChainHead;

    const CODE: &str = "Hubble-Acad";

    fn slots(minutes: i64) -> SlotRange {
        SlotRange::new(Timestamp::from_micros(1_893_466_800_000_000).unwrap(), minutes).unwrap()
    }

    fn claim(booking_id: i64, minutes: i64, token: u64) -> Write {
        Write::ClaimSlots { telescope: CODE.to_owned(), slots: slots(minutes), booking_id, scientist_id: 7, token }
    }

    fn free(booking_id: i64, minutes: i64) -> Write {
        Write::FreeSlots {
            telescope: CODE.to_owned(),
            slots: slots(minutes),
            booking_id,
            token: Some(9),
            opens_at: None,
        }
    }

    /// The slots that are to be written after these writes, in order: what each had before, and what it has now.
    fn written(before: &View, writes: &[Write]) -> Vec<(Option<i64>, Option<i64>)> {
        let (mut view, mut pending) = (before.clone(), Pending::default());
        for write in writes {
            pending.note(write, &view);
            view.apply(write.clone());
        }
        let now = |start| view.slots[CODE][start].taken.map(|taken| taken.booking_id);
        pending.slots.iter().map(|((_, start), had)| (*had, now(start))).collect()
    }

    fn view() -> View {
        let mut view = View::empty(Timestamp::MIN, Instant::now(), ChainHead::genesis("x"), 1);
        view.apply(claim(5, 10, 3));
        view
    }

    #[test]
    fn a_slot_is_written_once_with_what_it_had_before_the_batch() {
        // Two slots are given up, and one of them is claimed, given up and claimed again by others.
        let writes = [free(5, 10), claim(6, 5, 10), free(6, 5), claim(7, 5, 11)];
        assert_eq!(written(&view(), &writes), [(Some(5), Some(7)), (Some(5), None)]);
        // A booking that moves onto one of its own slots.
        assert_eq!(written(&view(), &[free(5, 10), claim(5, 5, 10)]), [(Some(5), Some(5)), (Some(5), None)]);
    }

    #[test]
    fn slots_of_another_booking_are_not_touched_by_one_that_gives_up() {
        assert_eq!(written(&view(), &[free(6, 10)]), []);
        // The third slot was free, and is claimed and given up again.
        let mut third = view();
        third.apply(free(5, 10));
        assert_eq!(written(&third, &[claim(8, 15, 10), free(8, 15)]), [(None, None); 3]);
    }

    #[test]
    fn what_is_new_in_a_batch_is_not_updated_too() {
        let scientist = crate::agenda::Scientist {
            id: 11,
            name: "Ana".to_owned(),
            institution: "USP".to_owned(),
            country: "BR".to_owned(),
            active: true,
        };
        let mut pending = Pending::default();
        for write in [
            Write::InsertScientist { scientist: scientist.clone() },
            Write::UpdateScientist { scientist: scientist.clone() },
            Write::AppendRecord { seq: 1, line: "{}".to_owned(), booking_id: None, hash: String::new() },
        ] {
            pending.note(&write, &view());
        }
        assert!(pending.new_scientists.contains(&11) && pending.scientists.is_empty() && pending.catalogue);
        assert!(!pending.is_empty() && Pending::default().is_empty());
    }
}
