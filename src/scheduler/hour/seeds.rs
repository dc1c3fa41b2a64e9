//! The seeds of this scheduler: made and recorded before the first contest, and again when they are used up.
//!
//! A seed is used until a booking of this scheduler shows it. A booking of another scheduler may show it too, since the request with the
//! smallest stamp brings the seed, and may lose the draw: who reads the trail at once knows it then until it is shown here.

use std::sync::{Mutex, PoisonError};

use slog::{Logger, warn};

use crate::agenda::seeds::Chain;
use crate::store::Store;
use crate::text::Word;

/// The chain that is in use. A std lock: it is held to look at it, or to go on to the next link.
#[derive(Default)]
pub struct Seeds {
    chain: Mutex<Option<Chain>>,
    /// Whose turn it is to make one. A tokio lock, since it is held while the chain is recorded.
    making: tokio::sync::Mutex<()>,
}

impl Seeds {
    /// Makes and records a chain if there is none with a seed left. Without one, ties are decided by the smallest stamp.
    pub async fn prepare(&self, store: &dyn Store, log: &Logger) {
        if self.seed().is_some() {
            return;
        }
        let Ok(_making) = self.making.try_lock() else { return };
        let Ok(chain) = Chain::random() else { return };
        match store.record_seeds(chain.commitment()).await {
            Ok(()) => *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain),
            Err(error) => {
                warn!(log, "Sem sementes para sortear empates: {}", Word(&error.to_string()));
            }
        }
    }

    /// The seed that a request brings to a contest.
    pub fn seed(&self) -> Option<String> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Chain::seed)
    }

    /// A contest was drawn with this seed.
    pub fn shown(&self, seed: &str) {
        if let Some(chain) = self.chain.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            chain.shown(seed);
        }
    }
}
