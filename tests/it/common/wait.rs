//! Waiting on a condition, and never on a time.

use std::time::{Duration, Instant};

/// How long a condition, or an answer, is waited for before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Checks `condition` until it holds, and fails the test if it does not hold in time.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
