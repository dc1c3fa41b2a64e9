//! Entries of waiting lists, with their places.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::ask::{self, Value};
use super::errors::Error;
use super::rows::{self, WAIT};
use crate::agenda::{DURATION_MIN_MAX, Wait, WaitStatus};
use crate::store::waits::{Placed, WaitFilter, WaitPage};
use crate::time::{Timestamp, minutes_in_micros};

/// What the statement gives after an entry: whether its telescope is simulated, and its place if it waits.
const IS_SIMULATED_COLUMN: usize = 15;
const PLACE_COLUMN: usize = 16;

/// The statement that gives entries with their places. `$1` is the present instant, and `$2` how long an entry may be.
fn sql(narrowed: &str) -> String {
    format!(
        "SELECT {WAIT}, t.simulado, (
             SELECT 1 + count(*) FROM esperas o WHERE o.telescopio_id = e.telescopio_id AND o.status = 'AGUARDANDO'
             AND (t.simulado OR o.inicio_us >= $1) AND o.inicio_us > e.inicio_us - $2::BIGINT AND o.inicio_us < e.fim_us
             AND o.fim_us > e.inicio_us AND o.id < e.id
         ) FROM esperas e JOIN telescopios t ON t.id = e.telescopio_id WHERE {narrowed}"
    )
}

/// One entry with its place at `now`.
pub async fn placed(client: &impl GenericClient, id: i64, now: Timestamp) -> Result<Option<Placed>, Error> {
    let values: [Value<'_>; 3] = [&now.as_micros(), &minutes_in_micros(DURATION_MIN_MAX), &id];
    let found = ask::row(client, &sql("e.id = $3"), &values).await?;
    found.map(|row| with_place(&row, now)).transpose()
}

/// A page of entries by number, after `after`.
pub async fn list(client: &impl GenericClient, filter: &WaitFilter, after: i64, limit: u16) -> Result<WaitPage, Error> {
    // What has expired waits still, as its row says.
    let (status, is_in_time) = match filter.status {
        None => (None, None),
        Some(WaitStatus::Waiting) => (Some(WaitStatus::Waiting), Some(true)),
        Some(WaitStatus::Expired) => (Some(WaitStatus::Waiting), Some(false)),
        Some(status) => (Some(status), None),
    };
    let narrowed = "e.id > $3 AND ($4::BIGINT IS NULL OR e.cientista_id = $4) AND ($5::TEXT IS NULL OR t.codigo = $5)
         AND ($6::TEXT IS NULL OR e.status = $6) AND ($7::BOOLEAN IS NULL OR $7 = (t.simulado OR e.inicio_us >= $1))
         ORDER BY e.id LIMIT $8";
    let values: [Value<'_>; 8] = [
        &filter.now.as_micros(),
        &minutes_in_micros(DURATION_MIN_MAX),
        &after,
        &filter.scientist_id,
        &filter.telescope,
        &status.map(WaitStatus::name),
        &is_in_time,
        &(i64::from(limit) + 1),
    ];
    let found = ask::rows(client, &sql(narrowed), &values).await?;
    let shown = &found[..found.len().min(usize::from(limit))];
    let waits: Vec<Placed> = shown.iter().map(|row| with_place(row, filter.now)).collect::<Result<_, _>>()?;
    let next = waits.last().filter(|_| found.len() > shown.len()).map(|placed| placed.wait.id);
    Ok(WaitPage { waits, next })
}

/// The entry of a row as it stands at `now`, with its place if it waits.
fn with_place(row: &Row, now: Timestamp) -> Result<Placed, Error> {
    let wait = rows::wait(row)?;
    let status = wait.status_at(rows::get(row, IS_SIMULATED_COLUMN)?, now);
    let place = if status == WaitStatus::Waiting { Some(rows::count(row, PLACE_COLUMN)?) } else { None };
    Ok(Placed { wait: Wait { status, ..wait }, place })
}
