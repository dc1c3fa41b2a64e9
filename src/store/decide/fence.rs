//! Whether a lease still counts: what keeps a scheduler that slept past its lease from writing over a newer decision.

use super::view::{Claim, View};
use crate::store::outcomes::{Fence, FenceBroken};
use crate::time::Timestamp;

impl Fence {
    /// Whether the transaction began within the lease's time.
    pub(super) fn check_time(&self, view: &View) -> Result<(), FenceBroken> {
        if view.began >= self.deadline { Err(FenceBroken::Expired) } else { Ok(()) }
    }

    /// Whether no newer token has written to the slot that starts at `start`.
    pub(super) fn check_token(&self, start: Timestamp, claim: Claim) -> Result<(), FenceBroken> {
        if claim.token > self.token { Err(FenceBroken::Stale { start, seen: claim.token }) } else { Ok(()) }
    }
}
