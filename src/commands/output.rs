//! What a command says and to whom: its output, its complaints, and whether anyone still reads.
//!
//! A reader that has gone away has read enough: that is a normal end, and a command that runs on ends then even if it has
//! nothing to say. Output that cannot be written for another reason, as on a full disk, is a failure.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::text::escaped;

/// The width of what is laid out where nothing says how wide the terminal is, and on one that is narrower: a table with a
/// letter or two in each row helps nobody.
pub const WIDTH_DEFAULT: u16 = 80;

/// The same for help, whose lines are words and not columns.
const HELP_WIDTH_MIN: u16 = 40;
/// Longer lines are hard to read.
const HELP_WIDTH_MAX: u16 = 100;

/// What a failure to write the output is called.
pub const CANNOT_WRITE: &str = "cannot write to stdout";

/// Whether the reader of our output has gone: it has read enough.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Whether stdout is for a person who has not asked for plain text (<https://no-color.org>).
pub fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How many columns to lay a table out in, where it is for a terminal.
pub fn table_width() -> Option<u16> {
    io::stdout().is_terminal().then(|| usable_width(known_width(), WIDTH_DEFAULT, u16::MAX))
}

/// How many columns to lay help out in.
pub fn help_width() -> u16 {
    usable_width(known_width().or(Some(HELP_WIDTH_MAX)), HELP_WIDTH_MIN, HELP_WIDTH_MAX)
}

/// The terminal's width, or what `COLUMNS` says where there is no terminal or it does not know its own (0).
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

/// Says something on standard error, in a line of its own. What a server said, or how a file is called, may be in it, and must
/// not steer the terminal. Standard error may be closed or full, which is no reason to fail.
pub fn tell(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "sctec: {}", escaped(&text.to_string()));
}

/// Prints, and says whether anyone still reads.
///
/// # Errors
/// When it cannot be written although someone may be reading.
pub fn print(text: &str) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context(CANNOT_WRITE),
    }
}

/// Waits, and says whether anyone still reads: at once when the reader goes.
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
            // Nothing that a wait could tell: wait without asking.
            Ok(_) | Err(_) => break,
        }
    }
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    true
}

/// Waits until there is something to read from `input`, or its end.
///
/// # Errors
/// A broken pipe as soon as the reader of our output has gone.
pub fn wait_for_input(input: BorrowedFd<'_>) -> io::Result<()> {
    let stdout = io::stdout();
    let mut polled = [PollFd::from_borrowed_fd(input, PollFlags::IN), PollFd::new(&stdout, PollFlags::empty())];
    loop {
        match poll(&mut polled, None) {
            Ok(_) if has_gone(&polled[1]) => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(Errno::INTR) => {}
            // What is wrong with the input, reading it tells.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}

/// Whether nobody has the other end of a pipe, socket or terminal any more.
fn has_gone(stdout: &PollFd<'_>) -> bool {
    stdout.revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_of_width_0_or_of_a_few_columns_is_laid_out_for_as_one_of_80() {
        let table = |known| usable_width(known, WIDTH_DEFAULT, u16::MAX);
        assert_eq!([None, Some(1), Some(79), Some(80), Some(200)].map(table), [80, 80, 80, 80, 200]);
        let help = |known| usable_width(known, HELP_WIDTH_MIN, HELP_WIDTH_MAX);
        assert_eq!([None, Some(1), Some(60), Some(200)].map(help), [80, 40, 60, 100]);
    }
}
