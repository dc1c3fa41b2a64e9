//! How much of its rate each client has used: one number for each, in a table of bounded size.
//!
//! The number is the client's theoretical arrival time, as `governor` calculates it: the instant at which the client has its whole burst
//! again. A client that has it is the same as one that is not in the table, so it may be forgotten at any time. When a shard of the table
//! is full, those are forgotten that have used least. A flood of new addresses so drives out its own members, which have sent one
//! request each, and a client that has used its rate up cannot be driven out to begin anew, unless thousands of others have used up
//! more.
//!
//! # Locking
//!
//! A known client is looked up under a read lock, and its number is changed by one atomic exchange. The write lock of one shard is held
//! to enter a client, and to forget some.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

/// Parts of a table, each with a lock of its own.
const SHARDS: usize = 64;
/// The most clients of one shard: as many as a hash map of 1024 places takes.
const EACH: usize = 896;
/// When a shard is full, one of so many is forgotten.
const FORGOTTEN_SHARE: usize = 16;

/// What is known of one client.
struct Entry {
    /// When it has its whole burst again, in nanoseconds since the limiter began.
    whole_at: AtomicU64,
    /// When its refusal was last told to the log, on the same clock; zero if it was not.
    told_at: AtomicU64,
}

impl Entry {
    fn measure<T, E>(&self, decide: impl Fn(Option<Nanos>) -> Result<(T, Nanos), E>) -> Result<T, E> {
        let mut found = self.whole_at.load(Ordering::Relaxed);
        loop {
            let (outcome, next) = decide(Some(found.into()))?;
            match self.whole_at.compare_exchange_weak(found, next.into(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(outcome),
                Err(changed) => found = changed,
            }
        }
    }
}

/// The clients of one shard.
type Shard<K> = HashMap<K, Entry>;

/// What is known of all clients. Clones share it.
pub(super) struct Table<K> {
    shards: Arc<[RwLock<Shard<K>>]>,
    /// With keys that nobody outside can guess, so that no one can aim at one shard.
    hasher: RandomState,
    each: usize,
}

impl<K> Clone for Table<K> {
    fn clone(&self) -> Self {
        Self { shards: Arc::clone(&self.shards), hasher: self.hasher.clone(), each: self.each }
    }
}

impl<K: Hash + Eq + Clone> Table<K> {
    /// An empty table for [`SHARDS`] × [`EACH`] clients.
    pub fn new() -> Self {
        Self::of(SHARDS, EACH)
    }

    fn of(shards: usize, each: usize) -> Self {
        Self { shards: (0..shards).map(|_| RwLock::default()).collect(), hasher: RandomState::new(), each }
    }

    fn shard(&self, key: &K) -> &RwLock<Shard<K>> {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or_default();
        &self.shards[hash % self.shards.len()]
    }

    /// Uses `more` of a client's rate, whether the client has that much left or not. But a client whose whole burst comes back later than
    /// at `latest` owes already: it is given `back` what it has used for this request, and the error says when its whole burst then comes
    /// back. So requests at one time do not add their debts up. All in nanoseconds.
    pub fn owe(&self, key: &K, more: u64, latest: u64, back: u64) -> Result<(), u64> {
        let entries = read(self.shard(key));
        let Some(entry) = entries.get(key) else { return Ok(()) };
        let next = |whole_at: u64| {
            if whole_at <= latest { whole_at.saturating_add(more) } else { whole_at.saturating_sub(back) }
        };
        let before = entry.whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |found| Some(next(found)));
        // It always changes, so both are the same.
        let (Ok(before) | Err(before)) = before;
        if before <= latest { Ok(()) } else { Err(next(before)) }
    }

    /// Whether a refusal of the client is to be told `now`: the last one was told at least `pause` ago. It counts as told then.
    pub fn tells(&self, key: &K, now: u64, pause: u64) -> bool {
        let entries = read(self.shard(key));
        let Some(entry) = entries.get(key) else { return true };
        let due = |told: u64| (told == 0 || now.saturating_sub(told) >= pause).then_some(now.max(1));
        entry.told_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }
}

impl<K: Hash + Eq + Clone> StateStore for Table<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let shard = self.shard(key);
        if let Some(entry) = read(shard).get(key) {
            return entry.measure(f);
        }
        let mut entries = write(shard);
        if let Some(entry) = entries.get(key) {
            // Another request of the client came in between.
            return entry.measure(f);
        }
        let (outcome, whole_at) = f(None)?;
        if entries.len() >= self.each {
            forget(&mut entries);
        }
        entries.insert(key.clone(), Entry { whole_at: AtomicU64::new(whole_at.into()), told_at: AtomicU64::new(0) });
        Ok(outcome)
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for Table<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &*self.shards {
            let mut entries = write(shard);
            entries.retain(|_, entry| *entry.whole_at.get_mut() > drop_below.as_u64());
            if entries.len() < entries.capacity() / 4 {
                entries.shrink_to_fit();
            }
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| read(shard).len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Forgets the clients that have used least.
fn forget<K>(entries: &mut Shard<K>) {
    let mut used: Vec<u64> = entries.values_mut().map(|entry| *entry.whole_at.get_mut()).collect();
    let mut left = (used.len() / FORGOTTEN_SHARE).max(1);
    let Some(index) = left.checked_sub(1).filter(|index| *index < used.len()) else { return };
    let most = *used.select_nth_unstable(index).1;
    entries.retain(|_, entry| {
        let goes = left > 0 && *entry.whole_at.get_mut() <= most;
        left -= usize::from(goes);
        !goes
    });
}

fn read<K>(shard: &RwLock<Shard<K>>) -> RwLockReadGuard<'_, Shard<K>> {
    // A panic cannot leave the map half changed.
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<K>(shard: &RwLock<Shard<K>>) -> RwLockWriteGuard<'_, Shard<K>> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses so much of a client's rate.
    fn uses(table: &Table<u32>, key: u32, nanos: u64) {
        let replace = |found: Option<Nanos>| Ok::<_, ()>(((), Nanos::new(found.map_or(0, Nanos::as_u64) + nanos)));
        table.measure_and_replace(&key, replace).unwrap();
    }

    fn used(table: &Table<u32>, key: u32) -> Option<u64> {
        read(table.shard(&key)).get(&key).map(|entry| entry.whole_at.load(Ordering::Relaxed))
    }

    #[test]
    fn a_flood_of_clients_drives_out_its_own_and_no_client_that_has_used_more() {
        let table = Table::of(4, 64);
        for key in 0..32 {
            uses(&table, key, 1000);
        }
        for key in 1000..100_000 {
            uses(&table, key, 1);
        }
        assert!(table.len() <= 4 * 64, "{}", table.len());
        assert!((0..32).all(|key| used(&table, key) == Some(1000)));
        assert_eq!(used(&table, 99_999), Some(1), "the newest is never the one to go");
    }

    #[test]
    fn clients_that_have_their_burst_again_are_forgotten() {
        let table = Table::of(4, 64);
        for key in 0..100 {
            uses(&table, key, u64::from(key));
        }
        table.retain_recent(Nanos::new(98));
        assert_eq!((table.len(), used(&table, 99)), (1, Some(99)));
        table.retain_recent(Nanos::new(99));
        assert!(table.is_empty());
    }

    #[test]
    fn a_debt_adds_to_what_was_used() {
        let table = Table::new();
        uses(&table, 1, 10);
        assert_eq!((table.owe(&1, 5, 10, 1), table.owe(&2, 5, 10, 1)), (Ok(()), Ok(())));
        assert_eq!((used(&table, 1), used(&table, 2)), (Some(15), None));
        // It owes now.
        assert_eq!((table.owe(&1, 5, 12, 1), used(&table, 1)), (Err(14), Some(14)));
    }

    #[test]
    fn a_refusal_is_told_once_in_a_while() {
        let table = Table::new();
        uses(&table, 1, 10);
        let told: Vec<_> = [5, 6, 104, 105, 106].map(|now| table.tells(&1, now, 100)).into();
        assert_eq!(told, [true, false, false, true, false]);
    }
}
