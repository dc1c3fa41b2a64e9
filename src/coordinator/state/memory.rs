//! Durable limits in memory, for tests: a test makes writes fail, takes the record away, or loses the hold.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::{DurableState, Hold, StateError, ttl_step};

/// The limits; its clones are the same.
#[derive(Clone, Default)]
pub struct MemoryState(Arc<Mutex<Limits>>);

/// What a test sees and sets.
#[derive(Default)]
pub struct Limits {
    pub token_limit: u64,
    pub longest_ttl: Duration,
    /// Every write fails with this.
    pub fault: Option<String>,
    /// The hold is lost.
    pub lost: bool,
    /// The record was taken away.
    pub taken_away: bool,
}

impl MemoryState {
    pub fn limits(&self) -> MutexGuard<'_, Limits> {
        self.0.lock().unwrap()
    }

    fn write(&self, change: impl FnOnce(&mut Limits)) -> Result<(), StateError> {
        let mut limits = self.limits();
        if let Some(fault) = &limits.fault {
            return Err(StateError::NotWritten(fault.clone()));
        }
        change(&mut limits);
        limits.taken_away = false;
        Ok(())
    }
}

impl DurableState for MemoryState {
    fn token_limit(&self) -> u64 {
        self.limits().token_limit
    }

    fn longest_ttl(&self) -> Duration {
        self.limits().longest_ttl
    }

    fn reserve_tokens(&mut self, needed: u64) -> Result<u64, StateError> {
        self.write(|limits| limits.token_limit = limits.token_limit.max(needed))?;
        Ok(self.token_limit())
    }

    fn reserve_ttl(&mut self, ttl: Duration) -> Result<Duration, StateError> {
        self.write(|limits| limits.longest_ttl = limits.longest_ttl.max(ttl_step(ttl)))?;
        Ok(self.longest_ttl())
    }

    fn lower_ttl(&mut self, ttl: Duration) -> Result<(), StateError> {
        self.write(|limits| limits.longest_ttl = limits.longest_ttl.min(ttl))
    }

    fn put_back(&mut self) -> Result<(), StateError> {
        self.write(|_| {})
    }

    fn hold(&self) -> Arc<dyn Hold> {
        Arc::new(self.clone())
    }
}

impl Hold for MemoryState {
    fn lost(&self) -> Option<String> {
        self.limits().lost.then(|| "perdido".to_owned())
    }

    fn has_state(&self) -> bool {
        !self.limits().taken_away
    }
}
