//! The limits that the caller has made durable: which tokens and which TTLs the table may give.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Table;
use super::values::{NotGranted, TOKEN_JUMP_MAX, Ticket};

impl Table {
    /// Allows tokens up to `limit`, which the caller has made durable. Waiters that lacked one are served.
    pub fn allow_tokens(&mut self, now: Duration, limit: u64) {
        self.expire(now);
        if limit > self.token_limit {
            self.token_limit = limit;
            self.serve_all(now);
        }
    }

    fn serve_all(&mut self, now: Duration) {
        let all: BTreeSet<Ticket> = self.waiters.tickets().into_iter().collect();
        self.serve(now, all);
    }

    /// Lets the table give locks until `until`, and nothing from then on before it is told a later end. Waiters that were free to be
    /// served meanwhile are served.
    pub fn give_until(&mut self, now: Duration, until: Duration) {
        self.expire(now);
        let had_lapsed = self.has_lapsed(now);
        self.gives_until = Some(self.gives_until.map_or(until, |before| before.max(until)));
        if had_lapsed {
            self.serve_all(now);
        }
    }

    /// Whether nothing may be given now.
    pub(super) fn has_lapsed(&self, now: Duration) -> bool {
        self.gives_until.is_some_and(|until| now >= until)
    }

    /// Allows leases to live for up to `ttl`, which the caller has made durable.
    pub fn allow_ttl(&mut self, ttl: Duration) {
        self.ttl_limit = self.ttl_limit.max(ttl);
    }

    /// Forbids TTLs longer than all that were given since the last call, still live, or are waited for, and gives the
    /// longest of them, which has to stay durable. `step` rounds up.
    pub fn settle_ttl(&mut self, step: impl FnOnce(Duration) -> Duration) -> Duration {
        let live = self.leases.values().map(|lease| lease.ttl);
        let wanted = self.waiters.requests().map(|request| request.ttl);
        let longest = step(live.chain(wanted).fold(self.longest_ttl, Duration::max));
        self.longest_ttl = Duration::ZERO;
        self.ttl_limit = self.ttl_limit.min(longest);
        self.ttl_limit
    }

    /// The longest TTL that may be given.
    pub fn ttl_limit(&self) -> Duration {
        self.ttl_limit
    }

    /// Tokens that may still be given.
    pub fn tokens_left(&self) -> u64 {
        self.token_limit.saturating_sub(self.last_token)
    }

    /// The largest token that may be given.
    pub fn token_limit(&self) -> u64 {
        self.token_limit
    }

    /// The last token that was given, or where the table began.
    pub fn last_token(&self) -> u64 {
        self.last_token
    }

    /// The next token for a caller that has seen `min_token`.
    pub(super) fn next_token(&self, min_token: u64) -> Result<u64, NotGranted> {
        if min_token > self.last_token.saturating_add(TOKEN_JUMP_MAX) {
            return Err(NotGranted::TooFar { min_token, last_token: self.last_token });
        }
        let token = self.last_token.max(min_token) + 1;
        if token > self.token_limit { Err(NotGranted::TokenLimit(token)) } else { Ok(token) }
    }
}
