//! A run that a signal may interrupt.

use anyhow::Context;
use rust_i18n::t;
use rustix::process::Signal;

use crate::commands::output::tell;
use crate::commands::signals::{Signals, by_signal};
use crate::stress::progress::Progress;

/// Works to the end, or to the signal that interrupts it; then it says how many of `n` requests were answered.
///
/// # Errors
/// When it could not run.
pub(super) async fn unless_interrupted<T>(
    work: impl Future<Output = anyhow::Result<T>>,
    progress: &Progress,
    n: u32,
) -> anyhow::Result<Result<T, Signal>> {
    let mut signals = Signals::taken([Signal::INT, Signal::TERM]).context(t!("cannot watch for signals"))?;
    let signal = tokio::select! {
        biased;
        signal = signals.next() => signal,
        seen = work => return seen.map(Ok),
    };
    // The terminal may be stopped (Ctrl-S), and the message below may wait for it. A second signal waits for nothing.
    tokio::spawn(async move {
        let again = signals.next().await;
        std::process::exit(by_signal(again.as_raw()).into());
    });
    progress.clear();
    tell(match progress.answered() {
        None => t!("interrupted before any request was sent"),
        Some(answered) => {
            t!("interrupted: %{answered} of %{n} answered; bookings that were made stay", answered = answered, n = n)
        }
    });
    Ok(Err(signal))
}
