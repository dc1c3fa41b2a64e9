//! Making the database ready: checking that its server keeps what it acknowledges, and running the migrations.
//!
//! # Compatibility
//!
//! The table `esquema` counts the migrations that ran. A released migration is never edited; a change is a new migration. All missing
//! migrations run in one transaction, which also notes the new version.
//!
//! # Concurrent opening
//!
//! Two schedulers may start on one fresh database at the same moment. Making the schema and its first table is repeated while somebody
//! else makes them; the row of that table is locked while migrations run, so only one scheduler runs them.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use super::errors::Error;
use super::open_error::OpenError;
use super::rows::get;
use crate::audit::chain::ChainHead;
use crate::store::kind::DatabaseKind;

/// The migrations, each with the version that it leads to.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../../assets/migrations/postgres/0001-agenda.sql")),
    (2, include_str!("../../../assets/migrations/postgres/0002-acesso.sql")),
    (3, include_str!("../../../assets/migrations/postgres/0003-carimbo.sql")),
    (4, include_str!("../../../assets/migrations/postgres/0004-disputado.sql")),
    (5, include_str!("../../../assets/migrations/postgres/0005-politica.sql")),
    (6, include_str!("../../../assets/migrations/postgres/0006-manutencoes-retiradas.sql")),
    (7, include_str!("../../../assets/migrations/postgres/0007-abertura.sql")),
];
/// The newest version.
const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// The oldest server that will do, as `server_version_num` counts.
const OLDEST_SERVER: i64 = 130_000;
/// The tries to make the schema while others make it too, and the pause between them.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of the server after its check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Whether a COMMIT waits for another machine.
    pub has_synchronous_standby: bool,
}

/// Checks the server's settings.
pub async fn check(client: &Client, at: &str) -> Result<Server, OpenError> {
    let unreachable = |reason: String| OpenError::Unreachable { at: at.to_owned(), reason };
    // A setting that the server does not have is NULL: others than PostgreSQL speak its protocol too.
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num', true)::bigint, current_setting('server_version', true),
             current_setting('synchronous_commit', true), current_setting('fsync', true), current_setting('server_encoding', true),
             current_setting('synchronous_standby_names', true)",
            &[],
        )
        .await
        .map_err(|error| unreachable(Error::from(error).to_string()))?;
    let text = |index| get::<Option<String>>(&row, index).map_err(|error| unreachable(error.to_string()));
    let number: Option<i64> = get(&row, 0).map_err(|error| unreachable(error.to_string()))?;
    if number.is_some_and(|number| number < OLDEST_SERVER) {
        let found = text(1)?.unwrap_or_default();
        return Err(OpenError::OldServer { at: at.to_owned(), found, oldest: OLDEST_SERVER / 10_000 });
    }
    for (index, setting) in [(2, "synchronous_commit"), (3, "fsync")] {
        if text(index)?.as_deref() == Some("off") {
            return Err(OpenError::Unsafe { at: at.to_owned(), setting });
        }
    }
    if let Some(found) = text(4)?.filter(|encoding| !encoding.eq_ignore_ascii_case("UTF8")) {
        return Err(OpenError::Encoding { at: at.to_owned(), found });
    }
    let standbys = text(5)?.unwrap_or_default();
    // With `local` no COMMIT waits for a standby.
    let waits = text(2)?.as_deref() != Some("local");
    Ok(Server { has_synchronous_standby: waits && !standbys.trim().is_empty() })
}

/// Makes the tables of a kind, or brings them up to date.
pub async fn prepare(client: &mut Client, kind: DatabaseKind, at: &str) -> Result<(), OpenError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_to_prepare(client, kind).await {
            Ok(found) if found > NEWEST => return Err(OpenError::Newer { at: at.to_owned(), found, known: NEWEST }),
            Ok(_) => return Ok(()),
            Err(error) if tries < TRIES && is_anothers(&error) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                let (schema, reason) = (kind.schema(), error.to_string());
                return Err(OpenError::Tables { at: at.to_owned(), schema, reason });
            }
        }
    }
}

/// Whether somebody else is making the same things.
fn is_anothers(error: &Error) -> bool {
    let making = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::LOCK_NOT_AVAILABLE,
    ];
    let is_one = |error: &tokio_postgres::Error| error.code().is_some_and(|code| making.contains(code));
    error.is_passing() || matches!(error, Error::Database(error) if is_one(error))
}

/// The version that the tables had, or have now.
async fn try_to_prepare(client: &mut Client, kind: DatabaseKind) -> Result<i64, Error> {
    let schema = kind.schema();
    let known = client.query_opt("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", &[&schema]).await?;
    if known.is_none() {
        client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
    }
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS esquema (id BIGINT PRIMARY KEY CHECK (id = 1), versao BIGINT NOT NULL);
             INSERT INTO esquema (id, versao) VALUES (1, 0) ON CONFLICT (id) DO NOTHING",
        )
        .await?;
    let transaction = client.transaction().await?;
    let row = transaction.query_one("SELECT versao FROM esquema WHERE id = 1 FOR UPDATE", &[]).await?;
    let version: i64 = get(&row, 0)?;
    if version >= NEWEST {
        return Ok(version);
    }
    for (_, migration) in MIGRATIONS.iter().filter(|(leads_to, _)| version < *leads_to) {
        transaction.batch_execute(migration).await?;
    }
    if version == 0 {
        begin_trail(&transaction).await?;
    }
    transaction.execute("UPDATE esquema SET versao = $1 WHERE id = 1", &[&NEWEST]).await?;
    transaction.commit().await?;
    Ok(NEWEST)
}

/// Gives the trail its random identity, with which its hash chain begins.
async fn begin_trail(transaction: &Transaction<'_>) -> Result<(), Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| Error::Unreadable(error.to_string()))?;
    let identity = base16ct::lower::encode_string(&random);
    let head = ChainHead::genesis(&identity);
    transaction
        .execute("INSERT INTO trilha (id, identidade, seq, hash) VALUES (1, $1, 0, $2)", &[&identity, &head.hash])
        .await?;
    Ok(())
}
