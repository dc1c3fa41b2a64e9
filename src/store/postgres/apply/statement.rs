//! Running a statement that writes, with the number of rows that it has to change.
//!
//! COMMIT is sent together with the statements, before their answers are there. So the server itself has to undo the transaction when a
//! statement changes another number of rows than the decisions say: the statement then fails.

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt as _;
use tokio_postgres::Statement;

use super::super::ask::Value;
use super::super::errors::Error;
use crate::time::Timestamp;

/// The statement that has two values more than `sql`, the number of rows and a name for them, and that fails unless so many were changed.
pub fn counted(sql: &str) -> String {
    let values = (1..=sql.len()).take_while(|nth| sql.contains(&format!("${nth}"))).count();
    let (expected, what) = (format!("${}::bigint", values + 1), format!("${}::text", values + 2));
    // The text is no number: the server says it in its error.
    format!(
        "WITH feito AS ({sql} RETURNING 1) SELECT CASE WHEN count(*) = {expected} THEN 0
         ELSE ({what} || ': ' || count(*) || ' linhas mudadas, e a decisão muda ' || {expected})::bigint END FROM feito"
    )
}

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
    let expected = i64::try_from(expected).unwrap_or(i64::MAX);
    let mut values = values.to_vec();
    values.extend([&expected as Value<'_>, &what]);
    client.execute(&prepared(client, &counted(sql))?, &values).await?;
    Ok(())
}

/// Runs a statement that may change any number of rows.
pub async fn run(client: &ClientWrapper, sql: &str, values: &[Value<'_>]) -> Result<(), Error> {
    client.execute(&prepared(client, sql)?, values).await?;
    Ok(())
}

/// A statement that was prepared with the connection. It must not be waited for here: what is sent later would come after COMMIT.
fn prepared(client: &ClientWrapper, sql: &str) -> Result<Statement, Error> {
    match client.prepare_cached(sql).now_or_never() {
        Some(prepared) => Ok(prepared?),
        None => Err(Error::Unreadable(format!("a statement was not prepared: {sql}"))),
    }
}

/// An instant as a value.
pub fn instant(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}
