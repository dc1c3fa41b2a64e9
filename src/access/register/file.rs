//! The database `acesso.db`: its schema, and credentials, read and written. Both services and `sctec token` open the same file.
//!
//! It is not the agenda's database: a coordinator has one too, and a token that is used must not wait for a booking that is written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::credential::{self, COLUMNS, Credential, NewCredential, Stored, Usage};
use super::error::RegisterError;
use crate::access::Author;
use crate::access::subject::Subject;
use crate::access::token::{Digest, Token};
use crate::data_dir::REGISTER_FILE;
use crate::files::{self, FileId};
use crate::time::Timestamp;

/// How long a statement waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite's `application_id`: "SCTI".
const APPLICATION_ID: i64 = 0x5343_5449;
/// The migrations, each with the `user_version` that it leads to.
///
/// The first was changed while it was new, so a file of version 1 may have either form. The second one makes them the same; it is left out
/// where [`has_emails`].
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../../assets/migrations/acesso-0001.sql")),
    (WITH_EMAILS, include_str!("../../../assets/migrations/acesso-0002.sql")),
    (3, include_str!("../../../assets/migrations/acesso-0003.sql")),
];
/// From this version on, credentials have e-mails.
const WITH_EMAILS: i64 = 2;
const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;
/// The open register.
pub struct RegisterFile {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    file: FileId,
}

impl RegisterFile {
    /// Opens the register of a data folder, and makes it if there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or is not a register of this version.
    pub fn open(data_dir: &Path) -> Result<Self, RegisterError> {
        let path = data_dir.join(REGISTER_FILE);
        // A file that is there is not opened and closed again: that would end SQLite's locks of this process on it.
        if std::fs::symlink_metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            let made = files::private_no_link().write(true).create(true).truncate(false).open(&path);
            made.map_err(|error| RegisterError::Access { path: path.clone(), reason: error.to_string() })?;
        }
        Self::open_again(data_dir)
    }

    /// Opens the register of a data folder where it has to be already: while a service runs, an empty one in its place would make all
    /// tokens unknown.
    ///
    /// # Errors
    /// As [`RegisterFile::open`], and when there is none.
    pub fn open_again(data_dir: &Path) -> Result<Self, RegisterError> {
        let path = data_dir.join(REGISTER_FILE);
        let identity = || {
            FileId::at(&path).map_err(|error| RegisterError::Access { path: path.clone(), reason: error.to_string() })
        };
        let before = identity()?;
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let explain = |error: rusqlite::Error| RegisterError::of(&path, &error);
        let plain = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        // SQLite refuses a link in any part of the path, and only the last must not be one.
        let plain = plain
            .parent()
            .and_then(|folder| folder.canonicalize().ok())
            .map_or(plain, |folder| folder.join(REGISTER_FILE));
        let mut connection = Connection::open_with_flags(plain, flags).map_err(explain)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(explain)?;
        migrate(&mut connection, &path)?;
        // A revocation that was confirmed survives a power failure.
        connection.pragma_update(None, "synchronous", "FULL").map_err(explain)?;
        let file = identity()?;
        if file != before {
            let reason = "it was replaced while it was being opened".to_owned();
            return Err(RegisterError::Access { path, reason });
        }
        Ok(Self { connection, path, file })
    }

    /// Whether the path still leads to the file that is open.
    pub fn is_in_place(&self) -> bool {
        FileId::at(&self.path).is_ok_and(|file| file == self.file)
    }

    /// A number that changes when another connection has changed the register.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn version(&self) -> Result<i64, RegisterError> {
        self.connection.query_row("PRAGMA data_version", [], |row| row.get(0)).map_err(|error| self.explain(&error))
    }

    /// Makes a token, and returns it with its number. It is not shown again.
    ///
    /// # Errors
    /// When the principal of that name is somebody else, or the register cannot be written.
    pub fn create(&mut self, new: &NewCredential, by: &Author, now: Timestamp) -> Result<(Token, i64), RegisterError> {
        let token = Token::random().map_err(|error| RegisterError::Random { reason: error.to_string() })?;
        let path = self.path.clone();
        let explain = |error: rusqlite::Error| RegisterError::of(&path, &error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
        let other = other_of_name(&transaction, new, now).map_err(explain)?;
        if let Some(other) = other {
            return Err(RegisterError::other_principal(&other));
        }
        let id = insert(&transaction, new, By::Token(token.digest()), by, now).map_err(explain)?;
        transaction.commit().map_err(explain)?;
        Ok((token, id))
    }

    /// Revokes a token. Returns the credential as it is then, or `None` if there is none of that number. One that is revoked already
    /// stays as it is.
    ///
    /// # Errors
    /// When the register cannot be written.
    pub fn revoke(&mut self, id: i64, now: Timestamp) -> Result<Option<Credential>, RegisterError> {
        self.connection
            .execute(
                "UPDATE credencial SET revogada_em = ?2 WHERE id = ?1 AND revogada_em IS NULL",
                params![id, now.as_micros()],
            )
            .map_err(|error| self.explain(&error))?;
        self.one(id)
    }

    /// The credential of that number.
    ///
    /// # Errors
    /// When the register cannot be read.
    pub fn one(&self, id: i64) -> Result<Option<Credential>, RegisterError> {
        let sql = format!("SELECT {COLUMNS} FROM credencial WHERE id = ?1");
        self.connection.query_row(&sql, [id], read).optional().map_err(|error| self.explain(&error))
    }

    /// Every credential, the oldest first.
    ///
    /// # Errors
    /// When the register cannot be read.
    pub fn all(&self) -> Result<Vec<Credential>, RegisterError> {
        select(&self.connection, "ORDER BY id", []).map_err(|error| self.explain(&error))
    }

    /// Stores when and from where credentials were used.
    ///
    /// # Errors
    /// When the register cannot be written.
    pub fn note_usages(&mut self, usages: &[(i64, Usage)]) -> Result<(), RegisterError> {
        self.write(|transaction| {
            for (id, usage) in usages {
                transaction.execute(
                    "UPDATE credencial SET usada_em = ?2, usada_de = ?3 WHERE id = ?1",
                    params![id, usage.day, usage.ip.map(|ip| ip.to_string())],
                )?;
            }
            Ok(())
        })
    }

    /// Writes in one transaction.
    pub(super) fn write<T>(
        &mut self,
        write: impl FnOnce(&Transaction) -> rusqlite::Result<T>,
    ) -> Result<T, RegisterError> {
        let path = self.path.clone();
        let explain = |error: rusqlite::Error| RegisterError::of(&path, &error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
        let written = write(&transaction).map_err(explain)?;
        transaction.commit().map_err(explain)?;
        Ok(written)
    }

    /// Every row that `sql` finds, read by `one`.
    pub(super) fn read<T>(
        &self,
        sql: &str,
        one: impl Fn(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, RegisterError> {
        let read = || self.connection.prepare(sql)?.query_map([], |row| one(row))?.collect::<rusqlite::Result<_>>();
        read().map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &rusqlite::Error) -> RegisterError {
        RegisterError::of(&self.path, error)
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), RegisterError> {
    let explain = |error: rusqlite::Error| RegisterError::of(path, &error);
    let known = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    // Most often there is nothing to do, and nothing is written.
    if (known("application_id").map_err(explain)?, known("user_version").map_err(explain)?) == (APPLICATION_ID, NEWEST)
    {
        return Ok(());
    }
    // Readers are not kept waiting by a writer.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(explain)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
    let pragma = |name: &str| transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let (kind, found) = (pragma("application_id").map_err(explain)?, pragma("user_version").map_err(explain)?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(explain)?;
    if kind != APPLICATION_ID && (kind != 0 || tables > 0) {
        return Err(RegisterError::OtherFile { path: path.to_owned() });
    }
    if found > NEWEST {
        return Err(RegisterError::Newer { path: path.to_owned() });
    }
    for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
        if *version != WITH_EMAILS || !has_emails(&transaction).map_err(explain)? {
            transaction.execute_batch(sql).map_err(explain)?;
        }
        transaction.pragma_update(None, "user_version", version).map_err(explain)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(explain)?;
    transaction.commit().map_err(explain)
}

/// Whether the credentials of a file have the form of today.
fn has_emails(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('credencial') WHERE name = 'email')";
    connection.query_row(sql, [], |row| row.get(0))
}

/// By what a new credential is recognised.
#[derive(Clone, Copy)]
pub(super) enum By<'a> {
    /// The token with that digest.
    Token(Digest),
    /// What a provider says.
    Subject(&'a Subject),
}

/// The valid credential of another principal that has the name of a new one, if there is one.
pub(super) fn other_of_name(
    connection: &Connection,
    new: &NewCredential,
    now: Timestamp,
) -> rusqlite::Result<Option<Credential>> {
    let same_name = select(connection, "WHERE nome = ?1", [new.principal.name.as_str()])?;
    Ok(credential::other_of_name(same_name, new, now))
}

/// Inserts a credential, and returns its number.
pub(super) fn insert(
    connection: &Connection,
    new: &NewCredential,
    recognised: By,
    by: &Author,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let principal = &new.principal;
    let prefixes = serde_json::to_string(&principal.prefixes).unwrap_or_default();
    let (digest, subject) = match recognised {
        By::Token(digest) => (Some(*digest.as_bytes()), None),
        By::Subject(subject) => (None, Some(subject)),
    };
    connection.execute(
        "INSERT INTO credencial (resumo, emissor, sujeito, email, nome, papeis, cientista_id, prefixos, criada_por, criada_em, expira_em) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            digest,
            subject.map(|subject| &subject.issuer),
            subject.and_then(|subject| subject.subject.as_ref()),
            subject.and_then(|subject| subject.email.as_ref()),
            principal.name.as_str(),
            principal.roles.to_string(),
            principal.scientist,
            prefixes,
            by.as_str(),
            now.as_micros(),
            new.expires.map(Timestamp::as_micros),
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

pub(super) fn select(
    connection: &Connection,
    rest: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<Vec<Credential>> {
    connection.prepare(&format!("SELECT {COLUMNS} FROM credencial {rest}"))?.query_map(values, read)?.collect()
}

fn read(row: &Row) -> rusqlite::Result<Credential> {
    let stored = Stored {
        id: row.get(0)?,
        digest: row.get(1)?,
        name: row.get(2)?,
        roles: row.get(3)?,
        scientist: row.get(4)?,
        prefixes: row.get(5)?,
        created_by: row.get(6)?,
        created_us: row.get(7)?,
        expires_us: row.get(8)?,
        revoked_us: row.get(9)?,
        last_day: row.get(10)?,
        last_ip: row.get(11)?,
        issuer: row.get(12)?,
        subject: row.get(13)?,
        email: row.get(14)?,
    };
    let invalid = |what: String| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, what.into());
    stored.credential().map_err(invalid)
}
