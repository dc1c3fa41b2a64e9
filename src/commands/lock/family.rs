//! A command and the processes that it started, so that all of them end with a lost lease: a shell's own end would leave its
//! programs running.
//!
//! Processes are held by descriptors (`pidfd`), so that no signal reaches another process that got the same number. A process that
//! has detached itself from the command before the loss is not found.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Processes that are to end.
pub struct Family {
    /// Each stands behind its parent. So a parent has a signal before its child does: a shell that saw its program end first would
    /// go on to its next step.
    members: Vec<(i32, OwnedFd)>,
}

impl Family {
    /// The process `root`, a child of this process that was not waited for yet, and those that descend from it.
    pub fn of(root: Option<Pid>) -> Self {
        let mut family = Self { members: Vec::new() };
        if let Some(root) = root {
            family.add(root.as_raw_pid(), |_| true);
        }
        family.look();
        family
    }

    /// Whether no process could be held: Linux has descriptors of processes since 5.3.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Sends a signal to each, parents first.
    pub fn signal(&self, signal: Signal) {
        for (_, member) in &self.members {
            // One that has ended needs none; another user's cannot be sent any.
            let _ = pidfd_send_signal(member, signal);
        }
    }

    /// Waits until each has ended, or until `until`; returns whether they have. It blocks the thread.
    pub fn ended(&self, until: Instant) -> bool {
        self.members.iter().all(|(_, member)| {
            loop {
                let left = until.saturating_duration_since(Instant::now());
                match poll_end(member, left) {
                    // Interrupted by a signal.
                    Err(Errno::INTR) => {}
                    ended => return ended == Ok(1),
                }
            }
        })
    }

    /// Kills each, also those that were started since.
    pub fn kill(&mut self) {
        self.look();
        self.signal(Signal::KILL);
        // What was started between the look and the kill.
        self.look();
        self.signal(Signal::KILL);
    }

    /// Adds the members that are not known yet.
    fn look(&mut self) {
        let parents = parents();
        // Those that are live after the numbers were read: each number is still its own.
        let mut live: Vec<i32> =
            self.members.iter().filter(|(_, member)| is_live(member)).map(|(pid, _)| *pid).collect();
        let mut known: HashSet<i32> = self.members.iter().map(|(pid, _)| *pid).collect();
        while let Some(parent) = live.pop() {
            for (&child, _) in parents.iter().filter(|(_, of)| **of == parent) {
                if !known.contains(&child) && self.add(child, |pid| parent_of(pid) == Some(parent)) {
                    known.insert(child);
                    live.push(child);
                }
            }
        }
    }

    /// Adds a process, if it is still the one that is meant once it is held; returns whether it was added.
    fn add(&mut self, pid: i32, is_meant: impl Fn(i32) -> bool) -> bool {
        let Some(number) = Pid::from_raw(pid) else { return false };
        let held = pidfd_open(number, PidfdFlags::empty()).ok().filter(|_| is_meant(pid));
        let Some(member) = held else { return false };
        self.members.push((pid, member));
        true
    }
}

fn is_live(member: &OwnedFd) -> bool {
    poll_end(member, Duration::ZERO) == Ok(0)
}

/// Waits for the end of a process: then its descriptor can be read from, and this gives 1.
fn poll_end(member: &OwnedFd, patience: Duration) -> Result<usize, Errno> {
    let mut polled = [PollFd::new(member, PollFlags::IN)];
    poll(&mut polled, Timespec::try_from(patience).ok().as_ref())
}

/// The parent of each process that runs now.
fn parents() -> HashMap<i32, i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|pid| Some((pid, parent_of(pid)?))).collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    parent_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The parent in the text of `/proc/PID/stat`: the second field after the name, which may itself have spaces and brackets.
fn parent_in(stat: &str) -> Option<i32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A shell in a shell in a shell, each with a program of its own before its next step.
    fn shells() -> Child {
        let inner = "sleep 1000 & sleep 1000; :";
        let middle = format!("sleep 1000 & sh -c '{inner}'; :");
        Command::new("sh").args(["-c", &format!("sleep 1000 & sh -c \"{middle}\"; :")]).spawn().unwrap()
    }

    #[test]
    fn parents_have_a_signal_before_their_children() {
        let mut root = shells();
        let pid = Pid::from_child(&root);
        let begun = Instant::now();
        let mut family = loop {
            let family = Family::of(Some(pid));
            if family.members.len() == 7 {
                break family;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{} members", family.members.len());
            std::thread::yield_now();
        };
        let place = |pid: i32| family.members.iter().position(|(member, _)| *member == pid);
        for (index, (member, _)) in family.members.iter().enumerate().skip(1) {
            let parent = place(parent_of(*member).unwrap());
            assert!(parent.is_some_and(|parent| parent < index), "member {index} has its parent at {parent:?}");
        }
        family.kill();
        root.wait().unwrap();
        assert!(family.ended(Instant::now() + Duration::from_secs(30)));
    }

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent_in("12 (sh) S 7 12 12 0 -1"), Some(7));
        assert_eq!(parent_in("12 (a) R 9 (b)) S 7 12"), Some(7));
        assert_eq!(parent_in(""), None);
    }
}
