//! The keys of the requests that are being carried out: each is one byte of a file beside the database, locked as long as its request
//! takes.
//!
//! # Locking
//!
//! The lock of a byte belongs to this process's opening of the file, so it keeps other processes away, and the kernel gives it back when the
//! process ends, however it ends: nothing of a crash stays behind. Within the process the set of held keys keeps others away, under a std
//! mutex that is held for a look and one system call.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::place::beside;
use crate::agenda::keeping::Digest;
use crate::files::private_no_link;

/// The keys that are held.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    path: PathBuf,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Opened for the first key, so that a service that is never given one has no such file. It is never closed: that would give all
    /// its locks back.
    file: Option<File>,
    places: HashSet<i64>,
}

/// A key that is held. Dropping it gives it back.
pub struct Key {
    keys: Keys,
    place: i64,
}

impl Keys {
    /// Those of a database. Its file is made when the first key is held.
    pub fn of(database: &Path) -> Self {
        Self(Arc::new(Inner { path: beside(database, "-chaves"), held: Mutex::default() }))
    }

    /// Holds a key, unless another request holds it.
    ///
    /// # Errors
    /// The system's, when the file cannot be opened or locked.
    pub fn hold(&self, key: &Digest) -> io::Result<Option<Key>> {
        let place = place(key);
        let mut held = self.lock();
        if held.places.contains(&place) {
            return Ok(None);
        }
        if held.file.is_none() {
            let file = private_no_link().write(true).create(true).truncate(false).open(&self.0.path)?;
            held.file = Some(file);
        }
        let Some(file) = &held.file else { return Ok(None) };
        if !set(file, place, libc::F_WRLCK)? {
            return Ok(None);
        }
        held.places.insert(place);
        Ok(Some(Key { keys: self.clone(), place }))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let mut held = self.keys.lock();
        held.places.remove(&self.place);
        if let Some(file) = &held.file {
            // It was locked, and unlocking needs nothing that could lack.
            let _ = set(file, self.place, libc::F_UNLCK);
        }
    }
}

/// The byte of a key. Two keys of one byte are as unlikely as a guess of 63 bits, and then one of them waits for the other.
fn place(key: &Digest) -> i64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&key[..8]);
    // An offset is not negative, and one more has to be one too.
    (i64::from_be_bytes(bytes) & i64::MAX).min(i64::MAX - 1)
}

/// Locks or unlocks one byte. False if another process has it.
fn set(file: &File, place: i64, kind: libc::c_int) -> io::Result<bool> {
    let narrow = |value: libc::c_int| libc::c_short::try_from(value).map_err(io::Error::other);
    let lock = libc::flock {
        l_type: narrow(kind)?,
        l_whence: narrow(libc::SEEK_SET)?,
        l_start: place,
        l_len: 1,
        // A lock of the opening of a file has no process.
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_key_is_held_once_also_by_another_opening_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("sctec.db");
        let (one, other) = (Keys::of(&database), Keys::of(&database));
        assert!(!folder.path().join("sctec.db-chaves").exists());
        let first = one.hold(&[1; 32]).unwrap().expect("free");
        assert!(one.hold(&[1; 32]).unwrap().is_none() && other.hold(&[1; 32]).unwrap().is_none());
        let second = other.hold(&[2; 32]).unwrap().expect("another key");
        assert!(one.hold(&[2; 32]).unwrap().is_none());
        drop(first);
        let taken = other.hold(&[1; 32]).unwrap().expect("given back");
        // What is refused takes nothing away from others.
        assert!(one.hold(&[1; 32]).unwrap().is_none() && one.hold(&[2; 32]).unwrap().is_none());
        drop((taken, second));
        assert!(one.hold(&[1; 32]).unwrap().is_some() && one.hold(&[2; 32]).unwrap().is_some());
        let made = std::fs::metadata(folder.path().join("sctec.db-chaves")).unwrap();
        assert_eq!((made.len(), made.mode() & 0o777), (0, 0o600));
    }

    #[test]
    fn every_digest_has_a_byte_that_can_be_locked() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::of(&folder.path().join("sctec.db"));
        for key in [[0; 32], [0xff; 32], [0x7f; 32], [0x80; 32]] {
            assert!((0..i64::MAX).contains(&place(&key)));
            assert!(keys.hold(&key).unwrap().is_some(), "{key:?}");
        }
    }
}
