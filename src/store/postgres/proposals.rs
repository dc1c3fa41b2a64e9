//! The minutes that are charged to proposals.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;

use super::ask;
use super::errors::Error;
use super::rows;
use crate::agenda::Status;
use crate::time::minutes_in_micros;

/// The minutes of the active bookings of a proposal, by telescope.
pub async fn used(client: &impl GenericClient, proposal: i64) -> Result<BTreeMap<String, i64>, Error> {
    let sql = "SELECT t.codigo, sum(a.fim_us - a.inicio_us)::BIGINT FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id
         WHERE a.proposta_id = $1 AND a.status = $2 GROUP BY t.codigo";
    let found = ask::rows(client, sql, &[&proposal, &Status::Active.name()]).await?;
    let minutes = |row| Ok((rows::get(row, 0)?, rows::get::<i64>(row, 1)? / minutes_in_micros(1)));
    found.iter().map(minutes).collect()
}
