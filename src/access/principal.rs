//! A principal, and whether it may do something. Pure.

use std::sync::Arc;

use super::role::{Need, Permission, Role, Roles};
use super::{Author, Caller};

/// The prefix that stands for every name. It is no beginning of a name then.
pub const ALL_NAMES: &str = "*";

/// Somebody whom a service knows: a person or a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its name in records.
    pub name: Author,
    /// What it is.
    pub roles: Roles,
    /// The scientist that it is, with [`Role::Scientist`].
    pub scientist: Option<i64>,
    /// The beginnings of the names that it may lock and publish to, with [`Role::Service`]. [`ALL_NAMES`] stands for every name.
    pub prefixes: Vec<String>,
}

/// Who sends a request, as far as a service asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Who {
    /// The service asks nobody who they are, so everybody may do everything.
    #[default]
    Anyone,
    /// The service asks, and the caller has not said.
    Stranger,
    /// The principal.
    Known(Arc<Principal>),
}

/// Why somebody may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The service has to know who it is.
    Unidentified,
    /// None of these roles is the principal's.
    Role(&'static [Role]),
}

impl Who {
    /// Whether the caller is what an endpoint needs.
    ///
    /// # Errors
    /// Why it may not be called.
    pub fn check(&self, need: Need) -> Result<(), Denied> {
        match (self, need) {
            (Self::Anyone, _) | (_, Need::Nothing) | (Self::Known(_), Need::Identity) => Ok(()),
            (Self::Stranger, _) => Err(Denied::Unidentified),
            (Self::Known(principal), Need::May(permission)) if principal.roles.allow(permission) => Ok(()),
            (Self::Known(_), Need::May(permission)) => Err(Denied::Role(permission.roles())),
        }
    }

    /// Whether the caller may do that.
    pub fn may(&self, permission: Permission) -> bool {
        self.check(Need::May(permission)).is_ok()
    }

    /// Whether the caller may book as `scientist`, and cancel what is that scientist's.
    ///
    /// # Errors
    /// Why not.
    pub fn check_scientist(&self, scientist: i64) -> Result<(), Denied> {
        self.check(Need::May(Permission::ChangeAgenda))?;
        if self.is_scientist(scientist) { Ok(()) } else { self.check(Need::May(Permission::ChangeAnyBooking)) }
    }

    /// Whether the caller may read the notes of a booking of `scientist`.
    pub fn may_read_notes_of(&self, scientist: i64) -> bool {
        self.is_scientist(scientist) || self.may(Permission::ReadNotes)
    }

    /// Whether the caller may lock a resource of that name, or publish to a channel of that name.
    ///
    /// # Errors
    /// Why not.
    pub fn check_name(&self, name: &str) -> Result<(), Denied> {
        self.check(Need::May(Permission::UseLocks))?;
        match self {
            Self::Known(principal) if !principal.may_use(name) => Err(Denied::Role(&[Role::Operator])),
            _ => Ok(()),
        }
    }

    /// Whether the caller may lock every resource, and publish to every channel.
    pub fn may_use_every_name(&self) -> bool {
        self.may(Permission::UseLocks)
            && match self {
                Self::Known(principal) => principal.may_use_all(),
                Self::Anyone | Self::Stranger => true,
            }
    }

    fn is_scientist(&self, scientist: i64) -> bool {
        let Self::Known(principal) = self else { return false };
        principal.roles.has(Role::Scientist) && principal.scientist == Some(scientist)
    }

    /// The scientist that the caller is.
    pub fn scientist(&self) -> Option<i64> {
        let Self::Known(principal) = self else { return None };
        principal.scientist.filter(|_| principal.roles.has(Role::Scientist))
    }

    /// The name in records.
    pub fn author(&self) -> Author {
        match self {
            Self::Anyone | Self::Stranger => Author::ANONYMOUS,
            Self::Known(principal) => principal.name.clone(),
        }
    }

    /// The caller at the other end of a connection.
    pub fn at(&self, peer: std::net::SocketAddr) -> Caller {
        Caller { author: self.author(), ip: Some(super::ip_of(peer)) }
    }
}

impl Principal {
    /// Whether it is a program that may do what a scheduler does at a coordinator.
    pub fn is_scheduler(&self) -> bool {
        self.roles.has(Role::Service) && self.prefixes.iter().any(|prefix| prefix == ALL_NAMES)
    }

    fn may_use_all(&self) -> bool {
        self.roles.has(Role::Operator) || self.prefixes.iter().any(|prefix| prefix == ALL_NAMES)
    }

    fn may_use(&self, name: &str) -> bool {
        self.may_use_all() || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(roles: &[Role], scientist: Option<i64>, prefixes: &[&str]) -> Who {
        Who::Known(Arc::new(Principal {
            name: Author::parse("ana").unwrap(),
            roles: roles.iter().copied().collect(),
            scientist,
            prefixes: prefixes.iter().map(ToString::to_string).collect(),
        }))
    }

    #[test]
    fn where_nobody_is_asked_everybody_may() {
        for permission in Permission::ALL {
            assert!(Who::Anyone.may(permission));
            assert_eq!(Who::Stranger.check(Need::May(permission)), Err(Denied::Unidentified));
        }
        assert_eq!(Who::Anyone.check_scientist(7), Ok(()));
        assert!(Who::Anyone.may_read_notes_of(7));
        assert_eq!(Who::Stranger.check(Need::Nothing), Ok(()));
        assert_eq!(Who::Stranger.check(Need::Identity), Err(Denied::Unidentified));
    }

    #[test]
    fn a_scientist_books_as_itself_only_and_an_operator_as_everybody() {
        let scientist = known(&[Role::Scientist], Some(7), &[]);
        assert_eq!(scientist.check_scientist(7), Ok(()));
        assert_eq!(scientist.check_scientist(8), Err(Denied::Role(&[Role::Operator])));
        assert!(scientist.may_read_notes_of(7) && !scientist.may_read_notes_of(8));
        assert_eq!(known(&[Role::Operator], None, &[]).check_scientist(8), Ok(()));
        for role in [Role::Reader, Role::Auditor, Role::Service] {
            let denied = known(&[role], None, &[]).check_scientist(7);
            assert_eq!(denied, Err(Denied::Role(Permission::ChangeAgenda.roles())), "{role}");
        }
        // A number without the role says nothing.
        let reader = known(&[Role::Reader], Some(7), &[]);
        assert!(reader.check_scientist(7).is_err() && !reader.may_read_notes_of(7) && reader.scientist().is_none());
        assert!(known(&[Role::Auditor], None, &[]).may_read_notes_of(7));
    }

    #[test]
    fn a_program_locks_names_under_its_prefixes_only() {
        let backup = known(&[Role::Service], None, &["backup-", "x"]);
        assert!(backup.check_name("backup-1").is_ok() && backup.check_name("xyz").is_ok());
        assert_eq!(backup.check_name("Hubble-Acad_2030"), Err(Denied::Role(&[Role::Operator])));
        assert!(known(&[Role::Service], None, &[ALL_NAMES]).check_name("Hubble-Acad_2030").is_ok());
        assert!(known(&[Role::Service], None, &[]).check_name("x").is_err());
        assert!(known(&[Role::Operator], None, &[]).check_name("x").is_ok());
        assert!(known(&[Role::Scientist], Some(1), &["x"]).check_name("x").is_err());
        assert!(!backup.may_use_every_name() && !known(&[Role::Scientist], Some(1), &[ALL_NAMES]).may_use_every_name());
        assert!(known(&[Role::Service], None, &[ALL_NAMES]).may_use_every_name() && Who::Anyone.may_use_every_name());
        assert!(known(&[Role::Operator], None, &[]).may_use_every_name() && !Who::Stranger.may_use_every_name());
    }
}
