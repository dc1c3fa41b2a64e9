//! The executable under test as commands, and the signals that its processes get.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::wait::wait_until;
use super::{election, storage};

/// The executable, deaf to the environment's own settings.
pub fn sctec() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sctec"));
    deaf(&mut command);
    command
}

/// The variables by which an environment chooses a language.
const LOCALE: &[&str] = &["LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"];

/// Makes a command deaf to the environment's own settings. It speaks English.
pub fn deaf(command: &mut Command) -> &mut Command {
    for name in LOCALE {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SCTEC_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the executable to its end.
pub fn run(args: &[&str]) -> Output {
    let mut command = sctec();
    command.args(args);
    storage::choose_for_tool(&mut command);
    command.output().expect("the executable starts")
}

pub fn coordinator_command(data_dir: &Path, listen: &str) -> Command {
    keep_group_out(data_dir);
    let mut command = sctec();
    command.args(["serve-coordinator", "--listen", listen, "--data-dir"]).arg(data_dir);
    election::choose(&mut command, data_dir);
    command
}

pub fn scheduler_command(data_dir: &Path, coordinator: &str) -> Command {
    keep_group_out(data_dir);
    let mut command = sctec();
    command.args(["serve-scheduler", "--listen", "127.0.0.1:0", "--coordinator", coordinator, "--data-dir"]);
    command.arg(data_dir);
    // Clients of tests that are far away wait instead, and the kernel would show that their connections are short. So this machine is a proxy to a scheduler
    // that is not told of another one.
    command.env("SCTEC_TRUSTED_PROXY", "127.0.0.1");
    storage::choose(&mut command, data_dir);
    command
}

/// Gives a command a clock that is set to `at`, in the words of faketime: `@2030-06-01 02:59:56`, or `+30` for thirty seconds ahead.
pub fn under_clock(at: &str, command: &mut Command) {
    // Only the environment that faketime sets is used. faketime itself would run the command as a child that outlives it.
    let environment = Command::new("faketime").args(["-f", at, "env"]).output().unwrap();
    for line in String::from_utf8(environment.stdout).unwrap().lines() {
        if let Some((name @ ("LD_PRELOAD" | "FAKETIME" | "FAKETIME_SHARED"), value)) = line.split_once('=') {
            // This shared memory belongs to a process that has ended.
            if name != "FAKETIME_SHARED" {
                command.env(name, value);
            }
        }
    }
}

/// Where a person's umask is 002, the group may write to temporary folders, and no service begins in such a folder.
fn keep_group_out(folder: &Path) {
    if let Ok(metadata) = std::fs::metadata(folder) {
        let mode = metadata.permissions().mode() & 0o755;
        std::fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
    }
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// SIGSTOP, and waits until every thread has stopped: on a busy machine one may still answer meanwhile.
pub fn pause(pid: u32) {
    signal(pid, "STOP");
    let has_stopped = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'));
    wait_until("it has stopped", || {
        let mut tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.all(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).is_ok_and(has_stopped))
    });
}
