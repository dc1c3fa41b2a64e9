//! Signals that a command takes in place of being ended by them.
//!
//! One that this process was started with ignored (nohup, a background job of a script) stays so, and a child inherits that.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

use super::ignored::Ignored;

/// What a shell adds to the number of a signal that has ended a command.
const SIGNALLED: u8 = 128;

/// The signals that this process gets from now on.
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Takes these signals, unless they are ignored.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn taken(signals: impl IntoIterator<Item = Signal>) -> io::Result<Self> {
        let ignored = Ignored::now();
        let heard = signals.into_iter().filter(|signal| !ignored.has(*signal));
        let taken = heard.map(|signal| Ok((signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?)));
        taken.collect::<io::Result<_>>().map(Self)
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The exit status of a process that a signal has ended.
pub fn by_signal(number: i32) -> u8 {
    SIGNALLED.saturating_add(u8::try_from(number).unwrap_or_default())
}
