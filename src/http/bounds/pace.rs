//! How fast a client reads its answer. It is only asked once a write had to wait, so a client that keeps up costs nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// How often the pace is examined while a write waits.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// For how long a client's pace is measured, as long as there is room for other answers.
const WINDOW: Duration = Duration::from_secs(30);
/// The least bytes in a second, over [`WINDOW`].
const LEAST: u64 = 8 * 1024;
/// The least while more than half of the room for answers is taken, over [`LOOK_EVERY`].
const LEAST_WHEN_TIGHT: u64 = 64 * 1024;
/// A write that comes so long after the last one, which did not wait, belongs to another answer.
const PAUSE: Duration = Duration::from_secs(2);

/// A client's pace, with the timer for the next look at it.
pub struct Pace {
    measure: Measure,
    timer: Pin<Box<Sleep>>,
}

impl Pace {
    /// A client that is waited for from now on.
    pub fn begin() -> Self {
        Self { measure: Measure::begin(Instant::now()), timer: Box::pin(tokio::time::sleep(LOOK_EVERY)) }
    }

    /// The socket took so many bytes.
    pub fn read(&mut self, bytes: usize) {
        let now = Instant::now();
        if self.measure.read(now, bytes) {
            self.timer.as_mut().reset((now + LOOK_EVERY).into());
        }
    }

    /// Completes once the client is too slow. A listener to events has nothing that others need, so it must only read at all.
    pub fn poll_too_slow(&mut self, cx: &mut Context<'_>, is_events: bool, tight: bool) -> Poll<()> {
        self.measure.waited = true;
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if self.measure.is_too_slow(now, is_events, tight) {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset((now + LOOK_EVERY).into());
        }
        Poll::Pending
    }
}

/// How much a client has read since when.
#[derive(Debug)]
struct Measure {
    begun: Instant,
    last: Instant,
    /// Whether a write has waited since the last one that did not.
    waited: bool,
    /// The bytes that the client made room for since then.
    read: u64,
}

impl Measure {
    fn begin(now: Instant) -> Self {
        Self { begun: now, last: now, waited: true, read: 0 }
    }

    /// Counts bytes that were read. Returns whether another answer began with them.
    fn read(&mut self, now: Instant, bytes: usize) -> bool {
        let is_another = now - self.last > PAUSE && !self.waited;
        if is_another {
            (self.begun, self.read) = (now, 0);
        }
        (self.last, self.waited) = (now, false);
        self.read += bytes as u64;
        is_another
    }

    /// Whether the client is too slow. After each [`WINDOW`] it is measured anew.
    fn is_too_slow(&mut self, now: Instant, is_events: bool, tight: bool) -> bool {
        let elapsed = now - self.begun;
        let too_slow = is_too_slow(elapsed, self.read, is_events, tight);
        if elapsed >= WINDOW {
            (self.begun, self.read) = (now, 0);
        }
        too_slow
    }
}

/// Whether a client that has read so many bytes in this time is too slow.
fn is_too_slow(elapsed: Duration, read: u64, is_events: bool, tight: bool) -> bool {
    let slower_than = |least: u64| u128::from(read) * 1000 < u128::from(least) * elapsed.as_millis();
    match (is_events, tight) {
        (true, _) => elapsed >= WINDOW && read == 0,
        (false, true) => elapsed >= LOOK_EVERY && slower_than(LEAST_WHEN_TIGHT),
        (false, false) => elapsed >= WINDOW && slower_than(LEAST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_has_half_a_minute_and_less_while_others_need_the_room() {
        let after = |seconds: u64, read: u64, is_events, tight| {
            is_too_slow(Duration::from_secs(seconds), read, is_events, tight)
        };
        assert!(!after(29, 0, false, false));
        assert!(after(30, 30 * LEAST - 1, false, false));
        assert!(!after(30, 30 * LEAST, false, false));
        assert!(!after(4, 0, false, true));
        assert!(after(5, 5 * LEAST_WHEN_TIGHT - 1, false, true));
        assert!(!after(5, 5 * LEAST_WHEN_TIGHT, false, true));
        assert!(after(30, 0, true, true) && !after(30, 1, true, true) && !after(29, 0, true, true));
    }

    #[test]
    fn the_time_between_two_answers_does_not_count_and_that_of_a_write_does() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut measure = Measure::begin(begun);
        assert!(!measure.read(at(1), 10));
        // The next answer: one write fits, the next one waits.
        assert!(measure.read(at(100), 100_000));
        measure.waited = true;
        assert!(!measure.is_too_slow(at(129), false, false));
        assert!(measure.is_too_slow(at(130), false, false));
        // A client that takes a little now and then stays as slow as it is.
        let mut measure = Measure::begin(begun);
        for second in (0..30).step_by(10) {
            measure.waited = true;
            assert!(!measure.read(at(second), 1000));
        }
        assert!(measure.is_too_slow(at(30), false, false));
        // Then it is measured anew.
        assert!(!measure.is_too_slow(at(31), false, false));
    }
}
