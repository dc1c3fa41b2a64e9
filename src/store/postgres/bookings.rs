//! One booking, those that a maintenance meets, and the largest token of all.

use deadpool_postgres::GenericClient;

use super::ask;
use super::errors::Error;
use super::rows::{self, BOOKING};
use crate::agenda::maintenance::NewMaintenance;
use crate::agenda::{Booking, DURATION_MIN_MAX, Status};
use crate::time::{Timestamp, minutes_in_micros};

/// One booking.
pub async fn get(client: &impl GenericClient, id: i64) -> Result<Option<Booking>, Error> {
    let sql =
        format!("SELECT {BOOKING} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id WHERE a.id = $1");
    ask::row(client, &sql, &[&id]).await?.as_ref().map(rows::booking).transpose()
}

/// The numbers of the active bookings that meet the times of a maintenance. One that meets two times is there twice, one after the other.
const MET: &str = "SELECT a.id FROM unnest($2::BIGINT[], $3::BIGINT[]) WITH ORDINALITY AS w (inicio_us, fim_us, place)
     CROSS JOIN LATERAL (
         SELECT m.id, m.inicio_us FROM agendamentos m
         WHERE m.telescopio_id = (SELECT id FROM telescopios WHERE codigo = $1) AND m.status = $4
         AND m.inicio_us > w.inicio_us - $5::BIGINT AND m.inicio_us < w.fim_us AND m.fim_us > w.inicio_us
         ORDER BY m.inicio_us, m.id LIMIT $6
     ) a ORDER BY w.place, a.inicio_us, a.id";

/// The active bookings that a maintenance of a telescope meets and that end after an instant, in order, at most `limit`.
pub async fn met_by(
    client: &impl GenericClient,
    telescope: &str,
    when: &NewMaintenance,
    after: Timestamp,
    limit: usize,
) -> Result<Vec<Booking>, Error> {
    let times = when.times().map(|(from, until)| (from.max(after).as_micros(), until.as_micros()));
    let (from, until): (Vec<i64>, Vec<i64>) = times.filter(|(from, until)| from < until).unzip();
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let longest = minutes_in_micros(DURATION_MIN_MAX);
    let found = ask::rows(client, MET, &[&telescope, &from, &until, &Status::Active.name(), &longest, &most]).await?;
    let mut ids: Vec<i64> = found.iter().map(|row| rows::get(row, 0)).collect::<Result<_, _>>()?;
    ids.dedup();
    ids.truncate(limit);
    let sql = format!(
        "SELECT {BOOKING} FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id
         WHERE a.id = ANY($1) ORDER BY a.inicio_us, a.id"
    );
    ask::rows(client, &sql, &[&ids]).await?.iter().map(rows::booking).collect()
}

/// The largest fencing token that any slot has seen.
pub async fn highest_token(client: &impl GenericClient) -> Result<u64, Error> {
    let row = ask::row(client, "SELECT maior_token FROM resumo WHERE id = 1", &[]).await?;
    row.map_or_else(|| Err(Error::Unreadable("the table resumo has no row".to_owned())), |row| rows::count(&row, 0))
}
