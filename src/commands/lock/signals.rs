//! The signals that are passed on to the command.
//!
//! One that this process was started with ignored (nohup, a background job of a script) stays so, and the command inherits that.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::{Signal, getpgrp};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{self, SignalKind};

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
        let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored_in(&status));
        let heard = PASSED_ON.into_iter().filter(|signal| !is_in(ignored, *signal));
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

/// The set of ignored signals in the text of `/proc/self/status`.
fn ignored_in(status: &str) -> u64 {
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    digits.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default()
}

fn is_in(set: u64, signal: Signal) -> bool {
    let bit = u32::try_from(signal.as_raw() - 1).ok().and_then(|shift| 1_u64.checked_shl(shift));
    bit.is_some_and(|bit| set & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_signals_are_read_from_the_status() {
        let ignored = ignored_in("Name:\tsctec\nSigBlk:\tffff\nSigIgn:\t0000000000001003\nSigCgt:\t0\n");
        assert_eq!(
            [Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE].map(|it| is_in(ignored, it)),
            [true, true, false, true]
        );
        assert_eq!(ignored_in(""), 0);
    }
}
