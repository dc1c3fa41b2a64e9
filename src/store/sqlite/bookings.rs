//! Bookings and slot claims, as rows.
//!
//! A function that writes takes the open transaction, and decides before it writes its first row: the transaction is
//! shared with other bookings, so a refusal must leave nothing behind.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::catalogue;
use super::writer::Tx;
use crate::agenda::{Booking, NewBooking, Rejection, SlotRange, Status};
use crate::audit::record::Event;
use crate::store::{BookRefused, CancelRefused, Fence, FenceBroken, NotCancelled};
use crate::time::{Timestamp, minutes_in_micros};

pub(super) const COLUMNS: &str = "a.id, t.codigo, a.cientista_id, a.inicio_us, a.fim_us, a.status, a.alvo, a.observacoes, \
     a.clique_us, a.criado_us, a.cancelado_us, a.motivo";

/// Books under a lease.
pub fn book(
    tx: &mut Tx<'_>,
    new: &NewBooking,
    fence: Fence,
    request_id: &str,
) -> rusqlite::Result<Result<Booking, BookRefused>> {
    if tx.began >= fence.deadline {
        return Ok(Err(BookRefused::Fence(FenceBroken::Expired)));
    }
    let row = match check_again(tx, new)? {
        Ok(row) => row,
        Err(broken) => return Ok(Err(BookRefused::Broken(broken))),
    };
    for start in new.slots.starts() {
        let Some(claim) = claim(tx.connection, row, start)? else { continue };
        if let Some(booking_id) = claim.booking_id {
            let scientist_id = scientist_of(tx.connection, booking_id)?;
            return Ok(Err(BookRefused::Taken { start, booking_id, scientist_id }));
        }
        if claim.token > fence.token {
            return Ok(Err(BookRefused::Fence(FenceBroken::Stale { start, seen: claim.token })));
        }
    }
    let booking = insert(tx, (row, new), Some(fence.token), request_id)?;
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO horarios (telescopio_id, inicio_us, agendamento_id, token) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (telescopio_id, inicio_us) DO UPDATE SET agendamento_id = excluded.agendamento_id,
         token = excluded.token WHERE agendamento_id IS NULL AND token <= excluded.token",
    )?;
    for start in new.slots.starts() {
        let claimed = statement.execute((row, start.as_micros(), booking.id, fence.token.cast_signed()))?;
        // Seen free a moment ago in this very transaction; if not, the whole transaction must go.
        if claimed != 1 {
            return Err(rusqlite::Error::StatementChangedRows(claimed));
        }
    }
    Ok(Ok(booking))
}

/// Books without a lease and without looking at the slots: the second half of the race.
pub fn book_unguarded(
    tx: &mut Tx<'_>,
    new: &NewBooking,
    request_id: &str,
) -> rusqlite::Result<Result<Booking, Rejection>> {
    match check_again(tx, new)? {
        Ok(row) => insert(tx, (row, new), None, request_id).map(Ok),
        Err(broken) => Ok(Err(broken)),
    }
}

/// Holds a booking against the rules that depend on time and on the catalogue once more, as they are in this transaction: it
/// may have waited long for it.
fn check_again(tx: &Tx<'_>, new: &NewBooking) -> rusqlite::Result<Result<i64, Rejection>> {
    let telescope = catalogue::telescope(tx.connection, &new.telescope.code)?;
    let has_scientist = catalogue::has_scientist(tx.connection, new.scientist.id)?;
    let (row, telescope) = telescope.unzip();
    Ok(new.check_again(telescope.as_ref(), has_scientist, tx.now).map(|()| row.unwrap_or_default()))
}

/// Writes a booking and its record. It claims no slot: that is [`book`]'s.
fn insert(
    tx: &mut Tx<'_>,
    (row, new): (i64, &NewBooking),
    token: Option<u64>,
    request_id: &str,
) -> rusqlite::Result<Booking> {
    tx.connection
        .prepare_cached(
            "INSERT INTO agendamentos (telescopio_id, cientista_id, inicio_us, fim_us, status, alvo, observacoes,
             clique_us, criado_us, token, req) VALUES (:telescope, :scientist, :start, :end, :status, :target, :notes,
             :clicked, :created, :token, :request)",
        )?
        .execute(named_params! {
            ":telescope": row,
            ":scientist": new.scientist.id,
            ":start": new.slots.start().as_micros(),
            ":end": new.slots.end().as_micros(),
            ":status": Status::Active.name(),
            ":target": new.target,
            ":notes": new.notes,
            ":clicked": new.clicked_at.map(Timestamp::as_micros),
            ":created": tx.now.as_micros(),
            ":token": token.map(u64::cast_signed),
            ":request": request_id,
        })?;
    let booking = Booking {
        id: tx.connection.last_insert_rowid(),
        telescope: new.telescope.code.clone(),
        scientist_id: new.scientist.id,
        slots: new.slots,
        status: Status::Active,
        target: new.target.clone(),
        notes: new.notes.clone(),
        clicked_at: new.clicked_at,
        created_at: tx.now,
        cancelled_at: None,
        cancel_reason: None,
    };
    let event = Event::BookingCreated { booking: &booking, scientist: &new.scientist, token };
    tx.record(&event, request_id)?;
    Ok(booking)
}

/// Cancels a booking under a lease, and frees its slots.
pub fn cancel(
    tx: &mut Tx<'_>,
    id: i64,
    reason: Option<&str>,
    fence: Fence,
    request_id: &str,
) -> rusqlite::Result<Result<Booking, CancelRefused>> {
    let cancellable = match cancellable(tx, id)? {
        Ok(cancellable) => cancellable,
        Err(not) => return Ok(Err(CancelRefused::Not(not))),
    };
    if tx.began >= fence.deadline {
        return Ok(Err(CancelRefused::Fence(FenceBroken::Expired)));
    }
    for start in cancellable.booking.slots.starts() {
        let seen = claim(tx.connection, cancellable.telescope_row, start)?.map_or(0, |claim| claim.token);
        if seen > fence.token {
            return Ok(Err(CancelRefused::Fence(FenceBroken::Stale { start, seen })));
        }
    }
    write_cancellation(tx, cancellable, reason, Some(fence.token), request_id).map(Ok)
}

/// Cancels a booking without a lease, in the race.
pub fn cancel_unguarded(
    tx: &mut Tx<'_>,
    id: i64,
    reason: Option<&str>,
    request_id: &str,
) -> rusqlite::Result<Result<Booking, NotCancelled>> {
    match cancellable(tx, id)? {
        Ok(cancellable) => write_cancellation(tx, cancellable, reason, None, request_id).map(Ok),
        Err(not) => Ok(Err(not)),
    }
}

/// A booking that may be cancelled, with the rows it belongs to.
struct Cancellable {
    booking: Booking,
    telescope_row: i64,
    /// Empty where the scientist is no longer in the catalogue: a booking can be cancelled all the same.
    scientist_name: String,
}

fn cancellable(tx: &Tx<'_>, id: i64) -> rusqlite::Result<Result<Cancellable, NotCancelled>> {
    let Some(booking) = get(tx.connection, id)? else {
        return Ok(Err(NotCancelled::Unknown));
    };
    let (telescope_row, simulated, scientist_name): (i64, bool, String) = tx
        .connection
        .prepare_cached(
            "SELECT t.id, t.simulado, coalesce(c.nome, '') FROM agendamentos a
             JOIN telescopios t ON t.id = a.telescopio_id LEFT JOIN cientistas c ON c.id = a.cientista_id
             WHERE a.id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if let Err(not) = booking.check_cancellable(simulated, tx.now) {
        return Ok(Err(NotCancelled::Not(not)));
    }
    Ok(Ok(Cancellable { booking, telescope_row, scientist_name }))
}

/// Writes a cancellation and its record, and frees the slots.
fn write_cancellation(
    tx: &mut Tx<'_>,
    cancellable: Cancellable,
    reason: Option<&str>,
    token: Option<u64>,
    request_id: &str,
) -> rusqlite::Result<Booking> {
    let Cancellable { mut booking, telescope_row, scientist_name } = cancellable;
    booking.status = Status::Cancelled;
    booking.cancelled_at = Some(tx.now);
    booking.cancel_reason = reason.map(str::to_owned);
    tx.connection
        .prepare_cached("UPDATE agendamentos SET status = ?2, cancelado_us = ?3, motivo = ?4 WHERE id = ?1")?
        .execute((booking.id, Status::Cancelled.name(), tx.now.as_micros(), reason))?;
    tx.connection
        .prepare_cached(
            "UPDATE horarios SET agendamento_id = NULL, token = max(token, ?4)
             WHERE telescopio_id = ?1 AND inicio_us >= ?2 AND inicio_us < ?3 AND agendamento_id = ?5",
        )?
        .execute((
            telescope_row,
            booking.slots.start().as_micros(),
            booking.slots.end().as_micros(),
            token.map_or(0, u64::cast_signed),
            booking.id,
        ))?;
    let event = Event::BookingCancelled { booking: &booking, scientist_name: &scientist_name, token };
    tx.record(&event, request_id)?;
    Ok(booking)
}

/// One booking.
pub fn get(connection: &Connection, id: i64) -> rusqlite::Result<Option<Booking>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id WHERE a.id = ?1"
        ))?
        .query_row([id], from_row)
        .optional()
}

/// The largest fencing token that any slot has seen.
pub fn highest_token(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT maior_token FROM resumo", (), |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

/// What a slot's row says.
struct Claim {
    booking_id: Option<i64>,
    token: u64,
}

fn scientist_of(connection: &Connection, booking_id: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT cientista_id FROM agendamentos WHERE id = ?1")?
        .query_row([booking_id], |row| row.get(0))
}

fn claim(connection: &Connection, telescope: i64, start: Timestamp) -> rusqlite::Result<Option<Claim>> {
    connection
        .prepare_cached("SELECT agendamento_id, token FROM horarios WHERE telescopio_id = ?1 AND inicio_us = ?2")?
        .query_row((telescope, start.as_micros()), |row| {
            Ok(Claim { booking_id: row.get(0)?, token: row.get::<_, i64>(1)?.cast_unsigned() })
        })
        .optional()
}

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Booking> {
    let instant = |index: usize| -> rusqlite::Result<Option<Timestamp>> {
        let micros: Option<i64> = row.get(index)?;
        micros.map(|micros| Timestamp::from_micros(micros).ok_or_else(|| unreadable(index, "an instant"))).transpose()
    };
    let required = |index: usize| instant(index)?.ok_or_else(|| unreadable(index, "an instant"));
    let (start, end) = (required(3)?, required(4)?);
    let duration_min = (end.as_micros() - start.as_micros()) / minutes_in_micros(1);
    let status: String = row.get(5)?;
    Ok(Booking {
        id: row.get(0)?,
        telescope: row.get(1)?,
        scientist_id: row.get(2)?,
        slots: SlotRange::new(start, duration_min).map_err(|_| unreadable(4, "a range of slots"))?,
        status: Status::from_name(&status).ok_or_else(|| unreadable(5, "a status"))?,
        target: row.get(6)?,
        notes: row.get(7)?,
        clicked_at: instant(8)?,
        created_at: required(9)?,
        cancelled_at: instant(10)?,
        cancel_reason: row.get(11)?,
    })
}

fn unreadable(index: usize, expected: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        index,
        Type::Integer,
        format!("the column does not hold {expected}").into(),
    )
}
