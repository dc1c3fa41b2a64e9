//! The agenda in one SQLite database: the storage of one machine.
//!
//! [`schema`] opens a database and brings it up to date, [`writer`] is the one thread that writes, and [`readers`] read
//! beside it. [`load`] gets the rows that a decision needs, [`apply`] writes what was decided. The SQL of readings stands
//! beside the functions that run it, in [`bookings`], [`lists`], [`slots`], [`catalogue`], [`kept`], [`signing`],
//! [`trail`] and [`outbox`]; [`keys`] holds the keys of requests. [`place`], [`damage`], [`pages`], [`recovery`] and [`stopped`] notice what happens to the
//! files; [`inspect`] and [`mod@deep`] look at a database from outside,
//! [`backup`] copies it, [`restored`] makes a copy the agenda again, and [`moving`] reads an agenda that moves to another database.

mod apply;
mod backup;
mod bookings;
mod catalogue;
mod checkpoints;
mod connect;
mod counting;
mod damage;
mod deep;
mod errors;
mod inspect;
mod kept;
mod keys;
mod lists;
mod load;
mod maintenance;
mod moving;
mod open_error;
mod outbox;
mod pages;
mod place;
mod proposals;
mod readers;
mod recovery;
mod restored;
mod run;
mod schema;
mod signing;
mod slots;
mod statements;
mod stopped;
mod trail;
mod waits;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slog::Logger;

pub use self::backup::{Contents, NotWhole, copy, examine, glance};
pub use self::catalogue::has_scientist;
use self::checkpoints::{Checkpoints, Watch};
use self::counting::Counting;
use self::damage::Damage;
pub use self::deep::deep;
use self::errors::unavailable;
pub use self::inspect::{log_may_be_elsewhere, trail_around, trail_ends};
use self::keys::Keys;
pub use self::moving::{Moving, NotMoving};
pub use self::open_error::{DatabaseKind, OpenError};
use self::outbox::SqliteOutbox;
use self::pages::Check;
use self::place::Place;
use self::readers::Readers;
pub use self::restored::{Replaced, complete, replaced, write_trail};
use self::stopped::InUse;
use self::writer::{Beside, Writer};
use super::asked::Asked;
use super::decide::Record;
use super::observer::Observer;
use super::outbox::Outbox;
use super::waits::{Placed, WaitFilter, WaitPage};
use super::{Answer, Backend, Counted, Filter, LatestRecord, Page, StandingReader, StoreError, TrailPage};
use crate::agenda::keeping::{Digest, Kept};
use crate::agenda::maintenance::{NewMaintenance, Removed, Stretch};
use crate::agenda::{Booking, Catalogue, NewBooking};
use crate::audit::filter::Wanted;
use crate::audit::record::Process;
use crate::clock::keys::SigningKey;
use crate::language::io_message;
use crate::time::{Clock, Timestamp};

/// The agenda in one database file.
pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Readers>,
    counting: Counting,
    /// The walk through all pages, if one was needed.
    check: Check,
    checkpoints: Watch,
    damage: Damage,
    place: Arc<Place>,
    path: PathBuf,
    kind: DatabaseKind,
    keys: Keys,
    in_use: InUse,
}

impl SqliteStore {
    /// Opens the database at `path`, creating or migrating it as needed. That takes no longer when the database is larger;
    /// if it was not stopped cleanly, its pages are read in the background. `observer` is told of each
    /// transaction, on the writing thread.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub fn open(
        path: &Path,
        kind: DatabaseKind,
        clock: Clock,
        log: &Logger,
        observer: impl Observer + 'static,
    ) -> Result<Self, OpenError> {
        connect::check_library(rusqlite::version_number(), rusqlite::version())?;
        let explain = |error: io::Error| OpenError::Access { path: path.to_owned(), reason: io_message(&error) };
        let damage = Damage::default();
        let (in_use, stopped_cleanly) = InUse::begin(path, damage.clone());
        let (connection, place) = schema::open_for_writing(path, kind)?;
        let place = Arc::new(place);
        let folding = connect::open_for_checkpoints(path)?;
        let folding = Checkpoints::start(&place, folding, in_use.clone(), log).map_err(explain)?;
        let checkpoints = folding.watch();
        let beside = Beside::new(folding, in_use.clone());
        let writer = Writer::start(connection, (Arc::clone(&place), damage.clone()), clock, Box::new(observer), beside)
            .map_err(explain)?;
        let readers = Arc::new(Readers::new(path, Arc::clone(&place), damage.clone(), in_use.clone()));
        let counting = Counting::start(Arc::clone(&readers)).map_err(explain)?;
        let check = if stopped_cleanly {
            Check::none()
        } else {
            Check::start(path, in_use.clone(), damage.clone(), log).map_err(explain)?
        };
        let (path, keys) = (path.to_owned(), Keys::of(path));
        Ok(Self { writer, readers, counting, check, checkpoints, damage, place, path, kind, keys, in_use })
    }
}

impl Backend for SqliteStore {
    fn find_conflict(&self, new: &NewBooking) -> Answer<'_, Option<Booking>> {
        let filter = Filter::conflicts_with(new);
        self.read(move |connection| lists::first(connection, &filter))
    }

    fn wait(&self, id: i64, now: Timestamp) -> Answer<'_, Option<Placed>> {
        self.read(move |connection| waits::placed(connection, id, now))
    }

    fn waits(&self, filter: WaitFilter, after: i64, limit: u16) -> Answer<'_, WaitPage> {
        self.read(move |connection| waits::list(connection, &filter, after, limit))
    }

    fn booking(&self, id: i64) -> Answer<'_, Option<Booking>> {
        self.read(move |connection| bookings::get(connection, id))
    }

    fn list(&self, filter: Filter, after: Option<(Timestamp, i64)>, limit: u16) -> Answer<'_, Page> {
        self.read(move |connection| lists::list(connection, &filter, after, limit))
    }

    fn standing(
        &self,
        telescope: &str,
        from: Timestamp,
        until: Timestamp,
        mut reader: Box<dyn StandingReader>,
    ) -> Answer<'_, ()> {
        let (kind, telescope) = (self.kind, telescope.to_owned());
        self.read(move |connection| slots::standing(connection, kind, (&telescope, from, until), &mut *reader))
    }

    fn taken(&self, telescope: &str, from: Timestamp, until: Timestamp) -> Answer<'_, Vec<(Timestamp, Timestamp)>> {
        let (kind, telescope) = (self.kind, telescope.to_owned());
        self.read(move |connection| slots::taken(connection, kind, &telescope, from, until))
    }

    fn catalogue(&self) -> Answer<'_, Catalogue> {
        self.read(catalogue::load)
    }

    fn catalogue_unless(&self, known: i64) -> Answer<'_, Option<Catalogue>> {
        self.read(move |connection| catalogue::load_unless(connection, known))
    }

    fn counted(&self, new: &NewBooking, moving: Option<i64>, now: Timestamp) -> Answer<'_, Counted> {
        Box::pin(self.counting.count(Asked::of(new, moving, now)))
    }

    fn used_min(&self, proposal: i64) -> Answer<'_, BTreeMap<String, i64>> {
        self.read(move |connection| proposals::used(connection, proposal))
    }

    fn met_by(
        &self,
        telescope: &str,
        when: &NewMaintenance,
        after: Timestamp,
        limit: usize,
    ) -> Answer<'_, Vec<Booking>> {
        let (code, when) = (telescope.to_owned(), when.clone());
        self.read(move |connection| {
            let found = catalogue::telescope(connection, &code)?;
            found.map_or(Ok(Vec::new()), |(row, _)| bookings::met_by(connection, row, &when, after, limit))
        })
    }

    fn removed_maintenances(&self, telescope: &str, between: Stretch, limit: usize) -> Answer<'_, Vec<Removed>> {
        let code = telescope.to_owned();
        self.read(move |connection| maintenance::removed(connection, &code, between, limit))
    }

    fn hold(&self, key: Digest) -> Answer<'_, Option<Box<dyn Send + Sync>>> {
        let held = self.keys.hold(&key).map_err(|error| StoreError::Unavailable(io_message(&error)));
        Box::pin(async { Ok(held?.map(|key| Box::new(key) as Box<_>)) })
    }

    fn kept(&self, key: Digest, now: Timestamp) -> Answer<'_, Option<Kept>> {
        self.read(move |connection| kept::get(connection, &key, now))
    }

    fn remove_old_answers(&self, now: Timestamp, most: u32) -> Answer<'_, usize> {
        Box::pin(async move {
            self.damage.check()?;
            let has_old = self.read(move |connection| kept::has_old(connection, now)).await?;
            if has_old { self.write(move |connection| kept::remove_old(connection, now, most)).await } else { Ok(0) }
        })
    }

    fn signing_keys(&self, most: u32) -> Answer<'_, Vec<SigningKey>> {
        self.read(move |connection| signing::load(connection, most))
    }

    fn offer_signing_key(&self, offered: SigningKey) -> Answer<'_, Vec<SigningKey>> {
        self.write(move |connection| signing::offer(connection, &offered))
    }

    fn record_start(&self, process: Process) -> Answer<'_, ()> {
        let change = Record::Start(process);
        Box::pin(self.writer.run(move |tx| tx.carry_out(&change)))
    }

    fn record_stop(&self, process: Process, up_ms: u64) -> Answer<'_, ()> {
        let change = Record::Stop { process, up_ms };
        Box::pin(self.writer.run(move |tx| tx.carry_out(&change)))
    }

    fn trail_page(&self, wanted: Wanted, after: u64, limit: u16) -> Answer<'_, TrailPage> {
        self.read(move |connection| trail::page(connection, wanted, after, limit))
    }

    fn latest_record(&self) -> Answer<'_, LatestRecord> {
        self.read(trail::latest)
    }

    fn highest_token(&self) -> Answer<'_, u64> {
        self.read(bookings::highest_token)
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async {
            self.write(trail::touch).await?;
            self.writer.recent_failure().map_or(Ok(()), Err)
        })
    }

    fn fault(&self) -> Option<String> {
        self.place.recent_fault()
    }

    fn warnings(&self) -> Vec<(&'static str, String)> {
        let pages = self.check.progress().map(|text| ("paginas", text));
        let log = self.checkpoints.warning().map(|text| ("wal", text));
        pages.into_iter().chain(log).collect()
    }

    fn described(&self) -> Answer<'_, Vec<(&'static str, String)>> {
        Box::pin(std::future::ready(Ok(vec![("kind", "sqlite".to_owned())])))
    }

    fn log_bytes(&self) -> Option<u64> {
        std::fs::metadata(self.place.log_path()).ok().map(|log| log.len())
    }

    /// The note of how far the file is stands in the database, so all schedulers of one folder know it.
    fn outbox(&self, _: &Path) -> Result<Outbox, StoreError> {
        let connection = connect::open_for_reading(&self.path).map_err(|error| unavailable(&error))?;
        let (place, writer, in_use) = (Arc::clone(&self.place), self.writer.clone(), self.in_use.clone());
        Ok(Outbox::new(SqliteOutbox::new(connection, place, writer, in_use)))
    }
}

#[cfg(test)]
mod tests;
