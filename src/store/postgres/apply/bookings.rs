//! Bookings and the slots that they claim.

use deadpool_postgres::ClientWrapper;

use super::super::ask::Value;
use super::super::errors::Error;
use super::super::pending::Pending;
use super::statement::{Rows, instant, write};
use crate::agenda::Booking;
use crate::store::decide::{Claim, View};
use crate::time::Timestamp;

/// New bookings, also those that were changed since in the same batch.
pub const INSERT: &str = "INSERT INTO agendamentos (id, telescopio_id, cientista_id, inicio_us, fim_us, status, alvo, observacoes, clique_us,
         criado_us, cancelado_us, motivo, versao, alterado_us, proposta_id, token, req, carimbo_us,
         disputado)
     SELECT q.id, t.id, q.cientista_id, q.inicio_us, q.fim_us, q.status, q.alvo, q.observacoes, q.clique_us, q.criado_us, q.cancelado_us,
         q.motivo, q.versao, q.alterado_us, q.proposta_id, q.token, q.req, q.carimbo_us, q.disputado
     FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bigint[],
         $10::bigint[], $11::bigint[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::text[],
         $18::bigint[], $19::boolean[])
         AS q (id, codigo, cientista_id, inicio_us, fim_us, status, alvo, observacoes, clique_us, criado_us, cancelado_us, motivo, versao,
         alterado_us, proposta_id, token, req, carimbo_us, disputado)
     JOIN telescopios t ON t.codigo = q.codigo";
/// Bookings that were changed or cancelled. Their scientist, their proposal and their creation stay.
const UPDATE: &str = "UPDATE agendamentos a SET telescopio_id = t.id, inicio_us = q.inicio_us, fim_us = q.fim_us, status = q.status,
         alvo = q.alvo, observacoes = q.observacoes, cancelado_us = q.cancelado_us, motivo = q.motivo, versao = q.versao,
         alterado_us = q.alterado_us
     FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[],
         $10::bigint[], $11::bigint[])
         AS q (id, codigo, inicio_us, fim_us, status, alvo, observacoes, cancelado_us, motivo, versao, alterado_us)
     JOIN telescopios t ON t.codigo = q.codigo
     WHERE a.id = q.id";
/// Slots that their booking gives up. OFFSET keeps each slot's telescope and start together, so that both are looked for in the index.
const FREE: &str = "UPDATE horarios h SET agendamento_id = NULL, token = greatest(h.token, p.token), abre_us = p.abre_us
     FROM (SELECT t.id AS telescopio_id, q.inicio_us, q.agendamento_id, q.token, q.abre_us
           FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS q (codigo, inicio_us, agendamento_id, token, abre_us)
           JOIN telescopios t ON t.codigo = q.codigo OFFSET 0) p
     WHERE h.telescopio_id = p.telescopio_id AND h.inicio_us = p.inicio_us AND h.agendamento_id = p.agendamento_id";
/// Even if a decision were wrong, this statement keeps a slot from two bookings: the slot has one row, which takes a booking only while it is
/// free and has seen no newer token.
pub const CLAIM: &str = "INSERT INTO horarios (telescopio_id, inicio_us, agendamento_id, token, abre_us)
     SELECT t.id, q.inicio_us, q.agendamento_id, q.token, q.abre_us
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS q (codigo, inicio_us, agendamento_id, token, abre_us)
     JOIN telescopios t ON t.codigo = q.codigo
     ON CONFLICT (telescopio_id, inicio_us) DO UPDATE SET agendamento_id = excluded.agendamento_id, token = excluded.token, abre_us = excluded.abre_us
     WHERE horarios.agendamento_id IS NULL AND horarios.token <= excluded.token";

/// Those that are sent by themselves, to be prepared.
pub const STATEMENTS: &[&str] = &[UPDATE, FREE];

/// Bookings as columns.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<i64>,
    telescopes: Vec<&'a str>,
    scientists: Vec<i64>,
    starts: Vec<i64>,
    ends: Vec<i64>,
    statuses: Vec<&'static str>,
    targets: Vec<Option<&'a str>>,
    notes: Vec<Option<&'a str>>,
    clicked: Vec<Option<i64>>,
    stamped: Vec<Option<i64>>,
    contested: Vec<bool>,
    created: Vec<i64>,
    cancelled: Vec<Option<i64>>,
    reasons: Vec<Option<&'a str>>,
    versions: Vec<i64>,
    changed: Vec<Option<i64>>,
    proposals: Vec<Option<i64>>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, booking: &'a Booking) {
        self.ids.push(booking.id);
        self.telescopes.push(&booking.telescope);
        self.scientists.push(booking.scientist_id);
        self.starts.push(booking.slots.start().as_micros());
        self.ends.push(booking.slots.end().as_micros());
        self.statuses.push(booking.status.name());
        self.targets.push(booking.target.as_deref());
        self.notes.push(booking.notes.as_deref());
        self.clicked.push(instant(booking.clicked_at));
        self.stamped.push(instant(booking.stamped_at));
        self.contested.push(booking.is_contested);
        self.created.push(booking.created_at.as_micros());
        self.cancelled.push(instant(booking.cancelled_at));
        self.reasons.push(booking.cancel_reason.as_deref());
        self.versions.push(booking.version);
        self.changed.push(instant(booking.changed_at));
        self.proposals.push(booking.proposal_id);
    }
}

/// New bookings, with what a booking itself does not have.
pub struct New<'a> {
    columns: Columns<'a>,
    tokens: Vec<Option<i64>>,
    requests: Vec<&'a str>,
    expected: usize,
}

impl<'a> New<'a> {
    /// Those that are pending.
    pub fn of(pending: &'a Pending, view: &'a View) -> Self {
        let (columns, expected) = (Columns::default(), pending.new_bookings.len());
        let mut new = Self { columns, tokens: Vec::new(), requests: Vec::new(), expected };
        for (id, (token, request)) in &pending.new_bookings {
            let Some(booking) = view.bookings.get(id) else { continue };
            new.columns.push(booking);
            new.tokens.push(token.map(u64::cast_signed));
            new.requests.push(&**request);
        }
        new
    }

    /// For [`INSERT`].
    pub fn rows(&self) -> Rows<'_> {
        let new = &self.columns;
        let values: [Value<'_>; 19] = [
            &new.ids,
            &new.telescopes,
            &new.scientists,
            &new.starts,
            &new.ends,
            &new.statuses,
            &new.targets,
            &new.notes,
            &new.clicked,
            &new.created,
            &new.cancelled,
            &new.reasons,
            &new.versions,
            &new.changed,
            &new.proposals,
            &self.tokens,
            &self.requests,
            &new.stamped,
            &new.contested,
        ];
        Rows::of("agendamentos", self.expected, values)
    }
}

/// Bookings that were changed.
pub async fn changed(client: &ClientWrapper, pending: &Pending, view: &View) -> Result<(), Error> {
    let mut old = Columns::default();
    pending.bookings.iter().filter_map(|id| view.bookings.get(id)).for_each(|booking| old.push(booking));
    write(
        client,
        ("agendamentos", pending.bookings.len()),
        UPDATE,
        [
            &old.ids,
            &old.telescopes,
            &old.starts,
            &old.ends,
            &old.statuses,
            &old.targets,
            &old.notes,
            &old.cancelled,
            &old.reasons,
            &old.versions,
            &old.changed,
        ],
    )
    .await
}

/// Slots as columns: telescope, start, booking, token, opening.
#[derive(Default)]
struct Slots<'a> {
    telescopes: Vec<&'a str>,
    starts: Vec<i64>,
    bookings: Vec<Option<i64>>,
    tokens: Vec<i64>,
    opening: Vec<Option<i64>>,
}

impl<'a> Slots<'a> {
    fn push(&mut self, (telescope, start): &'a (String, Timestamp), booking: Option<i64>, claim: Claim) {
        self.telescopes.push(telescope);
        self.starts.push(start.as_micros());
        self.bookings.push(booking);
        self.tokens.push(claim.token.cast_signed());
        self.opening.push(instant(claim.opens_at));
    }

    fn values(&self) -> [Value<'_>; 5] {
        [&self.telescopes, &self.starts, &self.bookings, &self.tokens, &self.opening]
    }
}

/// Slots that have been touched.
#[derive(Default)]
pub struct Touched<'a> {
    freed: Slots<'a>,
    claimed: Slots<'a>,
}

impl<'a> Touched<'a> {
    /// Those that are pending: those that had a booking become free first, and then those that have one are claimed.
    pub fn of(pending: &'a Pending, view: &View) -> Self {
        let mut touched = Self::default();
        for (slot, before) in &pending.slots {
            let claim = view.slots.get(&slot.0).and_then(|claims| claims.get(&slot.1));
            let Some(claim) = claim else { continue };
            if before.is_some() {
                touched.freed.push(slot, *before, *claim);
            }
            // One that was claimed and given up in the same batch has seen a token, and has no booking.
            if claim.taken.is_some() || before.is_none() {
                touched.claimed.push(slot, claim.taken.map(|taken| taken.booking_id), *claim);
            }
        }
        touched
    }

    /// Frees those that had a booking.
    pub async fn free(&self, client: &ClientWrapper) -> Result<(), Error> {
        write(client, ("horarios", self.freed.starts.len()), FREE, self.freed.values()).await
    }

    /// For [`CLAIM`].
    pub fn claims(&self) -> Rows<'_> {
        Rows::of("horarios", self.claimed.starts.len(), self.claimed.values())
    }
}
