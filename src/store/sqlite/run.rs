//! How a change and a reading are run: the one on the thread that writes, the other with a connection of its own.

use super::SqliteStore;
use crate::store::Answer;
use crate::store::changing::Changing;
use crate::store::decide::Change;

impl Changing for SqliteStore {
    /// It is refused where the database is known to be damaged.
    fn change<C: Change>(&self, change: C) -> Answer<'_, C::Answer> {
        Box::pin(async move {
            self.damage.check()?;
            self.writer.run(move |tx| tx.carry_out(&change)).await
        })
    }
}

impl SqliteStore {
    /// Runs what is no change of the agenda on the thread that writes, unless the database is known to be damaged.
    pub(super) fn write<T: Send + 'static>(
        &self,
        mut write: impl FnMut(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move {
            self.damage.check()?;
            self.writer.run(move |tx| write(tx.connection)).await
        })
    }

    /// Runs a reading with a connection of its own.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(self.readers.run(read))
    }
}
