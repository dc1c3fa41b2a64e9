//! A thread that watches the exporter's thread.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::health::Health;
use super::lock;

/// Tells the other processes that this process is the exporter and its write does not end. A disk that does not answer gives no
/// error, so the writing thread itself cannot tell. After a pause of the whole process a write soon ends: the same write must
/// be seen twice.
pub fn watch(path: &Path, health: &Health, ends: &mpsc::Receiver<()>, (every, too_long): (Duration, Duration)) {
    let mut before = None;
    while matches!(ends.recv_timeout(every), Err(RecvTimeoutError::Timeout)) {
        let stalled = health.stalled_step(too_long);
        if let Some((step, reason)) = &stalled
            && before == Some(*step)
            && health.may_tell_stall()
        {
            lock::tell_at(path, reason);
            // The flag is set again: if the write ended in between, the next round still removes the fault.
            health.may_tell_stall();
        }
        before = stalled.map(|(step, _)| step);
    }
}
