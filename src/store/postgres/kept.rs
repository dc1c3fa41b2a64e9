//! The answers that are kept for repeated requests: read for a repetition, and removed when they are old.

use deadpool_postgres::{Client, GenericClient};

use super::ask;
use super::errors::Error;
use super::rows;
use crate::agenda::keeping::{Digest, KEPT_FOR, Kept, KeptAnswer};
use crate::time::{Timestamp, micros};

/// Until when an answer was kept that is old at `now`.
pub fn old_at(now: Timestamp) -> i64 {
    now.as_micros().saturating_sub_unsigned(micros(KEPT_FOR))
}

/// The answer that is kept for a key, unless it is old.
pub async fn get(client: &impl GenericClient, key: &Digest, now: Timestamp) -> Result<Option<Kept>, Error> {
    let sql =
        "SELECT autor, pedido, req, status, location, etag, corpo FROM respostas WHERE chave = $1 AND guardada_us > $2";
    let Some(row) = ask::row(client, sql, &[&key.as_slice(), &old_at(now)]).await? else { return Ok(None) };
    let (request, status): (&[u8], i64) = (rows::get(&row, 1)?, rows::get(&row, 3)?);
    let unreadable = |what: &str| Error::Unreadable(format!("an answer that is kept has no {what}"));
    let answer = KeptAnswer {
        status: u16::try_from(status).map_err(|_| unreadable("status"))?,
        location: rows::get(&row, 4)?,
        etag: rows::get(&row, 5)?,
        body: rows::get(&row, 6)?,
    };
    let request = request.try_into().map_err(|_| unreadable("request"))?;
    Ok(Some(Kept { key: *key, author: rows::get(&row, 0)?, most: 0, request, request_id: rows::get(&row, 2)?, answer }))
}

/// The same, once the server cannot lose it any more: a primary that has crashed shows after its restart also what its standby has not. A
/// commit waits until the standby has all that was written before it.
pub async fn durably(client: &mut Client, key: Digest, now: Timestamp) -> Result<Option<Kept>, Error> {
    let kept = get(&*client, &key, now).await?;
    if kept.is_some() {
        let sql = "BEGIN; SET LOCAL synchronous_commit = on; UPDATE esquema SET versao = versao WHERE id = 1; COMMIT";
        client.batch_execute(sql).await?;
    }
    Ok(kept)
}

/// Removes old answers, at most so many, and tells how many; and the keys that a scheduler which died was holding. Several schedulers may do
/// so at once.
pub async fn remove_old(client: &impl GenericClient, now: Timestamp, most: u32) -> Result<usize, Error> {
    let expired = client.prepare_cached("DELETE FROM chaves WHERE expira_us < $1").await?;
    client.execute(&expired, &[&old_at(now)]).await?;
    let there = client.prepare_cached("SELECT 1 FROM respostas WHERE guardada_us <= $1 LIMIT 1").await?;
    if client.query_opt(&there, &[&old_at(now)]).await?.is_none() {
        return Ok(0);
    }
    let remove = client
        .prepare_cached(
            "DELETE FROM respostas WHERE chave IN
             (SELECT chave FROM respostas WHERE guardada_us <= $1 ORDER BY guardada_us LIMIT $2) AND guardada_us <= $1",
        )
        .await?;
    let removed = client.execute(&remove, &[&old_at(now), &i64::from(most)]).await?;
    Ok(usize::try_from(removed).unwrap_or(usize::MAX))
}
