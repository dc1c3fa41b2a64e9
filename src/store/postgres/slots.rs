//! A telescope's slots: the active bookings in a period, and the slots of the period that they take.
//!
//! The table of slots has one row for each slot that was ever booked. So the work is bounded by the period, and does not depend on the
//! number of cancelled bookings in it. The race demonstration claims no slots; in that mode the bookings themselves are read.

use std::pin::pin;

use deadpool_postgres::{Client, GenericClient};
use futures_util::TryStreamExt;
use tokio_postgres::RowStream;

use super::ask::Value;
use super::errors::Error;
use super::readers;
use super::rows::{self, BOOKING};
use crate::agenda::timetable::{SAME_MAX, Standing};
use crate::agenda::{DURATION_MIN_MAX, SLOT_MIN, Status};
use crate::store::StandingReader;
use crate::store::kind::DatabaseKind;
use crate::time::{Timestamp, minutes_in_micros};

/// A telescope's code, and the period from one instant to before another.
pub type Stretch<'a> = (&'a str, Timestamp, Timestamp);

/// The bookings of the agenda that have claimed a slot of a stretch.
const CLAIMING: &str = "FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id
     WHERE a.id IN (
         SELECT h.agendamento_id FROM horarios h
         WHERE h.telescopio_id = (SELECT id FROM telescopios WHERE codigo = $1)
         AND h.inicio_us >= $2 AND h.inicio_us < $3 AND h.agendamento_id IS NOT NULL
     ) ORDER BY a.inicio_us, a.id";
/// The bookings of the race, each with its place among those of the same start and end, and with their number.
const RACING: &str = "FROM (
         SELECT id, row_number() OVER (PARTITION BY inicio_us, fim_us ORDER BY id) AS place,
             count(*) OVER (PARTITION BY inicio_us, fim_us) AS same
         FROM agendamentos
         WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = $1)
         AND inicio_us > $2 - $5::BIGINT AND inicio_us < $3 AND fim_us > $2 AND status = $6
     ) c JOIN agendamentos a ON a.id = c.id JOIN telescopios t ON t.id = a.telescopio_id
     WHERE c.place <= $4::BIGINT ORDER BY a.inicio_us, a.id";
/// The free slots of a stretch that did not open at once.
const OPENING: &str =
    "SELECT inicio_us, abre_us FROM horarios WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = $1)
     AND inicio_us >= $2 AND inicio_us < $3 AND abre_us IS NOT NULL AND agendamento_id IS NULL ORDER BY inicio_us";
/// What a [`Standing`] has of a booking.
const OUTLINE: &str = "a.id, a.inicio_us, a.fim_us, (coalesce(octet_length(a.alvo), 0) + coalesce(octet_length(a.observacoes), 0))::BIGINT";

/// Reads the active bookings that overlap a stretch, all as they are at one moment. They come row by row.
pub async fn standing(
    client: &mut Client,
    kind: DatabaseKind,
    stretch: Stretch<'_>,
    reader: &mut dyn StandingReader,
) -> Result<(), Error> {
    let transaction = readers::moment(client).await?;
    if reader.begin(outline(&transaction, kind, stretch).await?).is_break() {
        return Ok(());
    }
    let mut found = pin!(each(&transaction, kind, stretch, BOOKING).await?);
    while let Some(row) = found.try_next().await? {
        reader.booking(&rows::booking(&row)?);
    }
    // Dropping the transaction ends it, and nobody waits for that.
    Ok(())
}

/// Which bookings overlap a stretch.
async fn outline(client: &impl GenericClient, kind: DatabaseKind, stretch: Stretch<'_>) -> Result<Standing, Error> {
    let mut standing = Standing::default();
    let is_race = kind == DatabaseKind::Race;
    let columns = if is_race { format!("{OUTLINE}, c.place, c.same") } else { OUTLINE.to_owned() };
    let mut found = pin!(each(client, kind, stretch, &columns).await?);
    while let Some(row) = found.try_next().await? {
        let slots = rows::slots(&row, 1)?;
        standing.bookings.push((rows::get(&row, 0)?, slots));
        standing.text_bytes += rows::count(&row, 3)?;
        if is_race {
            let (place, same): (i64, i64) = (rows::get(&row, 4)?, rows::get(&row, 5)?);
            let beyond = same - i64::from(SAME_MAX);
            if place == i64::from(SAME_MAX) && beyond > 0 {
                standing.beyond.push((slots, beyond.cast_unsigned()));
            }
        }
    }
    if !is_race {
        standing.opening = opening(client, stretch).await?;
    }
    Ok(standing)
}

/// The free slots of a stretch that open, or have opened, some time after they became free.
async fn opening(
    client: &impl GenericClient,
    (telescope, from, until): Stretch<'_>,
) -> Result<Vec<(Timestamp, Timestamp)>, Error> {
    let statement = client.prepare_cached(OPENING).await?;
    let found = client.query(&statement, &[&telescope, &from.as_micros(), &until.as_micros()]).await?;
    found.iter().map(|row| Ok((rows::required(row, 0)?, rows::required(row, 1)?))).collect()
}

/// Selects `columns` of the active bookings that overlap a stretch, in order.
async fn each(
    client: &impl GenericClient,
    kind: DatabaseKind,
    (telescope, from, until): Stretch<'_>,
    columns: &str,
) -> Result<RowStream, Error> {
    let is_race = kind == DatabaseKind::Race;
    let statement =
        client.prepare_cached(&format!("SELECT {columns} {}", if is_race { RACING } else { CLAIMING })).await?;
    let (from, until) = (from.as_micros(), until.as_micros());
    let (most, longest, active) = (i64::from(SAME_MAX), minutes_in_micros(DURATION_MIN_MAX), Status::Active.name());
    let mut values: Vec<Value<'_>> = vec![&telescope, &from, &until];
    if is_race {
        values.extend([&most as Value<'_>, &longest, &active]);
    }
    Ok(client.query_raw(&statement, values).await?)
}

/// The taken parts of [`from`, `until`), as periods.
pub async fn taken(
    client: &impl GenericClient,
    kind: DatabaseKind,
    stretch: Stretch<'_>,
) -> Result<Vec<(Timestamp, Timestamp)>, Error> {
    if kind == DatabaseKind::Race {
        let standing = outline(client, kind, stretch).await?;
        let mut taken: Vec<_> = standing.bookings.iter().map(|(_, slots)| (slots.start(), slots.end())).collect();
        taken.dedup();
        return Ok(taken);
    }
    let statement = client
        .prepare_cached(
            "SELECT inicio_us FROM horarios WHERE telescopio_id = (SELECT id FROM telescopios WHERE codigo = $1)
             AND inicio_us >= $2 AND inicio_us < $3 AND agendamento_id IS NOT NULL ORDER BY inicio_us",
        )
        .await?;
    let (telescope, from, until) = stretch;
    let found = client.query(&statement, &[&telescope, &from.as_micros(), &until.as_micros()]).await?;
    let slot = |row| {
        let start: Timestamp = rows::required(row, 0)?;
        let end = Timestamp::from_micros(start.as_micros() + minutes_in_micros(SLOT_MIN));
        Ok((start, end.unwrap_or(Timestamp::MAX)))
    };
    found.iter().map(slot).collect()
}
