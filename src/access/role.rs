//! Roles, and what each allows. Pure.

use std::fmt::{self, Display};

/// What a principal is in the observatory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads the agenda and the catalogue.
    Reader,
    /// Reads, books as the one scientist that the principal is, and cancels what is that scientist's.
    Scientist,
    /// Does everything in the agenda, for every scientist; takes locks away; gives and revokes tokens.
    Operator,
    /// Reads the audit trail, and the notes of every booking.
    Auditor,
    /// A program that uses locks: a scheduler, or any other.
    Service,
}

impl Role {
    /// Every role, in the order of the documents.
    pub const ALL: [Self; 5] = [Self::Reader, Self::Scientist, Self::Operator, Self::Auditor, Self::Service];

    /// The name on the wire and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "leitor",
            Self::Scientist => "cientista",
            Self::Operator => "operador",
            Self::Auditor => "auditor",
            Self::Service => "servico",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Whether the role is one of them.
    pub const fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }

    /// Whether one of them allows it.
    pub fn allow(self, permission: Permission) -> bool {
        permission.roles().iter().any(|role| self.has(*role))
    }

    /// The set whose names [`Display`] has written. An unknown name is the error.
    ///
    /// # Errors
    /// The first name that is no role's.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(|name| Role::from_name(name).ok_or_else(|| name.to_owned())).collect()
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | role.bit()))
    }
}

/// The names, separated by commas.
impl Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Role::name).collect();
        f.pad(&names.join(","))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Something that some principals may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To read the agenda and the catalogue.
    ReadAgenda,
    /// To book and to cancel. A principal that is no operator does it only as its own scientist.
    ChangeAgenda,
    /// To book and to cancel for every scientist.
    ChangeAnyBooking,
    /// To change telescopes, and what they allow.
    ManageCatalogue,
    /// To read the notes of every booking.
    ReadNotes,
    /// To read the audit trail.
    ReadTrail,
    /// To give tokens, to see them and to revoke them.
    ManageAccess,
    /// To see the locks, the events and the counters of the coordinator.
    Observe,
    /// To ask for locks, and to publish events.
    UseLocks,
    /// To take a lock away from its holder.
    TakeLocks,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 10] = [
        Self::ReadAgenda,
        Self::ChangeAgenda,
        Self::ChangeAnyBooking,
        Self::ManageCatalogue,
        Self::ReadNotes,
        Self::ReadTrail,
        Self::ManageAccess,
        Self::Observe,
        Self::UseLocks,
        Self::TakeLocks,
    ];

    /// The roles that allow it. A refusal names the first.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::ReadAgenda => &[Role::Reader, Role::Scientist, Role::Operator, Role::Auditor],
            Self::ChangeAgenda => &[Role::Scientist, Role::Operator],
            Self::ChangeAnyBooking | Self::ManageCatalogue | Self::ManageAccess => &[Role::Operator],
            Self::ReadNotes => &[Role::Auditor, Role::Operator],
            Self::ReadTrail => &[Role::Auditor],
            Self::Observe => &Role::ALL,
            Self::UseLocks => &[Role::Service, Role::Operator],
            Self::TakeLocks => &[Role::Operator, Role::Service],
        }
    }
}

/// What a caller of an endpoint has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the endpoint is there for everybody, a caller that says nothing of itself included.
    Nothing,
    /// A principal, with any role.
    Identity,
    /// A principal with one of the roles that allow it.
    May(Permission),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_roles_is_written_and_read() {
        for bits in 1..32_u8 {
            let roles: Roles = Role::ALL.into_iter().filter(|role| bits & role.bit() != 0).collect();
            assert_eq!(Roles::parse(&roles.to_string()), Ok(roles));
            assert_eq!(roles.iter().count(), bits.count_ones() as usize);
        }
        assert_eq!(Roles::parse("leitor,chefe"), Err("chefe".to_owned()));
        assert!(Roles::default().is_empty());
    }

    #[test]
    fn every_permission_is_somebodys_and_no_role_has_all() {
        for permission in Permission::ALL {
            assert!(!permission.roles().is_empty(), "{permission:?}");
            assert!(!Roles::default().allow(permission), "{permission:?}");
        }
        for role in Role::ALL {
            let roles: Roles = [role].into_iter().collect();
            assert!(Permission::ALL.iter().any(|permission| !roles.allow(*permission)), "{role}");
        }
    }
}
