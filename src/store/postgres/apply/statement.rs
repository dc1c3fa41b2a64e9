//! Running a statement that writes, with the number of rows that it has to change.

use deadpool_postgres::ClientWrapper;

use super::super::ask::Value;
use super::super::errors::Error;
use crate::time::Timestamp;

/// Runs a statement that has to change so many rows of a table; none at all if that is none.
pub async fn write<const N: usize>(
    client: &ClientWrapper,
    (what, expected): (&'static str, usize),
    sql: &str,
    values: [Value<'_>; N],
) -> Result<(), Error> {
    if expected == 0 {
        return Ok(());
    }
    let statement = client.prepare_cached(sql).await?;
    let changed = client.execute(&statement, &values).await?;
    if usize::try_from(changed) == Ok(expected) { Ok(()) } else { Err(Error::OtherRows { what, changed, expected }) }
}

/// An instant as a value.
pub fn instant(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}
