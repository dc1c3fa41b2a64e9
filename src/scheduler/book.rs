//! The use cases: booking and cancelling, each from the lock to its release.
//!
//! ```text
//! lock ──▶ commit (fence check, slot claim, booking, audit record: one transaction) ──▶ unlock
//! ```
//!
//! Once begun, a use case runs to its end in a task of its own, also when its client has gone; so the lock is given
//! back also when the middle step failed, and the answer hardly waits for that. Nothing is ever written without the gate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slog::{debug, error, info, warn};

use super::app::{App, Locking, not_recorded};
use super::giving_back::{self, Times};
use super::live::{Contested, RefusedRequest};
use super::origin::Origin;
use super::refusal::{Refusal, is_unknown};
use crate::agenda::{Booking, NewBooking, Rejection, SlotRange, resource};
use crate::coordinator::client::{LockError, LockRequest};
use crate::logging::Several;
use crate::store::{BookRefused, CancelRefused, Fence, FenceBroken, StoreError};
use crate::text::{Word, Words};

/// What is logged of a change that was saved.
const SAVES_BOOKING: &str = "Salvando novo agendamento no BD";
const SAVES_CANCELLATION: &str = "Salvando cancelamento no BD";

/// Books, or says why not; and records that it was refused, where that is asked for.
pub async fn book(app: Arc<App>, new: NewBooking, origin: Origin) -> Result<Booking, Refusal> {
    let asked = app.audits_refusals.then(|| new.clone());
    let contested = Contested::by(&new);
    let booked = try_to_book(&app, new, &origin).await;
    if let Err(refusal) = &booked {
        tell_refused(&app, &contested, refusal, &origin);
    }
    if let (Some(asked), Err(refusal)) = (asked, &booked)
        && let Some(why) = refusal.why()
        && let Err(error) = app.store.record_refusal(asked, why, Arc::clone(&origin.request_id)).await
    {
        // A refusal does nothing that would have to be undone: it stands.
        not_recorded(&origin.log, "AGENDAMENTO_RECUSADO", &error);
    }
    booked
}

/// Tells of a refusal where someone else was faster.
fn tell_refused(app: &App, contested: &Contested, refusal: &Refusal, origin: &Origin) {
    let start = match refusal {
        Refusal::Busy { start, .. } | Refusal::Taken { start, .. } => *start,
        _ => return,
    };
    app.live.refused(contested, start, || RefusedRequest {
        cientista_id: contested.scientist_id,
        codigo: refusal.code().name(),
        utc: app.clock.now().micros().to_string(),
        req: Arc::clone(&origin.request_id),
    });
}

async fn try_to_book(app: &Arc<App>, new: NewBooking, origin: &Origin) -> Result<Booking, Refusal> {
    check_audit(app, origin)?;
    let Some(locking) = &app.locking else {
        return book_without_lock(app, new, origin).await;
    };
    let target = Target::of_new(&new);
    let commit = async |fence| {
        info!(origin.log, "Iniciando verificação de conflito no BD");
        app.pause().await;
        let booked = app.store.book(new, fence, Arc::clone(&origin.request_id)).await;
        log_if_saved(origin, SAVES_BOOKING, &booked);
        match booked.map_err(|error| store_failed(origin, &error))? {
            Ok(booking) => {
                app.live.created(&booking, origin);
                Ok(booking)
            }
            Err(BookRefused::Taken { start, booking_id, scientist_id }) => {
                let telescope = target.telescope.clone();
                let resource = resource(&telescope, start);
                info!(origin.log, "Conflito no BD para o recurso {}, horário já agendado", Word(&resource));
                Err(Refusal::Taken { telescope, start, booking_id, scientist_id })
            }
            Err(BookRefused::Fence(broken)) => Err(fence_broken(locking, origin, &target, broken)),
            Err(BookRefused::Broken(rejection)) => Err(broken(app, origin, rejection).await),
        }
    };
    let retention = locking.retention;
    under_lease(locking, origin, &target, Rivals::Refused { retention }, commit).await
}

/// Cancels, or says why not.
pub async fn cancel(app: Arc<App>, id: i64, reason: Option<String>, origin: Origin) -> Result<Booking, Refusal> {
    check_audit(&app, &origin)?;
    let known = app.store.booking(id).await.map_err(|error| store_failed(&origin, &error))?;
    let Some(known) = known else {
        return Err(Refusal::UnknownBooking(id.to_string()));
    };
    // Looked at again under the lock; but what cannot be is refused here, and disturbs nobody's lock or retention.
    let simulated = app.catalogue().telescope(&known.telescope).is_some_and(|telescope| telescope.simulated);
    known.check_cancellable(simulated, app.clock.now()).map_err(|not| Refusal::NotCancellable(id, not))?;
    let target = Target::of_booking(&known);
    let commit = async |fence| {
        info!(origin.log, "Iniciando verificação de conflito no BD");
        app.pause().await;
        let cancelled = app.store.cancel(id, reason, fence, Arc::clone(&origin.request_id)).await;
        log_if_saved(&origin, SAVES_CANCELLATION, &cancelled);
        match cancelled.map_err(|error| store_failed(&origin, &error))? {
            Ok(booking) => {
                app.live.cancelled(&booking, &origin);
                Ok(booking)
            }
            Err(CancelRefused::Unknown) => Err(Refusal::UnknownBooking(id.to_string())),
            Err(CancelRefused::Not(not)) => Err(Refusal::NotCancellable(id, not)),
            Err(CancelRefused::Fence(broken)) => match &app.locking {
                Some(locking) => Err(fence_broken(locking, &origin, &target, broken)),
                None => Err(Refusal::LeaseExpired),
            },
        }
    };
    match &app.locking {
        None => commit(None).await,
        Some(locking) => {
            let commit = async |fence| commit(Some(fence)).await;
            under_lease(locking, &origin, &target, Rivals::Welcome, commit).await
        }
    }
}

/// The assignment's second deliverable, the proof of the race: check and save are two steps, and nothing keeps another
/// request from coming in between.
async fn book_without_lock(app: &App, new: NewBooking, origin: &Origin) -> Result<Booking, Refusal> {
    info!(origin.log, "Iniciando verificação de conflito no BD");
    let conflict = app.store.find_conflict(&new).await.map_err(|error| store_failed(origin, &error))?;
    if let Some(booking) = conflict {
        let start = booking.slots.start().max(new.slots.start());
        let resource = resource(&booking.telescope, start);
        info!(origin.log, "Conflito no BD para o recurso {}, horário já agendado", Word(&resource));
        let Booking { id: booking_id, scientist_id, telescope, .. } = booking;
        return Err(Refusal::Taken { telescope, start, booking_id, scientist_id });
    }
    app.pause().await;
    let booked = app.store.book_unguarded(new, Arc::clone(&origin.request_id)).await;
    log_if_saved(origin, SAVES_BOOKING, &booked);
    match booked.map_err(|error| store_failed(origin, &error))? {
        Ok(booking) => {
            app.live.created(&booking, origin);
            Ok(booking)
        }
        Err(BookRefused::Broken(rejection)) => Err(broken(app, origin, rejection).await),
        // Neither is looked at without a lock.
        Err(BookRefused::Taken { .. } | BookRefused::Fence(_)) => Err(Refusal::LeaseExpired),
    }
}

/// The slots that an operation locks, and the name of each one's lock.
struct Target {
    telescope: String,
    slots: SlotRange,
    /// In the order of the slots.
    resources: Vec<String>,
}

impl Target {
    fn of_new(new: &NewBooking) -> Self {
        Self { telescope: new.telescope.code.clone(), slots: new.slots, resources: new.resources() }
    }

    fn of_booking(booking: &Booking) -> Self {
        Self { telescope: booking.telescope.clone(), slots: booking.slots, resources: booking.resources() }
    }

    /// The refusal when `resource` is busy. A coordinator that names another resource than it was asked for means the first.
    fn busy(&self, resource: &str) -> Refusal {
        let mut slots = self.slots.starts().zip(&self.resources);
        let start = slots.find(|(_, name)| *name == resource).map_or(self.slots.start(), |(start, _)| start);
        Refusal::Busy { telescope: self.telescope.clone(), start }
    }
}

/// What rivals meet once the lease is given back after a success.
#[derive(Clone, Copy)]
enum Rivals {
    /// The gate stays closed for a while: they are refused there, before the database is asked.
    Refused { retention: Duration },
    /// The gate is open at once, and a retention from before is passed over.
    Welcome,
}

/// Runs `commit` under a lease on `resources`, and gives the lease back whatever came of it.
async fn under_lease(
    locking: &Locking,
    origin: &Origin,
    target: &Target,
    rivals: Rivals,
    commit: impl AsyncFnOnce(Fence) -> Result<Booking, Refusal>,
) -> Result<Booking, Refusal> {
    let Origin { request_id, log } = origin;
    let resources = &target.resources;
    let (first, several) = (Word(&resources[0]), || Several(resources.len()));
    info!(log, "Tentando adquirir lock para o recurso {}", first; several());
    if resources.len() > 1 {
        debug!(log, "Recursos da operação: {}", Words(resources));
    }
    let begun = Instant::now();
    let request = LockRequest {
        request_id,
        resources: resources.clone(),
        ttl: locking.ttl,
        wait: Duration::ZERO,
        despite_retention: matches!(rivals, Rivals::Welcome),
    };
    let lease = match locking.client.lock(request).await {
        Ok(lease) => lease,
        Err(LockError::Busy { resource }) => {
            info!(log, "Falha ao adquirir lock para o recurso {}, recurso ocupado", Word(&resource));
            return Err(target.busy(&resource));
        }
        Err(LockError::Unavailable(reason)) => {
            warn!(log, "Coordenador indisponível: {}", reason);
            return Err(Refusal::CoordinatorUnavailable);
        }
    };
    info!(log, "Lock adquirido com sucesso para o recurso {}", first; "token" => lease.token, several());
    let locked_at = Instant::now();
    let result = commit(Fence { token: lease.token, deadline: lease.deadline }).await;
    let retention = match (&result, rivals) {
        (Ok(_), Rivals::Refused { retention }) => retention,
        _ => Duration::ZERO,
    };
    let times = Times { begun, locked: locked_at, committed: Instant::now() };
    giving_back::give_back(locking, origin, (lease, resources), retention, times).await;
    result
}

impl App {
    /// The pause inside the critical section, where one is asked for.
    async fn pause(&self) {
        if !self.critical_delay.is_zero() {
            tokio::time::sleep(self.critical_delay).await;
        }
    }
}

/// What cannot be recorded is not done.
fn check_audit(app: &App, origin: &Origin) -> Result<(), Refusal> {
    // The trail follows the database: if that is not in its place, that is the reason.
    if let Some(reason) = app.store.fault() {
        return Err(store_failed(origin, &StoreError::Unavailable(reason)));
    }
    match app.audit_fault() {
        None => Ok(()),
        Some(reason) => {
            error!(origin.log, "Auditoria indisponível: {}", reason);
            Err(Refusal::AuditUnavailable)
        }
    }
}

fn fence_broken(locking: &Locking, origin: &Origin, target: &Target, broken: FenceBroken) -> Refusal {
    match broken {
        FenceBroken::Expired => {
            warn!(origin.log, "Gravação recusada para o recurso {}: a trava venceu antes", Word(&target.resources[0]);
                Several(target.resources.len()));
            Refusal::LeaseExpired
        }
        FenceBroken::Stale { start, seen } => {
            // The coordinator lost its counter, or this scheduler overslept: the next token will be larger.
            locking.client.saw_token(seen);
            let resource = resource(&target.telescope, start);
            warn!(origin.log, "Gravação recusada para o recurso {}: token obsoleto", Word(&resource); "visto" => seen);
            Refusal::StaleToken
        }
    }
}

/// What was allowed when it was asked for is not any more.
async fn broken(app: &App, origin: &Origin, rejection: Rejection) -> Refusal {
    warn!(origin.log, "Gravação recusada: {}", rejection);
    if is_unknown(&rejection)
        && let Err(error) = app.reload_catalogue().await
    {
        error!(origin.log, "Falha no banco de dados: {}", error);
    }
    Refusal::Broken(rejection)
}

/// Logs the assignment's line for a change that was saved, or may have been: once for each, however often the store had to
/// try.
fn log_if_saved<R>(origin: &Origin, line: &'static str, answer: &Result<Result<Booking, R>, StoreError>) {
    if matches!(answer, Ok(Ok(_)) | Err(StoreError::Unknown(_))) {
        info!(origin.log, "{}", line);
    }
}

fn store_failed(origin: &Origin, error: &StoreError) -> Refusal {
    match error {
        StoreError::Unknown(_) => error!(origin.log, "Resultado incerto no banco de dados: {}", error),
        StoreError::Refused(_) => error!(origin.log, "Gravação recusada pelo banco de dados: {}", error),
        StoreError::Unavailable(_) => error!(origin.log, "Falha no banco de dados: {}", error),
    }
    Refusal::NotWritten(error.clone())
}
