//! Watching the thread that writes the trail, from another one.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::health::Health;
use super::lock;

/// Tells the others that the exporter, which is this process, does not end its write: a disk that does not answer gives no
/// error, and the writing thread cannot say it. A process that was paused ends it soon after it goes on: that is no fault.
pub fn watch(path: &Path, health: &Health, ends: &mpsc::Receiver<()>, (every, too_long): (Duration, Duration)) {
    let mut before = None;
    while matches!(ends.recv_timeout(every), Err(RecvTimeoutError::Timeout)) {
        let stalled = health.stalled_step(too_long);
        if let Some((step, reason)) = &stalled
            && before == Some(*step)
            && health.may_tell_stall()
        {
            lock::tell_at(path, reason);
            // Noted once more: if the write has ended just now, the next round takes it back.
            health.may_tell_stall();
        }
        before = stalled.map(|(step, _)| step);
    }
}
