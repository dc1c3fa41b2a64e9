//! The signals that are passed on to the command.

use rustix::process::{Signal, getpgrp};
use rustix::termios::tcgetpgrp;

/// What would end this process while its command goes on.
pub const PASSED_ON: [Signal; 6] = [Signal::INT, Signal::QUIT, Signal::TERM, Signal::HUP, Signal::USR1, Signal::USR2];

/// Whether the terminal has sent the command this signal too: Ctrl-C and Ctrl-\ reach every process in the foreground.
pub fn reached_the_command(signal: Signal) -> bool {
    let in_foreground = || {
        let terminal = std::fs::File::open("/dev/tty").ok()?;
        Some(tcgetpgrp(terminal).ok()? == getpgrp())
    };
    matches!(signal, Signal::INT | Signal::QUIT) && in_foreground().unwrap_or(false)
}
