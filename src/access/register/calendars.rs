//! The secret addresses of calendars in `acesso.db`, made, read and revoked.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::Register;
use super::error::RegisterError;
use super::file::RegisterFile;
use crate::access::Author;
use crate::access::calendar::{CALENDARS_MAX, COLUMNS, Calendar, Shows, Stored};
use crate::access::session::Secret;
use crate::access::token::Digest;
use crate::time::Timestamp;

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
    /// Makes an address, as `Records::make_calendar` does, and knows it at once.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn make_calendar(&self, shows: &Shows, owner: &Author) -> Result<Option<(Secret, Calendar)>, RegisterError> {
        let mut file = self.place.open_again()?;
        let Some((secret, id)) = file.make_calendar(shows, owner, self.clock.now())? else { return Ok(None) };
        self.shared.learn(&*file)?;
        Ok(file.calendar(id)?.map(|calendar| (secret, calendar)))
    }

    /// Revokes an address, as `Records::revoke_calendar` does. It reads nothing any more when this returns.
    ///
    /// # Errors
    /// As there. The call blocks.
    pub fn revoke_calendar(&self, id: i64) -> Result<Option<(Calendar, bool)>, RegisterError> {
        let mut file = self.place.open_again()?;
        let revoked = file.revoke_calendar(id, self.clock.now())?;
        self.shared.learn(&*file)?;
        Ok(revoked)
    }

    /// Every address, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read. The call blocks.
    pub fn calendars(&self) -> Result<Vec<Calendar>, RegisterError> {
        self.place.open_again()?.calendars()
    }

    /// What the address with this secret shows, as far as it is known in memory.
    pub fn shown_at(&self, secret: &Digest) -> Option<Arc<Calendar>> {
        self.shared.read().calendar(secret)
    }
}

fn read(row: &Row) -> rusqlite::Result<Calendar> {
    let stored = Stored {
        id: row.get(0)?,
        digest: row.get(1)?,
        telescope: row.get(2)?,
        scientist: row.get(3)?,
        owner: row.get(4)?,
        created_us: row.get(5)?,
        revoked_us: row.get(6)?,
    };
    let invalid =
        |what: &'static str| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, what.into());
    stored.calendar().map_err(invalid)
}
