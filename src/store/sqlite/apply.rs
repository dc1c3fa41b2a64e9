//! Writing what was decided.

use rusqlite::{Connection, named_params, params};

use super::load::Loaded;
use super::statements::Statements;
use super::{catalogue, kept, maintenance, proposals, trail, waits};
use crate::agenda::{Booking, SlotRange};
use crate::store::decide::Write;
use crate::time::Timestamp;

/// Carries out one write. `loaded` has the rows that the decision was made by.
pub fn apply(statements: &mut Statements<'_>, loaded: &Loaded, write: &Write) -> rusqlite::Result<()> {
    let connection = statements.connection;
    match write {
        Write::InsertBooking { booking, token, request_id } => {
            insert(statements, loaded.row_of(&booking.telescope)?, booking, *token, request_id)
        }
        Write::ClaimSlots { telescope, slots, booking_id, token, .. } => {
            claim(statements, loaded.row_of(telescope)?, *slots, *booking_id, *token)
        }
        Write::UpdateBooking { booking, .. } => update(connection, loaded.row_of(&booking.telescope)?, booking),
        Write::FreeSlots { telescope, slots, booking_id, token, opens_at } => {
            free(connection, (loaded.row_of(telescope)?, *slots), *booking_id, token.unwrap_or(0), *opens_at)
        }
        Write::InsertTelescope { telescope } => catalogue::insert_telescope(connection, telescope),
        Write::InsertScientist { scientist } => catalogue::insert_scientist(connection, scientist),
        Write::UpdateScientist { scientist } => catalogue::update_scientist(connection, scientist),
        Write::InsertWait { wait, request_id } => {
            waits::insert(connection, loaded.row_of(&wait.telescope)?, wait, request_id)
        }
        Write::UpdateWait { wait } => waits::update(connection, wait),
        Write::UpdateTelescope { telescope } => {
            catalogue::update_telescope(connection, loaded.row_of(&telescope.code)?, telescope)
        }
        Write::InsertProposal { proposal } | Write::UpdateProposal { proposal } => proposals::put(connection, proposal),
        Write::InsertMaintenance { telescope, maintenance } => {
            maintenance::insert(connection, loaded.row_of(telescope)?, maintenance)
        }
        Write::RemoveMaintenance { id, at, opens_at, .. } => maintenance::remove(connection, *id, *at, *opens_at),
        Write::KeepAnswer { kept, at } => kept::insert(connection, kept, *at),
        Write::AppendRecord { seq, line, .. } => trail::insert_by(statements.get(trail::INSERT)?, *seq, line),
    }
}

/// The values of a new booking, in the order of their columns.
const INSERT: &str =
    "INSERT INTO agendamentos (id, telescopio_id, cientista_id, inicio_us, fim_us, status, alvo, observacoes,
     clique_us, criado_us, token, req, proposta_id, carimbo_us, disputado)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

fn insert(
    statements: &mut Statements<'_>,
    telescope_row: i64,
    booking: &Booking,
    token: Option<u64>,
    request_id: &str,
) -> rusqlite::Result<()> {
    statements.get(INSERT)?.execute(params![
        booking.id,
        telescope_row,
        booking.scientist_id,
        booking.slots.start().as_micros(),
        booking.slots.end().as_micros(),
        booking.status.name(),
        booking.target,
        booking.notes,
        booking.clicked_at.map(Timestamp::as_micros),
        booking.created_at.as_micros(),
        token.map(u64::cast_signed),
        request_id,
        booking.proposal_id,
        booking.stamped_at.map(Timestamp::as_micros),
        booking.is_contested,
    ])?;
    Ok(())
}

/// A slot has one row, which takes a booking only while it is free and has seen no newer token.
const CLAIM: &str = "INSERT INTO horarios (telescopio_id, inicio_us, agendamento_id, token) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (telescopio_id, inicio_us) DO UPDATE SET agendamento_id = excluded.agendamento_id,
     token = excluded.token, abre_us = NULL WHERE agendamento_id IS NULL AND token <= excluded.token";

/// Even if a decision were wrong, this statement keeps a slot from two bookings.
fn claim(
    statements: &mut Statements<'_>,
    telescope_row: i64,
    slots: SlotRange,
    booking_id: i64,
    token: u64,
) -> rusqlite::Result<()> {
    let statement = statements.get(CLAIM)?;
    for start in slots.starts() {
        let claimed = statement.execute((telescope_row, start.as_micros(), booking_id, token.cast_signed()))?;
        // The decision saw it free in this very transaction. If it is not, the whole transaction must be undone.
        if claimed != 1 {
            return Err(rusqlite::Error::StatementChangedRows(claimed));
        }
    }
    Ok(())
}

fn update(connection: &Connection, telescope_row: i64, booking: &Booking) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE agendamentos SET telescopio_id = :telescope, inicio_us = :start, fim_us = :end, status = :status, alvo = :target,
             observacoes = :notes, cancelado_us = :cancelled, motivo = :reason, versao = :version, alterado_us = :changed
             WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": booking.id,
            ":telescope": telescope_row,
            ":start": booking.slots.start().as_micros(),
            ":end": booking.slots.end().as_micros(),
            ":status": booking.status.name(),
            ":target": booking.target,
            ":notes": booking.notes,
            ":cancelled": booking.cancelled_at.map(Timestamp::as_micros),
            ":reason": booking.cancel_reason,
            ":version": booking.version,
            ":changed": booking.changed_at.map(Timestamp::as_micros),
        })?;
    Ok(())
}

fn free(
    connection: &Connection,
    (telescope_row, slots): (i64, SlotRange),
    booking_id: i64,
    token: u64,
    opens_at: Option<Timestamp>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE horarios SET agendamento_id = NULL, token = max(token, ?4), abre_us = ?6
             WHERE telescopio_id = ?1 AND inicio_us >= ?2 AND inicio_us < ?3 AND agendamento_id = ?5",
        )?
        .execute((
            telescope_row,
            slots.start().as_micros(),
            slots.end().as_micros(),
            token.cast_signed(),
            booking_id,
            opens_at.map(Timestamp::as_micros),
        ))?;
    Ok(())
}
