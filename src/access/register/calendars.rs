//! The secret addresses of calendars in `acesso.db`, made, read and revoked.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::Register;
use super::error::RegisterError;
use super::file::RegisterFile;
use crate::access::Author;
use crate::access::calendar::{CALENDARS_MAX, Calendar, Shows};
use crate::access::session::Secret;
use crate::access::token::Digest;
use crate::time::Timestamp;

/// The columns of a calendar, in the order in which [`read`] takes them.
const COLUMNS: &str = "id, resumo, telescopio, cientista_id, dono, criado_em, revogado_em";

impl RegisterFile {
    /// Makes an address, and returns its secret, which is not shown again. `None` when its owner has as many as one may have.
    ///
    /// # Errors
    /// When the register cannot be written.
    pub fn make_calendar(
        &mut self,
        shows: &Shows,
        owner: &Author,
        now: Timestamp,
    ) -> Result<Option<(Secret, i64)>, RegisterError> {
        let secret = Secret::random().map_err(|error| RegisterError::Random { reason: error.to_string() })?;
        let id = self.write(|transaction| {
            let sql = "SELECT count(*) FROM calendario WHERE dono = ?1 AND revogado_em IS NULL";
            let count: u32 = transaction.query_row(sql, [owner.as_str()], |row| row.get(0))?;
            if count >= CALENDARS_MAX {
                return Ok(None);
            }
            transaction.execute(
                "INSERT INTO calendario (resumo, telescopio, cientista_id, dono, criado_em) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    secret.digest().as_bytes(),
                    shows.telescope(),
                    shows.scientist(),
                    owner.as_str(),
                    now.as_micros()
                ],
            )?;
            Ok(Some(transaction.last_insert_rowid()))
        })?;
        Ok(id.map(|id| (secret, id)))
    }

    /// Revokes an address. Returns it as it is then, and whether it was revoked just now; `None` if there is none of that number.
    ///
    /// # Errors
    /// When the register cannot be written.
    pub fn revoke_calendar(&mut self, id: i64, now: Timestamp) -> Result<Option<(Calendar, bool)>, RegisterError> {
        let revoked = self.write(|transaction| {
            let sql = "UPDATE calendario SET revogado_em = ?2 WHERE id = ?1 AND revogado_em IS NULL";
            transaction.execute(sql, params![id, now.as_micros()])
        })?;
        Ok(self.calendar(id)?.map(|calendar| (calendar, revoked > 0)))
    }

    /// The address of that number.
    ///
    /// # Errors
    /// When the register cannot be read.
    pub fn calendar(&self, id: i64) -> Result<Option<Calendar>, RegisterError> {
        let sql = format!("SELECT {COLUMNS} FROM calendario WHERE id = ?1");
        let found = self.connection.query_row(&sql, [id], read).optional();
        found.map_err(|error| RegisterError::of(&self.path, &error))
    }

    /// Every address, the oldest first.
    ///
    /// # Errors
    /// When the register cannot be read.
    pub fn calendars(&self) -> Result<Vec<Calendar>, RegisterError> {
        self.read(&format!("SELECT {COLUMNS} FROM calendario ORDER BY id"), read)
    }
}

impl Register {
    /// Makes an address, as [`RegisterFile::make_calendar`] does, and knows it at once.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn make_calendar(&self, shows: &Shows, owner: &Author) -> Result<Option<(Secret, Calendar)>, RegisterError> {
        let mut file = RegisterFile::open_again(&self.data_dir)?;
        let Some((secret, id)) = file.make_calendar(shows, owner, self.clock.now())? else { return Ok(None) };
        self.shared.learn(&file)?;
        Ok(file.calendar(id)?.map(|calendar| (secret, calendar)))
    }

    /// Revokes an address, as [`RegisterFile::revoke_calendar`] does. It reads nothing any more when this returns.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn revoke_calendar(&self, id: i64) -> Result<Option<(Calendar, bool)>, RegisterError> {
        let mut file = RegisterFile::open_again(&self.data_dir)?;
        let revoked = file.revoke_calendar(id, self.clock.now())?;
        self.shared.learn(&file)?;
        Ok(revoked)
    }

    /// Every address, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read. The call blocks.
    pub fn calendars(&self) -> Result<Vec<Calendar>, RegisterError> {
        RegisterFile::open_again(&self.data_dir)?.calendars()
    }

    /// What the address with this secret shows, as far as it is known in memory.
    pub fn shown_at(&self, secret: &Digest) -> Option<Arc<Calendar>> {
        self.shared.read().calendar(secret)
    }
}

fn read(row: &Row) -> rusqlite::Result<Calendar> {
    let invalid = |column: usize, what: &str| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
    };
    let instant = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        let micros: Option<i64> = row.get(column)?;
        micros.map(|micros| Timestamp::from_micros(micros).ok_or_else(|| invalid(column, "instant"))).transpose()
    };
    let (telescope, scientist): (Option<String>, Option<i64>) = (row.get(2)?, row.get(3)?);
    let shows = match (telescope, scientist) {
        (Some(code), None) => Shows::Telescope(code),
        (None, Some(id)) => Shows::Scientist(id),
        _ => return Err(invalid(2, "a telescope or a scientist")),
    };
    let owner: String = row.get(4)?;
    Ok(Calendar {
        id: row.get(0)?,
        digest: Digest::from_bytes(row.get(1)?),
        shows,
        owner: Author::parse(&owner).map_err(|_| invalid(4, "author"))?,
        created: instant(5)?.ok_or_else(|| invalid(5, "NULL"))?,
        revoked: instant(6)?,
    })
}
