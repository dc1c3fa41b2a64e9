//! A credential: something by which a principal is recognised.

use std::net::IpAddr;

use crate::access::Author;
use crate::access::principal::Principal;
use crate::access::role::Roles;
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

/// The columns of a credential, in the order of the fields of [`Stored`].
pub const COLUMNS: &str = "id, resumo, nome, papeis, cientista_id, prefixos, criada_por, criada_em, expira_em, revogada_em, usada_em, usada_de, \
    emissor, sujeito, email";

/// A credential's row.
pub struct Stored {
    /// Its number.
    pub id: i64,
    /// The SHA-256 of its token.
    pub digest: Option<[u8; 32]>,
    /// The name of its principal.
    pub name: String,
    /// The names of the principal's roles.
    pub roles: String,
    /// The number of the scientist that the principal is.
    pub scientist: Option<i64>,
    /// A JSON list of prefixes.
    pub prefixes: String,
    /// Who gave it.
    pub created_by: String,
    /// The instants of its life, in microseconds since 1970.
    pub created_us: i64,
    /// When it ends.
    pub expires_us: Option<i64>,
    /// When it was revoked.
    pub revoked_us: Option<i64>,
    /// The day of its last use.
    pub last_day: Option<String>,
    /// The address of that use.
    pub last_ip: Option<String>,
    /// The provider that recognises the principal.
    pub issuer: Option<String>,
    /// The provider's name for the principal.
    pub subject: Option<String>,
    /// The principal's address.
    pub email: Option<String>,
}

impl Stored {
    /// What the row says.
    ///
    /// # Errors
    /// The value that makes no sense.
    pub fn credential(self) -> Result<Credential, String> {
        let instant = |micros: i64| Timestamp::from_micros(micros).ok_or_else(|| micros.to_string());
        Ok(Credential {
            id: self.id,
            digest: self.digest.map(Digest::from_bytes),
            subject: self.issuer.map(|issuer| Subject { issuer, subject: self.subject, email: self.email }),
            principal: Principal {
                name: Author::parse(&self.name).map_err(|_| self.name.clone())?,
                roles: Roles::parse(&self.roles)?,
                scientist: self.scientist,
                prefixes: serde_json::from_str(&self.prefixes).map_err(|error| error.to_string())?,
            },
            created_by: self.created_by,
            created: instant(self.created_us)?,
            expires: self.expires_us.map(instant).transpose()?,
            revoked: self.revoked_us.map(instant).transpose()?,
            last: self.last_day.map(|day| Usage { day, ip: self.last_ip.and_then(|ip| ip.parse().ok()) }),
        })
    }
}

/// The valid credential of another principal among those that have the name of a new one, if there is one.
pub fn other_of_name(same_name: Vec<Credential>, new: &NewCredential, now: Timestamp) -> Option<Credential> {
    same_name.into_iter().find(|other| other.is_valid(now) && other.principal != new.principal)
}
