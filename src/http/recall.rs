//! The digest of the token that a connection has sent last, so that a client that sends its token with each request has it hashed once.
//!
//! Only the hashing is spared. Whom the digest identifies is looked up for each request: a token that is revoked ends as soon as without this.

use std::sync::{Mutex, PoisonError};

use crate::access::token::Digest;

/// The longest header that is remembered. A token is shorter.
const HEADER_BYTES_MAX: usize = 128;

/// What a connection remembers.
///
/// A std lock around a small value: held to compare it, or to hash another token in its place. The requests of a connection follow each other, so nobody waits for it.
#[derive(Debug, Default)]
pub struct Recall(Mutex<Option<Seen>>);

/// A header, and the digest of the token in it.
struct Seen {
    header: Box<[u8]>,
    digest: Digest,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seen(…)")
    }
}

impl Recall {
    /// The digest of the token in a header, which `read` gives if it is not that of the header before.
    ///
    /// # Errors
    /// Those of `read`, of which nothing is remembered.
    pub fn digest<E>(&self, header: &[u8], read: impl FnOnce() -> Result<Digest, E>) -> Result<Digest, E> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.as_ref().filter(|seen| is_same(&seen.header, header)) {
            return Ok(seen.digest);
        }
        let digest = read()?;
        if header.len() <= HEADER_BYTES_MAX {
            *seen = Some(Seen { header: header.into(), digest });
        }
        Ok(digest)
    }
}

/// Whether both are the same. A proxy may send several clients' requests over one connection, so the time that this takes must not tell at
/// which byte they differ: all of them are compared.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |differing, (one, other)| differing | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_once_until_another_one_comes() {
        let recall = Recall::default();
        let mut read = 0;
        let asked = |header: &str| {
            let digest = recall.digest(header.as_bytes(), || {
                read += 1;
                Ok::<_, ()>(Digest::of(header))
            });
            assert_eq!(digest, Ok(Digest::of(header)));
            read
        };
        let long = "x".repeat(HEADER_BYTES_MAX + 1);
        let read =
            ["Bearer a", "Bearer a", "Bearer b", "Bearer bb", "Bearer bb", "Bearer", &long, &long, "Bearer"].map(asked);
        assert_eq!(read, [1, 1, 2, 3, 3, 4, 5, 6, 6]);
    }

    #[test]
    fn what_is_wrong_is_not_remembered() {
        let recall = Recall::default();
        assert_eq!(recall.digest(b"Bearer a", || Ok::<_, ()>(Digest::of("a"))), Ok(Digest::of("a")));
        assert_eq!(recall.digest(b"Bearer b", || Err(())), Err(()));
        assert_eq!(recall.digest(b"Bearer b", || Ok::<_, ()>(Digest::of("b"))), Ok(Digest::of("b")));
        assert!(!format!("{recall:?}").contains("Bearer"));
    }
}
