//! A thread that watches the exporter's thread.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::health::Health;
use super::lock;

/// One look that is not needed costs nothing.
const REST: Duration = Duration::from_secs(3600);

/// Tells the other processes that this process is the exporter and its write does not end. A disk that does not answer gives no
/// error, so the writing thread itself cannot tell. After a pause of the whole process a write soon ends: the same write must
/// be seen twice. While the exporter's thread rests, so does this one: a message of `ends` ends that, and its closing ends the thread.
pub fn watch(path: &Path, health: &Health, ends: &mpsc::Receiver<()>, (every, too_long): (Duration, Duration)) {
    let mut before = None;
    loop {
        let pause = if health.rests() { REST } else { every };
        match ends.recv_timeout(pause) {
            Ok(()) => continue,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
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
