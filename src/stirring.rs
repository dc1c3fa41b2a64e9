//! Tells that something happened to a file: it was made, moved or removed, its permissions or its links changed, or a program that had
//! it open for writing has closed it.
//!
//! The kernel tells of that (inotify), so no thread has to look at the file again and again. One thread of the process waits for the
//! kernel's messages. On a file system whose files other machines may change, the kernel does not know of all changes. There no message
//! comes, and the caller has to look at the file itself ([`Stirring::is_told`] says which). The same is true after a folder in the
//! file's path was moved or removed, and after the kernel dropped messages because there were too many.
//!
//! # Locking
//!
//! A std mutex around the list of those who are told, held to change it or to look something up, and not while somebody is told.

use std::ffi::{CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::statfs;
use rustix::io::Errno;

/// What is told of the files in a folder.
const OF_FILES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB);
/// What is told of the folder itself and of those above it.
const OF_FOLDERS: WatchFlags = WatchFlags::DELETE_SELF.union(WatchFlags::MOVE_SELF);
/// What ends the way from a path to the folder that is watched.
const PARTED: ReadFlags =
    ReadFlags::DELETE_SELF.union(ReadFlags::MOVE_SELF).union(ReadFlags::UNMOUNT).union(ReadFlags::IGNORED);
/// Bytes of one reading of the kernel's messages.
const MESSAGES_BYTES: usize = 4096;

/// The file systems whose files only this machine changes, by the numbers that `statfs` gives: ext2 to ext4, XFS, Btrfs, tmpfs,
/// overlayfs, F2FS, ZFS and bcachefs.
const OF_THIS_MACHINE: [u32; 8] =
    [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630, 0xF2F5_2010, 0x2FC1_2FC1, 0xCA45_1A4E];

/// Tells somebody, from the thread that waits for the kernel: it must be quick.
type Tell = Arc<dyn Fn() + Send + Sync>;

/// Somebody is told of a file as long as this is kept.
pub struct Stirring {
    number: u64,
    is_told: Arc<AtomicBool>,
}

impl Stirring {
    /// Calls `tell` each time that something happens to the file at `path`, which need not be there. Something may have happened
    /// before this returns, so the caller looks once more after it.
    pub fn of(path: &Path, tell: impl Fn() + Send + Sync + 'static) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let is_told = Arc::new(AtomicBool::new(true));
        let listener = |places| Listener { number, places, is_told: Arc::clone(&is_told), tell: Arc::new(tell) };
        if !hub().is_some_and(|hub| hub.listen(path, listener)) {
            is_told.store(false, Ordering::Relaxed);
        }
        Self { number, is_told }
    }

    /// Whether all that happens is told. If not, one has to look.
    pub fn is_told(&self) -> bool {
        self.is_told.load(Ordering::Relaxed)
    }
}

impl Drop for Stirring {
    fn drop(&mut self) {
        if let Some(hub) = hub() {
            hub.listeners().retain(|listener| listener.number != self.number);
        }
    }
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// What waits for the kernel, for the whole process.
struct Hub {
    kernel: OwnedFd,
    listeners: Mutex<Vec<Listener>>,
}

struct Listener {
    number: u64,
    /// The folders, each by the kernel's number for it, with the name in it that matters, if one does.
    places: Vec<(i32, Option<CString>)>,
    is_told: Arc<AtomicBool>,
    tell: Tell,
}

/// The one of this process; `None` if the kernel has no more for this user.
fn hub() -> Option<&'static Hub> {
    static HUB: OnceLock<Option<Hub>> = OnceLock::new();
    static STARTED: OnceLock<bool> = OnceLock::new();
    let hub = HUB.get_or_init(|| {
        let kernel = inotify::init(CreateFlags::CLOEXEC).ok()?;
        Some(Hub { kernel, listeners: Mutex::default() })
    });
    let hub = hub.as_ref()?;
    let started =
        STARTED.get_or_init(|| std::thread::Builder::new().name("files".to_owned()).spawn(|| hub.run()).is_ok());
    started.then_some(hub)
}

impl Hub {
    fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        // A panic cannot leave the list half changed.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a listener for the file. False if not all that happens to it would be told.
    fn listen(&self, path: &Path, listener: impl FnOnce(Vec<(i32, Option<CString>)>) -> Listener) -> bool {
        // The lock is held, so that nothing is told of these places before the listener is on the list.
        let mut listeners = self.listeners();
        let Some(places) = self.places(path) else { return false };
        listeners.push(listener(places));
        true
    }

    /// The folder of the file, that of the file to which a link leads, and all folders above them.
    fn places(&self, path: &Path) -> Option<Vec<(i32, Option<CString>)>> {
        let path = std::path::absolute(path).ok()?;
        let mut files = vec![path.clone()];
        files.extend(path.canonicalize().ok().filter(|file| *file != path));
        let mut places = Vec::new();
        for file in &files {
            let (folder, name) = (file.parent()?.canonicalize().ok()?, file.file_name()?);
            if !is_of_this_machine(&folder) {
                return None;
            }
            places.push((self.add(&folder, OF_FILES | OF_FOLDERS)?, Some(c_string(name)?)));
            for above in folder.ancestors().skip(1) {
                places.push((self.add(above, OF_FOLDERS)?, None));
            }
        }
        Some(places)
    }

    /// The kernel's number for the folder. It tells of what was asked for before, too.
    fn add(&self, folder: &Path, flags: WatchFlags) -> Option<i32> {
        inotify::add_watch(&self.kernel, folder, flags | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD).ok()
    }

    fn run(&self) {
        let mut buffer = [MaybeUninit::uninit(); MESSAGES_BYTES];
        let mut messages = Reader::new(&self.kernel, &mut buffer);
        let mut told: Vec<(u64, Tell)> = Vec::new();
        loop {
            match messages.next() {
                Ok(message) => self.find(message.wd(), message.file_name(), message.events(), &mut told),
                Err(Errno::INTR) => {}
                Err(_) => {
                    // Nothing more can be known: everybody has to look.
                    self.listeners().iter().for_each(|listener| listener.is_told.store(false, Ordering::Relaxed));
                    return;
                }
            }
            if messages.is_buffer_empty() {
                told.drain(..).for_each(|(_, tell)| tell());
            }
        }
    }

    /// Who is to be told of a message, each once.
    fn find(&self, folder: i32, name: Option<&std::ffi::CStr>, events: ReadFlags, told: &mut Vec<(u64, Tell)>) {
        let lost = events.contains(ReadFlags::QUEUE_OVERFLOW);
        for listener in &*self.listeners() {
            let concerns = |(of, wanted): &(i32, Option<CString>)| {
                *of == folder && (name.is_none() || wanted.as_deref().is_some_and(|wanted| Some(wanted) == name))
            };
            if !lost && !listener.places.iter().any(concerns) {
                continue;
            }
            if lost || events.intersects(PARTED) {
                // A folder was moved or removed: its path may lead to another one, of which nothing is told. A message of that may
                // be among those that were lost.
                listener.is_told.store(false, Ordering::Relaxed);
            }
            if told.iter().all(|(number, _)| *number != listener.number) {
                told.push((listener.number, Arc::clone(&listener.tell)));
            }
        }
    }
}

fn is_of_this_machine(folder: &PathBuf) -> bool {
    // The numbers have 32 bits; a machine with signed ones gives some of them as negative.
    statfs(folder)
        .is_ok_and(|told| OF_THIS_MACHINE.iter().any(|number| i64::from(*number) == told.f_type & 0xFFFF_FFFF))
}

fn c_string(name: &OsStr) -> Option<CString> {
    CString::new(name.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    /// No machine is so slow.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn listen(path: &Path) -> (Stirring, Receiver<()>) {
        let (sender, told) = channel();
        let stirring = Stirring::of(path, move || {
            let _ = sender.send(());
        });
        (stirring, told)
    }

    /// Waits until at least one message has come, and takes all that are there.
    fn is_told(told: &Receiver<()>) {
        told.recv_timeout(PATIENCE).expect("told");
        while told.try_recv().is_ok() {}
    }

    #[test]
    fn what_happens_to_a_file_is_told_and_nothing_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.log");
        let (stirring, told) = listen(&file);
        if !stirring.is_told() {
            // On this file system nothing is told.
            return;
        }
        fs::write(folder.path().join("other"), "x").unwrap();
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        fs::write(&file, "x").unwrap();
        is_told(&told);
        fs::rename(&file, folder.path().join("app.log.1")).unwrap();
        is_told(&told);
        fs::write(folder.path().join("new"), "x").unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        is_told(&told);
        fs::remove_file(&file).unwrap();
        is_told(&told);
        // The folder's own permissions are not its end.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        is_told(&told);
        assert!(stirring.is_told());
    }

    #[test]
    fn a_folder_that_moves_is_told_and_from_then_on_one_has_to_look() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        fs::create_dir_all(&folder).unwrap();
        let (stirring, told) = listen(&folder.join("app.log"));
        if !stirring.is_told() {
            return;
        }
        fs::rename(root.path().join("a"), root.path().join("c")).unwrap();
        is_told(&told);
        assert!(!stirring.is_told());
    }

    #[test]
    fn after_messages_were_lost_everybody_is_told_and_has_to_look() {
        let folder = tempfile::tempdir().unwrap();
        // One of its own: others listen at that of the process.
        let hub = Hub { kernel: inotify::init(CreateFlags::CLOEXEC).unwrap(), listeners: Mutex::default() };
        let listen = |number, name| {
            let is_told = Arc::new(AtomicBool::new(true));
            let listener = |places| Listener { number, places, is_told: Arc::clone(&is_told), tell: Arc::new(|| ()) };
            hub.listen(&folder.path().join(name), listener).then_some(is_told)
        };
        let (Some(one), Some(other)) = (listen(1, "one"), listen(2, "other")) else { return };
        let listens = [one, other];
        let are_told = || listens.iter().all(|is_told| is_told.load(Ordering::Relaxed));
        let mut told = Vec::new();
        let place = hub.listeners()[0].places[0].clone();
        hub.find(place.0, place.1.as_deref(), ReadFlags::CREATE, &mut told);
        assert_eq!((told.len(), are_told()), (1, true));
        hub.find(-1, None, ReadFlags::QUEUE_OVERFLOW, &mut told);
        assert_eq!(told.len(), 2, "each once");
        assert!(listens.iter().all(|is_told| !is_told.load(Ordering::Relaxed)));
    }

    #[test]
    fn the_file_to_which_a_link_leads_is_watched_too() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(there.path().join("real"), "x").unwrap();
        std::os::unix::fs::symlink(there.path().join("real"), here.path().join("app.log")).unwrap();
        let (stirring, told) = listen(&here.path().join("app.log"));
        if !stirring.is_told() {
            return;
        }
        fs::rename(there.path().join("real"), there.path().join("moved")).unwrap();
        is_told(&told);
    }

    #[test]
    fn nobody_is_told_after_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        let (stirring, told) = listen(&file);
        drop(stirring);
        let (other, told_other) = listen(&file);
        fs::write(&file, "x").unwrap();
        if other.is_told() {
            is_told(&told_other);
        }
        assert!(told.recv().is_err(), "its sender is gone");
    }
}
