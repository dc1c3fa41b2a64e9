//! What the threads of a register share: what is known, and who is told of it.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch;

use super::error::RegisterError;
use super::file::RegisterFile;
use super::known::Known;

/// The register in memory.
pub(super) struct Shared {
    pub(super) known: RwLock<Known>,
    /// Held from reading the file until it is known, so that what is older never replaces what is newer.
    pub(super) learning: Mutex<()>,
    /// Is told each time that something else may be known.
    pub(super) changed: watch::Sender<()>,
    pub(super) stop: AtomicBool,
    /// How many looks at the file have begun.
    pub(super) begun: AtomicU64,
    /// How many have ended.
    pub(super) ended: watch::Sender<u64>,
}

impl Shared {
    /// What is known.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what is known by what the file says.
    pub(super) fn learn(&self, file: &RegisterFile) -> Result<(), RegisterError> {
        let _learning = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Known::of(file.all()?, file.sessions()?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        fresh.keep_uses(&known);
        *known = fresh;
        drop(known);
        self.changed.send_replace(());
        Ok(())
    }
}
