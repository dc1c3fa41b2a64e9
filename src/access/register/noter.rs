//! The thread that stores when credentials were last used.
//!
//! It has a connection of its own: a disk that is slow to write must not keep
//! the register from being looked at, since then nobody would be identified.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use slog::{Logger, warn};

use super::error::RegisterError;
use super::records::{Place, Records};
use super::shared::Shared;

/// The pause between two times that uses are stored.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// Stores the uses of credentials.
pub(super) struct Noter {
    shared: Arc<Shared>,
    place: Arc<dyn Place>,
    file: Option<Box<dyn Records>>,
    log: Logger,
}

impl Noter {
    /// It opens the register when there is something to store.
    pub(super) fn new(shared: &Arc<Shared>, place: &Arc<dyn Place>, log: &Logger) -> Self {
        Self { shared: Arc::clone(shared), place: Arc::clone(place), file: None, log: log.clone() }
    }

    /// Stores the uses now and then, and once more at the end.
    pub(super) fn run(mut self) {
        let mut noted = Instant::now();
        while !self.shared.stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(NOTE_EVERY.saturating_sub(noted.elapsed()));
            if noted.elapsed() >= NOTE_EVERY {
                noted = Instant::now();
                self.note();
            }
        }
        self.note();
    }

    /// A use that cannot be stored is only a convenience lost.
    pub(super) fn note(&mut self) {
        let (usages, visits) = {
            let known = self.shared.read();
            (known.take_usages(), known.visits())
        };
        if usages.is_empty() && visits.is_empty() {
            return;
        }
        let stored = self.opened().and_then(|file| {
            file.note_usages(&usages)?;
            file.note_visits(&visits)
        });
        if let Err(failed) = stored {
            warn!(self.log, "O último uso de um token não foi anotado: {}", failed);
        }
    }

    /// The register's file, opened again if another file stands in its place.
    fn opened(&mut self) -> Result<&mut Box<dyn Records>, RegisterError> {
        let file = match self.file.take().filter(|file| file.is_in_place()) {
            Some(file) => file,
            None => self.place.open_again()?,
        };
        Ok(self.file.insert(file))
    }
}
