//! Entries of waiting lists.

use deadpool_postgres::ClientWrapper;

use super::super::errors::Error;
use super::super::pending::Pending;
use super::statement::{instant, write};
use crate::agenda::Wait;
use crate::store::decide::View;
use crate::time::Timestamp;

/// New entries, also those of which something has become in the same batch.
const INSERT: &str = "INSERT INTO esperas (id, telescopio_id, cientista_id, inicio_us, fim_us, alvo, observacoes, proposta_id, criada_us, req,
         status, encerrada_us, agendamento_id, preterida_us, preterida_codigo, preterida_motivo)
     SELECT q.id, t.id, q.cientista_id, q.inicio_us, q.fim_us, q.alvo, q.observacoes, q.proposta_id, q.criada_us, q.req, q.status,
         q.encerrada_us, q.agendamento_id, q.preterida_us, q.preterida_codigo, q.preterida_motivo
     FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[],
         $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::bigint[], $16::text[])
         AS q (id, codigo, cientista_id, inicio_us, alvo, observacoes, proposta_id, req, status, encerrada_us, agendamento_id, preterida_us,
         fim_us, preterida_codigo, criada_us, preterida_motivo)
     JOIN telescopios t ON t.codigo = q.codigo";
/// What has become of entries that waited.
const UPDATE: &str =
    "UPDATE esperas e SET status = q.status, encerrada_us = q.encerrada_us, agendamento_id = q.agendamento_id,
         preterida_us = q.preterida_us, preterida_codigo = q.preterida_codigo, preterida_motivo = q.preterida_motivo
     FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
         AS q (id, status, encerrada_us, agendamento_id, preterida_us, preterida_codigo, preterida_motivo)
     WHERE e.id = q.id AND e.status = 'AGUARDANDO'";

/// All of them, to be prepared.
pub const STATEMENTS: &[&str] = &[INSERT, UPDATE];

/// What has become of entries, as columns.
#[derive(Default)]
struct Outcomes<'a> {
    ids: Vec<i64>,
    statuses: Vec<&'static str>,
    ended: Vec<Option<i64>>,
    bookings: Vec<Option<i64>>,
    passed: Vec<Option<i64>>,
    codes: Vec<Option<&'a str>>,
    words: Vec<Option<&'a str>>,
}

impl<'a> Outcomes<'a> {
    fn push(&mut self, wait: &'a Wait) {
        let passed = wait.passed_over.as_ref();
        self.ids.push(wait.id);
        self.statuses.push(wait.status.name());
        self.ended.push(instant(wait.ended_at));
        self.bookings.push(wait.booking_id);
        self.passed.push(passed.map(|passed| passed.at.as_micros()));
        self.codes.push(passed.map(|passed| passed.code.as_str()));
        self.words.push(passed.map(|passed| passed.words.as_str()));
    }
}

/// The entries. Those that wait no more come first: a scientist may have left a start and have entered for it again.
pub async fn waits(client: &ClientWrapper, pending: &Pending, view: &View) -> Result<(), Error> {
    let mut old = Outcomes::default();
    pending.waits.iter().filter_map(|id| view.waits.get(id)).for_each(|wait| old.push(wait));
    let fresh: Vec<(&Wait, &str)> =
        pending.new_waits.iter().filter_map(|(id, request)| Some((view.waits.get(id)?, &**request))).collect();
    let mut new = Outcomes::default();
    for (wait, _) in &fresh {
        new.push(wait);
    }
    let telescopes: Vec<&str> = fresh.iter().map(|(wait, _)| wait.telescope.as_str()).collect();
    let scientists: Vec<i64> = fresh.iter().map(|(wait, _)| wait.scientist_id).collect();
    let starts: Vec<i64> = fresh.iter().map(|(wait, _)| wait.slots.start().as_micros()).collect();
    let ends: Vec<i64> = fresh.iter().map(|(wait, _)| wait.slots.end().as_micros()).collect();
    let targets: Vec<Option<&str>> = fresh.iter().map(|(wait, _)| wait.target.as_deref()).collect();
    let notes: Vec<Option<&str>> = fresh.iter().map(|(wait, _)| wait.notes.as_deref()).collect();
    let proposals: Vec<Option<i64>> = fresh.iter().map(|(wait, _)| wait.proposal_id).collect();
    let created: Vec<i64> = fresh.iter().map(|(wait, _)| Timestamp::as_micros(wait.created_at)).collect();
    let requests: Vec<&str> = fresh.iter().map(|(_, request)| *request).collect();
    tokio::try_join!(biased;
        write(client, ("esperas", pending.waits.len()), UPDATE, [
            &old.ids, &old.statuses, &old.ended, &old.bookings, &old.passed, &old.codes, &old.words,
        ]),
        write(client, ("esperas", pending.new_waits.len()), INSERT, [
            &new.ids, &telescopes, &scientists, &starts, &targets, &notes, &proposals, &requests, &new.statuses, &new.ended, &new.bookings,
            &new.passed, &ends, &new.codes, &created, &new.words,
        ]),
    )?;
    Ok(())
}
