//! Damage that was found in a database's pages.
//!
//! An unreadable page is found by the request that reads it, or by the check in the background. After that no booking,
//! cancellation or refusal is written: a write to damaged pages may destroy more data. This lasts until the process ends.
//! The process still tries to write the record of the stop and the exporter's note.

use std::sync::{Arc, OnceLock};

use super::errors::is_damage;
use crate::store::StoreError;

/// Shared by the readers and the writer of one database.
#[derive(Clone, Default)]
pub struct Damage(Arc<OnceLock<String>>);

impl Damage {
    /// Notes the error if it says that the database is damaged.
    pub fn look_at(&self, error: &rusqlite::Error) {
        if is_damage(error) {
            // Only the first error is kept; later errors add no information.
            let _ = self.0.set(error.to_string());
        }
    }

    /// Whether any damage was found.
    pub fn is_found(&self) -> bool {
        self.0.get().is_some()
    }

    /// Succeeds if no damage that forbids writing is known.
    ///
    /// # Errors
    /// The reason, in words for `/pronto` and the log.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.0.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Unavailable(format!(
                "danificado ({reason}): nada mais é gravado; pare o serviço e restaure o banco de uma cópia"
            ))),
        }
    }
}
