//! What counts against a new booking, in one reading.

use deadpool_postgres::GenericClient;

use super::ask;
use super::errors::Error;
use super::rows;
use crate::agenda::rules::days_around;
use crate::agenda::{DURATION_MIN_MAX, Status};
use crate::store::Counted;
use crate::store::asked::Asked;
use crate::time::minutes_in_micros;

/// What counts against a new booking: a row for each booking that its scientist holds, with its start and end; and one row with the length
/// of those that are charged to its proposal, and with the catalogue's edition.
///
/// Of the bookings that have not ended it is one more than the quota has, since one of them may be moving; and all that touch a day of the
/// new one. The work is bounded by these, and does not depend on how many bookings there are. Whole rows are compared, so that only the index by
/// scientist serves: while the table is small another one looks as good to the planner, and with it all bookings of the telescope are read.
const COUNTED: &str = "WITH t AS (SELECT id FROM telescopios WHERE codigo = $1)
     SELECT a.inicio_us, a.fim_us, NULL::BIGINT, NULL::BIGINT FROM (
         (SELECT id, inicio_us, fim_us FROM agendamentos
          WHERE (cientista_id, telescopio_id, status, inicio_us) > ($3, (SELECT id FROM t), $4, $5::BIGINT - $6::BIGINT)
          AND (cientista_id, telescopio_id, status) <= ($3, (SELECT id FROM t), $4) AND fim_us > $5
          ORDER BY cientista_id, telescopio_id, status, inicio_us LIMIT $7)
         UNION
         (SELECT id, inicio_us, fim_us FROM agendamentos
          WHERE (cientista_id, telescopio_id, status, inicio_us) > ($3, (SELECT id FROM t), $4, $8::BIGINT - $6::BIGINT)
          AND (cientista_id, telescopio_id, status, inicio_us) < ($3, (SELECT id FROM t), $4, $9) AND fim_us > $8)
     ) a WHERE a.id <> $2
     UNION ALL
     SELECT NULL, NULL, coalesce(sum(fim_us - inicio_us), 0)::BIGINT, (SELECT catalogo FROM resumo WHERE id = 1) FROM agendamentos
     WHERE proposta_id = $10 AND telescopio_id = (SELECT id FROM t) AND status = $4 AND id <> $2
     ORDER BY 1, 2";

/// What counts against what is asked for. It is one statement, so all of it is of one moment.
pub async fn count(client: &impl GenericClient, asked: &Asked) -> Result<Counted, Error> {
    let rules = asked.rules;
    let standing = rules.standing_max.map_or(0, |most| most + 1);
    let (day, after) = days_around(asked.slots);
    // Without a rule that counts days there is no day to count.
    let after = if rules.day_max_min.is_some() { after } else { day };
    let (now_us, day_us, after_us) = (asked.now.as_micros(), day.as_micros(), after.as_micros());
    // Bookings are counted from 1.
    let moving = asked.moving.unwrap_or(0);
    let values: [ask::Value<'_>; 10] = [
        &asked.telescope,
        &moving,
        &asked.scientist_id,
        &Status::Active.name(),
        &now_us,
        &minutes_in_micros(DURATION_MIN_MAX),
        &standing,
        &day_us,
        &after_us,
        &asked.proposal_id,
    ];
    let mut counted = Counted::default();
    for row in ask::rows(client, COUNTED, &values).await? {
        match rows::get::<Option<i64>>(&row, 2)? {
            Some(used_us) => {
                counted.used_min = used_us / minutes_in_micros(1);
                counted.edition = rows::get(&row, 3)?;
            }
            None => counted.held.push(rows::slots(&row, 0)?),
        }
    }
    Ok(counted)
}
