//! The identities of new leases: random, so that nobody can guess one. The system is asked for those of the next requests too.

use std::sync::{Mutex, PoisonError};

use crate::coordinator::table::LeaseId;

/// Bytes of one identity.
const BYTES: usize = size_of::<LeaseId>();
/// So many identities are made at once: 256 bytes, which Linux gives in one call also when a signal comes (getrandom(2)).
const AT_ONCE: usize = 256 / BYTES;

/// Identities that no lease has yet.
///
/// A std lock around a short list: it is held to take one, and for one system call to fill it.
#[derive(Debug, Default)]
pub struct LeaseIds(Mutex<Vec<LeaseId>>);

impl LeaseIds {
    /// A new one, of 128 random bits.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn next(&self) -> Result<LeaseId, getrandom::Error> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = spare.pop() {
            return Ok(id);
        }
        let mut random = [[0; BYTES]; AT_ONCE];
        getrandom::fill(random.as_flattened_mut())?;
        let [first, rest @ ..] = random.map(|bytes| LeaseId(u128::from_le_bytes(bytes)));
        spare.extend(rest);
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn none_is_given_twice_also_to_several_threads() {
        let ids = LeaseIds::default();
        let some = || (0..10 * AT_ONCE + 3).map(|_| ids.next().unwrap()).collect::<Vec<_>>();
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(some));
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let different: HashSet<_> = all.iter().map(|id| id.0).collect();
        assert_eq!((all.len(), different.contains(&0)), (different.len(), false));
    }
}
