//! Whether the data folder still is this coordinator's. Its lock file may have been deleted, and another coordinator may have
//! taken a new one: it would give the same locks a second time. And the state file may have been deleted: the next start would take
//! the folder for a new one.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Hold;
use crate::data_dir::DataDirError;
use crate::files::{FileId, private_no_link};
use crate::stirring::Stirring;

/// The claim to be the folder's coordinator, for as long as it is kept.
pub struct FolderHold {
    /// Open, and so locked.
    _lock: File,
    /// Which file that is.
    lock: FileId,
    lock_path: PathBuf,
    state_path: PathBuf,
    /// The state file as this process wrote it last.
    ///
    /// A std lock around two numbers: held to read or to replace them.
    written: Mutex<Option<FileId>>,
}

impl FolderHold {
    /// Claims the folder, whose state is in `state_path`.
    ///
    /// # Errors
    /// When another coordinator has it, or the lock cannot be opened.
    pub fn take(data_dir: &Path, state_path: &Path) -> Result<Self, DataDirError> {
        let lock_path = data_dir.join("coordenador.lock");
        let access = |error: &std::io::Error| DataDirError::access(&lock_path, error);
        loop {
            let open = private_no_link().create(true).truncate(false).write(true).open(&lock_path);
            let lock = open.map_err(|error| access(&error))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse { path: data_dir.to_owned() }),
                Err(TryLockError::Error(error)) => return Err(access(&error)),
            }
            let locked = FileId::of(&lock).map_err(|error| access(&error))?;
            // It may have been deleted between the two.
            if locked.is_at(&lock_path) {
                let state_path = state_path.to_owned();
                return Ok(Self { _lock: lock, lock: locked, lock_path, state_path, written: Mutex::new(None) });
            }
        }
    }

    /// Notes the file that is going to be the state file.
    pub fn wrote(&self, file: &File) {
        let written = FileId::of(file).ok();
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = written;
    }
}

impl Hold for FolderHold {
    fn lost(&self) -> Option<String> {
        let is_lost = !self.lock.is_at(&self.lock_path);
        is_lost.then(|| {
            "coordenador.lock foi apagado, movido ou trocado, e outro coordenador pode estar na pasta: devolva-o, ou reinicie o serviço".to_owned()
        })
    }

    fn has_state(&self) -> bool {
        let written = *self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let found = FileId::at(&self.state_path).ok();
        written.is_none() || found == written
    }

    fn watch(&self, tell: Box<dyn Fn() + Send + Sync>) -> Option<Stirring> {
        Some(Stirring::of(&self.state_path, tell))
    }
}
