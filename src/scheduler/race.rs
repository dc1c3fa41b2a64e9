//! Booking without locks: the assignment's second deliverable, the proof of the race.
//!
//! Check and save are two separate steps, and nothing keeps another request from coming in between.

use slog::info;

use super::app::App;
use super::origin::Origin;
use super::outcome::{broken, of_booking, of_cancellation, store_failed};
use super::refusal::Refusal;
use crate::agenda::{Booking, NewBooking, resource};
use crate::text::Word;

/// Books: looks for a conflict, pauses, and writes.
pub async fn book(app: &App, new: NewBooking, origin: &Origin) -> Result<Booking, Refusal> {
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
    let booked = app.store.book_unguarded(new, origin.cause.clone()).await;
    match of_booking(app, origin, booked)? {
        Ok(booking) => Ok(booking),
        Err(rejection) => Err(broken(app, origin, rejection).await),
    }
}

/// Cancels.
pub async fn cancel(app: &App, id: i64, reason: Option<String>, origin: &Origin) -> Result<Booking, Refusal> {
    info!(origin.log, "Iniciando verificação de conflito no BD");
    app.pause().await;
    let cancelled = app.store.cancel_unguarded(id, reason, origin.cause.clone()).await;
    of_cancellation(app, origin, cancelled)?.map_err(|not| Refusal::not_cancelled(id, not))
}
