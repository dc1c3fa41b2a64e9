//! An agenda that moves to another database: its rows, read from a file on which no service runs.

use std::path::{Path, PathBuf};

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::backup::{self, Contents, NotWhole};
use super::{inspect, schema, trail};
use crate::store::tables::{Cell, Table};

/// The number of a record's booking, which another database has as a column. The column here also finds a telescope of that name.
const BOOKING_OF: &str = "iif(json_valid(linha), json_extract(linha, '$.details.agendamento_id'), NULL)";

/// An agenda that moves.
pub struct Moving {
    path: PathBuf,
    stamp: inspect::Stamp,
    contents: Contents,
    identity: String,
}

/// Why an agenda does not move.
#[derive(Debug)]
pub enum NotMoving {
    /// It is not whole.
    Not(NotWhole),
    /// It has the form of an older version, which is given with the one of today.
    Older(i64, i64),
}

impl From<NotWhole> for NotMoving {
    fn from(why: NotWhole) -> Self {
        Self::Not(why)
    }
}

impl Moving {
    /// Reads all of the agenda at `path` once, to see that it agrees with itself.
    ///
    /// # Errors
    /// [`NotMoving`].
    pub fn begin(path: &Path) -> Result<Self, NotMoving> {
        let path = &path.canonicalize().map_err(|error| NotWhole::Unreadable(error.to_string()))?;
        let contents = backup::examine(path)?;
        if contents.schema != schema::NEWEST {
            return Err(NotMoving::Older(contents.schema, schema::NEWEST));
        }
        let unreadable = |reason: String| NotWhole::Unreadable(reason);
        let stamp = inspect::stamp(path).map_err(|error| unreadable(error.to_string()))?;
        let identity = inspect::open_unchanging(path).and_then(|connection| trail::identity(&connection));
        let identity = identity.map_err(|error| unreadable(error.to_string()))?;
        Ok(Self { path: path.to_owned(), stamp, contents, identity })
    }

    /// What it has.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The identity of its trail, with which the chain begins.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Passes the rows of a table to `each`, in any order but for the trail's, which is in its own.
    ///
    /// # Errors
    /// In words, when they cannot be read; or those of `each`.
    pub fn rows(&self, table: &Table, mut each: impl FnMut(&[Cell<'_>]) -> Result<(), String>) -> Result<(), String> {
        let is_trail = table.name == "auditoria";
        let column = |name: &&'static str| if is_trail && *name == "agendamento_id" { BOOKING_OF } else { *name };
        let columns: Vec<&str> = table.columns.iter().map(column).collect();
        let order = if is_trail { " ORDER BY seq" } else { "" };
        let sql = format!("SELECT {} FROM {}{order}", columns.join(", "), table.name);
        let explain = |error: rusqlite::Error| format!("{}: {error}", self.path.display());
        let connection = inspect::open_unchanging(&self.path).map_err(explain)?;
        let mut statement = connection.prepare(&sql).map_err(explain)?;
        let mut rows = statement.query(()).map_err(explain)?;
        while let Some(row) = rows.next().map_err(explain)? {
            let cells = (0..columns.len()).map(|nth| cell(row, nth)).collect::<rusqlite::Result<Vec<_>>>();
            each(&cells.map_err(explain)?)?;
        }
        Ok(())
    }

    /// Whether nobody has written to it since it was begun.
    pub fn is_unchanged(&self) -> bool {
        inspect::stamp(&self.path).is_ok_and(|now| now == self.stamp)
    }
}

fn cell<'a>(row: &'a Row<'_>, nth: usize) -> rusqlite::Result<Cell<'a>> {
    Ok(match row.get_ref(nth)? {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Number(number),
        ValueRef::Text(_) => Cell::Text(row.get_ref(nth)?.as_str()?),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes),
        // No column of ours has one.
        ValueRef::Real(_) => return Err(rusqlite::Error::IntegralValueOutOfRange(nth, 0)),
    })
}
