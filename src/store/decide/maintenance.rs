//! The maintenance of a telescope: a new one, under which bookings may have to be cancelled, and one that is taken away.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cancel::{GivingUp, cancelled};
use super::change::{Around, Change, Decision, WaitRows};
use super::keep::keep;
use super::promote::{Freed, any_is_left, promote};
use super::view::View;
use super::write::Write;
use crate::agenda::keeping::Made;
use crate::agenda::maintenance::{CANCELLED_MAX, Maintenance, NewMaintenance, STANDING_MAX, Stretch};
use crate::agenda::opening::after;
use crate::agenda::{Booking, SLOT_MIN, SlotRange, Status, Telescope};
use crate::audit::record::{Catalogued, Cause, Event};
use crate::store::outcomes::{Cancelling, Closed, Fence, NotClosed, Reopened};
use crate::time::Timestamp;

/// A maintenance that is asked for.
#[derive(Clone, Debug)]
pub struct Close {
    /// The telescope's code.
    pub telescope: String,
    /// When, and why.
    pub when: NewMaintenance,
    /// Which bookings may be cancelled for it.
    pub cancelling: Cancelling,
    /// How much later the slots of these bookings open that it does not close.
    pub lead: Duration,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Change for Close {
    type Answer = Result<Closed, NotClosed>;

    fn closes(&self) -> Option<&NewMaintenance> {
        Some(&self.when)
    }

    fn around<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        Some(Around { telescope: &self.telescope, scientist_id: None, slots: None, counted: None })
    }

    fn waits<'a>(&'a self, view: &'a View) -> Option<WaitRows<'a>> {
        let bookings = in_the_way(view, view.telescopes.get(&self.telescope)?, &self.when);
        Some(WaitRows::For(&self.telescope, stretches(&bookings)))
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let (bookings, leases) = match self.check(view) {
            Ok(checked) => checked,
            Err(refused) => return Decision::refusal(Err(refused)),
        };
        let (mut writes, mut done, mut head) = (Vec::new(), Vec::new(), view.head.clone());
        for booking in &bookings {
            let token = leases.get(&booking.id).map(|(fence, _)| fence.token);
            let reason = Some(format!("manutenção: {}", self.when.reason));
            let opens_at = after(view.now, self.lead).filter(|_| self.leaves_any_of(booking));
            let giving_up = GivingUp { reason, token, opens_at };
            let (booking, by_it) = cancelled(booking, giving_up, &self.cause, view, &mut head);
            writes.extend(by_it);
            done.push(booking);
        }
        let maintenance = Maintenance { id: view.next_maintenance_id, when: self.when.clone() };
        let ids: Vec<i64> = done.iter().map(|booking| booking.id).collect();
        let telescope = &self.telescope;
        let made = Catalogued::MaintenanceCreated { telescope, maintenance: &maintenance, cancelled: &ids };
        let record = view.next_record(&mut head, &Event::Catalogued(made), &self.cause);
        let kept = Made::Maintenance { telescope, maintenance: &maintenance, cancelled: &ids };
        let keep = keep(&self.cause, kept, view);
        let telescope = self.telescope.clone();
        writes.extend([Write::InsertMaintenance { telescope, maintenance: maintenance.clone() }, record]);
        writes.extend(keep);
        // Nobody gets slots that are closed now. But a booking may have had others too.
        let token = leases.values().map(|(fence, _)| fence.token).min();
        let givers = bookings.iter().map(|booking| booking.scientist_id).collect();
        let freed = Freed { telescope: &self.telescope, stretches: stretches(&bookings), givers, token };
        let promoted = promote(view, &mut writes, &freed, &self.cause);
        for booking in &mut done {
            booking.opens_at = booking.opens_at.filter(|_| any_is_left(booking.place(), &promoted));
        }
        Decision { answer: Ok(Closed { maintenance, cancelled: done, promoted }), writes }
    }
}

/// The lease on each booking, and the slots that it had then.
type Leases = BTreeMap<i64, (Fence, SlotRange)>;

impl Close {
    /// Whether a booking has a slot that is not closed.
    fn leaves_any_of(&self, booking: &Booking) -> bool {
        let is_closed = |start| {
            SlotRange::new(start, SLOT_MIN).is_ok_and(|slot| self.when.meets(slot.start(), slot.end()).is_some())
        };
        booking.slots.starts().any(|start| !is_closed(start))
    }

    /// The bookings that have to be cancelled, with their leases.
    fn check<'a>(&self, view: &'a View) -> Result<(Vec<&'a Booking>, Leases), NotClosed> {
        let telescope = view.telescopes.get(&self.telescope).ok_or(NotClosed::Unknown)?;
        if standing(telescope, view.now) >= STANDING_MAX {
            return Err(NotClosed::TooManyMaintenances);
        }
        let bookings = in_the_way(view, telescope, &self.when);
        if bookings.is_empty() {
            return Ok((bookings, Leases::new()));
        }
        let copies = |bookings: &[&Booking]| bookings.iter().map(|booking| (*booking).clone()).collect();
        if matches!(self.cancelling, Cancelling::Nothing) {
            return Err(NotClosed::Booked(copies(&bookings)));
        }
        let has_begun = |booking: &&Booking| !telescope.simulated && booking.slots.start() <= view.now;
        let begun: Vec<&Booking> = bookings.iter().copied().filter(has_begun).collect();
        if !begun.is_empty() {
            return Err(NotClosed::Begun(copies(&begun)));
        }
        if bookings.len() > CANCELLED_MAX {
            return Err(NotClosed::TooManyBookings);
        }
        let Cancelling::Leased(leased) = &self.cancelling else { return Ok((bookings, Leases::new())) };
        let pairs =
            leased.iter().flat_map(|leased| leased.bookings.iter().map(|(id, slots)| (*id, (leased.fence, *slots))));
        let leases: Leases = pairs.collect();
        for booking in &bookings {
            // One was made or moved after the others were locked.
            let locked = leases.get(&booking.id).filter(|(_, slots)| *slots == booking.slots);
            let (fence, _) = locked.ok_or(NotClosed::Others)?;
            fence.check_time(view).map_err(NotClosed::Fence)?;
            for (start, claim) in view.claims(&booking.telescope, booking.slots) {
                fence.check_token(start, claim).map_err(NotClosed::Fence)?;
            }
        }
        Ok((bookings, leases))
    }
}

/// Where these bookings are.
fn stretches(bookings: &[&Booking]) -> Vec<Stretch> {
    bookings.iter().map(|booking| (booking.slots.start(), booking.slots.end())).collect()
}

/// How many maintenances of a telescope count: those that have not ended, and all of a simulated one, where the past can be booked.
fn standing(telescope: &Telescope, now: Timestamp) -> usize {
    telescope.maintenance.iter().filter(|one| telescope.simulated || one.when.ends() > now).count()
}

/// The active bookings that a maintenance meets, in order, without those that are over.
fn in_the_way<'a>(view: &'a View, telescope: &Telescope, when: &NewMaintenance) -> Vec<&'a Booking> {
    let is_met = |booking: &&Booking| {
        booking.status == Status::Active
            && booking.telescope == telescope.code
            && (telescope.simulated || booking.slots.end() > view.now)
            && when.meets(booking.slots.start(), booking.slots.end()).is_some()
    };
    let mut met: Vec<&Booking> = view.bookings.values().filter(is_met).collect();
    met.sort_by_key(|booking| (booking.slots.start(), booking.id));
    met
}

/// A maintenance that is to be taken away.
#[derive(Clone, Debug)]
pub struct Reopen {
    /// The telescope's code.
    pub telescope: String,
    /// The maintenance.
    pub id: i64,
    /// How much later its slots open.
    pub lead: Duration,
    /// The request that asked for it.
    pub cause: Cause,
}

impl Reopen {
    fn known<'a>(&self, view: &'a View) -> Option<&'a Maintenance> {
        view.telescopes.get(&self.telescope)?.maintenance.iter().find(|one| one.id == self.id)
    }
}

impl Change for Reopen {
    /// What was taken away; `None` if there is none of that number.
    type Answer = Option<Reopened>;

    fn around<'a>(&'a self, _view: &'a View) -> Option<Around<'a>> {
        Some(Around { telescope: &self.telescope, scientist_id: None, slots: None, counted: None })
    }

    fn waits<'a>(&'a self, view: &'a View) -> Option<WaitRows<'a>> {
        let maintenance = self.known(view)?;
        Some(WaitRows::For(&self.telescope, maintenance.when.times().collect()))
    }

    fn decide(&self, view: &View) -> Decision<Self::Answer> {
        let Some(maintenance) = self.known(view) else { return Decision::refusal(None) };
        let (telescope, opens_at) = (&self.telescope, after(view.now, self.lead));
        let removed = Event::Catalogued(Catalogued::MaintenanceRemoved { telescope, maintenance, opens_at });
        let record = view.record(&removed, Some(&self.cause.request_id), &self.cause.caller);
        let remove = Write::RemoveMaintenance { telescope: telescope.clone(), id: self.id, at: view.now, opens_at };
        let mut writes = vec![remove, record];
        // No lease covers the slots: they were closed, and the transaction alone decides who gets them.
        let stretches = maintenance.when.times().collect();
        let freed = Freed { telescope: &self.telescope, stretches, givers: Vec::new(), token: None };
        let promoted = promote(view, &mut writes, &freed, &self.cause);
        Decision { answer: Some(Reopened { maintenance: maintenance.clone(), promoted, opens_at }), writes }
    }
}
