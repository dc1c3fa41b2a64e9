//! A command's output on stdout, its messages on stderr, and the terminal's width.
//!
//! When the pipe of the output is closed, the command ends normally, also while it has nothing to print. Output that cannot be
//! written for another reason, such as a full disk, is a failure.

use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use rust_i18n::t;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::text::escaped;

/// The width of tables where the terminal's width is unknown or smaller: a column of one or two letters cannot be read.
pub const WIDTH_DEFAULT: u16 = 80;

/// The least width of help texts.
const HELP_WIDTH_MIN: u16 = 40;
/// The largest width of help texts: longer lines are hard to read.
const HELP_WIDTH_MAX: u16 = 100;

/// The message of a failure to write the output.
pub const CANNOT_WRITE: CannotWrite = CannotWrite;

/// The type of [`CANNOT_WRITE`], which is said in the language of the process.
#[derive(Clone, Copy, Debug)]
pub struct CannotWrite;

impl Display for CannotWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&t!("cannot write to stdout"))
    }
}

/// Whether the error is a closed pipe of the output.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Whether stdout gets colours. `NO_COLOR` says no (<https://no-color.org>), else `CLICOLOR_FORCE` says yes
/// (<https://bixense.com/clicolors>), else a terminal gets them.
pub fn colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && (is_set("CLICOLOR_FORCE") || io::stdout().is_terminal())
}

/// The width of a table, if stdout is a terminal.
pub fn table_width() -> Option<u16> {
    io::stdout().is_terminal().then(|| usable_width(known_width(), WIDTH_DEFAULT, u16::MAX))
}

/// The width of help texts.
pub fn help_width() -> u16 {
    usable_width(known_width().or(Some(HELP_WIDTH_MAX)), HELP_WIDTH_MIN, HELP_WIDTH_MAX)
}

/// The terminal's width; or `COLUMNS`, if stdout is no terminal or the terminal's width is 0.
fn known_width() -> Option<u16> {
    let known = |width: &u16| *width > 0;
    let stdout = io::stdout();
    let terminal = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
    let columns = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    terminal.map(|size| size.ws_col).filter(known).or_else(|| columns().filter(known))
}

fn usable_width(known: Option<u16>, least: u16, most: u16) -> u16 {
    known.unwrap_or(WIDTH_DEFAULT).clamp(least, most)
}

/// Prints a message on standard error, on a line of its own. It is escaped: it may quote a server or a file's name. A closed or
/// full standard error is not a failure.
pub fn tell(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "sctec: {}", escaped(&text.to_string()));
}

/// Prints; returns whether the output's pipe is still open.
///
/// # Errors
/// When the text cannot be written for another reason.
pub fn print(text: &str) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context(CANNOT_WRITE),
    }
}

/// Waits; returns whether the output's pipe is still open, at once when it is closed.
pub fn pause(duration: Duration) -> bool {
    let until = Instant::now() + duration;
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match poll(&mut polled, Timespec::try_from(left).ok().as_ref()) {
            Ok(0) => return true,
            Ok(_) if has_gone(&polled[0]) => return false,
            Err(Errno::INTR) => {}
            // This output cannot be polled: wait without it.
            Ok(_) | Err(_) => break,
        }
    }
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    true
}

/// Waits until `input` has something to read or ends.
///
/// # Errors
/// A broken pipe as soon as the output's pipe is closed.
pub fn wait_for_input(input: BorrowedFd<'_>) -> io::Result<()> {
    let stdout = io::stdout();
    let mut polled = [PollFd::from_borrowed_fd(input, PollFlags::IN), PollFd::new(&stdout, PollFlags::empty())];
    loop {
        match poll(&mut polled, None) {
            Ok(_) if has_gone(&polled[1]) => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(Errno::INTR) => {}
            // Reading the input tells what is wrong with it.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}

/// Whether the other end of the pipe, socket or terminal is closed.
fn has_gone(stdout: &PollFd<'_>) -> bool {
    stdout.revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_of_width_0_or_of_a_few_columns_counts_as_80() {
        let table = |known| usable_width(known, WIDTH_DEFAULT, u16::MAX);
        assert_eq!([None, Some(1), Some(79), Some(80), Some(200)].map(table), [80, 80, 80, 80, 200]);
        let help = |known| usable_width(known, HELP_WIDTH_MIN, HELP_WIDTH_MAX);
        assert_eq!([None, Some(1), Some(60), Some(200)].map(help), [80, 40, 60, 100]);
    }
}
