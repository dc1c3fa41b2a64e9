//! The keys that sign time tokens: read, added, and their private halves erased.

use rusqlite::{Connection, named_params};

use crate::clock::keys::{SigningKey, renew};
use crate::store::SIGNING_KEYS;
use crate::time::Timestamp;

/// The newest keys, at most so many, the newest last.
pub fn load(connection: &Connection, most: u32) -> rusqlite::Result<Vec<SigningKey>> {
    let mut statement = connection
        .prepare_cached("SELECT publica, semente, criada_us FROM chaves_de_hora ORDER BY id DESC LIMIT ?1")?;
    let key = |row: &rusqlite::Row<'_>| {
        let micros: i64 = row.get(2)?;
        let made_at = Timestamp::from_micros(micros).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, micros))?;
        Ok(SigningKey { public: row.get(0)?, seed: row.get(1)?, made_at })
    };
    let mut keys = statement.query_map([most], key)?.collect::<rusqlite::Result<Vec<_>>>()?;
    keys.reverse();
    Ok(keys)
}

/// Adds the offered key if a new one is needed, and erases private halves that are over. The answer is what [`load`] gives then.
pub fn offer(connection: &Connection, offered: &SigningKey) -> rusqlite::Result<Vec<SigningKey>> {
    let renewal = renew(&load(connection, SIGNING_KEYS)?, offered.made_at);
    for public in renewal.forgotten {
        connection.prepare_cached("UPDATE chaves_de_hora SET semente = NULL WHERE publica = ?1")?.execute([public])?;
    }
    if renewal.is_added {
        connection
            .prepare_cached(
                "INSERT INTO chaves_de_hora (publica, semente, criada_us) VALUES (:public, :seed, :made_at)",
            )?
            .execute(named_params! {
                ":public": offered.public,
                ":seed": offered.seed,
                ":made_at": offered.made_at.as_micros(),
            })?;
    }
    load(connection, SIGNING_KEYS)
}

/// Erases all private halves, in a copy of the database.
pub fn erase_all(connection: &Connection) -> rusqlite::Result<()> {
    let has_keys: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'chaves_de_hora')",
        (),
        |row| row.get(0),
    )?;
    if !has_keys {
        return Ok(());
    }
    // What is erased is overwritten too, and nothing is left of it in another file.
    connection
        .execute_batch("PRAGMA secure_delete = ON; PRAGMA journal_mode = OFF; UPDATE chaves_de_hora SET semente = NULL")
}
