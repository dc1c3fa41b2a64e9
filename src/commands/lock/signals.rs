//! The signals that are passed on to the command.
//!
//! One that this process was started with ignored (nohup, a background job of a script) stays so, and the command inherits that.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::{Signal, getpgrp};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{self, SignalKind};

use crate::commands::ignored::Ignored;

/// What would end this process while its command goes on.
const PASSED_ON: [Signal; 6] = [Signal::INT, Signal::QUIT, Signal::TERM, Signal::HUP, Signal::USR1, Signal::USR2];

/// The signals that this process gets from now on.
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Takes the signals, unless they are ignored.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn taken() -> io::Result<Self> {
        let ignored = Ignored::now();
        let heard = PASSED_ON.into_iter().filter(|signal| !ignored.has(*signal));
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

/// Whether the terminal has sent the command this signal too: Ctrl-C and Ctrl-\ reach every process in the foreground.
pub fn reached_the_command(signal: Signal) -> bool {
    let in_foreground = || {
        let terminal = std::fs::File::open("/dev/tty").ok()?;
        Some(tcgetpgrp(terminal).ok()? == getpgrp())
    };
    matches!(signal, Signal::INT | Signal::QUIT) && in_foreground().unwrap_or(false)
}
