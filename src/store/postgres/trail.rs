//! The audit trail's records, as readers and the exporter of its file ask for them.

use deadpool_postgres::GenericClient;

use super::ask;
use super::errors::Error;
use super::rows;
use crate::audit::chain::ChainHead;
use crate::audit::filter::{Filter, Verdict, Wanted};
use crate::store::{LatestRecord, TrailPage};

/// The most records that one page looks at, so that a question with few answers does not hold a connection for long.
const LOOKED_AT_MAX: usize = 1000;

/// Records in order after `$1`, and those of one booking.
const ALL: &str = "SELECT seq, linha FROM auditoria WHERE seq > $1 ORDER BY seq LIMIT $2";
const OF_BOOKING: &str =
    "SELECT seq, linha FROM auditoria WHERE agendamento_id = $3 AND seq > $1 ORDER BY seq LIMIT $2";

/// A page of the wanted records after record `after`, at most `limit` of them.
///
/// Its first question is for as many records as the page can show, since often all of them are wanted.
pub async fn page(client: &impl GenericClient, wanted: Wanted, after: u64, limit: u16) -> Result<TrailPage, Error> {
    let booking = wanted.booking;
    let filter = Filter::new(wanted);
    let mut page = TrailPage { lines: Vec::new(), next: None };
    let (mut looked_at, mut reached) = (0, after);
    let mut ask_for = usize::from(limit).min(LOOKED_AT_MAX) + 1;
    loop {
        let (seq, most) = (reached.cast_signed(), i64::try_from(ask_for).unwrap_or(i64::MAX));
        let found = match booking {
            Some(booking) => ask::rows(client, OF_BOOKING, &[&seq, &most, &booking]).await?,
            None => ask::rows(client, ALL, &[&seq, &most]).await?,
        };
        for row in &found {
            if looked_at == LOOKED_AT_MAX || page.lines.len() == usize::from(limit) {
                page.next = Some(reached);
                return Ok(page);
            }
            let line: &str = rows::get(row, 1)?;
            if matches!(filter.judge(line.as_bytes()), Verdict::Wanted(_)) {
                page.lines.push(line.to_owned());
            }
            (looked_at, reached) = (looked_at + 1, rows::count(row, 0)?);
        }
        if found.len() < ask_for {
            return Ok(page);
        }
        ask_for = LOOKED_AT_MAX - looked_at + 1;
    }
}

/// The head with its record.
pub async fn latest(client: &impl GenericClient) -> Result<LatestRecord, Error> {
    let sql = "SELECT t.seq, t.hash, a.linha FROM trilha t LEFT JOIN auditoria a ON a.seq = t.seq WHERE t.id = 1";
    let row = ask::row(client, sql, &[]).await?.ok_or_else(no_trail)?;
    Ok(LatestRecord {
        head: ChainHead { seq: rows::count(&row, 0)?, hash: rows::get(&row, 1)? },
        line: rows::get(&row, 2)?,
    })
}

/// Where the chain begins.
pub async fn beginning(client: &impl GenericClient) -> Result<ChainHead, Error> {
    let row = ask::row(client, "SELECT identidade FROM trilha WHERE id = 1", &[]).await?.ok_or_else(no_trail)?;
    Ok(ChainHead::genesis(rows::get(&row, 0)?))
}

/// The number of the last record.
pub async fn head(client: &impl GenericClient) -> Result<u64, Error> {
    let row = ask::row(client, "SELECT seq FROM trilha WHERE id = 1", &[]).await?.ok_or_else(no_trail)?;
    rows::count(&row, 0)
}

/// The line of one record.
pub async fn line(client: &impl GenericClient, seq: u64) -> Result<Option<String>, Error> {
    let row = ask::row(client, "SELECT linha FROM auditoria WHERE seq = $1", &[&seq.cast_signed()]).await?;
    row.map(|row| rows::get(&row, 0)).transpose()
}

/// The lines after record `seq`, at most `limit`, with their line breaks, and the number of the last one.
pub async fn lines_after(client: &impl GenericClient, seq: u64, limit: u32) -> Result<(Vec<u8>, Option<u64>), Error> {
    let found = ask::rows(client, ALL, &[&seq.cast_signed(), &i64::from(limit)]).await?;
    let mut text = Vec::new();
    for row in &found {
        text.extend_from_slice(rows::get::<&str>(row, 1)?.as_bytes());
        text.push(b'\n');
    }
    Ok((text, found.last().map(|row| rows::count(row, 0)).transpose()?))
}

/// The lines before record `seq` with their numbers, at most `limit`, the newest first.
pub async fn lines_before(client: &impl GenericClient, seq: u64, limit: u32) -> Result<Vec<(u64, String)>, Error> {
    let sql = "SELECT seq, linha FROM auditoria WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
    let found = ask::rows(client, sql, &[&seq.cast_signed(), &i64::from(limit)]).await?;
    found.iter().map(|row| Ok((rows::count(row, 0)?, rows::get(row, 1)?))).collect()
}

/// The bytes of the lines from `first` to `last`, line breaks included.
pub async fn bytes_between(client: &impl GenericClient, first: u64, last: u64) -> Result<u64, Error> {
    let sql = "SELECT coalesce(sum(octet_length(linha) + 1), 0)::BIGINT FROM auditoria WHERE seq BETWEEN $1 AND $2";
    let row = ask::row(client, sql, &[&first.cast_signed(), &last.cast_signed()]).await?.ok_or_else(no_trail)?;
    rows::count(&row, 0)
}

fn no_trail() -> Error {
    Error::Unreadable("the table trilha has no row".to_owned())
}
