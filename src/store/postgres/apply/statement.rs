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

/// The statement that runs all of these at once. For each it has two values more, the number of rows and a name for them, and it fails unless
/// so many were changed. None of them may change a row that another one changes.
pub fn counted(all: &[&str]) -> String {
    let (mut parts, mut checks, mut before) = (Vec::new(), Vec::new(), 0);
    for (nth, sql) in all.iter().enumerate() {
        let (sql, values) = renumbered(sql, before);
        let (expected, what) = (format!("${}::bigint", before + values + 1), format!("${}::text", before + values + 2));
        parts.push(format!("feito{nth} AS ({sql} RETURNING 1)"));
        // The text is no number: the server says it in its error.
        checks.push(format!(
            "(SELECT CASE WHEN count(*) = {expected} THEN 0
              ELSE ({what} || ': ' || count(*) || ' linhas mudadas, e a decisão muda ' || {expected})::bigint END FROM feito{nth})"
        ));
        before += values + 2;
    }
    format!("WITH {} SELECT {}", parts.join(", "), checks.join(" + "))
}

/// The statement with higher numbers for its values, as one that has `before` other values in front of them; and how many values it has.
fn renumbered(sql: &str, before: usize) -> (String, usize) {
    let mut pieces = sql.split('$');
    let mut shifted = pieces.next().unwrap_or_default().to_owned();
    let mut values = 0;
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let number: usize = piece[..end].parse().expect("a dollar sign stands before the number of a value");
        values = values.max(number);
        shifted.extend(["$", &(number + before).to_string(), &piece[end..]]);
    }
    (shifted, values)
}

/// What one of the statements of [`counted`] has to change: the table, the number of rows, and the values.
pub struct Rows<'a> {
    what: &'static str,
    expected: i64,
    values: Vec<Value<'a>>,
}

impl<'a> Rows<'a> {
    /// So many rows of a table.
    pub fn of(what: &'static str, expected: usize, values: impl Into<Vec<Value<'a>>>) -> Self {
        Self { what, expected: i64::try_from(expected).unwrap_or(i64::MAX), values: values.into() }
    }
}

/// Runs a statement that [`counted`] has made, with the rows of each of its parts.
pub async fn write_all(client: &ClientWrapper, sql: &str, all: &[Rows<'_>]) -> Result<(), Error> {
    let mut values = Vec::new();
    for rows in all {
        values.extend_from_slice(&rows.values);
        values.extend([&rows.expected as Value<'_>, &rows.what]);
    }
    client.execute(&prepared(client, sql)?, &values).await?;
    Ok(())
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
    write_all(client, &counted(&[sql]), &[Rows::of(what, expected, values)]).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_several_statements_are_numbered_on() {
        let eleven = (1..=11).map(|nth| format!("${nth}")).collect::<Vec<_>>().join(", ");
        assert_eq!(renumbered("SELECT $2, $1", 3), ("SELECT $5, $4".to_owned(), 2));
        assert_eq!(renumbered(&eleven, 0), (eleven.clone(), 11));
        assert_eq!(renumbered("SELECT 1", 3), ("SELECT 1".to_owned(), 0));
        let both = counted(&["UPDATE a SET b = $1", "UPDATE c SET d = $1, e = $2::text[]"]);
        for part in [
            "feito0 AS (UPDATE a SET b = $1 RETURNING 1)",
            "count(*) = $2::bigint",
            "($3::text ||",
            "feito1 AS (UPDATE c SET d = $4, e = $5::text[] RETURNING 1)",
            "count(*) = $6::bigint",
            "($7::text ||",
        ] {
            assert!(both.contains(part), "{part} in {both}");
        }
    }
}
