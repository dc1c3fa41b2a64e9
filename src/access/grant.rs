//! The rules of a new token. Pure.

use std::time::Duration;

use super::principal::Principal;
use super::register::credential::NewCredential;
use super::role::{Role, Roles};
use super::{Author, WrongName};
use crate::time::Timestamp;

/// The days that a token is valid if nothing else is asked for.
pub const DAYS_DEFAULT: u32 = 365;
/// The most days that can be asked for. 0 is no end.
pub const DAYS_MAX: u32 = 3650;
/// The most prefixes of a token.
pub const PREFIXES_MAX: usize = 20;
/// The most bytes of a prefix.
pub const PREFIX_BYTES_MAX: usize = 200;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// The principal's name.
    pub name: String,
    /// Its roles.
    pub roles: Roles,
    /// The scientist that it is.
    pub scientist: Option<i64>,
    /// The beginnings of the names that it may lock.
    pub prefixes: Vec<String>,
    /// The days that the token is valid; 0 is no end.
    pub days: u32,
}

/// Why there is no such token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongGrant {
    /// The name.
    Name(WrongName),
    /// No role.
    NoRole,
    /// A scientist's role without the scientist.
    NoScientist,
    /// A scientist without a scientist's role.
    ScientistWithoutRole,
    /// A service's role without a prefix.
    NoPrefix,
    /// A prefix without a service's role.
    PrefixWithoutRole,
    /// A prefix that is empty or too long, or too many of them.
    Prefix,
    /// Too many days.
    Days,
}

impl Grant {
    /// The credential, from `now` on.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(self, now: Timestamp) -> Result<NewCredential, WrongGrant> {
        let name = Author::parse(&self.name).map_err(WrongGrant::Name)?;
        let (is_scientist, is_service) = (self.roles.has(Role::Scientist), self.roles.has(Role::Service));
        let fits = |prefix: &String| (1..=PREFIX_BYTES_MAX).contains(&prefix.len());
        let wrong = match () {
            () if self.roles.is_empty() => Some(WrongGrant::NoRole),
            () if is_scientist && self.scientist.is_none() => Some(WrongGrant::NoScientist),
            () if !is_scientist && self.scientist.is_some() => Some(WrongGrant::ScientistWithoutRole),
            () if is_service && self.prefixes.is_empty() => Some(WrongGrant::NoPrefix),
            () if !is_service && !self.prefixes.is_empty() => Some(WrongGrant::PrefixWithoutRole),
            () if self.prefixes.len() > PREFIXES_MAX || !self.prefixes.iter().all(fits) => Some(WrongGrant::Prefix),
            () if self.days > DAYS_MAX => Some(WrongGrant::Days),
            () => None,
        };
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let mut prefixes = self.prefixes;
        prefixes.sort_unstable();
        prefixes.dedup();
        let principal = Principal { name, roles: self.roles, scientist: self.scientist, prefixes };
        let expires = (self.days > 0).then(|| now.saturating_add(DAY.saturating_mul(self.days)));
        Ok(NewCredential { principal, expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(roles: &[Role], scientist: Option<i64>, prefixes: &[&str]) -> Grant {
        Grant {
            name: "ana@obs.example".to_owned(),
            roles: roles.iter().copied().collect(),
            scientist,
            prefixes: prefixes.iter().map(ToString::to_string).collect(),
            days: DAYS_DEFAULT,
        }
    }

    #[test]
    fn a_role_has_what_it_needs_and_nothing_else() {
        let now = Timestamp::parse_rfc3339("2026-11-26T00:00:00Z").unwrap();
        let wrong = |grant: Grant| grant.check(now).unwrap_err();
        assert_eq!(wrong(grant(&[], None, &[])), WrongGrant::NoRole);
        assert_eq!(wrong(grant(&[Role::Scientist], None, &[])), WrongGrant::NoScientist);
        assert_eq!(wrong(grant(&[Role::Reader], Some(1), &[])), WrongGrant::ScientistWithoutRole);
        assert_eq!(wrong(grant(&[Role::Service], None, &[])), WrongGrant::NoPrefix);
        assert_eq!(wrong(grant(&[Role::Operator], None, &["x"])), WrongGrant::PrefixWithoutRole);
        assert_eq!(wrong(grant(&[Role::Service], None, &["x", ""])), WrongGrant::Prefix);
        assert_eq!(wrong(Grant { days: DAYS_MAX + 1, ..grant(&[Role::Reader], None, &[]) }), WrongGrant::Days);
        for (name, why) in [("", WrongName::Form), ("a b", WrongName::Form), ("Anonimo", WrongName::Reserved)] {
            let named = Grant { name: name.to_owned(), ..grant(&[Role::Reader], None, &[]) };
            assert_eq!(wrong(named), WrongGrant::Name(why), "{name:?}");
        }
        let made = grant(&[Role::Service, Role::Scientist], Some(7), &["b-", "a-", "b-"]).check(now).unwrap();
        assert_eq!(made.principal.prefixes, ["a-", "b-"]);
        assert_eq!(made.expires.unwrap().seconds().to_string(), "2027-11-26T00:00:00Z");
        assert_eq!(Grant { days: 0, ..grant(&[Role::Reader], None, &[]) }.check(now).unwrap().expires, None);
    }
}
