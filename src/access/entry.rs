//! Which credential is that of a person whom an identity provider has recognised. Pure.
//!
//! An operator ties a subject to a principal; or an address, which becomes that of the first subject who signs in with it. An
//! [`EmailRule`] lets in all people of a domain, who may only read.

use super::Author;
use super::grant::Grant;
use super::register::credential::{Credential, NewCredential, State};
use super::role::Role;
use super::subject::{EMAIL_MAX, Identified, Subject};
use crate::time::Timestamp;

/// Lets in everybody with a verified address of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailRule(String);

/// What a sign-in leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The credential of that number.
    Known(i64),
    /// The credential of that number, which waits for the person's address.
    Bind(i64),
    /// A new one, by the rule.
    New(NewCredential),
}

/// Why a person whom the provider has recognised may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEntry {
    /// Nobody has tied the subject, and no rule lets it in.
    Unknown,
    /// The name that the rule gives is another principal's.
    NameTaken,
    /// The credential was revoked.
    Revoked,
    /// The credential's end has come.
    Expired,
}

impl EmailRule {
    /// The rule for a domain, without its subdomains.
    pub fn of(domain: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        let labels = domain.split('.').all(|label| !label.is_empty());
        (labels && domain.len() <= EMAIL_MAX && domain.bytes().all(fits)).then(|| Self(domain.to_ascii_lowercase()))
    }

    /// The credential of a person with that address: a reader by that name.
    fn lets_in(&self, email: &str, now: Timestamp) -> Option<NewCredential> {
        let (user, domain) = email.rsplit_once('@')?;
        if user.is_empty() || domain != self.0 {
            return None;
        }
        let roles = [Role::Reader].into_iter().collect();
        Grant { name: email.to_owned(), roles, ..Grant::default() }.check(now).ok()
    }
}

/// Decides by the credentials `found` of the subject, and those that wait for its address. The rule gives its credentials in the name of
/// `service`, and they count as long as it still lets in the person's present address.
///
/// # Errors
/// Why the person may not come in.
pub fn decide(
    found: &[Credential],
    identified: &Identified,
    (rule, service): (Option<&EmailRule>, &Author),
    now: Timestamp,
) -> Result<Entry, NoEntry> {
    let by_rule = || rule.zip(identified.email.as_deref()).and_then(|(rule, email)| rule.lets_in(email, now));
    let waits = |credential: &&Credential| credential.subject.as_ref().is_some_and(|of| of.subject.is_none());
    let by_operator = |credential: &Credential| credential.created_by != service.as_str();
    let valid = found.iter().filter(|credential| credential.is_valid(now));
    // The newest tie counts, by the subject or by its address; what the rule has given counts after all ties.
    if let Some(credential) = valid.max_by_key(|credential| (by_operator(credential), credential.id)) {
        return match credential {
            credential if waits(&credential) => Ok(Entry::Bind(credential.id)),
            credential if by_operator(credential) || by_rule().is_some() => Ok(Entry::Known(credential.id)),
            _ => Err(NoEntry::Unknown),
        };
    }
    // The rule does not let in again somebody whom an operator has put out.
    match found.last().map(|credential| credential.state(now)) {
        Some(State::Revoked) => Err(NoEntry::Revoked),
        Some(State::Expired) => Err(NoEntry::Expired),
        Some(State::Valid) | None => by_rule().map(Entry::New).ok_or(NoEntry::Unknown),
    }
}

/// A subject that is to be tied, with what its credentials of `before` tell: an address that has signed in already belongs to the subject
/// that it had then.
pub fn completed(subject: &Subject, before: &[Credential]) -> Subject {
    let standing = before.iter().rev().filter(|old| old.revoked.is_none());
    let known = standing.filter_map(|old| old.subject.as_ref()).find_map(|old| old.subject.clone());
    Subject { subject: subject.subject.clone().or(known), ..subject.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Caller;
    use crate::access::principal::Principal;
    use crate::access::subject::Subject;

    const ISSUER: &str = "https://id.example";

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    fn service() -> Author {
        Caller::service("servico-agendamento").author
    }

    fn credential(id: i64, subject: Option<&str>, revoked: bool) -> Credential {
        let now = at("2026-11-26T12:00:00Z");
        Credential {
            id,
            digest: None,
            subject: Some(Subject {
                issuer: ISSUER.to_owned(),
                subject: subject.map(str::to_owned),
                email: Some("ana@obs.example".to_owned()),
            }),
            principal: Principal {
                name: Author::parse("ana").unwrap(),
                roles: [Role::Reader].into_iter().collect(),
                scientist: None,
                prefixes: Vec::new(),
            },
            created_by: "chefe".to_owned(),
            created: now,
            expires: Some(at("2027-11-26T12:00:00Z")),
            revoked: revoked.then_some(now),
            last: None,
        }
    }

    fn decided(found: &[Credential], email: Option<&str>, rule: Option<&str>, now: &str) -> Result<Entry, NoEntry> {
        let identified =
            Identified { issuer: ISSUER.to_owned(), subject: "s-1".to_owned(), email: email.map(str::to_owned) };
        decide(found, &identified, (rule.and_then(EmailRule::of).as_ref(), &service()), at(now))
    }

    const NOW: &str = "2026-11-26T12:00:00Z";
    const LATE: &str = "2028-01-01T00:00:00Z";

    #[test]
    fn a_tie_counts_before_the_rule_and_the_newest_tie_before_others() {
        let (bound, waiting) = (credential(1, Some("s-1"), false), credential(2, None, false));
        let rule = Some("obs.example");
        let email = Some("ana@obs.example");
        assert_eq!(decided(std::slice::from_ref(&bound), email, rule, NOW), Ok(Entry::Known(1)));
        assert_eq!(decided(&[bound.clone(), waiting.clone()], email, rule, NOW), Ok(Entry::Bind(2)));
        // A tie by the subject that is newer than one by its address.
        let newer = credential(3, Some("s-1"), false);
        assert_eq!(decided(&[waiting, newer], email, rule, NOW), Ok(Entry::Known(3)));
        assert_eq!(
            decided(&[credential(1, Some("s-1"), true), credential(3, Some("s-1"), false)], None, None, NOW),
            Ok(Entry::Known(3))
        );
        assert_eq!(decided(&[credential(1, Some("s-1"), true)], email, rule, NOW), Err(NoEntry::Revoked));
        assert_eq!(decided(&[credential(1, None, true)], email, rule, NOW), Err(NoEntry::Revoked));
        assert_eq!(decided(&[bound], email, rule, LATE), Err(NoEntry::Expired));
    }

    #[test]
    fn what_the_rule_gave_ends_with_the_rule_and_what_an_operator_gave_does_not() {
        let by_rule = Credential { created_by: service().to_string(), ..credential(1, Some("s-1"), false) };
        let rule = Some("obs.example");
        let seen = |email, rule| decided(std::slice::from_ref(&by_rule), email, rule, NOW);
        assert_eq!(seen(Some("ana.maria@obs.example"), rule), Ok(Entry::Known(1)));
        for (email, rule) in [(None, rule), (Some("ana@outro.example"), rule), (Some("ana@obs.example"), None)] {
            assert_eq!(seen(email, rule), Err(NoEntry::Unknown), "{email:?} {rule:?}");
            assert_eq!(decided(&[credential(1, Some("s-1"), false)], email, rule, NOW), Ok(Entry::Known(1)));
        }
    }

    #[test]
    fn the_rule_lets_in_verified_addresses_of_exactly_its_domain() {
        let Ok(Entry::New(new)) = decided(&[], Some("ana@obs.example"), Some("OBS.example"), NOW) else { panic!() };
        assert_eq!(new.principal.name.as_str(), "ana@obs.example");
        assert_eq!((new.principal.roles.to_string().as_str(), new.expires), ("leitor", None));
        for email in [
            None,
            Some("ana@sub.obs.example"),
            Some("ana@evilobs.example"),
            Some("ana@obs.example.evil"),
            Some("@obs.example"),
            Some("ana@obs.example@evil.example"),
            // No principal has such a name: an operator has to tie the subject.
            Some("o'hara@obs.example"),
        ] {
            assert_eq!(decided(&[], email, Some("obs.example"), NOW), Err(NoEntry::Unknown), "{email:?}");
        }
        assert_eq!(decided(&[], Some("ana@obs.example"), None, NOW), Err(NoEntry::Unknown));
        for wrong in ["", "@obs.example", "*.obs.example", "obs..example", "obs.example/", ".example"] {
            assert_eq!(EmailRule::of(wrong), None, "{wrong}");
        }
    }
}
