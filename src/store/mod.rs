//! The agenda's storage. Nothing above this module knows that it is SQLite.
//!
//! [`schema`] opens a database and brings it up to date, [`writer`] is the one thread that writes, [`bookings`],
//! [`lists`], [`slots`], [`catalogue`], [`trail`] and [`outbox`] hold the SQL beside the functions that run it. What a caller sees is
//! [`Store`]; [`inspect`] looks at a database from outside.

mod bookings;
mod catalogue;
mod checkpoints;
mod damage;
mod deep;
mod inspect;
mod lists;
mod outbox;
mod pages;
mod place;
mod readers;
mod recovery;
mod schema;
mod slots;
mod stopped;
mod trail;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use slog::Logger;

use self::checkpoints::{Checkpoints, Watch};
use self::damage::Damage;
pub use self::deep::{Deep, deep};
pub use self::inspect::{log_may_be_elsewhere, trail_around, trail_ends};
pub use self::lists::{Filter, Page};
pub use self::outbox::Outbox;
use self::pages::Check;
use self::place::Place;
use self::readers::Readers;
use self::stopped::InUse;
pub use self::trail::{LatestRecord, TrailPage};
use self::writer::{Beside, Writer};
use crate::agenda::{Booking, Catalogue, NewBooking, NotCancellable, Rejection};
use crate::audit::filter::Wanted;
use crate::audit::record::{Event, NO_REQUEST, Process, Why};
use crate::time::{Clock, Timestamp};

/// Which agenda a database holds. Neither can be opened as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The real one.
    Agenda,
    /// The demonstration of the race, written without lock and without slot claims.
    Race,
}

/// A database could not be opened. Shown by the command line, hence in English; it says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its folder cannot be used.
    #[error("cannot open {}: {reason}; check that the folder exists and that you may write there, or choose another with --data-dir", path.display())]
    Access {
        /// The database.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another process is writing to it and does not end.
    #[error("{} is locked by another program, or by a scheduler that is paused; end it or let it go on, then start again", path.display())]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// Not a database, or its pages contradict each other.
    #[error("{} is damaged ({reason}); restore it from a backup, or move it away to start with an empty agenda", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// The SQLite in this executable is known to damage databases.
    #[error("this sctec was built with SQLite {found}, which can damage a database; build it with {oldest} or newer")]
    OldSqlite {
        /// Its version.
        found: String,
        /// The oldest that is safe.
        oldest: &'static str,
    },
    /// It and the write-ahead log beside it contradict each other. Neither was touched.
    #[error("{} and the {name}-wal beside it contradict each other ({reason}): an older copy was put back, or the log is another one's; move {name}-wal and {name}-shm to another folder and keep them, then start again: the copy is used as it was", path.display(), name = name_of(path))]
    Mixed {
        /// The database.
        path: PathBuf,
        /// What contradicts the rest.
        reason: String,
    },
    /// There is a write-ahead log, and no database that it belongs to: opening would delete it.
    #[error("{} is not there or is empty, and the {name}-wal beside it has records of one; put the database back, or move {name}-wal and {name}-shm to another folder and keep them, then start again", path.display(), name = name_of(path))]
    LogAlone {
        /// The database.
        path: PathBuf,
    },
    /// It has an agenda's tables, and not the marks of one.
    #[error("{} has an agenda's tables, but not the marks of one, as a copy through .dump has; set them with sqlite3: PRAGMA application_id = {application_id}; PRAGMA user_version = N, where N is the schema it was copied from (up to {known})", path.display())]
    Unmarked {
        /// The database.
        path: PathBuf,
        /// The first mark.
        application_id: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// Written by a newer sctec.
    #[error("{} was written by a newer sctec (schema {found}, this one knows up to {known}); use that version", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// A database of another program, or of the other mode.
    #[error("{} is not {expected}; choose another folder with --data-dir", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
    },
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().display().to_string()
}

/// The store did not do what was asked, or nobody knows whether it did; with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot now: busy, full, broken, not in its place. Nothing was written.
    #[error("{0}")]
    Unavailable(String),
    /// It cannot do this: the database refuses this very write, or has a value here that makes no sense. Nothing was
    /// written, and the same again fares no better; anything else may.
    #[error("{0}")]
    Refused(String),
    /// A commit failed, and whether it has written anything could not be found out.
    #[error("{0}")]
    Unknown(String),
}

/// The right to write that a lease gives, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    /// The fencing token.
    pub token: u64,
    /// A write is not started past this.
    pub deadline: Instant,
}

/// Why a write under a fence was refused. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceBroken {
    /// The lease's time was over before the write began.
    Expired,
    /// A newer token has already written to this slot.
    Stale {
        /// The slot.
        start: Timestamp,
        /// The token it has seen.
        seen: u64,
    },
}

/// Why a booking was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookRefused {
    /// It does not keep this rule any more: time has gone on, or somebody has changed the catalogue.
    Broken(Rejection),
    /// One of its slots has a booking.
    Taken {
        /// The first such slot.
        start: Timestamp,
        /// Its booking.
        booking_id: i64,
        /// Who has it.
        scientist_id: i64,
    },
    /// The lease no longer counts.
    Fence(FenceBroken),
}

/// Why a cancellation was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelRefused {
    /// There is no such booking.
    Unknown,
    /// It may not be cancelled.
    Not(NotCancellable),
    /// The lease no longer counts.
    Fence(FenceBroken),
}

/// The agenda's storage.
pub struct Store {
    writer: Writer,
    readers: Arc<Readers>,
    /// The walk through all pages, if one was needed.
    check: Check,
    checkpoints: Watch,
    damage: Damage,
    place: Arc<Place>,
    path: PathBuf,
    kind: Kind,
    in_use: InUse,
}

impl Store {
    /// Opens the database at `path`, creating or migrating it as needed. That takes no longer when the database is larger;
    /// if it was not stopped cleanly, its pages are looked at in the background. `on_commit` is called on the writing thread
    /// after each commit, with the audit lines it made, in order.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub fn open(
        path: &Path,
        kind: Kind,
        clock: Clock,
        log: &Logger,
        on_commit: impl FnMut(&[String]) + Send + 'static,
    ) -> Result<Self, OpenError> {
        schema::check_library(rusqlite::version_number(), rusqlite::version())?;
        let explain = |error: io::Error| OpenError::Access { path: path.to_owned(), reason: error.to_string() };
        let damage = Damage::default();
        let (in_use, stopped_cleanly) = InUse::begin(path, damage.clone());
        let (connection, place) = schema::open_for_writing(path, kind)?;
        let place = Arc::new(place);
        let folding = schema::open_for_checkpoints(path)?;
        let folding = Checkpoints::start(&place, folding, in_use.clone(), log).map_err(explain)?;
        let checkpoints = folding.watch();
        let beside = Beside::new(folding, in_use.clone());
        let writer =
            Writer::start(connection, (Arc::clone(&place), damage.clone()), clock, Box::new(on_commit), beside)
                .map_err(explain)?;
        let readers = Arc::new(Readers::new(path, Arc::clone(&place), damage.clone(), in_use.clone()));
        let check = if stopped_cleanly {
            Check::none()
        } else {
            Check::start(path, in_use.clone(), damage.clone(), log).map_err(explain)?
        };
        Ok(Self { writer, readers, check, checkpoints, damage, place, path: path.to_owned(), kind, in_use })
    }

    /// Books under a lease: fence check, slot claims, booking and audit record in one transaction.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn book(
        &self,
        new: NewBooking,
        fence: Fence,
        request_id: Arc<str>,
    ) -> Result<Result<Booking, BookRefused>, StoreError> {
        self.damage.check()?;
        self.writer.run(move |tx| bookings::book(tx, &new, fence, &request_id)).await
    }

    /// Writes a booking without looking at its slots: the second half of the race.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn book_unguarded(
        &self,
        new: NewBooking,
        request_id: Arc<str>,
    ) -> Result<Result<Booking, BookRefused>, StoreError> {
        self.damage.check()?;
        self.writer.run(move |tx| bookings::book_unguarded(tx, &new, &request_id)).await
    }

    /// The booking that stands on one of these slots, if any: the first half of the race.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn find_conflict(&self, new: &NewBooking) -> Result<Option<Booking>, StoreError> {
        let filter = Filter {
            telescope: Some(new.telescope.code.clone()),
            status: Some(crate::agenda::Status::Active),
            from: Some(new.slots.start()),
            until: Some(new.slots.end()),
            ..Filter::default()
        };
        self.readers.run(move |connection| lists::first(connection, &filter)).await
    }

    /// Cancels, under a lease where there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn cancel(
        &self,
        id: i64,
        reason: Option<String>,
        fence: Option<Fence>,
        request_id: Arc<str>,
    ) -> Result<Result<Booking, CancelRefused>, StoreError> {
        self.damage.check()?;
        self.writer.run(move |tx| bookings::cancel(tx, id, reason.as_deref(), fence, &request_id)).await
    }

    /// One booking.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn booking(&self, id: i64) -> Result<Option<Booking>, StoreError> {
        self.readers.run(move |connection| bookings::get(connection, id)).await
    }

    /// A page of bookings by start, then number, after `after`.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn list(&self, filter: Filter, after: Option<(Timestamp, i64)>, limit: u16) -> Result<Page, StoreError> {
        self.readers.run(move |connection| lists::list(connection, &filter, after, limit)).await
    }

    /// The active bookings of a telescope that have an instant of [`from`, `until`) in them, in order.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn standing(&self, row: i64, from: Timestamp, until: Timestamp) -> Result<Vec<Booking>, StoreError> {
        let kind = self.kind;
        self.readers.run(move |connection| slots::standing(connection, kind, row, from, until)).await
    }

    /// The stretches of [`from`, `until`) that a telescope's active bookings take.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn taken(
        &self,
        row: i64,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
        let kind = self.kind;
        self.readers.run(move |connection| slots::taken(connection, kind, row, from, until)).await
    }

    /// All scientists and telescopes.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn catalogue(&self) -> Result<Catalogue, StoreError> {
        self.readers.run(catalogue::load).await
    }

    /// Records a booking that was refused.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn record_refusal(&self, asked: NewBooking, why: Why, request_id: Arc<str>) -> Result<(), StoreError> {
        self.damage.check()?;
        let record =
            move |tx: &mut writer::Tx<'_>| tx.record(&Event::BookingRefused { asked: &asked, why: &why }, &request_id);
        self.writer.run(record).await
    }

    /// Records that the service has started.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn record_start(&self, process: Process) -> Result<(), StoreError> {
        self.writer.run(move |tx| tx.record(&Event::ServiceStarted(&process), NO_REQUEST)).await
    }

    /// Records that the service stops.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn record_stop(&self, process: Process, up_ms: u64) -> Result<(), StoreError> {
        self.writer.run(move |tx| tx.record(&Event::ServiceStopped { process: &process, up_ms }, NO_REQUEST)).await
    }

    /// A page of the audit records that are wanted, after record `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn trail_page(&self, wanted: Wanted, after: u64, limit: u16) -> Result<TrailPage, StoreError> {
        self.readers.run(move |connection| trail::page(connection, wanted, after, limit)).await
    }

    /// The audit trail's head, and when its record was made.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn latest_record(&self) -> Result<LatestRecord, StoreError> {
        self.readers.run(trail::latest).await
    }

    /// Whether the database can be written: a transaction that changes nothing and yet is written, behind those that wait;
    /// and no write has just failed.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot.
    pub async fn probe(&self) -> Result<(), StoreError> {
        self.damage.check()?;
        self.writer.run(|tx| trail::touch(tx.connection)).await?;
        self.writer.recent_failure().map_or(Ok(()), Err)
    }

    /// Why the database is not where it should be, if it is not: nothing is written to it or read from it then.
    pub fn misplaced(&self) -> Option<String> {
        self.place.fault()
    }

    /// The largest fencing token that any slot has seen.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn highest_token(&self) -> Result<u64, StoreError> {
        self.readers.run(bookings::highest_token).await
    }

    /// The committed audit records, for their exporter.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub fn outbox(&self) -> Result<Outbox, StoreError> {
        let connection = schema::open_for_reading(&self.path).map_err(|error| unavailable(&error))?;
        Ok(Outbox::new(connection, Arc::clone(&self.place), self.writer.clone(), self.in_use.clone()))
    }

    /// What an operator should know though bookings go on, each with its name.
    pub fn warnings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let pages = self.check.progress().map(|text| ("paginas", text));
        let log = self.checkpoints.warning().map(|text| ("wal", text));
        pages.into_iter().chain(log)
    }
}

/// Why nothing came of a reading, or of opening.
fn unavailable(error: &rusqlite::Error) -> StoreError {
    match error {
        // What SQLite has read, and we do not understand.
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => StoreError::Refused(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
