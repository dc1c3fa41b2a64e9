//! Damage that was found in a database's pages.
//!
//! A page that cannot be read is found by the request that reads it, or by the check in the background. From then on no
//! booking, cancellation or refusal is written: a write to pages that contradict each other may destroy more. It stays so until
//! the process ends. The record of the stop and the exporter's note are still tried.

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
            // The first error is kept; more add nothing.
            let _ = self.0.set(error.to_string());
        }
    }

    /// Whether any was found.
    pub fn is_found(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether the database may be written as far as is known.
    ///
    /// # Errors
    /// Why not, in words for `/pronto` and the log.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.0.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Unavailable(format!(
                "danificado ({reason}): nada mais é gravado; pare o serviço e restaure o banco de uma cópia"
            ))),
        }
    }
}
