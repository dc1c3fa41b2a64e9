//! The keys that sign time tokens: read, added, and their private halves erased.

use deadpool_postgres::{Client, GenericClient};
use tokio_postgres::Row;

use super::ask;
use super::errors::Error;
use super::rows::{get, required};
use crate::clock::keys::{PublicKey, SigningKey, renew};
use crate::store::SIGNING_KEYS;

/// The newest keys, at most so many, the newest last.
pub async fn load(client: &impl GenericClient, most: u32) -> Result<Vec<SigningKey>, Error> {
    let sql = "SELECT publica, semente, criada_us FROM chaves_de_hora ORDER BY id DESC LIMIT $1";
    let mut keys = ask::rows(client, sql, &[&i64::from(most)]).await?.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    keys.reverse();
    Ok(keys)
}

/// Adds the offered key if a new one is needed, and erases private halves that are over. The answer is what [`load`] gives then.
pub async fn offer(client: &mut Client, offered: SigningKey) -> Result<Vec<SigningKey>, Error> {
    let transaction = client.transaction().await?;
    // Several schedulers may offer one at once: the second one finds the key of the first. What a key has signed is verified long after, so a
    // key must not be lost with the server.
    let begin = "SET LOCAL synchronous_commit TO DEFAULT; SELECT versao FROM esquema WHERE id = 1 FOR UPDATE";
    transaction.batch_execute(begin).await?;
    let renewal = renew(&load(&transaction, SIGNING_KEYS).await?, offered.made_at);
    for public in &renewal.forgotten {
        transaction
            .execute("UPDATE chaves_de_hora SET semente = NULL WHERE publica = $1", &[&public.as_slice()])
            .await?;
    }
    if renewal.is_added {
        let SigningKey { public, seed, made_at } = &offered;
        let seed = seed.as_ref().map(<[u8; 32]>::as_slice);
        let sql = "INSERT INTO chaves_de_hora (id, publica, semente, criada_us)
             SELECT coalesce(max(id), 0) + 1, $1, $2, $3 FROM chaves_de_hora";
        transaction.execute(sql, &[&public.as_slice(), &seed, &made_at.as_micros()]).await?;
    }
    transaction.commit().await?;
    load(&*client, SIGNING_KEYS).await
}

fn key(row: &Row) -> Result<SigningKey, Error> {
    let half = |bytes: &[u8]| {
        PublicKey::try_from(bytes).map_err(|_| Error::Unreadable("a key does not have 32 bytes".to_owned()))
    };
    let seed: Option<&[u8]> = get(row, 1)?;
    Ok(SigningKey { public: half(get(row, 0)?)?, seed: seed.map(half).transpose()?, made_at: required(row, 2)? })
}
