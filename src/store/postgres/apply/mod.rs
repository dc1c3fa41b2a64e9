//! Writing what was decided: one statement for each kind of rows, for any number of them, and one for all kinds that most transactions write;
//! all are sent at once.
//!
//! Each statement has to change as many rows as the decisions say. If one does not, somebody else has written without the lock on the
//! trail's head, and the whole transaction is undone.
//!
//! # All is sent before anything is waited for
//!
//! The writer sends COMMIT behind these statements without waiting for them. What a function here sends only after it has waited would come
//! after the COMMIT: so each of them sends all of its statements when it is polled first.

mod bookings;
mod catalogue;
mod statement;
mod waits;

use std::sync::LazyLock;

use deadpool_postgres::ClientWrapper;

use self::bookings::{New, Touched};
use self::statement::{Rows, counted, run, write, write_all};
use super::ask::Value;
use super::errors::Error;
use super::kept::old_at;
use super::pending::Pending;
use crate::store::decide::View;

const RECORDS: &str = "INSERT INTO auditoria (seq, linha, agendamento_id) SELECT unnest($1::bigint[]), unnest($2::text[]), unnest($3::bigint[])";
const HEAD: &str = "UPDATE trilha SET seq = $1, hash = $2 WHERE id = 1";
const SUMMARY: &str =
    "UPDATE resumo SET maior_token = greatest(maior_token, $1::bigint), catalogo = catalogo + $2::bigint WHERE id = 1";
/// Nobody else had the key when the request began. If somebody has used it meanwhile, the row is not written.
const ANSWERS: &str = "INSERT INTO respostas (chave, autor, ordem, pedido, guardada_us, req, status, location, etag, corpo)
     SELECT q.chave, q.autor, (SELECT coalesce(max(r.ordem), 0) FROM respostas r WHERE r.autor = q.autor)
         + row_number() OVER (PARTITION BY q.autor ORDER BY q.guardada_us), q.pedido, q.guardada_us, q.req, q.status, q.location, q.etag, q.corpo
     FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::bytea[])
         AS q (chave, autor, pedido, guardada_us, req, status, location, etag, corpo)
     ON CONFLICT (chave) DO UPDATE SET ordem = excluded.ordem, pedido = excluded.pedido, guardada_us = excluded.guardada_us,
         req = excluded.req, status = excluded.status, location = excluded.location, etag = excluded.etag, corpo = excluded.corpo
     WHERE respostas.guardada_us <= $10";
/// The oldest answers of authors who have too many.
const TOO_MANY: &str = "DELETE FROM respostas r USING unnest($1::text[], $2::bigint[]) AS q (autor, most)
     WHERE r.autor = q.autor AND r.ordem <= (SELECT max(o.ordem) FROM respostas o WHERE o.autor = q.autor) - q.most";

/// What most transactions write, in one statement: new bookings and their slots, the records, the trail's new head, and what is known of the
/// whole agenda. The server tells the end of each statement by itself, and as long as that lasts all other schedulers wait.
static USUAL: LazyLock<String> =
    LazyLock::new(|| counted(&[bookings::INSERT, bookings::CLAIM, RECORDS, HEAD, SUMMARY]));

/// Prepares all statements of a new connection, so that later each is sent in the order in which it is called.
pub async fn prepare(client: &ClientWrapper) -> Result<(), Error> {
    let all = [&[ANSWERS], bookings::STATEMENTS, waits::STATEMENTS, catalogue::STATEMENTS].concat();
    let all = all.into_iter().map(|sql| counted(&[sql])).chain([TOO_MANY.to_owned(), USUAL.clone()]);
    let all: Vec<String> = all.collect();
    futures_util::future::try_join_all(all.iter().map(|sql| client.prepare_cached(sql))).await?;
    Ok(())
}

/// Writes what is pending. The view has the rows as they are to be.
pub async fn apply(client: &ClientWrapper, pending: &Pending, view: &View) -> Result<(), Error> {
    if pending.is_empty() {
        return Ok(());
    }
    let touched = Touched::of(pending, view);
    // Those that refer to others come after these. What is polled first is sent first.
    tokio::try_join!(biased;
        catalogue::telescopes(client, pending, view),
        catalogue::scientists(client, pending, view),
        catalogue::proposals(client, pending, view),
        catalogue::maintenances(client, pending),
        bookings::changed(client, pending, view),
        touched.free(client),
        usual(client, pending, &touched, view),
        waits::waits(client, pending, view),
        answers(client, pending),
    )?;
    Ok(())
}

/// The answers that are kept.
async fn answers(client: &ClientWrapper, pending: &Pending) -> Result<(), Error> {
    let answers = &pending.answers;
    let Some((_, at)) = answers.last() else { return Ok(()) };
    let keys: Vec<&[u8]> = answers.iter().map(|(kept, _)| &kept.key[..]).collect();
    let authors: Vec<&str> = answers.iter().map(|(kept, _)| kept.author.as_str()).collect();
    let requests: Vec<&[u8]> = answers.iter().map(|(kept, _)| &kept.request[..]).collect();
    let since: Vec<i64> = answers.iter().map(|(_, at)| at.as_micros()).collect();
    let ids: Vec<&str> = answers.iter().map(|(kept, _)| kept.request_id.as_str()).collect();
    let statuses: Vec<i64> = answers.iter().map(|(kept, _)| i64::from(kept.answer.status)).collect();
    let locations: Vec<Option<&str>> = answers.iter().map(|(kept, _)| kept.answer.location.as_deref()).collect();
    let etags: Vec<Option<&str>> = answers.iter().map(|(kept, _)| kept.answer.etag.as_deref()).collect();
    let bodies: Vec<&[u8]> = answers.iter().map(|(kept, _)| &kept.answer.body[..]).collect();
    let most: Vec<i64> = answers.iter().map(|(kept, _)| i64::from(kept.most)).collect();
    let old = old_at(*at);
    let values: [Value<'_>; 10] =
        [&keys, &authors, &requests, &since, &ids, &statuses, &locations, &etags, &bodies, &old];
    let limits: [Value<'_>; 2] = [&authors, &most];
    tokio::try_join!(biased;
        write(client, ("respostas", answers.len()), ANSWERS, values),
        run(client, TOO_MANY, &limits),
    )?;
    Ok(())
}

/// What most transactions write.
async fn usual(client: &ClientWrapper, pending: &Pending, touched: &Touched<'_>, view: &View) -> Result<(), Error> {
    let new = New::of(pending, view);
    let seqs: Vec<i64> = pending.records.iter().map(|(seq, ..)| seq.cast_signed()).collect();
    let lines: Vec<&str> = pending.records.iter().map(|(_, line, _)| line.as_str()).collect();
    let bookings: Vec<Option<i64>> = pending.records.iter().map(|(.., booking)| *booking).collect();
    let (seq, token, editions) =
        (view.head.seq.cast_signed(), pending.token.cast_signed(), i64::from(pending.catalogue));
    let records: [Value<'_>; 3] = [&seqs, &lines, &bookings];
    let head: [Value<'_>; 2] = [&seq, &view.head.hash];
    let summary: [Value<'_>; 2] = [&token, &editions];
    let trail =
        [Rows::of("auditoria", seqs.len(), records), Rows::of("trilha", 1, head), Rows::of("resumo", 1, summary)];
    let all: Vec<Rows<'_>> = [new.rows(), touched.claims()].into_iter().chain(trail).collect();
    write_all(client, &USUAL, &all).await
}
