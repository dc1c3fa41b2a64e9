//! Booking without locks: the assignment's second deliverable, the proof of the race.
//!
//! Check and save are two separate steps, and nothing keeps another request from coming in between.

use slog::info;

use super::app::App;
use super::origin::Origin;
use super::outcome::{broken, not_altered, of_alteration, of_booking, of_cancellation, store_failed};
use super::refusal::Refusal;
use crate::agenda::alteration::{Alteration, Destination};
use crate::agenda::{Booking, Cancellation, NewBooking, resource};
use crate::store::{AlterRefused, Altered};
use crate::text::Word;

/// Books: looks for a conflict, pauses, and writes.
pub async fn book(app: &App, new: NewBooking, origin: &Origin) -> Result<Booking, Refusal> {
    // No line about a lock says for which slot it is.
    let wanted = resource(&new.telescope.code, new.slots.start());
    info!(origin.log, "Iniciando verificação de conflito no BD"; "recurso" => wanted);
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

/// Changes a booking: looks for a conflict, pauses, and writes.
pub async fn alter(app: &App, id: i64, asked: Alteration, origin: &Origin) -> Result<Altered, Refusal> {
    info!(origin.log, "Iniciando verificação de conflito no BD");
    let mut places = vec![asked.from.clone()];
    if let Destination::Elsewhere(new) = &asked.destination {
        places.push(new.place());
        let conflict = app.store.find_conflict(new).await.map_err(|error| store_failed(origin, &error))?;
        if let Some(booking) = conflict.filter(|booking| booking.id != id) {
            let start = booking.slots.start().max(new.slots.start());
            let taken = AlterRefused::Taken { start, booking_id: booking.id, scientist_id: booking.scientist_id };
            return Err(not_altered(app, origin, id, &places, taken).await);
        }
    }
    app.pause().await;
    let answer = app.store.alter(id, asked, None, origin.cause.clone()).await;
    match of_alteration(app, origin, answer)? {
        Ok(altered) => Ok(altered),
        Err(refused) => Err(not_altered(app, origin, id, &places, refused).await),
    }
}

/// Cancels.
pub async fn cancel(app: &App, id: i64, asked: Cancellation, origin: &Origin) -> Result<Booking, Refusal> {
    info!(origin.log, "Iniciando verificação de conflito no BD");
    app.pause().await;
    let cancelled = app.store.cancel_unguarded(id, asked, origin.cause.clone()).await;
    of_cancellation(app, origin, cancelled)?.map_err(|not| Refusal::not_cancelled(id, not))
}
