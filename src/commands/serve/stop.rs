//! What ends a server, and what SIGHUP means to it.

use std::future::Future;
use std::io::{IsTerminal, stdout};
use std::sync::LazyLock;

use anyhow::Context;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::logging::{self, Reopen};

/// A SIGHUP reaches the whole process, so all services share this request to reopen their log files.
static REOPEN: LazyLock<Reopen> = LazyLock::new(Reopen::default);

/// The request to reopen the log files that SIGHUP makes.
pub fn reopen() -> Reopen {
    REOPEN.clone()
}

/// What SIGHUP means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hangup {
    /// The terminal was closed that shows the log: the service stops, as at SIGTERM.
    Stop,
    /// A supervisor asks for the log files to be reopened; or the terminal was closed, and the service is to outlive it.
    Reopen,
}

impl Hangup {
    /// `on_terminal`: the log is shown on a terminal. `ignored`: SIGHUP was ignored when the process began, as `nohup` has it.
    const fn of(on_terminal: bool, ignored: bool) -> Self {
        if on_terminal && !ignored { Self::Stop } else { Self::Reopen }
    }
}

/// Completes at SIGTERM, at Ctrl-C, and when the terminal is closed that shows the log. Any other SIGHUP reopens the log files.
pub fn stop_signal(logging: &logging::Config) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let meaning = Hangup::of(logging.console && stdout().is_terminal(), is_ignored(Signal::HUP));
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    // With a handler for SIGXFSZ, a write above the file size limit fails with EFBIG. Without one it would end the process.
    drop(signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).context("cannot watch for SIGXFSZ")?);
    let mut hangup = signal(SignalKind::hangup()).context("cannot watch for SIGHUP")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for Ctrl-C")?;
    let closed = async move {
        while hangup.recv().await.is_some() {
            if meaning == Hangup::Stop {
                return;
            }
            REOPEN.ask();
        }
        // The runtime has ended, and this future with it.
        std::future::pending::<()>().await;
    };
    // A task of its own: SIGHUP reopens the log files during a stop too.
    let closed = tokio::spawn(closed);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = closed => {}
        }
    })
}

/// Whether a signal is ignored now. A handler replaces that, so this is asked before.
fn is_ignored(signal: Signal) -> bool {
    // Where there is no procfs, it is not known, and a terminal that is closed ends the service.
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| says_ignored(&status, signal.as_raw()))
}

/// Whether the mask of ignored signals in a process's status has signal `number`.
fn says_ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (number - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_logs_own_terminal_stops_a_service() {
        assert_eq!(Hangup::of(true, false), Hangup::Stop);
        for (on_terminal, ignored) in [(true, true), (false, false), (false, true)] {
            assert_eq!(Hangup::of(on_terminal, ignored), Hangup::Reopen);
        }
    }

    #[test]
    fn an_ignored_signal_is_read_from_the_status() {
        let status = |mask: &str| {
            format!("Name:\tsctec\nSigBlk:\tffffffffffffffff\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n")
        };
        assert!(says_ignored(&status("0000000000000001"), 1));
        assert!(says_ignored(&status("0000000000001001"), 1));
        assert!(!says_ignored(&status("0000000000001000"), 1));
        assert!(!says_ignored("", 1));
    }
}
