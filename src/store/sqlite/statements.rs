//! The statements that each booking of a transaction needs, prepared once for all of them.

use rusqlite::{CachedStatement, Connection};

/// The statements of one transaction.
pub struct Statements<'a> {
    /// The connection, inside the transaction.
    pub connection: &'a Connection,
    held: Vec<(&'static str, CachedStatement<'a>)>,
}

impl<'a> Statements<'a> {
    /// None yet.
    pub fn of(connection: &'a Connection) -> Self {
        Self { connection, held: Vec::new() }
    }

    /// The statement of a constant, which is found by the constant's address: to compare or to hash the text takes longer.
    pub fn get(&mut self, sql: &'static str) -> rusqlite::Result<&mut CachedStatement<'a>> {
        let known = self.held.iter().position(|(held, _)| std::ptr::eq(*held, sql));
        let at = if let Some(at) = known {
            at
        } else {
            self.held.push((sql, self.connection.prepare_cached(sql)?));
            self.held.len() - 1
        };
        Ok(&mut self.held[at].1)
    }
}
