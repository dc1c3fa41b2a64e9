//! What the server is, for operators: where the primary is, its version, and which standbys a COMMIT waits for.

use deadpool_postgres::GenericClient;

use super::errors::Error;
use super::{ask, rows};

/// Whether a COMMIT waits for a standby. The sessions that ask have a `synchronous_commit` of their own: that of all others is what a RESET would set.
const WAITS: &str = "(SELECT reset_val <> 'local' FROM pg_settings WHERE name = 'synchronous_commit')
    AND current_setting('synchronous_standby_names', true) <> ''";

/// Whether a COMMIT waits for a standby, if the server tells. It may change while a connection lasts: Patroni takes away a standby that is lost.
pub async fn waits_for_standby(client: &impl GenericClient) -> Result<Option<bool>, Error> {
    ask::row(client, &format!("SELECT {WAITS}"), &[]).await?.map_or(Ok(None), |row| rows::get(&row, 0))
}

/// Names and values. What the server does not tell this user is left out.
pub async fn described(client: &impl GenericClient) -> Result<Vec<(&'static str, String)>, Error> {
    let sql = format!(
        "SELECT current_setting('server_version', true), host(inet_server_addr()), inet_server_port(), {WAITS},
         (SELECT string_agg(application_name, ',' ORDER BY application_name) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))"
    );
    let mut described = vec![("kind", "postgresql".to_owned())];
    let Some(row) = ask::row(client, &sql, &[]).await? else { return Ok(described) };
    described.extend(rows::get::<Option<String>>(&row, 0)?.map(|version| ("version", version)));
    // Through a socket of this machine there is none.
    let (host, port): (Option<String>, Option<i32>) = (rows::get(&row, 1)?, rows::get(&row, 2)?);
    described.extend(host.zip(port).map(|(host, port)| ("server", at(&host, port))));
    let waits: Option<bool> = rows::get(&row, 3)?;
    described.extend(waits.map(|waits| ("synchronous", waits.to_string())));
    described.extend(rows::get::<Option<String>>(&row, 4)?.map(|names| ("standby", names)));
    Ok(described)
}

fn at(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
