//! The stamp of a request: the instant of its click, as far as the server vouches for it. Pure.
//!
//! A client says when its user clicked, on the official time that it keeps by itself. The server knows three things: when the request arrived,
//! when it gave the client its time token, and the shortest round trip that it has measured to the client. The request can have been on its way
//! for half of that, and a little more for unequal ways. So the stamp is the claim, but no earlier than that before the arrival, no earlier than
//! the token, and no later than the arrival. A slot that opens has an instant at which it does ([`super::opening`]): what is earlier counts as that instant.
//!
//! # What a false claim brings
//! At most half of a round trip that the server has measured itself. Who makes it longer by waiting has to wait each time, since the shortest one
//! counts; and for a request without a token that counts, the stamp is the arrival.

use crate::clock::token::{NotValid, ROUND_TRIP_US_MAX, TimeToken};
use crate::time::Timestamp;

/// By how much the two ways of a round trip may differ, in microseconds.
pub const MARGIN_US: i64 = 3_000;

/// What the server knows of a request's click.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// When the request arrived.
    pub arrived: Timestamp,
    /// When its user clicked, as the client says.
    pub claim: Option<Timestamp>,
    /// What its time token says, or why it does not count.
    pub token: Result<Vouched, NotValid>,
    /// The shortest round trip that the kernel has measured on the request's connection, in microseconds, if that is the client's own.
    pub connection_us: Option<u32>,
    /// The shortest round trip that was seen to this client by this scheduler, in microseconds.
    pub account_us: Option<u32>,
}

/// What of a time token counts for a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// When it was made (t3).
    pub sent: Timestamp,
    /// The shortest round trip of its series, in microseconds.
    pub round_trip_us: Option<u32>,
}

impl From<&TimeToken> for Vouched {
    fn from(token: &TimeToken) -> Self {
        let sent = Timestamp::from_micros(token.t3_us).unwrap_or(Timestamp::MIN);
        Self { sent, round_trip_us: token.round_trip_us }
    }
}

/// The instant of a click for which the server vouches, and how it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The instant.
    pub at: Timestamp,
    /// When the request arrived.
    pub arrived: Timestamp,
    /// The round trip that counts, in microseconds, and where it was seen.
    pub round_trip: Option<(u32, Seen)>,
    /// When the token was made (t3), or why it does not count.
    pub token: Result<Timestamp, NotValid>,
    /// Why it is this instant.
    pub reason: Reason,
}

/// Where a round trip was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// In the series of the token.
    Token,
    /// On the connection, by the kernel.
    Connection,
    /// In an earlier series of the same client.
    Account,
}

/// Why a stamp is the instant that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The claim is possible.
    AsClaimed,
    /// There is no claim, so it is the arrival.
    NoClaim,
    /// The token does not count, so it is the arrival.
    NoToken,
    /// The request came through a proxy that is not trusted, so no round trip is known to be its client's: it is the arrival.
    Proxied,
    /// The claim is later than the arrival, which is impossible.
    AfterArrival,
    /// The claim is earlier than the token: it is the token's instant.
    BeforeToken,
    /// The claim is earlier than the round trip allows.
    BeyondCredit,
    /// It would be earlier than the instant at which the slot opens.
    BeforeOpening,
}

impl Seen {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Connection => "conexao",
            Self::Account => "conta",
        }
    }
}

impl Reason {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsClaimed => "como_alegado",
            Self::NoClaim => "sem_clique",
            Self::NoToken => "sem_token",
            Self::Proxied => "por_intermediario",
            Self::AfterArrival => "depois_da_chegada",
            Self::BeforeToken => "antes_do_token",
            Self::BeyondCredit => "alem_do_credito",
            Self::BeforeOpening => "antes_da_abertura",
        }
    }
}

/// How long before its arrival a request can have been clicked, by a round trip that was seen, in microseconds.
pub fn credit_us(round_trip_us: Option<u32>) -> i64 {
    round_trip_us.map_or(0, |us| i64::from(us.min(ROUND_TRIP_US_MAX)) / 2) + MARGIN_US
}

impl Stamp {
    /// The stamp for a slot that opens at this instant.
    #[must_use]
    pub fn since(self, opens_at: Timestamp) -> Self {
        if self.at >= opens_at { self } else { Self { at: opens_at, reason: Reason::BeforeOpening, ..self } }
    }
}

#[cfg(test)]
impl Stamp {
    /// The stamp of a request without a time token.
    fn of_arrival(arrived: Timestamp) -> Self {
        Self { at: arrived, arrived, round_trip: None, token: Err(NotValid::Form), reason: Reason::NoToken }
    }
}

impl Evidence {
    /// The round trip that counts: the shortest that the server has seen.
    fn round_trip(&self) -> Option<(u32, Seen)> {
        let of_token = self.token.ok().and_then(|token| token.round_trip_us).map(|us| (us, Seen::Token));
        let of_connection = self.connection_us.map(|us| (us, Seen::Connection));
        let of_account = self.account_us.map(|us| (us, Seen::Account));
        let shortest = [of_token, of_connection, of_account].into_iter().flatten().min_by_key(|(us, _)| *us);
        shortest.map(|(us, seen)| (us.min(ROUND_TRIP_US_MAX), seen))
    }

    /// The stamp.
    pub fn stamp(&self) -> Stamp {
        let Self { arrived, claim, token, .. } = *self;
        let Ok(vouched) = token else {
            let token = token.map(|vouched| vouched.sent);
            let reason = if token == Err(NotValid::Proxied) { Reason::Proxied } else { Reason::NoToken };
            return Stamp { at: arrived, arrived, round_trip: None, token, reason };
        };
        let round_trip = self.round_trip();
        let credit_us = credit_us(round_trip.map(|(us, _)| us));
        let of_credit = Timestamp::from_micros(arrived.as_micros() - credit_us).unwrap_or(Timestamp::MIN);
        // Another scheduler's clock may be ahead of the arrival.
        let earliest = vouched.sent.max(of_credit).min(arrived);
        let (at, reason) = match claim {
            None => (arrived, Reason::NoClaim),
            Some(claim) if claim > arrived => (arrived, Reason::AfterArrival),
            Some(claim) if claim >= earliest => (claim, Reason::AsClaimed),
            Some(_) if vouched.sent > of_credit => (earliest, Reason::BeforeToken),
            Some(_) => (earliest, Reason::BeyondCredit),
        };
        Stamp { at, arrived, round_trip, token: Ok(vouched.sent), reason }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
