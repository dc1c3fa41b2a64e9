//! A service to which nothing happens does nothing: its threads sleep until something happens.
//!
//! What is counted is how often a thread goes to sleep (`voluntary_ctxt_switches`). It does not depend on the speed of the machine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags};
use rustix::fs::statfs;

use crate::common::Services;
use crate::common::election::without_election;
use crate::common::storage::of_sqlite;

/// How long nothing may happen.
const WINDOW: Duration = Duration::from_secs(5);
/// How often the threads of a service may sleep in that time, all together: a comment on the stream of events, a connection that was
/// idle for long enough, a clock of the runtime.
const MOST: u64 = 8;
/// After the last request a service closes connections, gives buffers back and writes notes. That has an end.
const SETTLED: Duration = Duration::from_secs(120);

/// How often each thread of a process has gone to sleep, by its name and number.
fn sleeps(pid: u32) -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_task = |task: PathBuf| {
        let read = |name: &str| std::fs::read_to_string(task.join(name)).ok();
        let name = format!("{} {}", read("comm")?.trim(), task.file_name()?.display());
        let status = read("status")?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((name, count.trim().parse().unwrap()))
    };
    // A thread that has ended meanwhile is none.
    tasks.filter_map(|task| of_task(task.unwrap().path())).collect()
}

/// How often each thread that went to sleep in a window did.
fn sleeps_in_a_window(pid: u32) -> Vec<(String, u64)> {
    let before = sleeps(pid);
    std::thread::sleep(WINDOW);
    let before = |name: &String| before.iter().find(|(of, _)| of == name).map_or(0, |(_, count)| *count);
    sleeps(pid).into_iter().map(|(name, count)| (name.clone(), count - before(&name))).filter(|(_, n)| *n > 0).collect()
}

/// The file systems that tests usually run on, where the kernel knows of all changes: ext4, XFS, Btrfs, tmpfs, overlayfs.
const WATCHED: [i64; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630];

/// Whether the kernel tells what happens in a folder. Where it does not, a service has to look.
fn is_watched(folder: &Path) -> bool {
    let kind = statfs(folder).unwrap().f_type & 0xFFFF_FFFF;
    WATCHED.contains(&kind) && inotify::init(CreateFlags::CLOEXEC).is_ok()
}

#[test]
fn threads_of_a_service_to_which_nothing_happens_sleep() {
    of_sqlite!("schedulers on PostgreSQL ask it for the records of others");
    without_election!("a coordinator in an election asks etcd again and again");
    let services = Services::start(&[]);
    if !is_watched(services.data_dir()) {
        eprintln!("skipped: the kernel does not tell what happens in {}", services.data_dir().display());
        return;
    }
    assert_eq!(services.book(1, "2025-12-01T03:00:00Z").0, 201);
    for server in [&services.scheduler, &services.coordinator] {
        let begun = Instant::now();
        loop {
            let sleeps = sleeps_in_a_window(server.pid());
            if sleeps.iter().map(|(_, count)| count).sum::<u64>() <= MOST {
                break;
            }
            assert!(begun.elapsed() < SETTLED, "in {} s: {sleeps:?}", WINDOW.as_secs());
        }
    }
    // They wake up for a request.
    assert_eq!(services.book(1, "2025-12-01T03:05:00Z").0, 201);
}
