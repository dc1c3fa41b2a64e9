//! The statements of the shared register. A change of several is one transaction.

use deadpool_postgres::{Client, GenericClient, Transaction};
use tokio_postgres::Row;

use crate::access::Author;
use crate::access::calendar::{self, CALENDARS_MAX, Calendar, Shows};
use crate::access::entry::{EmailRule, Entry, NoEntry, completed, decide};
use crate::access::register::RegisterError;
use crate::access::register::credential::{self, Credential, NewCredential, Stored, other_of_name};
use crate::access::session::{IDLE, LONGEST, SEEN_EVERY, SESSIONS_MAX};
use crate::access::subject::{Identified, Subject};
use crate::access::token::Digest;
use crate::store::postgres::ask::{self, Value};
use crate::store::postgres::errors::Error;
use crate::store::postgres::rows::get;
use crate::time::{Timestamp, micros};

/// What comes of a change: it may be refused by what the register has.
pub type Changed<T> = Result<Result<T, RegisterError>, Error>;

/// Begins a change, which nobody else makes at the same time, and which is durable after its COMMIT.
pub async fn begin(client: &mut Client) -> Result<Transaction<'_>, Error> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute("SET LOCAL synchronous_commit TO DEFAULT; UPDATE registro SET versao = versao + 1 WHERE id = 1")
        .await?;
    Ok(transaction)
}

/// The number of the next row of a table whose rows are never deleted.
pub async fn next_id(client: &impl GenericClient, table: &str) -> Result<i64, Error> {
    let row = client.query_one(&format!("SELECT coalesce(max(id), 0) + 1 FROM {table}"), &[]).await?;
    get(&row, 0)
}

pub async fn credentials(
    client: &impl GenericClient,
    rest: &str,
    values: &[Value<'_>],
) -> Result<Vec<Credential>, Error> {
    let sql = format!("SELECT {} FROM credencial {rest}", credential::COLUMNS);
    ask::rows(client, &sql, values).await?.iter().map(of_row).collect()
}

pub async fn one(client: &impl GenericClient, id: i64) -> Result<Option<Credential>, Error> {
    Ok(credentials(client, "WHERE id = $1", &[&id]).await?.into_iter().next())
}

fn of_row(row: &Row) -> Result<Credential, Error> {
    let stored = Stored {
        id: get(row, 0)?,
        digest: get::<Option<&[u8]>>(row, 1)?.map(digest_of).transpose()?,
        name: get(row, 2)?,
        roles: get(row, 3)?,
        scientist: get(row, 4)?,
        prefixes: get(row, 5)?,
        created_by: get(row, 6)?,
        created_us: get(row, 7)?,
        expires_us: get(row, 8)?,
        revoked_us: get(row, 9)?,
        last_day: get(row, 10)?,
        last_ip: get(row, 11)?,
        issuer: get(row, 12)?,
        subject: get(row, 13)?,
        email: get(row, 14)?,
    };
    stored.credential().map_err(|what| Error::Unreadable(format!("a credential makes no sense: {what}")))
}

pub fn digest_of(bytes: &[u8]) -> Result<[u8; 32], Error> {
    bytes.try_into().map_err(|_| Error::Unreadable("a digest does not have 32 bytes".to_owned()))
}

/// Inserts a credential by which a token or a subject is recognised, and returns its number.
pub async fn insert(
    client: &impl GenericClient,
    new: &NewCredential,
    (digest, subject): (Option<Digest>, Option<&Subject>),
    by: &Author,
    now: Timestamp,
) -> Result<i64, Error> {
    let (id, principal) = (next_id(client, "credencial").await?, &new.principal);
    let prefixes = serde_json::to_string(&principal.prefixes).unwrap_or_default();
    let digest = digest.map(|digest| digest.as_bytes().to_vec());
    let values: [Value<'_>; 12] = [
        &id,
        &digest,
        &subject.map(|subject| &subject.issuer),
        &subject.and_then(|subject| subject.subject.as_ref()),
        &subject.and_then(|subject| subject.email.as_ref()),
        &principal.name.as_str(),
        &principal.roles.to_string(),
        &principal.scientist,
        &prefixes,
        &by.as_str(),
        &now.as_micros(),
        &new.expires.map(Timestamp::as_micros),
    ];
    let sql = "INSERT INTO credencial (id, resumo, emissor, sujeito, email, nome, papeis, cientista_id, prefixos, criada_por, criada_em,
         expira_em) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    client.execute(sql, &values).await?;
    Ok(id)
}

/// The valid credential of another principal that has the name of a new one, if there is one.
pub async fn other(
    client: &impl GenericClient,
    new: &NewCredential,
    now: Timestamp,
) -> Result<Option<Credential>, Error> {
    let same_name = credentials(client, "WHERE nome = $1", &[&new.principal.name.as_str()]).await?;
    Ok(other_of_name(same_name, new, now))
}

pub async fn revoke_all(client: &impl GenericClient, all: &[Credential], now: Timestamp) -> Result<(), Error> {
    let ids: Vec<i64> = all.iter().map(|credential| credential.id).collect();
    let sql = "UPDATE credencial SET revogada_em = $2 WHERE id = ANY($1) AND revogada_em IS NULL";
    client.execute(sql, &[&ids, &now.as_micros()]).await?;
    Ok(())
}

/// Gives a person who has just signed in a credential, or finds it.
pub async fn enter(
    client: &mut Client,
    identified: &Identified,
    rule: Option<&EmailRule>,
    by: &Author,
    now: Timestamp,
) -> Result<Result<Credential, NoEntry>, Error> {
    let transaction = begin(client).await?;
    let rest = "WHERE emissor = $1 AND (sujeito = $2 OR (sujeito IS NULL AND email = $3)) ORDER BY id";
    let values: [Value<'_>; 3] = [&identified.issuer, &identified.subject, &identified.email];
    let found = credentials(&transaction, rest, &values).await?;
    let decided = decide(&found, identified, (rule, by), now);
    if let Ok(Entry::Known(id) | Entry::Bind(id)) = decided {
        // An older tie that still waits for the address must not be the next person's who has it.
        let others: Vec<_> = found.into_iter().filter(|other| other.id != id).collect();
        revoke_all(&transaction, &others, now).await?;
    }
    let id = match decided {
        Err(no_entry) => return Ok(Err(no_entry)),
        Ok(Entry::Known(id)) => id,
        Ok(Entry::Bind(id)) => {
            let sql = "UPDATE credencial SET sujeito = $2 WHERE id = $1";
            transaction.execute(sql, &[&id, &identified.subject]).await?;
            id
        }
        Ok(Entry::New(new)) => {
            if other(&transaction, &new, now).await?.is_some() {
                return Ok(Err(NoEntry::NameTaken));
            }
            insert(&transaction, &new, (None, Some(&identified.subject())), by, now).await?
        }
    };
    let credential = one(&transaction, id).await?;
    transaction.commit().await?;
    credential.map(Ok).ok_or_else(|| Error::Unreadable("a credential has gone".to_owned()))
}

/// Ties a subject to a principal, and returns the number of the credential.
pub async fn tie(
    client: &mut Client,
    subject: &Subject,
    new: &NewCredential,
    by: &Author,
    now: Timestamp,
) -> Changed<i64> {
    let transaction = begin(client).await?;
    let before = if let Some(name) = &subject.subject {
        let rest = "WHERE emissor = $1 AND sujeito = $2 ORDER BY id";
        credentials(&transaction, rest, &[&subject.issuer, name]).await?
    } else {
        let rest = "WHERE emissor = $1 AND email = $2 ORDER BY id";
        credentials(&transaction, rest, &[&subject.issuer, &subject.email]).await?
    };
    let subject = completed(subject, &before);
    revoke_all(&transaction, &before, now).await?;
    if let Some(other) = other(&transaction, new, now).await? {
        return Ok(Err(RegisterError::other_principal(&other)));
    }
    let id = insert(&transaction, new, (None, Some(&subject)), by, now).await?;
    transaction.commit().await?;
    Ok(Ok(id))
}

/// Begins a session of a credential.
pub async fn begin_session(
    client: &mut Client,
    session: &Digest,
    credential: i64,
    now: Timestamp,
) -> Result<(), Error> {
    let before = |span| now.as_micros().saturating_sub(i64::try_from(micros(span)).unwrap_or(i64::MAX));
    // Another scheduler may know of a use that is not stored yet.
    let (longest, idle) = (before(LONGEST), before(IDLE + 2 * SEEN_EVERY));
    let others = i64::from(SESSIONS_MAX - 1);
    let transaction = begin(client).await?;
    transaction
        .execute(
            "DELETE FROM sessao WHERE criada_em <= $1 OR vista_em <= $2
             OR credencial_id IN (SELECT id FROM credencial WHERE revogada_em IS NOT NULL)",
            &[&longest, &idle],
        )
        .await?;
    transaction
        .execute(
            "DELETE FROM sessao WHERE credencial_id = $1 AND resumo NOT IN
             (SELECT resumo FROM sessao WHERE credencial_id = $1 ORDER BY vista_em DESC, resumo LIMIT $2)",
            &[&credential, &others],
        )
        .await?;
    transaction
        .execute(
            "INSERT INTO sessao (resumo, credencial_id, criada_em, vista_em) VALUES ($1, $2, $3, $3)",
            &[&session.as_bytes().as_slice(), &credential, &now.as_micros()],
        )
        .await?;
    Ok(transaction.commit().await?)
}

pub async fn calendars(client: &impl GenericClient, rest: &str, values: &[Value<'_>]) -> Result<Vec<Calendar>, Error> {
    let of_row = |row: &Row| {
        let stored = calendar::Stored {
            id: get(row, 0)?,
            digest: digest_of(get(row, 1)?)?,
            telescope: get(row, 2)?,
            scientist: get(row, 3)?,
            owner: get(row, 4)?,
            created_us: get(row, 5)?,
            revoked_us: get(row, 6)?,
        };
        stored.calendar().map_err(|what| Error::Unreadable(format!("the address of a calendar does not have {what}")))
    };
    let sql = format!("SELECT {} FROM calendario {rest}", calendar::COLUMNS);
    ask::rows(client, &sql, values).await?.iter().map(of_row).collect()
}

/// Makes the address of a calendar, if its owner may have one more, and returns its number.
pub async fn make_calendar(
    client: &mut Client,
    digest: &Digest,
    shows: &Shows,
    owner: &Author,
    now: Timestamp,
) -> Result<Option<i64>, Error> {
    let transaction = begin(client).await?;
    let sql = "SELECT count(*) FROM calendario WHERE dono = $1 AND revogado_em IS NULL";
    let count: i64 = get(&transaction.query_one(sql, &[&owner.as_str()]).await?, 0)?;
    if count >= i64::from(CALENDARS_MAX) {
        return Ok(None);
    }
    let id = next_id(&transaction, "calendario").await?;
    transaction
        .execute(
            "INSERT INTO calendario (id, resumo, telescopio, cientista_id, dono, criado_em) VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                &id,
                &digest.as_bytes().as_slice(),
                &shows.telescope(),
                &shows.scientist(),
                &owner.as_str(),
                &now.as_micros(),
            ],
        )
        .await?;
    transaction.commit().await?;
    Ok(Some(id))
}

/// Changes rows by one statement, and tells how many.
pub async fn execute(client: &mut Client, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
    let transaction = begin(client).await?;
    let changed = transaction.execute(sql, values).await?;
    transaction.commit().await?;
    Ok(changed)
}
