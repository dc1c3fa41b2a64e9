//! Whether a database is consistent: its references, and what [`store::deep`](crate::store::deep) compares. The pages of its files are the server's
//! matter (`pg_checksums`, `pg_amcheck`). All is read in one transaction, which writes nothing.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::errors::Error;
use super::{ask, rows, trail};
use crate::agenda::{SLOT_MIN, Status};
use crate::audit::fields::booking_of;
use crate::store::deep::{BookingRow, Comparison, Deep, Line, sql};
use crate::store::kind::DatabaseKind;
use crate::time::minutes_in_micros;

/// Rows that are read at once.
const AT_ONCE: i64 = 1000;
/// Foreign keys of one column: table, column, the other table, its column.
const REFERENCES: &str = "SELECT c.conrelid::regclass::text, a.attname::text, c.confrelid::regclass::text, b.attname::text
     FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
     WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace AND cardinality(c.conkey) = 1 ORDER BY c.oid";
const BOOKINGS: &str =
    "SELECT a.id, a.cientista_id, t.codigo, a.inicio_us, a.fim_us, a.status, a.alterado_us IS NOT NULL
     FROM agendamentos a JOIN telescopios t ON t.id = a.telescopio_id WHERE a.id > $1 ORDER BY a.id LIMIT $2";
const RECORDS: &str = "SELECT seq, linha, agendamento_id FROM auditoria WHERE seq > $1 ORDER BY seq LIMIT $2";

/// Reads all of a database.
pub async fn look(client: &impl GenericClient, kind: DatabaseKind) -> Result<Deep, Error> {
    let mut found = Deep::default();
    references(client, &mut found).await?;
    match kind {
        DatabaseKind::Agenda => claims(client, &mut found).await?,
        DatabaseKind::Race => found.shared = number(client, sql::SHARED, &[&SLOT_US]).await?.cast_unsigned(),
    }
    records(client, &mut found).await?;
    Ok(found)
}

const SLOT_US: i64 = minutes_in_micros(SLOT_MIN);

/// A superuser can switch the server's own check off.
async fn references(client: &impl GenericClient, found: &mut Deep) -> Result<(), Error> {
    for row in &ask::rows(client, REFERENCES, &[]).await? {
        let [table, column, other, key]: [&str; 4] =
            [rows::get(row, 0)?, rows::get(row, 1)?, rows::get(row, 2)?, rows::get(row, 3)?];
        // Names that the server has just given, quoted where they need it.
        let dangling = format!(
            "SELECT c.{column}::text FROM {table} c LEFT JOIN {other} p ON p.{key} = c.{column} WHERE c.{column} IS NOT NULL AND p.{key} IS NULL"
        );
        for row in &client.query(&dangling, &[]).await? {
            let id: &str = rows::get(row, 0)?;
            found.dangling(&format!("{table} ({column} {id})"), other);
        }
    }
    Ok(())
}

/// Every claimed slot belongs to an active booking, and every slot of an active booking is claimed by it.
async fn claims(client: &impl GenericClient, found: &mut Deep) -> Result<(), Error> {
    for row in &ask::rows(client, sql::CLAIMED_BY_OTHERS, &[]).await? {
        found.claimed_by_another(rows::get(row, 0)?, rows::get(row, 1)?, rows::get(row, 2)?);
    }
    let claimed = number(client, sql::CLAIMED, &[]).await?;
    found.claims = claimed.cast_unsigned();
    if number(client, sql::BOOKED, &[&SLOT_US]).await? != claimed {
        for row in &ask::rows(client, sql::NOT_ALL_CLAIMED, &[&SLOT_US]).await? {
            found.not_all_claimed(rows::get(row, 0)?);
        }
    }
    if one::<bool>(client, sql::TOKEN_NOT_NOTED, &[]).await? {
        found.token_not_noted();
    }
    Ok(())
}

/// Every record follows the one before it and agrees with the bookings; every booking and every cancellation has its record.
async fn records(client: &impl GenericClient, found: &mut Deep) -> Result<(), Error> {
    let mut comparison = Comparison::new(trail::beginning(client).await?);
    let (mut seq, mut booking) = (0, 0);
    loop {
        let page = ask::rows(client, RECORDS, &[&seq, &AT_ONCE]).await?;
        if page.is_empty() {
            break;
        }
        for row in &page {
            seq = rows::get(row, 0)?;
            let text: &str = rows::get(row, 1)?;
            let line = Line::new(seq, text.as_bytes());
            while comparison.lacks(&line) {
                comparison.add(next(client, &mut booking).await?, found);
            }
            comparison.take(&line, found);
            if rows::get::<Option<i64>>(row, 2)? != booking_of(text) {
                found.filed_elsewhere(seq);
            }
        }
    }
    comparison.end_of_records(found);
    while comparison.wants_bookings() {
        comparison.add(next(client, &mut booking).await?, found);
    }
    comparison.end(&trail::latest(client).await?.head, found);
    Ok(())
}

/// The bookings after number `last`.
async fn next(client: &impl GenericClient, last: &mut i64) -> Result<Vec<BookingRow>, Error> {
    let page = ask::rows(client, BOOKINGS, &[last, &AT_ONCE]).await?;
    let bookings: Vec<BookingRow> = page.iter().map(booking).collect::<Result<_, Error>>()?;
    *last = bookings.last().map_or(*last, |booking| booking.id);
    Ok(bookings)
}

fn booking(row: &Row) -> Result<BookingRow, Error> {
    Ok(BookingRow {
        id: rows::get(row, 0)?,
        scientist: rows::get(row, 1)?,
        telescope: rows::get(row, 2)?,
        start_us: rows::get(row, 3)?,
        end_us: rows::get(row, 4)?,
        is_cancelled: rows::get::<&str>(row, 5)? == Status::Cancelled.name(),
        is_altered: rows::get(row, 6)?,
    })
}

async fn number(client: &impl GenericClient, sql: &str, values: &[ask::Value<'_>]) -> Result<i64, Error> {
    one(client, sql, values).await
}

/// The one value that a statement gives.
async fn one<T: for<'r> tokio_postgres::types::FromSql<'r>>(
    client: &impl GenericClient,
    sql: &str,
    values: &[ask::Value<'_>],
) -> Result<T, Error> {
    let row = ask::row(client, sql, values).await?.ok_or_else(|| Error::Unreadable(format!("no answer to {sql}")))?;
    rows::get(&row, 0)
}
