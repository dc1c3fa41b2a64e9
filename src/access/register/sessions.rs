//! The sessions of `acesso.db`, read and written.

use rusqlite::{Row, params};

use super::error::RegisterError;
use super::file::RegisterFile;
use crate::access::session::{IDLE, LONGEST, SEEN_EVERY, SESSIONS_MAX, Secret, Session};
use crate::access::token::Digest;
use crate::time::{Timestamp, micros};

impl RegisterFile {
    /// Begins a session of a credential. Sessions that are over are removed, and so are those that are too many.
    ///
    /// # Errors
    /// When the register cannot be written.
    pub fn begin_session(&mut self, credential: i64, now: Timestamp) -> Result<Secret, RegisterError> {
        let secret = Secret::random().map_err(|error| RegisterError::Random { reason: error.to_string() })?;
        let before = |span| now.as_micros().saturating_sub(i64::try_from(micros(span)).unwrap_or(i64::MAX));
        // Another process may know of a use that is not stored yet.
        let idle = before(IDLE + 2 * SEEN_EVERY);
        self.write(|transaction| {
            transaction.execute(
                "DELETE FROM sessao WHERE criada_em <= ?1 OR vista_em <= ?2 \
                 OR credencial_id IN (SELECT id FROM credencial WHERE revogada_em IS NOT NULL)",
                params![before(LONGEST), idle],
            )?;
            transaction.execute(
                "DELETE FROM sessao WHERE credencial_id = ?1 AND resumo NOT IN \
                 (SELECT resumo FROM sessao WHERE credencial_id = ?1 ORDER BY vista_em DESC, resumo LIMIT ?2)",
                params![credential, SESSIONS_MAX - 1],
            )?;
            transaction.execute(
                "INSERT INTO sessao (resumo, credencial_id, criada_em, vista_em) VALUES (?1, ?2, ?3, ?3)",
                params![secret.digest().as_bytes(), credential, now.as_micros()],
            )
        })?;
        Ok(secret)
    }

    /// Ends a session. `false` if there is none.
    ///
    /// # Errors
    /// When the register cannot be written.
    pub fn end_session(&mut self, session: &Digest) -> Result<bool, RegisterError> {
        let ended = self
            .write(|transaction| transaction.execute("DELETE FROM sessao WHERE resumo = ?1", [session.as_bytes()]))?;
        Ok(ended > 0)
    }

    /// Every session.
    ///
    /// # Errors
    /// When the register cannot be read.
    pub fn sessions(&self) -> Result<Vec<Session>, RegisterError> {
        self.read("SELECT resumo, credencial_id, criada_em, vista_em FROM sessao", session)
    }

    /// Stores when sessions were last used.
    ///
    /// # Errors
    /// When the register cannot be written.
    pub fn note_visits(&mut self, visits: &[(Digest, Timestamp)]) -> Result<(), RegisterError> {
        self.write(|transaction| {
            for (session, seen) in visits {
                transaction.execute(
                    "UPDATE sessao SET vista_em = max(vista_em, ?2) WHERE resumo = ?1",
                    params![session.as_bytes(), seen.as_micros()],
                )?;
            }
            Ok(())
        })
    }
}

fn session(row: &Row) -> rusqlite::Result<Session> {
    let instant = |column: usize| {
        let micros: i64 = row.get(column)?;
        let wrong =
            || rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Integer, "instant".into());
        Timestamp::from_micros(micros).ok_or_else(wrong)
    };
    Ok(Session {
        digest: Digest::from_bytes(row.get(0)?),
        credential: row.get(1)?,
        created: instant(2)?,
        seen: instant(3)?,
    })
}
