//! Whether the trail can be written, as the booking code sees it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The exporter's last result, and the time at which its present step began.
#[derive(Default)]
pub struct Health {
    /// The last record that is durable in the file, as far as the exporter's thread knows.
    exported: AtomicU64,
    /// Whether the exporter's thread rests until it is rung.
    rests: AtomicBool,
    /// A std lock around a few small values: held to read or to replace them.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fault: Option<String>,
    /// When the present step began; `None` between two rounds.
    busy_since: Option<Instant>,
    /// Whether the file still has to be compared with the database.
    is_unseen: bool,
    /// How far the file is behind, while another process is the exporter.
    behind: Option<String>,
    /// Whether this process is the exporter.
    is_exporter: bool,
    /// Whether the other processes were told that the present step does not end.
    told_stall: bool,
}

/// The change at the end of a round.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing changed.
    None,
    /// The trail cannot be written, and this reason is new.
    Failed(String),
    /// The trail can be written again.
    Restored,
}

impl Health {
    /// The last record that is known to be durable in the file.
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Notes that the file is durable up to this record.
    pub fn set_exported(&self, seq: u64) {
        self.exported.store(seq, Ordering::Relaxed);
    }

    /// Whether the exporter's thread rests until it is rung.
    pub fn rests(&self) -> bool {
        self.rests.load(Ordering::SeqCst)
    }

    /// Notes that the exporter's thread rests, or no longer.
    pub fn set_rests(&self, rests: bool) {
        self.rests.store(rests, Ordering::SeqCst);
    }

    /// Why the trail cannot be written, if it cannot. A step that takes longer than `stalled_after` is a fault too: a disk that
    /// does not answer gives no error.
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

    /// Notes that the file's comparison with the database begins.
    pub fn begin_look(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_unseen = true;
    }

    /// Whether the file still has to be compared with the database.
    pub fn is_unseen(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_unseen
    }

    /// Notes that the file was compared and agrees with the trail.
    pub fn end_look(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_unseen = false;
    }

    /// The present step, if it takes longer than `stalled_after`: when it began, and the fault.
    pub fn stalled_step(&self, stalled_after: Duration) -> Option<(Instant, String)> {
        let began = self.state.lock().unwrap_or_else(PoisonError::into_inner).busy_since?;
        (began.elapsed() >= stalled_after)
            .then(|| (began, format!("a escrita está parada há {} s", began.elapsed().as_secs())))
    }

    /// Whether this process is the exporter, and so must tell the other processes that its step does not end. After this
    /// call they count as told.
    pub fn may_tell_stall(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.told_stall |= state.is_exporter;
        state.is_exporter
    }

    /// Whether the other processes were told. This call resets the flag.
    pub fn take_told_stall(&self) -> bool {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).told_stall)
    }

    /// Whether this process is the exporter.
    pub fn is_exporter(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_exporter
    }

    /// Notes whether this process is the exporter.
    pub fn set_exporter(&self, is_exporter: bool) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_exporter = is_exporter;
    }

    /// How far the file is behind, while another process is the exporter.
    pub fn behind(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).behind.clone()
    }

    /// Notes how far the file is behind; returns whether it was behind before.
    pub fn set_behind(&self, behind: Option<String>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state.behind, behind).is_some()
    }

    /// Notes that a step begins.
    pub fn begin_step(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).busy_since = Some(Instant::now());
    }

    /// Notes that a round ends, and its fault.
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
