//! Where a register is kept: a file of the data folder, or tables that schedulers on several machines share.

use std::path::{Path, PathBuf};

use super::credential::{Credential, NewCredential, Usage};
use super::error::RegisterError;
use super::file::RegisterFile;
use crate::access::Author;
use crate::access::calendar::{Calendar, Shows};
use crate::access::entry::{EmailRule, NoEntry};
use crate::access::session::{Secret, Session};
use crate::access::subject::{Identified, Subject};
use crate::access::token::{Digest, Token};
use crate::data_dir::REGISTER_FILE;
use crate::time::Timestamp;

/// What can be opened as a register.
pub trait Place: Send + Sync {
    /// Opens it, and makes it if there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or is not a register of this version.
    fn open(&self) -> Result<Box<dyn Records>, RegisterError>;

    /// Opens it where it has to be already.
    ///
    /// # Errors
    /// As [`Place::open`], and when there is none.
    fn open_again(&self) -> Result<Box<dyn Records>, RegisterError>;

    /// The error of a service that cannot use it for another reason.
    fn failed(&self, reason: String) -> RegisterError;
}

/// A register that is open. Each call blocks, and a change is durable when it returns.
pub trait Records: Send {
    /// Whether it is still what stands in its place.
    fn is_in_place(&self) -> bool;

    /// A number that changes when somebody else has changed the register.
    ///
    /// # Errors
    /// When it cannot be read.
    fn version(&self) -> Result<i64, RegisterError>;

    /// Makes a token, and returns it with its number. It is not shown again.
    ///
    /// # Errors
    /// When the principal of that name is somebody else, or the register cannot be written.
    fn create(&mut self, new: &NewCredential, by: &Author, now: Timestamp) -> Result<(Token, i64), RegisterError>;

    /// Revokes a token. Returns the credential as it is then, or `None` if there is none of that number. One that is revoked already stays
    /// as it is.
    ///
    /// # Errors
    /// When the register cannot be written.
    fn revoke(&mut self, id: i64, now: Timestamp) -> Result<Option<Credential>, RegisterError>;

    /// The credential of that number.
    ///
    /// # Errors
    /// When the register cannot be read.
    fn one(&self, id: i64) -> Result<Option<Credential>, RegisterError>;

    /// Every credential, the oldest first.
    ///
    /// # Errors
    /// When the register cannot be read.
    fn all(&self) -> Result<Vec<Credential>, RegisterError>;

    /// Stores when and from where credentials were used.
    ///
    /// # Errors
    /// When the register cannot be written.
    fn note_usages(&mut self, usages: &[(i64, Usage)]) -> Result<(), RegisterError>;

    /// Begins a session of a credential. Sessions that are over are removed, and so are those that are too many.
    ///
    /// # Errors
    /// When the register cannot be written.
    fn begin_session(&mut self, credential: i64, now: Timestamp) -> Result<Secret, RegisterError>;

    /// Ends a session. `false` if there is none.
    ///
    /// # Errors
    /// When the register cannot be written.
    fn end_session(&mut self, session: &Digest) -> Result<bool, RegisterError>;

    /// Every session.
    ///
    /// # Errors
    /// When the register cannot be read.
    fn sessions(&self) -> Result<Vec<Session>, RegisterError>;

    /// Stores when sessions were last used.
    ///
    /// # Errors
    /// When the register cannot be written.
    fn note_visits(&mut self, visits: &[(Digest, Timestamp)]) -> Result<(), RegisterError>;

    /// Ties a subject to a principal, and returns the number of the credential. What the subject had before is revoked.
    ///
    /// # Errors
    /// When the principal of that name is somebody else, or the register cannot be written.
    fn tie(
        &mut self,
        subject: &Subject,
        new: &NewCredential,
        by: &Author,
        now: Timestamp,
    ) -> Result<i64, RegisterError>;

    /// The credential of somebody who has just signed in at a provider. A rule may make it.
    ///
    /// # Errors
    /// When the register cannot be used. Inside: why the person may not come in.
    fn sign_in(
        &mut self,
        identified: &Identified,
        rule: Option<&EmailRule>,
        by: &Author,
        now: Timestamp,
    ) -> Result<Result<Credential, NoEntry>, RegisterError>;

    /// Makes the address of a calendar, and returns its secret, which is not shown again. `None` when its owner has as many as one may have.
    ///
    /// # Errors
    /// When the register cannot be written.
    fn make_calendar(
        &mut self,
        shows: &Shows,
        owner: &Author,
        now: Timestamp,
    ) -> Result<Option<(Secret, i64)>, RegisterError>;

    /// Revokes the address of a calendar. Returns it as it is then, and whether it was revoked just now; `None` if there is none of that
    /// number.
    ///
    /// # Errors
    /// When the register cannot be written.
    fn revoke_calendar(&mut self, id: i64, now: Timestamp) -> Result<Option<(Calendar, bool)>, RegisterError>;

    /// The address of that number.
    ///
    /// # Errors
    /// When the register cannot be read.
    fn calendar(&self, id: i64) -> Result<Option<Calendar>, RegisterError>;

    /// Every address, the oldest first.
    ///
    /// # Errors
    /// When the register cannot be read.
    fn calendars(&self) -> Result<Vec<Calendar>, RegisterError>;
}

/// The register of a data folder.
pub struct Folder(PathBuf);

impl Folder {
    /// That of this folder.
    pub fn new(data_dir: &Path) -> Self {
        Self(data_dir.to_owned())
    }
}

impl Place for Folder {
    fn open(&self) -> Result<Box<dyn Records>, RegisterError> {
        Ok(Box::new(RegisterFile::open(&self.0)?))
    }

    fn open_again(&self) -> Result<Box<dyn Records>, RegisterError> {
        if !self.0.join(REGISTER_FILE).exists() {
            return Err(self.failed("arquivo não encontrado".to_owned()));
        }
        Ok(Box::new(RegisterFile::open_again(&self.0)?))
    }

    fn failed(&self, reason: String) -> RegisterError {
        RegisterError::Access { path: self.0.join(REGISTER_FILE), reason }
    }
}

/// The methods of the file, which are in the files of what they concern.
impl Records for RegisterFile {
    fn is_in_place(&self) -> bool {
        Self::is_in_place(self)
    }

    fn version(&self) -> Result<i64, RegisterError> {
        Self::version(self)
    }

    fn create(&mut self, new: &NewCredential, by: &Author, now: Timestamp) -> Result<(Token, i64), RegisterError> {
        Self::create(self, new, by, now)
    }

    fn revoke(&mut self, id: i64, now: Timestamp) -> Result<Option<Credential>, RegisterError> {
        Self::revoke(self, id, now)
    }

    fn one(&self, id: i64) -> Result<Option<Credential>, RegisterError> {
        Self::one(self, id)
    }

    fn all(&self) -> Result<Vec<Credential>, RegisterError> {
        Self::all(self)
    }

    fn note_usages(&mut self, usages: &[(i64, Usage)]) -> Result<(), RegisterError> {
        Self::note_usages(self, usages)
    }

    fn begin_session(&mut self, credential: i64, now: Timestamp) -> Result<Secret, RegisterError> {
        Self::begin_session(self, credential, now)
    }

    fn end_session(&mut self, session: &Digest) -> Result<bool, RegisterError> {
        Self::end_session(self, session)
    }

    fn sessions(&self) -> Result<Vec<Session>, RegisterError> {
        Self::sessions(self)
    }

    fn note_visits(&mut self, visits: &[(Digest, Timestamp)]) -> Result<(), RegisterError> {
        Self::note_visits(self, visits)
    }

    fn tie(
        &mut self,
        subject: &Subject,
        new: &NewCredential,
        by: &Author,
        now: Timestamp,
    ) -> Result<i64, RegisterError> {
        Self::tie(self, subject, new, by, now)
    }

    fn sign_in(
        &mut self,
        identified: &Identified,
        rule: Option<&EmailRule>,
        by: &Author,
        now: Timestamp,
    ) -> Result<Result<Credential, NoEntry>, RegisterError> {
        Self::sign_in(self, identified, rule, by, now)
    }

    fn make_calendar(
        &mut self,
        shows: &Shows,
        owner: &Author,
        now: Timestamp,
    ) -> Result<Option<(Secret, i64)>, RegisterError> {
        Self::make_calendar(self, shows, owner, now)
    }

    fn revoke_calendar(&mut self, id: i64, now: Timestamp) -> Result<Option<(Calendar, bool)>, RegisterError> {
        Self::revoke_calendar(self, id, now)
    }

    fn calendar(&self, id: i64) -> Result<Option<Calendar>, RegisterError> {
        Self::calendar(self, id)
    }

    fn calendars(&self) -> Result<Vec<Calendar>, RegisterError> {
        Self::calendars(self)
    }
}
