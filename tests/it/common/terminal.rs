//! Commands on a terminal: a pair of pseudo-terminals.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Opens a terminal: the end of its window, and the end of the programs in it. Dropping the first closes the window.
pub fn open() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (File::from(master), slave)
}

/// A command that runs on a terminal, killed when dropped.
pub struct Terminal {
    child: Child,
    master: File,
    shown: Vec<u8>,
}

impl Terminal {
    /// Starts the command on a terminal with this many columns. Its standard input is empty.
    pub fn start(columns: u16, command: &mut Command) -> Self {
        let (master, slave) = open();
        tcsetwinsize(&slave, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let child = command.stdout(slave.try_clone().unwrap()).stderr(slave).stdin(Stdio::null()).spawn().unwrap();
        // Only the child has handles of the other end now, so reading ends when the child ends.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self { child, master, shown: Vec::new() }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads until the terminal shows `text`.
    pub fn wait_for(&mut self, text: &str) -> String {
        while !self.text().contains(text) {
            assert!(self.read(), "the command ended: {}", self.text());
        }
        self.text()
    }

    /// Waits for the command's end, which has to be a success; gives all that it showed.
    pub fn finish(self) -> String {
        self.end_with(0)
    }

    /// Waits for the command's end with this status; gives all that it showed.
    pub fn end_with(mut self, status: i32) -> String {
        while self.read() {}
        assert_eq!(self.child.wait().unwrap().code(), Some(status), "{}", self.text());
        self.text()
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = self.master.read(&mut buffer).unwrap_or(0);
        self.shown.extend_from_slice(&buffer[..read]);
        read > 0
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).replace("\r\n", "\n")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command on a terminal with this many columns and returns its output.
pub fn on_terminal(columns: u16, command: &mut Command) -> String {
    Terminal::start(columns, command).finish()
}

/// What a terminal shows of the text, without its colours.
pub fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain += before;
        rest = after.split_once('m').expect("an escape is a colour").1;
    }
    plain + rest
}
