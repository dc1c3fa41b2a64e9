//! Bookings and the slots that they claim.

use std::collections::BTreeMap;

use deadpool_postgres::ClientWrapper;

use super::super::ask::Value;
use super::super::errors::Error;
use super::super::pending::Pending;
use super::statement::{Rows, instant, write};
use crate::agenda::Booking;
use crate::store::decide::{Claim, View};
use crate::time::Timestamp;

/// The number of each row's telescope: `$1` has the telescopes' codes, and `$2` says for each row which of them, from 1 on. So each telescope is looked
/// for once. One that is not there is NULL: a new row's column refuses that, and no row that is there matches it, so the number of changed rows is wrong.
/// Since it makes rows in the list of a SELECT, the planner does not merge that SELECT into a statement around it.
macro_rules! telescopes {
    () => {
        "(SELECT array_agg(t.id ORDER BY q.n) FROM unnest($1::text[]) WITH ORDINALITY AS q (codigo, n)
          LEFT JOIN telescopios t ON t.codigo = q.codigo)[unnest($2::bigint[])]"
    };
}

/// New bookings, also those that were changed since in the same batch. In the list of a SELECT the columns are taken apart row by row; in its FROM each
/// would first be copied whole, and as long as that lasts all other schedulers wait.
pub const INSERT: &str = concat!(
    "INSERT INTO agendamentos (telescopio_id, id, cientista_id, inicio_us, fim_us, status, alvo, observacoes, clique_us,
         criado_us, cancelado_us, motivo, versao, alterado_us, proposta_id, token, req, carimbo_us, disputado)
     SELECT ",
    telescopes!(),
    ", unnest($3::bigint[]), unnest($4::bigint[]), unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::text[]), unnest($8::text[]),
         unnest($9::text[]), unnest($10::bigint[]), unnest($11::bigint[]), unnest($12::bigint[]), unnest($13::text[]), unnest($14::bigint[]),
         unnest($15::bigint[]), unnest($16::bigint[]), unnest($17::bigint[]), unnest($18::text[]), unnest($19::bigint[]),
         unnest($20::boolean[])"
);
/// Bookings that were changed or cancelled. Their scientist, their proposal and their creation stay.
const UPDATE: &str = concat!(
    "UPDATE agendamentos a SET telescopio_id = q.telescopio_id, inicio_us = q.inicio_us, fim_us = q.fim_us, status = q.status,
         alvo = q.alvo, observacoes = q.observacoes, cancelado_us = q.cancelado_us, motivo = q.motivo, versao = q.versao,
         alterado_us = q.alterado_us
     FROM (SELECT ",
    telescopes!(),
    " AS telescopio_id, unnest($3::bigint[]) AS id, unnest($4::bigint[]) AS inicio_us, unnest($5::bigint[]) AS fim_us,
         unnest($6::text[]) AS status, unnest($7::text[]) AS alvo, unnest($8::text[]) AS observacoes, unnest($9::bigint[]) AS cancelado_us,
         unnest($10::text[]) AS motivo, unnest($11::bigint[]) AS versao, unnest($12::bigint[]) AS alterado_us) q
     WHERE a.id = q.id"
);
/// Slots that their booking gives up.
const FREE: &str = concat!(
    "UPDATE horarios h SET agendamento_id = NULL, token = greatest(h.token, q.token), abre_us = q.abre_us
     FROM (SELECT ",
    telescopes!(),
    " AS telescopio_id, unnest($3::bigint[]) AS inicio_us, unnest($4::bigint[]) AS agendamento_id, unnest($5::bigint[]) AS token,
         unnest($6::bigint[]) AS abre_us) q
     WHERE h.telescopio_id = q.telescopio_id AND h.inicio_us = q.inicio_us AND h.agendamento_id = q.agendamento_id"
);
/// Even if a decision were wrong, this statement keeps a slot from two bookings: the slot has one row, which takes a booking only while it is
/// free and has seen no newer token.
pub const CLAIM: &str = concat!(
    "INSERT INTO horarios (telescopio_id, inicio_us, agendamento_id, token, abre_us)
     SELECT ",
    telescopes!(),
    ", unnest($3::bigint[]), unnest($4::bigint[]), unnest($5::bigint[]), unnest($6::bigint[])
     ON CONFLICT (telescopio_id, inicio_us) DO UPDATE SET agendamento_id = excluded.agendamento_id, token = excluded.token, abre_us = excluded.abre_us
     WHERE horarios.agendamento_id IS NULL AND horarios.token <= excluded.token"
);

/// Those that are sent by themselves, to be prepared.
pub const STATEMENTS: &[&str] = &[UPDATE, FREE];

/// The telescopes of rows, for [`telescopes!`].
#[derive(Default)]
struct Telescopes<'a> {
    /// Their codes, each once.
    codes: Vec<&'a str>,
    /// Which of them each row has, from 1 on.
    rows: Vec<i64>,
    numbers: BTreeMap<&'a str, i64>,
}

impl<'a> Telescopes<'a> {
    fn push(&mut self, code: &'a str) {
        let number = *self.numbers.entry(code).or_insert_with(|| {
            self.codes.push(code);
            i64::try_from(self.codes.len()).unwrap_or(i64::MAX)
        });
        self.rows.push(number);
    }
}

/// Bookings as columns.
#[derive(Default)]
struct Columns<'a> {
    telescopes: Telescopes<'a>,
    ids: Vec<i64>,
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
        let values: [Value<'_>; 20] = [
            &new.telescopes.codes,
            &new.telescopes.rows,
            &new.ids,
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
            &old.telescopes.codes,
            &old.telescopes.rows,
            &old.ids,
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
    telescopes: Telescopes<'a>,
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

    fn values(&self) -> [Value<'_>; 6] {
        let Telescopes { codes, rows, .. } = &self.telescopes;
        [codes, rows, &self.starts, &self.bookings, &self.tokens, &self.opening]
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
