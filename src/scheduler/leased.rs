//! Booking, changing and cancelling under a lease: from the lock to its release.
//!
//! ```text
//! lock ──▶ commit (fence check, slot claim, booking, audit record: one transaction) ──▶ unlock
//! ```
//!
//! The lease is given back after a success and after a failure, and the answer waits only a moment for that.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use slog::{debug, info, warn};

use super::app::App;
use super::entered::Entered;
use super::gate::Locking;
use super::giving_back::{self, Times};
use super::origin::{COMMIT, LOCK, Origin};
use super::outcome::{broken, not_altered, of_alteration, of_booking, of_closing, of_release};
use super::refusal::Refusal;
use crate::agenda::alteration::{Alteration, Destination};
use crate::agenda::maintenance::NewMaintenance;
use crate::agenda::{self, Booking, Cancellation, NewBooking, Place, resource};
use crate::audit::record::Cause;
use crate::coordinator::client::{Lease, LockError, LockRequest, Won};
use crate::coordinator::protocol::{TTL_MS_MAX, grace};
use crate::coordinator::table::Contest;
use crate::logging::Several;
use crate::store::{
    AlterRefused, Altered, BookRefused, CancelRefused, Cancelling, Closed, Fence, FenceBroken, Leased, NotClosed,
};
use crate::text::{Word, Words};
use crate::time::Timestamp;

/// How often a booking is tried again because its slots open later than was known.
const OPENING_TRIES: u32 = 5;

/// Books. If another scheduler has freed the slots a moment ago and this one has not heard of it yet, the request is tried again: it counts as one that has
/// come when they open.
pub async fn book(app: &App, locking: &Locking, mut new: NewBooking, origin: &Origin) -> Result<Booking, Refusal> {
    for tried in 1.. {
        let (booked, again) = book_once(app, locking, new, origin).await;
        match again {
            Some((opens_at, again)) if tried < OPENING_TRIES => {
                app.live.openings().note(&again.place(), opens_at);
                new = NewBooking { contest: None, ..*again };
            }
            _ => return booked,
        }
    }
    Err(Refusal::StaleToken)
}

/// The same once; with the request, if its slots open at an instant that was not known.
async fn book_once(
    app: &App,
    locking: &Locking,
    mut new: NewBooking,
    origin: &Origin,
) -> (Result<Booking, Refusal>, Option<(Timestamp, Box<NewBooking>)>) {
    new.opens_at = app.live.openings().for_booking(&new, origin.received);
    if let (Some(opens_at), Some(stamp)) = (new.opens_at, new.stamp) {
        new.stamp = Some(stamp.since(opens_at));
    }
    let mut again = None;
    let (place, entered) = (new.place(), Entered::of(app, &new, origin));
    let wanted = LockedSlots::of(vec![place.clone()]);
    let commit = async |fence, won: Option<Won>| {
        new.contest = entered.as_ref().zip(won).and_then(|(entered, won)| entered.won(app, won));
        info!(origin.log, "Iniciando verificação de conflito no BD");
        app.pause().await;
        let booked = app.store.book(new, fence, origin.cause.clone()).await;
        match of_booking(app, origin, booked)? {
            Ok(booking) => Ok(booking),
            Err(BookRefused::Taken { start, booking_id, scientist_id }) => {
                let telescope = place.telescope;
                let resource = resource(&telescope, start);
                info!(origin.log, "Conflito no BD para o recurso {}, horário já agendado", Word(&resource));
                Err(Refusal::Taken { telescope, start, booking_id, scientist_id })
            }
            Err(BookRefused::Fence(broken)) => Err(fence_broken(locking, origin, &wanted, broken)),
            Err(BookRefused::Broken(rejection)) => Err(broken(app, origin, rejection).await),
            Err(BookRefused::Opens(opens_at, new)) => {
                again = Some((opens_at, new));
                Err(Refusal::Busy { telescope: place.telescope, start: place.slots.start(), receipt: None })
            }
        }
    };
    let contest = entered.as_ref().map(|entered| entered.contest.clone());
    let rivals = Rivals::Refused { retention: locking.retention, contest };
    let booked = under_lease(locking, origin, &wanted, rivals, commit).await;
    (booked.map_err(|refusal| entered.iter().fold(refusal, |refusal, entered| entered.lost(app, refusal))), again)
}

/// Changes booking `id` as it was asked: its old and its new slots are locked in one request.
pub async fn alter(
    app: &App,
    locking: &Locking,
    id: i64,
    mut asked: Alteration,
    origin: &Origin,
) -> Result<Altered, Refusal> {
    if let Destination::Elsewhere(new) = &asked.destination {
        app.live.openings().wait_for(new).await;
    }
    asked.lead = app.lead();
    let places = places_of(&asked);
    if places.is_empty() {
        // No slot changes hands: the transaction alone decides.
        let answer = app.store.alter(id, asked, None, origin.cause.clone()).await;
        return match of_alteration(app, origin, answer)? {
            Ok(altered) => Ok(altered),
            Err(refused) => Err(not_altered(app, origin, id, &[], refused).await),
        };
    }
    let wanted = LockedSlots::of(places.clone());
    let commit = async |fence, _| {
        info!(origin.log, "Iniciando verificação de conflito no BD");
        app.pause().await;
        let answer = app.store.alter(id, asked, Some(fence), origin.cause.clone()).await;
        match of_alteration(app, origin, answer)? {
            Ok(altered) => Ok(altered),
            Err(AlterRefused::Fence(broken)) => Err(fence_broken(locking, origin, &wanted, broken)),
            Err(AlterRefused::Opens(opens_at)) => {
                for place in &places {
                    app.live.openings().note(place, opens_at);
                }
                Err(not_altered(app, origin, id, &places, AlterRefused::Opens(opens_at)).await)
            }
            Err(refused) => Err(not_altered(app, origin, id, &places, refused).await),
        }
    };
    under_lease(locking, origin, &wanted, Rivals::Welcome, commit).await
}

/// The places that a change locks: the old one and the new one, if the booking goes anywhere.
fn places_of(asked: &Alteration) -> Vec<Place> {
    match &asked.destination {
        Destination::Here => Vec::new(),
        Destination::Shorter(_) => vec![asked.from.clone()],
        Destination::Elsewhere(new) => vec![asked.from.clone(), new.place()],
    }
}

/// Cancels `known`, which is looked at again inside the transaction.
pub async fn cancel(
    app: &App,
    locking: &Locking,
    known: &Booking,
    mut asked: Cancellation,
    origin: &Origin,
) -> Result<Booking, Refusal> {
    asked.lead = app.lead();
    let from = known.place();
    let wanted = LockedSlots::of(vec![from.clone()]);
    let commit = async |fence, _| {
        info!(origin.log, "Iniciando verificação de conflito no BD");
        app.pause().await;
        let cancelled = app.store.cancel(known.id, from, asked, fence, origin.cause.clone()).await;
        of_release(app, origin, cancelled)?.map_err(|refused| match refused {
            CancelRefused::Not(not) => Refusal::not_cancelled(known.id, not),
            CancelRefused::Moved => Refusal::moved(&known.place()),
            CancelRefused::Fence(broken) => fence_broken(locking, origin, &wanted, broken),
        })
    };
    under_lease(locking, origin, &wanted, Rivals::Welcome, commit).await
}

/// Gives a telescope a maintenance, under leases on the bookings that it may cancel: one for each of `parts`. The bookings are looked
/// at again inside the transaction.
pub async fn close(
    app: &App,
    locking: &Locking,
    (telescope, when): (&str, &NewMaintenance),
    parts: &[Vec<Booking>],
    origin: &Origin,
) -> Result<Result<Closed, NotClosed>, Refusal> {
    let (mut held, mut leased, mut refused) = (Vec::new(), Vec::new(), None);
    // The first lease has to last until the last one is there.
    let parts_count = u32::try_from(parts.len()).unwrap_or(u32::MAX).max(1);
    let ttl = locking.ttl.saturating_mul(parts_count).min(Duration::from_millis(TTL_MS_MAX));
    for part in parts {
        let wanted = LockedSlots::of(part.iter().map(Booking::place).collect());
        let begun = Instant::now();
        match acquire(locking, origin, &wanted, &Rivals::Welcome, ttl).await {
            Ok(lease) => {
                let bookings = part.iter().map(|booking| (booking.id, booking.slots)).collect();
                leased.push(Leased { fence: Fence { token: lease.token, deadline: lease.deadline }, bookings });
                held.push((lease, wanted, begun, Instant::now()));
            }
            Err(refusal) => {
                refused = Some(refusal);
                break;
            }
        }
    }
    let result = if let Some(refusal) = refused {
        Err(refusal)
    } else {
        info!(origin.log, "Iniciando verificação de conflito no BD");
        app.pause().await;
        let (cause, lead) = (origin.cause.clone(), app.lead());
        let answer = app.store.close(telescope.to_owned(), when.clone(), Cancelling::Leased(leased), lead, cause).await;
        match (of_closing(app, origin, telescope, answer), held.first()) {
            (Ok(Err(NotClosed::Fence(broken))), Some((_, wanted, ..))) => {
                Err(fence_broken(locking, origin, wanted, broken))
            }
            (answer, _) => answer,
        }
    };
    let committed = Instant::now();
    let given_back = held.iter().map(|(lease, wanted, begun, locked)| {
        let times = Times { begun: *begun, locked: *locked, committed };
        giving_back::give_back(locking, origin, (lease.clone(), &wanted.resources), Duration::ZERO, times)
    });
    join_all(given_back).await;
    result
}

/// The slots that an operation locks, and the name of each one's lock.
struct LockedSlots {
    places: Vec<Place>,
    /// In the order of the places and of their slots, each once.
    resources: Vec<String>,
}

impl LockedSlots {
    fn of(places: Vec<Place>) -> Self {
        let mut resources: Vec<String> = Vec::new();
        for (nth, place) in places.iter().enumerate() {
            for name in place.resources() {
                if nth == 0 || !resources.contains(&name) {
                    resources.push(name);
                }
            }
        }
        Self { places, resources }
    }

    /// The refusal when `resource` is busy; `None` for a name that was not asked for.
    fn busy(&self, resource: &str) -> Option<Refusal> {
        let mut slots =
            self.places.iter().flat_map(|place| place.slots.starts().map(|start| (&place.telescope, start)));
        let (telescope, start) = slots.find(|(telescope, start)| agenda::resource(telescope, *start) == resource)?;
        Some(Refusal::Busy { telescope: telescope.clone(), start, receipt: None })
    }

    /// The lock of the slot of `start`, in the first place that has it.
    fn name_of(&self, start: Timestamp) -> String {
        let has_it = |place: &&Place| place.slots.start() <= start && start < place.slots.end();
        let place = self.places.iter().find(has_it).or(self.places.first());
        resource(place.map_or("", |place| &place.telescope), start)
    }
}

/// What happens to rivals after a success.
enum Rivals {
    /// The coordinator refuses them during the retention, and the database is not asked. Before that they are in the contest, if there is one.
    Refused { retention: Duration, contest: Option<Contest> },
    /// The slots are free at once, and an older retention does not count.
    Welcome,
}

/// Runs `commit` under a lease on `wanted`, and gives the lease back after a success and after a failure.
async fn under_lease<T>(
    locking: &Locking,
    origin: &Origin,
    wanted: &LockedSlots,
    rivals: Rivals,
    commit: impl AsyncFnOnce(Fence, Option<Won>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let begun = Instant::now();
    let mut lease = acquire(locking, origin, wanted, &rivals, locking.ttl).await?;
    let locked_at = Instant::now();
    let won = lease.won.take();
    let result = commit(Fence { token: lease.token, deadline: lease.deadline }, won).await;
    let retention = match (&result, rivals) {
        (Ok(_), Rivals::Refused { retention, .. }) => retention,
        _ => Duration::ZERO,
    };
    origin.steps.note(COMMIT, locked_at.elapsed());
    let times = Times { begun, locked: locked_at, committed: Instant::now() };
    giving_back::give_back(locking, origin, (lease, &wanted.resources), retention, times).await;
    result
}

/// Asks for a lease on `wanted`.
async fn acquire(
    locking: &Locking,
    origin: &Origin,
    wanted: &LockedSlots,
    rivals: &Rivals,
    ttl: Duration,
) -> Result<Lease, Refusal> {
    let Origin { cause: Cause { request_id, .. }, log, steps, .. } = origin;
    let resources = &wanted.resources;
    let (first, several) = (Word(&resources[0]), || Several(resources.len()));
    info!(log, "Tentando adquirir lock para o recurso {}", first; several());
    if resources.len() > 1 {
        debug!(log, "Recursos da operação: {}", Words(resources));
    }
    let request = LockRequest {
        request_id,
        resources: resources.clone(),
        ttl,
        wait: Duration::ZERO,
        despite_retention: matches!(rivals, Rivals::Welcome),
        contest: match rivals {
            Rivals::Refused { contest, .. } => contest.clone(),
            Rivals::Welcome => None,
        },
    };
    let begun = Instant::now();
    let answered = locking.client.lock(request).await;
    steps.note(LOCK, begun.elapsed());
    let lease = match answered {
        Ok(lease) => lease,
        Err(LockError::Busy { resource }) => {
            let Some(busy) = wanted.busy(&resource) else {
                warn!(log, "Coordenador indisponível: negou o recurso {}, que não foi pedido", Word(&resource));
                return Err(Refusal::CoordinatorUnavailable);
            };
            info!(log, "Falha ao adquirir lock para o recurso {}, recurso ocupado", Word(&resource));
            return Err(busy);
        }
        Err(LockError::Grace { left }) => {
            warn!(log, "Coordenador indisponível: em carência, {}", grace::words(left));
            return Err(Refusal::CoordinatorInGrace { left });
        }
        Err(LockError::TooFast(reason)) => {
            warn!(log, "Coordenador indisponível: {}", reason);
            return Err(Refusal::CoordinatorTooFast);
        }
        Err(LockError::Unavailable(reason)) => {
            warn!(log, "Coordenador indisponível: {}", reason);
            return Err(Refusal::CoordinatorUnavailable);
        }
    };
    info!(log, "Lock adquirido com sucesso para o recurso {}", first; "token" => lease.token, several());
    Ok(lease)
}

/// The lease no longer counted when the write was to begin.
fn fence_broken(locking: &Locking, origin: &Origin, wanted: &LockedSlots, broken: FenceBroken) -> Refusal {
    match broken {
        FenceBroken::Expired => {
            warn!(origin.log, "Gravação recusada para o recurso {}: a trava venceu antes", Word(&wanted.resources[0]);
                Several(wanted.resources.len()));
            Refusal::LeaseExpired
        }
        FenceBroken::Stale { start, seen } => {
            // The coordinator lost its counter, or this scheduler was paused. The next request asks for a larger token.
            locking.client.saw_token(seen);
            let resource = wanted.name_of(start);
            warn!(origin.log, "Gravação recusada para o recurso {}: token obsoleto", Word(&resource); "visto" => seen);
            Refusal::StaleToken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::SlotRange;

    fn place(telescope: &str, start: &str) -> Place {
        let slots = SlotRange::new(Timestamp::parse_rfc3339(start).unwrap(), 15).unwrap();
        Place { telescope: telescope.to_owned(), slots }
    }

    #[test]
    fn a_locks_name_leads_to_its_slot_and_a_foreign_name_to_none() {
        let places = vec![place("Hubble-Acad", "2030-01-01T03:00:00Z"), place("Webb-Acad", "2030-01-01T05:00:00Z")];
        let wanted = LockedSlots::of(places);
        assert_eq!(wanted.resources.len(), 6);
        for name in &wanted.resources {
            assert!(
                matches!(wanted.busy(name), Some(Refusal::Busy { telescope, start, .. }) if resource(&telescope, start) == *name)
            );
        }
        assert!(wanted.busy("Webb-Acad_2030-01-01T03:00:00Z").is_none());
        let second = wanted.places[1].slots.start();
        assert_eq!(wanted.name_of(second), "Webb-Acad_2030-01-01T05:00:00Z");
    }

    #[test]
    fn a_slot_of_the_old_and_the_new_place_is_locked_once() {
        let (old, new) = (place("Hubble-Acad", "2030-01-01T03:00:00Z"), place("Hubble-Acad", "2030-01-01T03:05:00Z"));
        let names = LockedSlots::of(vec![old.clone(), new]).resources;
        let starts = ["03:00", "03:05", "03:10", "03:15"].map(|time| format!("Hubble-Acad_2030-01-01T{time}:00Z"));
        assert_eq!(names, starts);
        // The same time of another telescope is another slot.
        assert_eq!(LockedSlots::of(vec![old, place("Webb-Acad", "2030-01-01T03:00:00Z")]).resources.len(), 6);
    }
}
