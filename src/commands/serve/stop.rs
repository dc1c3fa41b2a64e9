//! What ends a server, and what SIGHUP means to it.

use std::future::Future;
use std::io::{IsTerminal, stdout};
use std::sync::LazyLock;

use anyhow::Context;
use rust_i18n::t;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::ignored::Ignored;
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
    let meaning = Hangup::of(logging.console && stdout().is_terminal(), Ignored::now().has(Signal::HUP));
    let mut terminate =
        signal(SignalKind::terminate()).context(t!("cannot watch for %{signal}", signal = "SIGTERM"))?;
    // With a handler for SIGXFSZ, a write above the file size limit fails with EFBIG. Without one it would end the process.
    drop(
        signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))
            .context(t!("cannot watch for %{signal}", signal = "SIGXFSZ"))?,
    );
    let mut hangup = signal(SignalKind::hangup()).context(t!("cannot watch for %{signal}", signal = "SIGHUP"))?;
    let mut interrupt = signal(SignalKind::interrupt()).context(t!("cannot watch for %{signal}", signal = "Ctrl-C"))?;
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
}
