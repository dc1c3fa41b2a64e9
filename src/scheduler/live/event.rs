//! An event of the agenda, as the listeners of this scheduler have it.

use bytes::Bytes;

use crate::http::channel::{self, Position};
use crate::http::sse::{encode, encoded_size};

/// An event of the agenda.
#[derive(Debug)]
pub enum Event {
    /// As it came from the coordinator, whole.
    Relayed(Bytes),
    /// This scheduler's own, where there is no coordinator.
    Own {
        /// Its name.
        name: &'static str,
        /// Its data: JSON on one line.
        data: String,
    },
}

impl channel::Event for Event {
    fn encode(&self, id: Position) -> Bytes {
        match self {
            Self::Relayed(bytes) => bytes.clone(),
            Self::Own { name, data } => encode(&id.to_string(), name, data),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Relayed(bytes) => bytes.len(),
            // Encoded, it also has its name and identifier.
            Self::Own { name, data } => data.len() + encoded_size(name, data),
        }
    }
}
