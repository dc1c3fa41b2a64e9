//! One program with all its processes, as if it had a machine of its own: the machine may lose its power, freeze, and come back.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{signal, wait_until};

/// `nobody`, who owns no files. PostgreSQL and Patroni do not run as root.
pub const NOBODY: u32 = 65_534;

/// A machine. Its processes are those whose working folder is below its own.
pub struct Machine {
    pub name: String,
    folder: PathBuf,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    child: Option<Child>,
    frozen: bool,
}

impl Machine {
    /// A machine that is off. Its folder is made, and belongs to `owner`.
    pub fn new(
        name: &str,
        parent: &Path,
        owner: Option<u32>,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        let folder = parent.join(name);
        std::fs::create_dir(&folder).unwrap();
        chown(&folder, owner, owner).unwrap();
        Self { name: name.to_owned(), folder, command: Box::new(command), child: None, frozen: false }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Turns it on.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} is on", self.name);
        let log = || -> File { OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap() };
        let mut command = (self.command)();
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(log()).stderr(log());
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.name)));
    }

    fn log_path(&self) -> PathBuf {
        self.folder.with_extension("log")
    }

    /// What its programs printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The processes that run on it.
    fn processes(&self) -> Vec<u32> {
        let all =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let is_here = |pid: &u32| {
            let works_here =
                std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&self.folder));
            // A zombie has no power to lose.
            works_here && std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        };
        all.filter(is_here).collect()
    }

    /// SIGKILL for all at once, as when the power is lost.
    pub fn lose_power(&mut self) {
        self.frozen = false;
        wait_until(&format!("{} is off", self.name), || {
            let processes = self.processes();
            send("KILL", &processes);
            processes.is_empty()
        });
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// SIGSTOP for all: its kernel goes on, as behind a virtual machine that hangs.
    pub fn freeze(&mut self) {
        self.frozen = true;
        // A process that was made meanwhile is stopped with the second.
        (0..2).for_each(|_| send("STOP", &self.processes()));
    }

    pub fn thaw(&mut self) {
        self.frozen = false;
        send("CONT", &self.processes());
    }

    /// SIGTERM for the program that was started, and its exit status.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it is on");
        signal(child.id(), "TERM");
        let mut status = None;
        wait_until(&format!("{} stops", self.name), || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    /// Fails if its program has ended by itself.
    pub fn check(&mut self) {
        if let Some(child) = &mut self.child {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended: {ended:?}\n{}", self.name, self.log());
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Without a panic in a panic: what is left has lost its folder soon.
        for _ in 0..200 {
            let processes = self.processes();
            if processes.is_empty() {
                break;
            }
            send("KILL", &processes);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

/// Sends a signal to some processes, some of which may have ended.
fn send(name: &str, processes: &[u32]) {
    if !processes.is_empty() {
        let processes = processes.iter().map(u32::to_string);
        let _ = Command::new("kill").arg(format!("-{name}")).args(processes).stderr(Stdio::null()).status().unwrap();
    }
}

/// `program` as `nobody`.
pub fn as_nobody(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]).args(["--clear-groups", program]);
    command
}
