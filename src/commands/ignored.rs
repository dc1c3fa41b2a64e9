//! The signals that this process was started with ignored, as nohup and the background jobs of a script have it.

use rustix::process::Signal;

/// A set of signals.
#[derive(Clone, Copy)]
pub struct Ignored(u64);

impl Ignored {
    /// Those that are ignored now. A handler ends that, so it is asked before. Where there is no procfs it is not known: none.
    pub fn now() -> Self {
        Self(std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored_in(&status)))
    }

    /// Whether it has the signal.
    pub fn has(self, signal: Signal) -> bool {
        let bit = u32::try_from(signal.as_raw() - 1).ok().and_then(|shift| 1_u64.checked_shl(shift));
        bit.is_some_and(|bit| self.0 & bit != 0)
    }
}

/// The set of ignored signals in the text of `/proc/self/status`.
fn ignored_in(status: &str) -> u64 {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    digits.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_signals_are_read_from_the_status() {
        let ignored = Ignored(ignored_in("Name:\tsctec\nSigBlk:\tffff\nSigIgn:\t0000000000001003\nSigCgt:\t0\n"));
        assert_eq!(
            [Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE].map(|it| ignored.has(it)),
            [true, true, false, true]
        );
        assert_eq!(ignored_in(""), 0);
    }
}
