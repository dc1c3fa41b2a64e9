//! The command, as a child of this process.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::family::Family;
use super::signals::reached_the_command;
use crate::commands::signals::by_signal;

/// A command that runs.
pub struct Running(Child);

impl Running {
    /// Starts the command with more variables in its environment. It shares the terminal, the process group, standard input and
    /// output with this process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<'a>(
        program: &OsStr,
        arguments: &[OsString],
        variables: impl IntoIterator<Item = (&'a str, String)>,
    ) -> io::Result<Self> {
        Command::new(program).args(arguments).envs(variables).spawn().map(Self)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Passes a signal on, if it did not reach the command by itself.
    pub fn pass_on(&self, signal: Signal) {
        if !reached_the_command(signal)
            && let Some(pid) = self.pid()
        {
            // It may run as another user, as by sudo, and then decides for itself.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it, and nothing that it started.
    pub fn kill(&mut self) {
        // It may have ended already.
        let _ = self.0.start_kill();
    }

    /// It and the processes that it started.
    pub fn family(&self) -> Family {
        Family::of(self.pid())
    }

    /// Its number, until its end was waited for.
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.0.id()?).ok()?)
    }
}

/// The exit status that stands for `status`: 128+n for a command that the signal n has ended.
pub fn exit_status(status: ExitStatus) -> u8 {
    let code = status.code().map(u8::try_from).and_then(Result::ok);
    code.unwrap_or_else(|| by_signal(status.signal().unwrap_or_default()))
}
