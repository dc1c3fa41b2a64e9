//! What follows the store's answer to a change, with a lock or without: its event, and the refusal's name.

use slog::{error, info, warn};

use super::app::App;
use super::origin::Origin;
use super::refusal::{Refusal, is_of_catalogue};
use crate::agenda::{Booking, Place, Rejection, resource};
use crate::store::{AlterRefused, Altered, Cancelled, Closed, NotClosed, StoreError};
use crate::text::Word;

/// What the store answers: the booking as it is now, or `R`, why it was not changed.
pub type Outcome<R> = Result<Result<Booking, R>, StoreError>;

/// Follows the answer to a booking.
pub fn of_booking<R>(app: &App, origin: &Origin, answer: Outcome<R>) -> Result<Result<Booking, R>, Refusal> {
    let answer = answer.map_err(|error| store_failed(origin, &error))?;
    if let Ok(booking) = &answer {
        app.live.created(booking, origin);
    }
    Ok(answer)
}

/// Follows the answer to a change of a booking.
pub fn of_alteration(
    app: &App,
    origin: &Origin,
    answer: Result<Result<Altered, AlterRefused>, StoreError>,
) -> Result<Result<Altered, AlterRefused>, Refusal> {
    let answer = answer.map_err(|error| store_failed(origin, &error))?;
    if let Ok(Altered { booking, from, changed: true, promoted }) = &answer {
        app.live.altered(booking, from, origin);
        tell_promoted(app, origin, promoted);
    }
    Ok(answer)
}

/// Tells of the bookings of those who waited for slots that have become free.
pub fn tell_promoted(app: &App, origin: &Origin, promoted: &[Booking]) {
    for booking in promoted {
        info!(origin.log, "Lista de espera atendida: agendamento {} do cientista {}", booking.id, booking.scientist_id);
        app.metrics.bookings.inc();
        app.live.created(booking, origin);
    }
}

/// Follows the answer to a cancellation.
pub fn of_release<R>(
    app: &App,
    origin: &Origin,
    answer: Result<Result<Cancelled, R>, StoreError>,
) -> Result<Result<Booking, R>, Refusal> {
    let answer = answer.map_err(|error| store_failed(origin, &error))?;
    if let Ok(Cancelled { booking, promoted }) = &answer {
        app.live.cancelled(booking, origin);
        tell_promoted(app, origin, promoted);
    }
    Ok(answer.map(|cancelled| cancelled.booking))
}

/// Follows the answer to a cancellation without a lease.
pub fn of_cancellation<R>(app: &App, origin: &Origin, answer: Outcome<R>) -> Result<Result<Booking, R>, Refusal> {
    let answer = answer.map_err(|error| store_failed(origin, &error))?;
    if let Ok(booking) = &answer {
        app.live.cancelled(booking, origin);
    }
    Ok(answer)
}

/// Follows the answer to a maintenance of a telescope: it is told of, and each booking that was cancelled for it.
pub fn of_closing(
    app: &App,
    origin: &Origin,
    telescope: &str,
    answer: Result<Result<Closed, NotClosed>, StoreError>,
) -> Result<Result<Closed, NotClosed>, Refusal> {
    let answer = answer.map_err(|error| store_failed(origin, &error))?;
    if let Ok(closed) = &answer {
        app.live.telescope_changed(telescope, origin);
        for booking in &closed.cancelled {
            app.live.cancelled(booking, origin);
        }
        tell_promoted(app, origin, &closed.promoted);
    }
    Ok(answer)
}

/// The booking was allowed when it was asked for, and broke a rule when it was to be written.
pub async fn broken(app: &App, origin: &Origin, rejection: Rejection) -> Refusal {
    warn!(origin.log, "Gravação recusada: {}", rejection);
    if is_of_catalogue(&rejection)
        && let Err(error) = app.reload_catalogue().await
    {
        error!(origin.log, "Falha no banco de dados: {}", error);
    }
    Refusal::Broken(rejection)
}

/// The refusal to change booking `id`, which was to have slots of these places, but for a lease that no longer counted.
pub async fn not_altered(app: &App, origin: &Origin, id: i64, places: &[Place], refused: AlterRefused) -> Refusal {
    match refused {
        AlterRefused::Unknown => Refusal::UnknownBooking(id.to_string()),
        AlterRefused::Differs { version } => Refusal::Differs { id, version },
        AlterRefused::Not(not) => Refusal::NotAlterable(id, not),
        AlterRefused::Broken(rejection) => broken(app, origin, rejection).await,
        AlterRefused::Taken { start, booking_id, scientist_id } => {
            let telescope = places.last().map(|place| place.telescope.clone()).unwrap_or_default();
            let resource = resource(&telescope, start);
            info!(origin.log, "Conflito no BD para o recurso {}, horário já agendado", Word(&resource));
            Refusal::Taken { telescope, start, booking_id, scientist_id }
        }
        // Tried again, like a booking that was moved.
        AlterRefused::Moved | AlterRefused::Opens(_) => places.first().map_or(Refusal::StaleToken, Refusal::moved),
        AlterRefused::Fence(_) => Refusal::StaleToken,
    }
}

/// The store failed.
pub fn store_failed(origin: &Origin, error: &StoreError) -> Refusal {
    match error {
        StoreError::Unknown(_) => error!(origin.log, "Resultado incerto no banco de dados: {}", error),
        StoreError::Refused(_) => error!(origin.log, "Gravação recusada pelo banco de dados: {}", error),
        StoreError::Unavailable(_) => error!(origin.log, "Falha no banco de dados: {}", error),
    }
    Refusal::NotWritten(error.clone())
}
