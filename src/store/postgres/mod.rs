//! The agenda in a PostgreSQL database: the storage of schedulers on several machines.
//!
//! [`location`] reads where the database is, [`connect`] opens connections, and [`schema`] makes the tables. [`writer`] is the one
//! connection of this scheduler that writes: [`load`] gets the rows that decisions need, [`pending`] gathers what was decided, and [`mod@apply`]
//! writes it. [`readers`] read beside it; [`growth`] says when statements have to be planned anew; [`rows`] makes values of the domain of rows. The SQL of readings stands beside the functions
//! that run it, in [`bookings`], [`lists`], [`slots`], [`catalogue`], [`counted`], [`proposals`], [`waits`], [`kept`], [`signing`],
//! [`trail`] and [`outbox`]; [`keys`] holds the keys of requests.

mod apply;
mod ask;
mod bookings;
mod catalogue;
mod connect;
mod counted;
mod deep;
mod described;
mod errors;
mod growth;
mod kept;
mod keys;
mod lists;
mod load;
mod location;
mod moving;
mod open_error;
mod outbox;
mod outside;
mod pending;
mod proposals;
mod readers;
mod register;
mod rows;
mod schema;
mod signing;
mod slots;
mod threads;
mod trail;
mod waits;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool_postgres::Client;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use self::connect::Connector;
use self::errors::Error;
use self::keys::Keys;
pub use self::location::Location;
pub use self::moving::{NotMoved, Source, move_to};
pub use self::open_error::OpenError;
use self::outbox::PostgresOutbox;
pub use self::outside::Outside;
use self::readers::Readers;
pub use self::register::SharedRegister;
use self::schema::Server;
use self::threads::Threads;
use self::writer::Writer;
use super::asked::Asked;
use super::changing::Changing;
use super::decide::Change;
use super::decide::Record;
use super::kind::DatabaseKind;
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
use crate::time::{Clock, Timestamp};

/// What an operator should know of a server without a synchronous standby.
const NO_STANDBY: &str =
    "nenhuma réplica é síncrona: se o disco do banco se perder, perdem-se com ele agendamentos já confirmados";

/// How long a probe may take to look for a synchronous standby.
const STANDBY_TIMEOUT: Duration = Duration::from_millis(200);

/// The agenda in one database.
pub struct PostgresStore {
    writer: Writer,
    readers: Arc<Readers>,
    keys: Keys,
    connector: Connector,
    location: Location,
    kind: DatabaseKind,
    /// Where readings for threads run.
    runtime: Handle,
    /// The readings of the trail's exporter, which asks four times a second.
    exporting: OnceLock<Threads>,
}

impl PostgresStore {
    /// Opens the database, making or migrating its tables as needed. It blocks its thread, which has to be one of a runtime that may block.
    /// `observer` is told of each transaction, on the writing thread.
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub fn open(
        location: Location,
        kind: DatabaseKind,
        clock: Clock,
        observer: impl Observer + 'static,
    ) -> Result<Self, OpenError> {
        let process = |reason: &dyn std::fmt::Display| OpenError::Process(reason.to_string());
        let connector = Connector::new(&location, kind);
        let writer = Writer::start(connector.clone(), &location.shown(), clock, Box::new(observer))?;
        let readers = Readers::new(&location, connector.clone()).map_err(|error| process(&error))?;
        let (readers, runtime) = (Arc::new(readers), Handle::current());
        let keys = Keys::new(Arc::clone(&readers), &runtime).map_err(|error| process(&error))?;
        Ok(Self { writer, readers, keys, connector, location, kind, runtime, exporting: OnceLock::new() })
    }

    /// Runs a reading with a connection of its own.
    fn read<'a, T: Send + 'a>(
        &'a self,
        read: impl for<'c> FnOnce(&'c mut Client) -> BoxFuture<'c, Result<T, Error>> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(self.readers.run(read))
    }
}

impl Changing for PostgresStore {
    fn change<C: Change>(&self, change: C) -> Answer<'_, C::Answer> {
        Box::pin(async {
            let answer = self.writer.change(change).await?;
            if let Some(exporting) = self.exporting.get() {
                exporting.note_answered();
            }
            Ok(answer)
        })
    }
}

impl Backend for PostgresStore {
    fn find_conflict(&self, new: &NewBooking) -> Answer<'_, Option<Booking>> {
        let filter = Filter::conflicts_with(new);
        self.read(move |client| Box::pin(async move { lists::first(&*client, &filter).await }))
    }

    fn wait(&self, id: i64, now: Timestamp) -> Answer<'_, Option<Placed>> {
        self.read(move |client| Box::pin(waits::placed(&*client, id, now)))
    }

    fn waits(&self, filter: WaitFilter, after: i64, limit: u16) -> Answer<'_, WaitPage> {
        self.read(move |client| Box::pin(async move { waits::list(&*client, &filter, after, limit).await }))
    }

    fn booking(&self, id: i64) -> Answer<'_, Option<Booking>> {
        self.read(move |client| Box::pin(bookings::get(&*client, id)))
    }

    fn list(&self, filter: Filter, after: Option<(Timestamp, i64)>, limit: u16) -> Answer<'_, Page> {
        self.read(move |client| Box::pin(async move { lists::list(&*client, &filter, after, limit).await }))
    }

    fn standing(
        &self,
        telescope: &str,
        from: Timestamp,
        until: Timestamp,
        mut reader: Box<dyn StandingReader>,
    ) -> Answer<'_, ()> {
        let (kind, telescope) = (self.kind, telescope.to_owned());
        self.read(move |client| {
            Box::pin(async move { slots::standing(client, kind, (&telescope, from, until), &mut *reader).await })
        })
    }

    fn taken(&self, telescope: &str, from: Timestamp, until: Timestamp) -> Answer<'_, Vec<(Timestamp, Timestamp)>> {
        let (kind, telescope) = (self.kind, telescope.to_owned());
        self.read(move |client| Box::pin(async move { slots::taken(&*client, kind, (&telescope, from, until)).await }))
    }

    fn catalogue(&self) -> Answer<'_, Catalogue> {
        self.read(|client| Box::pin(catalogue::load(client)))
    }

    fn catalogue_unless(&self, known: i64) -> Answer<'_, Option<Catalogue>> {
        self.read(move |client| Box::pin(catalogue::load_unless(client, known)))
    }

    fn counted(&self, new: &NewBooking, moving: Option<i64>, now: Timestamp) -> Answer<'_, Counted> {
        let asked = Asked::of(new, moving, now);
        self.read(move |client| Box::pin(async move { counted::count(&*client, &asked).await }))
    }

    fn used_min(&self, proposal: i64) -> Answer<'_, BTreeMap<String, i64>> {
        self.read(move |client| Box::pin(proposals::used(&*client, proposal)))
    }

    fn met_by(
        &self,
        telescope: &str,
        when: &NewMaintenance,
        after: Timestamp,
        limit: usize,
    ) -> Answer<'_, Vec<Booking>> {
        let (code, when) = (telescope.to_owned(), when.clone());
        self.read(move |client| Box::pin(async move { bookings::met_by(&*client, &code, &when, after, limit).await }))
    }

    fn removed_maintenances(&self, telescope: &str, between: Stretch, limit: usize) -> Answer<'_, Vec<Removed>> {
        let code = telescope.to_owned();
        self.read(move |client| Box::pin(async move { catalogue::removed(&*client, &code, between, limit).await }))
    }

    fn hold(&self, key: Digest) -> Answer<'_, Option<Box<dyn Send + Sync>>> {
        Box::pin(self.keys.hold(key))
    }

    fn kept(&self, key: Digest, now: Timestamp) -> Answer<'_, Option<Kept>> {
        self.read(move |client| Box::pin(kept::durably(client, key, now)))
    }

    fn remove_old_answers(&self, now: Timestamp, most: u32) -> Answer<'_, usize> {
        self.read(move |client| Box::pin(kept::remove_old(&*client, now, most)))
    }

    fn signing_keys(&self, most: u32) -> Answer<'_, Vec<SigningKey>> {
        self.read(move |client| Box::pin(signing::load(&*client, most)))
    }

    fn offer_signing_key(&self, offered: SigningKey) -> Answer<'_, Vec<SigningKey>> {
        self.read(move |client| Box::pin(signing::offer(client, offered)))
    }

    fn record_start(&self, process: Process) -> Answer<'_, ()> {
        self.change(Record::Start(process))
    }

    fn record_stop(&self, process: Process, up_ms: u64) -> Answer<'_, ()> {
        self.change(Record::Stop { process, up_ms })
    }

    fn trail_page(&self, wanted: Wanted, after: u64, limit: u16) -> Answer<'_, TrailPage> {
        self.read(move |client| Box::pin(trail::page(&*client, wanted, after, limit)))
    }

    fn latest_record(&self) -> Answer<'_, LatestRecord> {
        self.read(|client| Box::pin(trail::latest(&*client)))
    }

    fn highest_token(&self) -> Answer<'_, u64> {
        self.read(|client| Box::pin(bookings::highest_token(&*client)))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async {
            self.writer.probe().await?;
            // For the warning alone: a reading that must wait leaves what was known.
            let waits = self.read(|client| Box::pin(described::waits_for_standby(&*client)));
            if let Ok(Ok(Some(has_synchronous_standby))) = tokio::time::timeout(STANDBY_TIMEOUT, waits).await {
                self.writer.note_server(Server { has_synchronous_standby });
            }
            self.writer.recent_failure().map_or(Ok(()), Err)
        })
    }

    /// The exporter finds it out: without this its own fault, of which the database is the cause, would be told instead.
    fn fault(&self) -> Option<String> {
        self.exporting.get().and_then(Threads::fault)
    }

    fn warnings(&self) -> Vec<(&'static str, String)> {
        let alone = !self.writer.server().has_synchronous_standby;
        alone.then(|| ("replica", NO_STANDBY.to_owned())).into_iter().collect()
    }

    fn described(&self) -> Answer<'_, Vec<(&'static str, String)>> {
        self.read(|client| Box::pin(described::described(&*client)))
    }

    /// The server's log is its own.
    fn log_bytes(&self) -> Option<u64> {
        None
    }

    fn outbox(&self, file: &Path) -> Result<Outbox, StoreError> {
        let readers = Readers::new(&self.location, self.connector.clone())?;
        let records = Threads::new(readers, self.runtime.clone());
        let records = self.exporting.get_or_init(|| records).clone();
        Ok(Outbox::new(PostgresOutbox::open(records, file)?))
    }
}

#[cfg(test)]
mod tests;
