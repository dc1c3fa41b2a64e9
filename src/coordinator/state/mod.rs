//! What outlives a crash: a limit of the tokens and the longest TTL that was given.
//!
//! The service reserves both ahead: a token is given once a limit that covers it is durable, a TTL once one that is at least as long
//! is. So even after a crash no token is given twice, and a start knows for how long a lease from before it may be live. The
//! counter is never seeded from a clock.
//!
//! [`mod@file`] keeps them in a file of the data folder, and [`etcd`] in etcd, for an elected coordinator. Nothing that uses
//! [`DurableState`] knows where they are.

pub mod etcd;
pub mod file;
mod hold;
#[cfg(test)]
pub mod memory;
mod text;

use std::sync::Arc;
use std::time::Duration;

use super::protocol::{TOKEN_MAX, TTL_MS_MAX};
use crate::stirring::Stirring;

/// Tokens that one write makes available.
pub const BLOCK: u64 = 1 << 20;
/// The TTLs that are written, in seconds: in steps, so that few requests need a write.
const TTL_STEPS_S: [u64; 9] = [1, 2, 5, 10, 20, 30, 60, 120, 300];

/// The durable limits. Each change blocks until it is durable.
pub trait DurableState: Send {
    /// The limits, as far as they may be used.
    fn limits(&self) -> Limits;

    /// Makes other limits durable.
    ///
    /// # Errors
    /// When they cannot be written. Either may be durable then, and [`Self::limits`] are what both allow.
    fn write(&mut self, limits: Limits) -> Result<(), StateError>;

    /// Whether the record is known to be as it was written last.
    fn is_recorded(&self) -> bool;

    /// The claim under which this process may change the limits.
    fn hold(&self) -> Arc<dyn Hold>;

    /// Makes a limit of at least `needed`, and half of [`BLOCK`] beyond, durable. Gives the limit.
    ///
    /// # Errors
    /// When it cannot be written, or the tokens are used up.
    fn reserve_tokens(&mut self, needed: u64) -> Result<u64, StateError> {
        if let Some(limits) = self.limits().covering_token(needed)? {
            self.write(limits)?;
        }
        Ok(self.limits().token_limit)
    }

    /// Makes a TTL of at least `ttl` durable. Gives the longest that is.
    ///
    /// # Errors
    /// When it cannot be written.
    fn reserve_ttl(&mut self, ttl: Duration) -> Result<Duration, StateError> {
        if let Some(limits) = self.limits().covering_ttl(ttl) {
            self.write(limits)?;
        }
        Ok(self.limits().longest_ttl)
    }

    /// Notes that no live lease lasts longer than `ttl`.
    ///
    /// # Errors
    /// When it cannot be written: the longer one stays.
    fn lower_ttl(&mut self, ttl: Duration) -> Result<(), StateError> {
        let limits = self.limits().lowered_to(ttl);
        if limits != self.limits() || !self.is_recorded() { self.write(limits) } else { Ok(()) }
    }

    /// Writes the limits again where their record was taken away.
    ///
    /// # Errors
    /// When they cannot be written.
    fn put_back(&mut self) -> Result<(), StateError> {
        if self.is_recorded() { Ok(()) } else { self.write(self.limits()) }
    }
}

/// The claim to be the only coordinator of the durable limits. Each request looks at it before its grants, so looking is quick.
pub trait Hold: Send + Sync {
    /// Why the claim is lost, if it is: another coordinator may have it.
    fn lost(&self) -> Option<String>;

    /// Whether the limits are recorded as this process wrote them last.
    fn has_state(&self) -> bool;

    /// Calls `tell` each time that the record may have been taken away. This ends when the returned value is dropped. `None` where that
    /// cannot be noticed: a missing record is then found when a lock is requested.
    fn watch(&self, tell: Box<dyn Fn() + Send + Sync>) -> Option<Stirring> {
        drop(tell);
        None
    }
}

/// Why the limits could not be changed. Its words are for the log, in Portuguese.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Every token below 2^53 has been given.
    #[error("os tokens abaixo de 2^53 acabaram")]
    TokensUsedUp,
    /// The [`Hold`] is lost.
    #[error("{0}")]
    NotHeld(String),
    /// The limits cannot be written.
    #[error("{0}")]
    NotWritten(String),
}

/// The limits as values: what has to be written before more may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The limit of the tokens.
    pub token_limit: u64,
    /// The longest TTL: how long after a start a lease from before it may be live.
    pub longest_ttl: Duration,
}

impl Limits {
    /// The limits that cover the token `needed`; `None` if these do, with half of [`BLOCK`] to spare.
    ///
    /// # Errors
    /// When the tokens are used up.
    fn covering_token(self, needed: u64) -> Result<Option<Self>, StateError> {
        if needed >= TOKEN_MAX {
            return Err(StateError::TokensUsedUp);
        }
        let token_limit = (needed + BLOCK).min(TOKEN_MAX - 1);
        Ok((needed + BLOCK / 2 > self.token_limit).then_some(Self { token_limit, ..self }))
    }

    /// The limits that cover `ttl`; `None` if these do.
    fn covering_ttl(self, ttl: Duration) -> Option<Self> {
        (ttl > self.longest_ttl).then(|| Self { longest_ttl: ttl_step(ttl), ..self })
    }

    /// The limits when no live lease lasts longer than `ttl`. In whole milliseconds, rounded up: no less is stored.
    fn lowered_to(self, ttl: Duration) -> Self {
        let ttl = Duration::from_millis(u64::try_from(ttl.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
        Self { longest_ttl: ttl.min(self.longest_ttl), ..self }
    }
}

/// The step that a TTL is covered by.
pub fn ttl_step(ttl: Duration) -> Duration {
    if ttl.is_zero() {
        return ttl;
    }
    let step = TTL_STEPS_S.into_iter().map(Duration::from_secs).find(|step| *step >= ttl);
    step.unwrap_or(Duration::from_millis(TTL_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttls_are_covered_by_steps() {
        for (ttl_ms, step_ms) in [(0, 0), (1, 1000), (1000, 1000), (1001, 2000), (299_999, 300_000), (300_000, 300_000)]
        {
            assert_eq!(ttl_step(Duration::from_millis(ttl_ms)), Duration::from_millis(step_ms));
        }
    }
}
