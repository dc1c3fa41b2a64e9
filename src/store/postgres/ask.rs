//! Statements that are prepared once for each connection.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::errors::Error;

/// A parameter.
pub type Value<'a> = &'a (dyn ToSql + Sync);

/// The rows that a statement gives.
pub async fn rows(client: &impl GenericClient, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, Error> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, values).await?)
}

/// The one row that a statement gives, if it gives one.
pub async fn row(client: &impl GenericClient, sql: &str, values: &[Value<'_>]) -> Result<Option<Row>, Error> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_opt(&statement, values).await?)
}
