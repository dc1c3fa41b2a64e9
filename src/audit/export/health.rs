//! Whether the trail can be written, as those who book see it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the exporter last found, and since when it has been at its present step.
#[derive(Default)]
pub struct Health {
    /// A std lock around a few small values: held to read or to replace them.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fault: Option<String>,
    /// When the step under way began; `None` while there is nothing to do.
    busy_since: Option<Instant>,
    /// Nobody has looked at the file yet.
    is_unseen: bool,
    /// How far the file is behind, where another process writes it.
    behind: Option<String>,
    /// Whether this process writes it.
    is_exporter: bool,
    /// Whether the others were told that the step under way does not end.
    told_stall: bool,
}

/// What is news at the end of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// It is as it was.
    None,
    /// The trail cannot be written, or for another reason than before.
    Failed(String),
    /// It can be written again.
    Restored,
}

impl Health {
    /// Why the trail cannot be written, if it cannot. A step that has taken longer than `stalled_after` counts as that: a
    /// disk that does not answer gives no error.
    pub fn fault(&self, stalled_after: Duration) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.fault.is_some() {
            return state.fault.clone();
        }
        if state.is_unseen {
            return Some("a trilha ainda está sendo comparada com o banco".to_owned());
        }
        let busy = state.busy_since?.elapsed();
        (busy >= stalled_after).then(|| format!("a escrita está parada há {} s", busy.as_secs()))
    }

    /// The first look at the file begins: until its end nothing is known of it.
    pub fn begin_look(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_unseen = true;
    }

    /// Whether nobody has looked at the file yet.
    pub fn is_unseen(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_unseen
    }

    /// The file was looked at, and is the trail's.
    pub fn end_look(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_unseen = false;
    }

    /// The step under way that has taken longer than `stalled_after`, by when it began, and what to say of it.
    pub fn stalled_step(&self, stalled_after: Duration) -> Option<(Instant, String)> {
        let began = self.state.lock().unwrap_or_else(PoisonError::into_inner).busy_since?;
        (began.elapsed() >= stalled_after)
            .then(|| (began, format!("a escrita está parada há {} s", began.elapsed().as_secs())))
    }

    /// Whether the others are to be told of a step that does not end: this process writes the file. Then it counts as told.
    pub fn may_tell_stall(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.told_stall |= state.is_exporter;
        state.is_exporter
    }

    /// Whether the others were told so; not any more, then.
    pub fn take_told_stall(&self) -> bool {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).told_stall)
    }

    /// Whether this process writes the file.
    pub fn set_exporter(&self, is_exporter: bool) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_exporter = is_exporter;
    }

    /// How far the file is behind, where another process writes it.
    pub fn behind(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).behind.clone()
    }

    /// Notes that; gives whether it was behind before.
    pub fn set_behind(&self, behind: Option<String>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state.behind, behind).is_some()
    }

    /// A step begins.
    pub fn begin_step(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).busy_since = Some(Instant::now());
    }

    /// All that there was to do is done, or could not be.
    pub fn end(&self, fault: Option<String>) -> Change {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.busy_since = None;
        state.is_unseen = false;
        if state.fault == fault {
            return Change::None;
        }
        state.fault.clone_from(&fault);
        fault.map_or(Change::Restored, Change::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_step_that_takes_too_long_is_a_fault_until_it_ends() {
        let health = Health::default();
        assert_eq!(health.fault(Duration::ZERO), None);
        health.begin_step();
        assert_eq!(health.fault(LONG), None);
        assert_eq!(health.fault(Duration::ZERO).as_deref(), Some("a escrita está parada há 0 s"));
        assert_eq!(health.end(None), Change::None);
        assert_eq!(health.fault(Duration::ZERO), None);
    }

    #[test]
    fn a_change_is_told_once() {
        let health = Health::default();
        let full = || Some("cheio".to_owned());
        assert_eq!(health.end(full()), Change::Failed("cheio".to_owned()));
        assert_eq!(health.end(full()), Change::None);
        assert_eq!(health.fault(LONG), full());
        assert_eq!(health.end(None), Change::Restored);
        assert_eq!(health.fault(LONG), None);
    }
}
