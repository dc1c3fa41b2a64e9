//! A credential: something by which a principal is recognised.

use std::net::IpAddr;

use crate::access::principal::Principal;
use crate::access::subject::Subject;
use crate::access::token::Digest;
use crate::time::Timestamp;

/// A credential as it is stored. Its secret is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its number. Numbers grow and are never used again.
    pub id: i64,
    /// The SHA-256 of its token; `None` where an identity provider recognises the principal.
    pub digest: Option<Digest>,
    /// How an identity provider recognises the principal, where one does.
    pub subject: Option<Subject>,
    /// Whom it identifies.
    pub principal: Principal,
    /// The principal that gave it, or `linha-de-comando`.
    pub created_by: String,
    /// When it was given.
    pub created: Timestamp,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// Its last use.
    pub last: Option<Usage>,
}

/// A credential that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredential {
    /// Whom it identifies.
    pub principal: Principal,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// The last use of a credential. The instant is not kept: nobody needs to know when a scientist works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The day, in UTC: `2026-11-26`.
    pub day: String,
    /// The address of the client.
    pub ip: Option<IpAddr>,
}

/// Where a credential is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It identifies its principal.
    Valid,
    /// Its end has come.
    Expired,
    /// Somebody has ended it.
    Revoked,
}

impl State {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valido",
            Self::Expired => "expirado",
            Self::Revoked => "revogado",
        }
    }
}

impl Credential {
    /// Where it is in its life at an instant.
    pub fn state(&self, now: Timestamp) -> State {
        match (self.revoked, self.expires) {
            (Some(_), _) => State::Revoked,
            (None, Some(end)) if now >= end => State::Expired,
            _ => State::Valid,
        }
    }

    /// Whether it identifies its principal at an instant.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.state(now) == State::Valid
    }
}
