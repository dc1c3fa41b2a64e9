//! What the threads of a register share: what is known, and who is told of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::error::RegisterError;
use super::known::Known;
use super::records::Records;

/// The register in memory.
pub(super) struct Shared {
    /// Each request reads it, so a reader writes to no memory that other readers use.
    known: ArcSwap<Known>,
    /// When the file was last found to say what is known, in milliseconds since `origin`.
    looked_ms: AtomicU64,
    origin: Instant,
    /// Held from reading the file until it is known, so that what is older never replaces what is newer.
    pub(super) learning: Mutex<()>,
    /// Is told each time that something else may be known.
    pub(super) changed: watch::Sender<()>,
    pub(super) stop: AtomicBool,
    /// Whether a caller was identified since the last look at the file.
    asked: AtomicBool,
    /// Whether the watching thread rests, or will after its next look if no caller is identified until then.
    rests: AtomicBool,
    /// How many looks at the file have begun.
    pub(super) begun: AtomicU64,
    /// How many have ended.
    pub(super) ended: watch::Sender<u64>,
}

impl Shared {
    /// What the file says now.
    pub(super) fn new(known: Known) -> Self {
        Self {
            known: ArcSwap::from_pointee(known),
            looked_ms: AtomicU64::new(0),
            origin: Instant::now(),
            learning: Mutex::new(()),
            changed: watch::Sender::new(()),
            stop: AtomicBool::new(false),
            asked: AtomicBool::new(true),
            rests: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(0),
        }
    }

    /// What is known.
    pub(super) fn read(&self) -> Guard<Arc<Known>> {
        self.known.load()
    }

    /// A caller is identified. Each request comes here, so this is written only once between two looks at the file. Returns whether the
    /// watching thread rests, and has to be woken.
    #[must_use]
    pub(super) fn ask(&self) -> bool {
        if self.asked.load(Ordering::SeqCst) {
            return false;
        }
        self.asked.store(true, Ordering::SeqCst);
        self.rests.swap(false, Ordering::SeqCst)
    }

    /// Whether the file has to be looked at: a caller was identified since this was last called, or a stream waits for changes.
    pub(super) fn matters(&self) -> bool {
        self.asked.swap(false, Ordering::SeqCst) || self.changed.receiver_count() > 0
    }

    /// Notes whether the watching thread may rest, which [`Self::matters`] has said. Returns whether the thread rests now. The first note
    /// that it may only makes callers wake it from now on; after one more look at the file the second note lets it rest. Without that, a
    /// caller who comes between `matters` and the first note would wake nobody.
    pub(super) fn rest(&self, may_rest: bool) -> bool {
        self.rests.swap(may_rest, Ordering::SeqCst) && may_rest
    }

    /// Whether the watching thread rests, or will soon.
    #[cfg(test)]
    pub(super) fn rests(&self) -> bool {
        self.rests.load(Ordering::SeqCst)
    }

    /// The file was found to say what is known, a moment ago.
    pub(super) fn looked(&self) {
        self.looked_ms.store(self.elapsed_ms(), Ordering::Release);
    }

    /// How long ago that was.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms().saturating_sub(self.looked_ms.load(Ordering::Acquire)))
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Replaces what is known by what the file says.
    pub(super) fn learn(&self, file: &dyn Records) -> Result<(), RegisterError> {
        let _learning = self.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Known::of(file.all()?, file.sessions()?, file.calendars()?);
        let fresh = Arc::new(fresh);
        let old = self.known.swap(Arc::clone(&fresh));
        self.looked();
        // After the swap, so that no use is noted where nobody reads it; a reader that still has the old one notes a use of this instant.
        fresh.keep_uses(&old);
        self.changed.send_replace(());
        Ok(())
    }
}
