//! Calendars that other programs read at a secret address. Pure.
//!
//! A calendar program sends no token: the address itself is the secret. It reads one calendar and nothing else, and no longer than who made
//! it may read the agenda. Only the SHA-256 of the secret is stored.

use super::Author;
use super::token::Digest;
use crate::time::Timestamp;

/// The most addresses of one principal that are not revoked.
pub const CALENDARS_MAX: u32 = 50;

/// Whose bookings a calendar shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Those of the telescope with this code.
    Telescope(String),
    /// Those of the scientist with this number.
    Scientist(i64),
}

impl Shows {
    /// The telescope's code.
    pub fn telescope(&self) -> Option<&str> {
        match self {
            Self::Telescope(code) => Some(code),
            Self::Scientist(_) => None,
        }
    }

    /// The scientist's number.
    pub fn scientist(&self) -> Option<i64> {
        match self {
            Self::Telescope(_) => None,
            Self::Scientist(id) => Some(*id),
        }
    }
}

/// A secret address as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Its number.
    pub id: i64,
    /// The SHA-256 of its secret.
    pub digest: Digest,
    /// What it shows.
    pub shows: Shows,
    /// The principal who made it.
    pub owner: Author,
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// The columns of an address, in the order of the fields of [`Stored`].
pub const COLUMNS: &str = "id, resumo, telescopio, cientista_id, dono, criado_em, revogado_em";

/// The row of an address.
pub struct Stored {
    /// Its number.
    pub id: i64,
    /// The SHA-256 of its secret.
    pub digest: [u8; 32],
    /// The telescope that it shows, if it is one.
    pub telescope: Option<String>,
    /// The scientist that it shows, if it is one.
    pub scientist: Option<i64>,
    /// The principal who made it.
    pub owner: String,
    /// When it was made, in microseconds since 1970.
    pub created_us: i64,
    /// When it was revoked.
    pub revoked_us: Option<i64>,
}

impl Stored {
    /// What the row says.
    ///
    /// # Errors
    /// What should stand there.
    pub fn calendar(self) -> Result<Calendar, &'static str> {
        let instant = |micros: i64| Timestamp::from_micros(micros).ok_or("an instant");
        let shows = match (self.telescope, self.scientist) {
            (Some(code), None) => Shows::Telescope(code),
            (None, Some(id)) => Shows::Scientist(id),
            _ => return Err("a telescope or a scientist"),
        };
        Ok(Calendar {
            id: self.id,
            digest: Digest::from_bytes(self.digest),
            shows,
            owner: Author::parse(&self.owner).map_err(|_| "an author")?,
            created: instant(self.created_us)?,
            revoked: self.revoked_us.map(instant).transpose()?,
        })
    }
}
