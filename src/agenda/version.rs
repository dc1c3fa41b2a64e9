//! The version of a resource, by which a client says which one it has read.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// A short text that is another one for another state.
pub fn version_of(state: &impl Serialize) -> String {
    // Structs of texts and numbers: serialising them to memory cannot fail.
    let json = serde_json::to_vec(state).expect("a state serialises");
    base16ct::lower::encode_string(&Sha256::digest(json)[..10])
}
