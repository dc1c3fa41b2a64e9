//! The use cases: booking, changing and cancelling.
//!
//! A use case runs to its end, also when its client has gone away ([`super::to_its_end`]): a lock that was granted is always
//! given back. In the real agenda nothing is written without a lease ([`super::leased`]); [`super::race`] shows what
//! happens without one.

use std::sync::Arc;

use slog::error;

use super::app::{App, not_recorded};
use super::gate::Gate;
use super::live::{Contested, RefusedRequest};
use super::origin::Origin;
use super::outcome::store_failed;
use super::refusal::Refusal;
use super::{leased, race};
use crate::agenda::alteration::{Alteration, Destination};
use crate::agenda::{Booking, Cancellation, NewBooking};
use crate::audit::record::Why;
use crate::store::{Altered, StoreError};

/// How often a booking is read and locked anew because somebody has moved it in between.
pub const MOVED_TRIES: u32 = 5;

/// Books, or says why not. A refusal is recorded too, where the configuration asks for it.
pub async fn book(app: Arc<App>, new: NewBooking, origin: Origin) -> Result<Booking, Refusal> {
    let asked = app.audits_refusals.then(|| new.clone());
    let contested = Contested::by(&new);
    let booked = try_to_book(&app, new, &origin).await;
    match &booked {
        Ok(_) => {
            app.metrics.bookings.inc();
        }
        Err(refusal) => tell_refused(&app, &contested, refusal, &origin),
    }
    if let (Some(asked), Err(refusal)) = (asked, &booked)
        && let Some(why) = refusal.why()
    {
        record_refusal(&app, asked, why, &origin).await;
    }
    booked
}

/// Records that a booking, or a move, was refused.
async fn record_refusal(app: &App, asked: NewBooking, why: Why, origin: &Origin) {
    if let Err(error) = app.store.record_refusal(asked, why, origin.cause.clone()).await {
        // The refusal stands: it wrote nothing that would have to be undone.
        not_recorded(&origin.log, "AGENDAMENTO_RECUSADO", &error);
    }
}

/// Publishes a refusal that was due to a faster rival.
fn tell_refused(app: &App, contested: &Contested, refusal: &Refusal, origin: &Origin) {
    let start = match refusal {
        Refusal::Busy { start, .. } | Refusal::Taken { start, .. } => *start,
        _ => return,
    };
    app.live.refused(contested, start, || RefusedRequest {
        cientista_id: contested.scientist_id,
        codigo: refusal.code().name(),
        utc: app.clock.now().micros().to_string(),
        req: origin.cause.request_id.clone(),
    });
}

async fn try_to_book(app: &App, new: NewBooking, origin: &Origin) -> Result<Booking, Refusal> {
    check_audit(app, origin)?;
    match &app.gate {
        Gate::Locked(locking) => leased::book(app, locking, new, origin).await,
        Gate::Race => race::book(app, new, origin).await,
    }
}

/// Changes a booking as it was asked, or says why not. [`Refusal::Moved`] asks for another try: somebody has moved the booking since it
/// was read. That a move was refused is recorded too, where the configuration asks for it.
pub async fn alter(app: Arc<App>, id: i64, asked: Alteration, origin: Origin) -> Result<Altered, Refusal> {
    let moves_to = match &asked.destination {
        Destination::Elsewhere(new) if app.audits_refusals => Some(new.clone()),
        _ => None,
    };
    let altered = try_to_alter(&app, id, asked, &origin).await;
    if matches!(&altered, Ok(altered) if altered.changed) {
        app.metrics.booking_changes.inc();
    }
    if let (Some(new), Err(refusal)) = (moves_to, &altered)
        && !matches!(refusal, Refusal::Moved { .. })
        && let Some(why) = refusal.why()
    {
        record_refusal(&app, *new, Why { moving: Some(id), ..why }, &origin).await;
    }
    altered
}

async fn try_to_alter(app: &App, id: i64, asked: Alteration, origin: &Origin) -> Result<Altered, Refusal> {
    check_audit(app, origin)?;
    match &app.gate {
        Gate::Locked(locking) => leased::alter(app, locking, id, asked, origin).await,
        Gate::Race => race::alter(app, id, asked, origin).await,
    }
}

/// Cancels, or says why not.
pub async fn cancel(app: Arc<App>, id: i64, asked: Cancellation, origin: Origin) -> Result<Booking, Refusal> {
    for _ in 1..MOVED_TRIES {
        match try_to_cancel(&app, id, asked.clone(), &origin).await {
            // Somebody has moved it since it was read.
            Err(Refusal::Moved { .. }) => {}
            outcome => return outcome,
        }
    }
    try_to_cancel(&app, id, asked, &origin).await
}

async fn try_to_cancel(app: &App, id: i64, asked: Cancellation, origin: &Origin) -> Result<Booking, Refusal> {
    check_audit(app, origin)?;
    let known = app.store.booking(id).await.map_err(|error| store_failed(origin, &error))?;
    let Some(known) = known else {
        return Err(Refusal::UnknownBooking(id.to_string()));
    };
    // Checked again in the transaction. A cancellation that is refused here takes no lock and ends no retention.
    if !known.is_expected(asked.expected.as_deref()) {
        return Err(Refusal::Differs { id, version: known.version });
    }
    let catalogue = app.recent_catalogue().await.map_err(|error| store_failed(origin, &error))?;
    let checked = known.check_cancellable(catalogue.telescope(&known.telescope), app.clock.now());
    checked.map_err(|not| Refusal::NotCancellable(id, not))?;
    let cancelled = match &app.gate {
        Gate::Locked(locking) => leased::cancel(app, locking, &known, asked, origin).await,
        Gate::Race => race::cancel(app, id, asked, origin).await,
    };
    if cancelled.is_ok() {
        app.metrics.cancellations.inc();
    }
    cancelled
}

/// Refuses a change that could not be recorded.
pub fn check_audit(app: &App, origin: &Origin) -> Result<(), Refusal> {
    // The trail follows the database: a database that is not in its place is the cause of both.
    if let Some(reason) = app.store.fault() {
        return Err(store_failed(origin, &StoreError::Unavailable(reason)));
    }
    let Some(reason) = app.audit_fault() else { return Ok(()) };
    error!(origin.log, "Auditoria indisponível: {}", reason);
    Err(Refusal::AuditUnavailable)
}
