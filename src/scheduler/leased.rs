//! Booking and cancelling under a lease: from the lock to its release.
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
use super::gate::Locking;
use super::giving_back::{self, Times};
use super::origin::{COMMIT, LOCK, Origin};
use super::outcome::{broken, of_booking, of_cancellation, of_closing};
use super::refusal::Refusal;
use crate::agenda::maintenance::NewMaintenance;
use crate::agenda::{Booking, NewBooking, resource};
use crate::audit::record::Cause;
use crate::coordinator::client::{Lease, LockError, LockRequest};
use crate::coordinator::protocol::{TTL_MS_MAX, grace};
use crate::logging::Several;
use crate::store::{BookRefused, CancelRefused, Cancelling, Closed, Fence, FenceBroken, Leased, NotClosed};
use crate::text::{Word, Words};
use crate::time::Timestamp;

/// Books.
pub async fn book(app: &App, locking: &Locking, new: NewBooking, origin: &Origin) -> Result<Booking, Refusal> {
    let wanted = LockedSlots::of_new(&new);
    let commit = async |fence| {
        info!(origin.log, "Iniciando verificação de conflito no BD");
        app.pause().await;
        let booked = app.store.book(new, fence, origin.cause.clone()).await;
        match of_booking(app, origin, booked)? {
            Ok(booking) => Ok(booking),
            Err(BookRefused::Taken { start, booking_id, scientist_id }) => {
                let telescope = wanted.telescope.clone();
                let resource = resource(&telescope, start);
                info!(origin.log, "Conflito no BD para o recurso {}, horário já agendado", Word(&resource));
                Err(Refusal::Taken { telescope, start, booking_id, scientist_id })
            }
            Err(BookRefused::Fence(broken)) => Err(fence_broken(locking, origin, &wanted, broken)),
            Err(BookRefused::Broken(rejection)) => Err(broken(app, origin, rejection).await),
        }
    };
    let retention = locking.retention;
    under_lease(locking, origin, &wanted, Rivals::Refused { retention }, commit).await
}

/// Cancels `known`, which is looked at again inside the transaction.
pub async fn cancel(
    app: &App,
    locking: &Locking,
    known: &Booking,
    reason: Option<String>,
    origin: &Origin,
) -> Result<Booking, Refusal> {
    let wanted = LockedSlots::of_booking(known);
    let commit = async |fence| {
        info!(origin.log, "Iniciando verificação de conflito no BD");
        app.pause().await;
        let cancelled = app.store.cancel(known.id, reason, fence, origin.cause.clone()).await;
        of_cancellation(app, origin, cancelled)?.map_err(|refused| match refused {
            CancelRefused::Not(not) => Refusal::not_cancelled(known.id, not),
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
        let wanted = LockedSlots::of_bookings(telescope, part);
        let begun = Instant::now();
        match acquire(locking, origin, &wanted, Rivals::Welcome, ttl).await {
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
        let cause = origin.cause.clone();
        let answer = app.store.close(telescope.to_owned(), when.clone(), Cancelling::Leased(leased), cause).await;
        match (of_closing(app, origin, answer), held.first()) {
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
    telescope: String,
    starts: Vec<Timestamp>,
    /// In the order of the slots.
    resources: Vec<String>,
}

impl LockedSlots {
    fn of_new(new: &NewBooking) -> Self {
        let starts = new.slots.starts().collect();
        Self { telescope: new.telescope.code.clone(), starts, resources: new.resources() }
    }

    fn of_booking(booking: &Booking) -> Self {
        Self::of_bookings(&booking.telescope, std::slice::from_ref(booking))
    }

    fn of_bookings(telescope: &str, bookings: &[Booking]) -> Self {
        let starts = bookings.iter().flat_map(|booking| booking.slots.starts()).collect();
        let resources = bookings.iter().flat_map(Booking::resources).collect();
        Self { telescope: telescope.to_owned(), starts, resources }
    }

    /// The refusal when `resource` is busy; `None` for a name that was not asked for.
    fn busy(&self, resource: &str) -> Option<Refusal> {
        let (start, _) = self.starts.iter().zip(&self.resources).find(|(_, name)| *name == resource)?;
        Some(Refusal::Busy { telescope: self.telescope.clone(), start: *start })
    }
}

/// What happens to rivals after a success.
#[derive(Clone, Copy)]
enum Rivals {
    /// The coordinator refuses them during the retention, and the database is not asked.
    Refused { retention: Duration },
    /// The slots are free at once, and an older retention does not count.
    Welcome,
}

/// Runs `commit` under a lease on `wanted`, and gives the lease back after a success and after a failure.
async fn under_lease(
    locking: &Locking,
    origin: &Origin,
    wanted: &LockedSlots,
    rivals: Rivals,
    commit: impl AsyncFnOnce(Fence) -> Result<Booking, Refusal>,
) -> Result<Booking, Refusal> {
    let begun = Instant::now();
    let lease = acquire(locking, origin, wanted, rivals, locking.ttl).await?;
    let locked_at = Instant::now();
    let result = commit(Fence { token: lease.token, deadline: lease.deadline }).await;
    let retention = match (&result, rivals) {
        (Ok(_), Rivals::Refused { retention }) => retention,
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
    rivals: Rivals,
    ttl: Duration,
) -> Result<Lease, Refusal> {
    let Origin { cause: Cause { request_id, .. }, log, steps } = origin;
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
            let resource = resource(&wanted.telescope, start);
            warn!(origin.log, "Gravação recusada para o recurso {}: token obsoleto", Word(&resource); "visto" => seen);
            Refusal::StaleToken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agenda::SlotRange;

    #[test]
    fn a_locks_name_leads_to_its_slot_and_a_foreign_name_to_none() {
        let start = Timestamp::parse_rfc3339("2030-01-01T03:00:00Z").unwrap();
        let slots = SlotRange::new(start, 15).unwrap();
        let resources = slots.starts().map(|start| resource("Hubble-Acad", start)).collect();
        let wanted = LockedSlots { telescope: "Hubble-Acad".to_owned(), starts: slots.starts().collect(), resources };
        let second = slots.starts().nth(1).unwrap();
        for name in wanted.resources.clone() {
            assert!(
                matches!(wanted.busy(&name), Some(Refusal::Busy { start, .. }) if resource("Hubble-Acad", start) == name)
            );
        }
        assert!(
            matches!(wanted.busy("Hubble-Acad_2030-01-01T03:05:00Z"), Some(Refusal::Busy { start, .. }) if start == second)
        );
        assert!(wanted.busy("Webb-Acad_2030-01-01T03:00:00Z").is_none());
    }
}
