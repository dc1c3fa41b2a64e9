//! The keys of the requests that are being carried out: a row for each, with the scheduler that holds it and until when.
//!
//! A scheduler renews the rows of the keys that it holds. What it does not renew, because it has died or cannot reach the database, is free
//! after [`TTL`]. So a key may be held twice for a moment; then the answer that is kept with the first commit has the second one undone.
//!
//! # Locking
//!
//! Within the process the set of held keys keeps others away, under a std mutex that is held for a look.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::GenericClient;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, timeout};

use super::errors::Error;
use super::readers::Readers;
use crate::agenda::keeping::Digest;
use crate::store::StoreError;
use crate::time::micros;

/// How long a key stays held that is not renewed, and how often it is.
const TTL: Duration = Duration::from_secs(10);
const RENEWED_EVERY: Duration = Duration::from_secs(3);
/// A key that another scheduler has just given back may still have its row: it is asked for once more after this.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// The most keys that are given back by one statement.
const GIVEN_BACK_MAX: usize = 256;

/// The row of a key is taken if nobody holds it any more, and also if this very process has it: then it has given it back, and the removal of
/// the row is still under way.
const HOLD: &str =
    "INSERT INTO chaves (chave, dono, vez, expira_us) VALUES ($1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $4)
     ON CONFLICT (chave) DO UPDATE SET dono = excluded.dono, vez = excluded.vez, expira_us = excluded.expira_us
     WHERE chaves.dono = excluded.dono OR chaves.expira_us < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
const RENEW: &str = "UPDATE chaves SET expira_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $4
     WHERE dono = $1 AND (chave, vez) IN (SELECT * FROM unnest($2::bytea[], $3::bigint[]))";
const GIVE_BACK: &str =
    "DELETE FROM chaves WHERE dono = $1 AND (chave, vez) IN (SELECT * FROM unnest($2::bytea[], $3::bigint[]))";

/// Which keys are held, each with the number of its holding.
type Held = Arc<Mutex<HashMap<Digest, i64>>>;

/// The keys that this process holds.
pub struct Keys {
    readers: Arc<Readers>,
    owner: Arc<str>,
    held: Held,
    /// How often a key was held so far.
    turns: AtomicI64,
    given_back: mpsc::UnboundedSender<(Digest, i64)>,
}

/// A key that is held. Dropping it gives it back.
struct Key {
    digest: Digest,
    turn: i64,
    held: Held,
    given_back: mpsc::UnboundedSender<(Digest, i64)>,
}

impl Keys {
    /// None so far. A task on `runtime` renews them, and ends when these are dropped with all that were held.
    pub fn new(readers: Arc<Readers>, runtime: &Handle) -> Result<Self, getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let owner: Arc<str> = base16ct::lower::encode_string(&random).into();
        let held = Held::default();
        let (given_back, queue) = mpsc::unbounded_channel();
        let keeper = Keeper { readers: Arc::clone(&readers), owner: Arc::clone(&owner), held: Arc::clone(&held) };
        runtime.spawn(keeper.run(queue));
        Ok(Self { readers, owner, held, turns: AtomicI64::new(1), given_back })
    }

    /// Holds a key, unless another request holds it.
    pub async fn hold(&self, key: Digest) -> Result<Option<Box<dyn Send + Sync>>, StoreError> {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        {
            let mut held = lock(&self.held);
            if held.contains_key(&key) {
                return Ok(None);
            }
            held.insert(key, turn);
        }
        // From here on it is given back, even if nobody waits for the answer any more.
        let mine = Key { digest: key, turn, held: Arc::clone(&self.held), given_back: self.given_back.clone() };
        if self.insert(key, turn).await? {
            return Ok(Some(Box::new(mine)));
        }
        tokio::time::sleep(AGAIN_AFTER).await;
        Ok(self.insert(key, turn).await?.then(|| Box::new(mine) as Box<_>))
    }

    async fn insert(&self, key: Digest, turn: i64) -> Result<bool, StoreError> {
        let owner = Arc::clone(&self.owner);
        let hold = self.readers.run(move |client| {
            Box::pin(async move {
                let statement = client.prepare_cached(HOLD).await?;
                let values: [super::ask::Value<'_>; 4] = [&key.as_slice(), &&*owner, &turn, &ttl_us()];
                Ok(client.execute(&statement, &values).await?)
            })
        });
        Ok(hold.await? == 1)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        lock(&self.held).remove(&self.digest);
        // Without the task the row ends by itself.
        let _ = self.given_back.send((self.digest, self.turn));
    }
}

/// Renews the rows of what is held, and removes those of what was given back.
struct Keeper {
    readers: Arc<Readers>,
    owner: Arc<str>,
    held: Held,
}

impl Keeper {
    async fn run(self, mut queue: mpsc::UnboundedReceiver<(Digest, i64)>) {
        let mut ticks = tokio::time::interval(RENEWED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut given_back = Vec::new();
        loop {
            tokio::select! {
                count = queue.recv_many(&mut given_back, GIVEN_BACK_MAX) => {
                    if count == 0 {
                        return;
                    }
                    // A row that cannot be removed now ends by itself. Renewing must not wait for it.
                    let _ = timeout(RENEWED_EVERY, self.change(GIVE_BACK, std::mem::take(&mut given_back))).await;
                }
                _ = ticks.tick() => {
                    let held: Vec<(Digest, i64)> = lock(&self.held).iter().map(|(key, turn)| (*key, *turn)).collect();
                    if !held.is_empty() {
                        // What cannot be renewed now is tried again, until it is over.
                        let _ = timeout(RENEWED_EVERY, self.change(RENEW, held)).await;
                    }
                }
            }
        }
    }

    async fn change(&self, sql: &'static str, keys: Vec<(Digest, i64)>) -> Result<(), StoreError> {
        let owner = Arc::clone(&self.owner);
        let change = self.readers.run(move |client| {
            Box::pin(async move {
                let (digests, turns): (Vec<&[u8]>, Vec<i64>) = keys.iter().map(|(key, turn)| (&key[..], *turn)).unzip();
                let statement = client.prepare_cached(sql).await?;
                let values: [super::ask::Value<'_>; 4] = [&&*owner, &digests, &turns, &ttl_us()];
                let count = if sql == RENEW { 4 } else { 3 };
                client.execute(&statement, &values[..count]).await?;
                Ok::<_, Error>(())
            })
        });
        change.await
    }
}

fn lock(held: &Held) -> MutexGuard<'_, HashMap<Digest, i64>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ttl_us() -> i64 {
    micros(TTL).cast_signed()
}
