//! The register of people whom an identity provider recognises: operators tie them to principals, and they sign in.

use rusqlite::{Connection, TransactionBehavior, params};

use super::Register;
use super::credential::{Credential, NewCredential};
use super::error::RegisterError;
use super::file::{By, RegisterFile, insert, other_of_name, select};
use crate::access::Author;
use crate::access::entry::{EmailRule, Entry, NoEntry, completed, decide};
use crate::access::subject::{Identified, Subject};
use crate::time::Timestamp;

impl RegisterFile {
    /// Ties a subject to a principal, and returns the number of the credential. What the subject had before is revoked.
    ///
    /// # Errors
    /// When the principal of that name is somebody else, or the register cannot be written.
    pub fn tie(
        &mut self,
        subject: &Subject,
        new: &NewCredential,
        by: &Author,
        now: Timestamp,
    ) -> Result<i64, RegisterError> {
        let path = self.path.clone();
        let explain = |error: rusqlite::Error| RegisterError::of(&path, &error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
        let before = of_subject(&transaction, subject).map_err(explain)?;
        let subject = completed(subject, &before);
        revoke_all(&transaction, &before, now).map_err(explain)?;
        if let Some(other) = other_of_name(&transaction, new, now).map_err(explain)? {
            return Err(RegisterError::other_principal(&other));
        }
        let id = insert(&transaction, new, By::Subject(&subject), by, now).map_err(explain)?;
        transaction.commit().map_err(explain)?;
        Ok(id)
    }

    /// The credential of somebody who has just signed in at a provider. A rule may make it.
    ///
    /// # Errors
    /// When the register cannot be used. Inside: why the person may not come in.
    pub fn sign_in(
        &mut self,
        identified: &Identified,
        rule: Option<&EmailRule>,
        by: &Author,
        now: Timestamp,
    ) -> Result<Result<Credential, NoEntry>, RegisterError> {
        let path = self.path.clone();
        let explain = |error: rusqlite::Error| RegisterError::of(&path, &error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
        let found = of_identified(&transaction, identified).map_err(explain)?;
        let decided = decide(&found, identified, (rule, by), now);
        if let Ok(Entry::Known(id) | Entry::Bind(id)) = decided {
            // An older tie that still waits for the address must not be the next person's who has it.
            let others: Vec<_> = found.into_iter().filter(|other| other.id != id).collect();
            revoke_all(&transaction, &others, now).map_err(explain)?;
        }
        let id = match decided {
            Err(no_entry) => return Ok(Err(no_entry)),
            Ok(Entry::Known(id)) => id,
            Ok(Entry::Bind(id)) => {
                let sql = "UPDATE credencial SET sujeito = ?2 WHERE id = ?1";
                transaction.execute(sql, params![id, identified.subject]).map_err(explain)?;
                id
            }
            Ok(Entry::New(new)) => {
                if other_of_name(&transaction, &new, now).map_err(explain)?.is_some() {
                    return Ok(Err(NoEntry::NameTaken));
                }
                insert(&transaction, &new, By::Subject(&identified.subject()), by, now).map_err(explain)?
            }
        };
        transaction.commit().map_err(explain)?;
        let credential = self.one(id)?;
        // It was found or made just now; a revocation leaves it there.
        Ok(Ok(credential.expect("a credential is never deleted")))
    }
}

impl Register {
    /// Ties a subject to a principal, as `Records::tie` does, and knows it at once.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn tie(&self, subject: &Subject, new: &NewCredential, by: &Author) -> Result<Credential, RegisterError> {
        let mut file = self.place.open_again()?;
        let id = file.tie(subject, new, by, self.clock.now())?;
        self.shared.learn(&*file)?;
        let credential = file.one(id)?;
        // It was committed just now; a revocation leaves it there.
        Ok(credential.expect("a credential is never deleted"))
    }

    /// The credential of somebody who has just signed in at a provider, as `Records::sign_in` finds or makes it.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn sign_in(
        &self,
        identified: &Identified,
        rule: Option<&EmailRule>,
        by: &Author,
    ) -> Result<Result<Credential, NoEntry>, RegisterError> {
        let mut file = self.place.open_again()?;
        let entered = file.sign_in(identified, rule, by, self.clock.now())?;
        self.shared.learn(&*file)?;
        Ok(entered)
    }
}

/// The credentials of a subject or an address, the oldest first.
fn of_subject(connection: &Connection, subject: &Subject) -> rusqlite::Result<Vec<Credential>> {
    match &subject.subject {
        Some(name) => select(connection, "WHERE emissor = ?1 AND sujeito = ?2 ORDER BY id", [&subject.issuer, name]),
        None => {
            select(connection, "WHERE emissor = ?1 AND email = ?2 ORDER BY id", params![subject.issuer, subject.email])
        }
    }
}

/// The credentials of a subject, and those that wait for its address, the oldest first.
fn of_identified(connection: &Connection, identified: &Identified) -> rusqlite::Result<Vec<Credential>> {
    let rest = "WHERE emissor = ?1 AND (sujeito = ?2 OR (sujeito IS NULL AND email = ?3)) ORDER BY id";
    select(connection, rest, params![identified.issuer, identified.subject, identified.email])
}

fn revoke_all(connection: &Connection, credentials: &[Credential], now: Timestamp) -> rusqlite::Result<()> {
    for credential in credentials.iter().filter(|credential| credential.revoked.is_none()) {
        let sql = "UPDATE credencial SET revogada_em = ?2 WHERE id = ?1";
        connection.execute(sql, params![credential.id, now.as_micros()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Caller;
    use crate::access::grant::Grant;
    use crate::access::role::Role;

    const ISSUER: &str = "https://id.example";

    fn noon() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-26T12:00:00Z").unwrap()
    }

    fn scientist(name: &str) -> NewCredential {
        let roles = [Role::Scientist].into_iter().collect();
        Grant { name: name.to_owned(), roles, scientist: Some(7), ..Grant::default() }.check(noon()).unwrap()
    }

    fn subject(subject: Option<&str>, email: Option<&str>) -> Subject {
        Subject { issuer: ISSUER.to_owned(), subject: subject.map(str::to_owned), email: email.map(str::to_owned) }
    }

    fn enter(file: &mut RegisterFile, subject: &str, email: &str) -> Result<Credential, NoEntry> {
        let identified =
            Identified { issuer: ISSUER.to_owned(), subject: subject.to_owned(), email: Some(email.to_owned()) };
        let rule = EmailRule::of("obs.example");
        let by = Caller::service("servico-agendamento").author;
        file.sign_in(&identified, rule.as_ref(), &by, noon()).unwrap()
    }

    #[test]
    fn an_address_belongs_to_the_first_subject_that_signs_in_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = RegisterFile::open(folder.path()).unwrap();
        let by = Author::COMMAND_LINE;
        let id = file.tie(&subject(None, Some("ana@obs.example")), &scientist("ana"), &by, noon()).unwrap();
        let entered = enter(&mut file, "s-1", "ana@obs.example").unwrap();
        assert_eq!((entered.id, entered.principal.scientist), (id, Some(7)));
        assert_eq!(entered.subject, Some(subject(Some("s-1"), Some("ana@obs.example"))));
        assert_eq!(enter(&mut file, "s-1", "ana@obs.example").unwrap().id, id);
        // The address was given to somebody else: that person is not the scientist.
        let other = enter(&mut file, "s-2", "ana@obs.example").unwrap();
        assert_eq!((other.principal.name.as_str(), other.principal.scientist), ("ana@obs.example", None));
        file.revoke(id, noon()).unwrap();
        assert_eq!(enter(&mut file, "s-1", "ana@obs.example"), Err(NoEntry::Revoked));
    }

    #[test]
    fn a_tie_replaces_what_a_rule_or_an_earlier_tie_gave() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = RegisterFile::open(folder.path()).unwrap();
        let by = Author::COMMAND_LINE;
        let reader = enter(&mut file, "s-1", "ana@obs.example").unwrap();
        assert_eq!(reader.principal.roles.to_string(), "leitor");
        // The same name with other rights: the reader's credential makes room.
        let tied =
            file.tie(&subject(None, Some("ana@obs.example")), &scientist("ana@obs.example"), &by, noon()).unwrap();
        assert!(file.one(reader.id).unwrap().unwrap().revoked.is_some());
        let entered = enter(&mut file, "s-1", "new-name@obs.example").unwrap();
        assert_eq!((entered.id, entered.principal.scientist), (tied, Some(7)));
        let again = file.tie(&subject(Some("s-1"), None), &scientist("ana-maria"), &by, noon()).unwrap();
        assert_eq!(enter(&mut file, "s-1", "ana@obs.example").unwrap().id, again);
        assert!(file.one(tied).unwrap().unwrap().revoked.is_some());
        // A tie that is refused leaves everything as it was.
        file.create(&scientist("bia"), &by, noon()).unwrap();
        let operator =
            Grant { name: "bia".to_owned(), roles: [Role::Operator].into_iter().collect(), ..Grant::default() };
        let operator = operator.check(noon()).unwrap();
        assert!(matches!(
            file.tie(&subject(Some("s-1"), None), &operator, &by, noon()),
            Err(RegisterError::OtherPrincipal { .. })
        ));
        assert_eq!(enter(&mut file, "s-1", "ana@obs.example").unwrap().id, again);
    }

    #[test]
    fn a_name_of_somebody_else_is_not_given_by_the_rule() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = RegisterFile::open(folder.path()).unwrap();
        file.create(&scientist("ana@obs.example"), &Author::COMMAND_LINE, noon()).unwrap();
        assert_eq!(enter(&mut file, "s-1", "ana@obs.example"), Err(NoEntry::NameTaken));
        assert_eq!(file.all().unwrap().len(), 1);
    }
}
