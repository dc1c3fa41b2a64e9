//! Giving a telescope a maintenance, also over bookings, which are then cancelled under leases as every cancellation is.

use std::sync::Arc;
use std::time::Duration;

use super::super::app::App;
use super::super::book::check_audit;
use super::super::gate::Gate;
use super::super::leased;
use super::super::origin::Origin;
use super::super::outcome::{of_closing, store_failed};
use super::super::refusal::Refusal;
use crate::agenda::maintenance::{CANCELLED_MAX, NewMaintenance};
use crate::agenda::{Booking, SLOT_MIN, Telescope};
use crate::coordinator::protocol::RESOURCES_MAX;
use crate::store::{Cancelling, Closed, NotClosed};
use crate::time::Timestamp;

/// How often the bookings are locked anew because another one was made or moved meanwhile.
const TRIES: u32 = 5;

/// What comes of it: done, or the reason against it.
pub type Outcome = Result<Result<Closed, NotClosed>, Refusal>;

/// Gives `telescope` a maintenance. With `cancels` the bookings in its time are cancelled.
pub async fn close(
    app: Arc<App>,
    telescope: Telescope,
    when: NewMaintenance,
    cancels: bool,
    origin: Origin,
) -> Outcome {
    check_audit(&app, &origin)?;
    let code = &telescope.code;
    let without_leases = async |cancelling| {
        let answer =
            app.store.close(code.clone(), when.clone(), cancelling, Duration::ZERO, origin.cause.clone()).await;
        of_closing(&app, &origin, code, answer)
    };
    let locking = match &app.gate {
        _ if !cancels => return without_leases(Cancelling::Nothing).await,
        Gate::Race => return without_leases(Cancelling::Unguarded).await,
        Gate::Locked(locking) => locking,
    };
    let mut tries = 0;
    loop {
        tries += 1;
        // What is over is not cancelled.
        let after = if telescope.simulated { Timestamp::MIN } else { app.clock.now() };
        let met = app.store.met_by(code, &when, after, CANCELLED_MAX + 1).await;
        let met = met.map_err(|error| store_failed(&origin, &error))?;
        if met.len() > CANCELLED_MAX {
            return Ok(Err(NotClosed::TooManyBookings));
        }
        let closed = leased::close(&app, locking, (code, &when), &parts(met), &origin).await?;
        match closed {
            Err(NotClosed::Others) if tries < TRIES => {}
            Err(NotClosed::Others) => {
                return Err(Refusal::Busy { telescope: code.clone(), start: when.start, receipt: None });
            }
            closed => return Ok(closed),
        }
    }
}

/// The bookings in parts, each of which has as many slots as one lock may have.
fn parts(bookings: Vec<Booking>) -> Vec<Vec<Booking>> {
    let (mut parts, mut room) = (Vec::<Vec<Booking>>::new(), 0);
    for booking in bookings {
        let slots = usize::try_from(booking.slots.duration_min() / SLOT_MIN).unwrap_or(RESOURCES_MAX);
        match parts.last_mut() {
            Some(part) if slots <= room => part.push(booking),
            _ => {
                room = RESOURCES_MAX;
                parts.push(vec![booking]);
            }
        }
        room = room.saturating_sub(slots);
    }
    parts
}
