//! Durable limits in memory, for tests: a test makes writes fail, takes the record away, or loses the hold.

use std::sync::{Arc, Mutex, MutexGuard};

use super::{DurableState, Hold, Limits, StateError};

/// The limits; its clones are the same.
#[derive(Clone, Default)]
pub struct MemoryState(Arc<Mutex<Contents>>);

/// What a test sets.
#[derive(Default)]
pub struct Contents {
    limits: Limits,
    /// Every write fails with this.
    pub fault: Option<String>,
    /// The hold is lost.
    pub lost: bool,
    /// The record was taken away.
    pub taken_away: bool,
}

impl MemoryState {
    pub fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }
}

impl DurableState for MemoryState {
    fn limits(&self) -> Limits {
        self.contents().limits
    }

    fn write(&mut self, limits: Limits) -> Result<(), StateError> {
        let mut contents = self.contents();
        if let Some(fault) = &contents.fault {
            return Err(StateError::NotWritten(fault.clone()));
        }
        (contents.limits, contents.taken_away) = (limits, false);
        Ok(())
    }

    fn is_recorded(&self) -> bool {
        self.has_state()
    }

    fn hold(&self) -> Arc<dyn Hold> {
        Arc::new(self.clone())
    }

    /// No token beyond `needed`, so that a test sees each write.
    fn reserve_tokens(&mut self, needed: u64) -> Result<u64, StateError> {
        let limits = self.limits();
        self.write(Limits { token_limit: limits.token_limit.max(needed), ..limits })?;
        Ok(self.limits().token_limit)
    }
}

impl Hold for MemoryState {
    fn lost(&self) -> Option<String> {
        self.contents().lost.then(|| "perdido".to_owned())
    }

    fn has_state(&self) -> bool {
        !self.contents().taken_away
    }
}
