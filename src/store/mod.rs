//! The agenda's storage: what the rest of the service asks of it, free of SQL.
//!
//! [`Store`] is the interface, with what each [`Backend`] does in its own way. What a change does is decided by [`decide`], which knows no database. A storage loads the rows that a
//! decision needs, and writes what was decided: [`sqlite`] on one machine, [`postgres`] for schedulers on several.
//!
//! The scheduler chooses the storage when it starts, so the interface is a trait object.

mod asked;
mod changing;
#[cfg(test)]
mod conformance;
pub mod decide;
mod deep;
mod joined;
mod kind;
#[cfg(test)]
mod memory;
mod observer;
mod outbox;
mod outcomes;
pub mod postgres;
pub mod sqlite;
pub mod tables;
mod waits;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use futures_util::future::BoxFuture;

pub use self::changing::Store;
pub use self::deep::Deep;
pub use self::kind::DatabaseKind;
#[cfg(test)]
pub use self::observer::Unobserved;
pub use self::observer::{Observer, Saving};
pub use self::outbox::Outbox;
pub use self::outcomes::{
    AlterRefused, Altered, BookRefused, CancelRefused, Cancelled, Cancelling, Closed, Fence, FenceBroken, Leased,
    NotCancelled, NotChanged, NotClosed,
};
pub use self::waits::{NotEntered, NotLeft, Placed, WaitFilter, WaitPage};
use crate::agenda::keeping::{Digest, Kept};
use crate::agenda::maintenance::{NewMaintenance, Removed, Stretch};
use crate::agenda::timetable::Standing;
use crate::agenda::{Booking, Catalogue, NewBooking, SlotRange, Status};
use crate::audit::chain::ChainHead;
use crate::audit::filter::Wanted;
use crate::audit::record::Process;
use crate::clock::keys::SigningKey;
use crate::time::Timestamp;

/// What the store answers, once it knows. A change is answered when it is durable, and never before.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The most keys that a scheduler signs and checks with: there is one more each day, and a time token lives for minutes.
pub const SIGNING_KEYS: u32 = 16;

/// What each storage does in its own way: all but the changes of [`Store`].
pub trait Backend: Send + Sync {
    /// The first active booking that has one of these slots: the first half of the race.
    fn find_conflict(&self, new: &NewBooking) -> Answer<'_, Option<Booking>>;

    /// One entry of a waiting list as it stands at `now`.
    fn wait(&self, id: i64, now: Timestamp) -> Answer<'_, Option<Placed>>;

    /// A page of entries by number, after `after`.
    fn waits(&self, filter: WaitFilter, after: i64, limit: u16) -> Answer<'_, WaitPage>;

    /// One booking.
    fn booking(&self, id: i64) -> Answer<'_, Option<Booking>>;

    /// A page of bookings by start, then number, after `after`.
    fn list(&self, filter: Filter, after: Option<(Timestamp, i64)>, limit: u16) -> Answer<'_, Page>;

    /// Reads the active bookings of a telescope that have an instant of [`from`, `until`) in them, as they are at one moment.
    fn standing(
        &self,
        telescope: &str,
        from: Timestamp,
        until: Timestamp,
        reader: Box<dyn StandingReader>,
    ) -> Answer<'_, ()>;

    /// The stretches of [`from`, `until`) that a telescope's active bookings take.
    fn taken(&self, telescope: &str, from: Timestamp, until: Timestamp) -> Answer<'_, Vec<(Timestamp, Timestamp)>>;

    /// All scientists and telescopes.
    fn catalogue(&self) -> Answer<'_, Catalogue>;

    /// The same, unless the catalogue still is the known one: its [`Catalogue::edition`] tells. That costs little.
    fn catalogue_unless(&self, known: i64) -> Answer<'_, Option<Catalogue>>;

    /// What counts against `new` at `now`, without the booking `moving`. All of it is as it is at one moment.
    fn counted(&self, new: &NewBooking, moving: Option<i64>, now: Timestamp) -> Answer<'_, Counted>;

    /// The minutes that are charged to a proposal, by telescope.
    fn used_min(&self, proposal: i64) -> Answer<'_, BTreeMap<String, i64>>;

    /// The active bookings that a maintenance of a telescope meets and that end after an instant, in order, at most `limit`.
    fn met_by(
        &self,
        telescope: &str,
        when: &NewMaintenance,
        after: Timestamp,
        limit: usize,
    ) -> Answer<'_, Vec<Booking>>;

    /// The maintenances of a telescope that were taken away and had a time between `from` and `until`, the last one taken away first, at
    /// most `limit`. One that comes again each week may have no time in just that period.
    fn removed_maintenances(&self, telescope: &str, between: Stretch, limit: usize) -> Answer<'_, Vec<Removed>>;

    /// Holds a key, for as long as its request is carried out: here and in every other process that uses this storage. `None` if another
    /// request holds it: it does not wait for that one. Dropping it gives the key back, and so does the end of the process.
    fn hold(&self, key: Digest) -> Answer<'_, Option<Box<dyn Send + Sync>>>;

    /// The answer that is kept for a key, unless it is old at `now`.
    fn kept(&self, key: Digest, now: Timestamp) -> Answer<'_, Option<Kept>>;

    /// Removes answers that are old at `now`, at most so many, and tells how many.
    fn remove_old_answers(&self, now: Timestamp, most: u32) -> Answer<'_, usize>;

    /// The newest keys that sign time tokens and receipts, at most so many, the newest last.
    fn signing_keys(&self, most: u32) -> Answer<'_, Vec<SigningKey>>;

    /// Offers a new key, which is added if one is needed ([`crate::clock::keys::renew`]). The answer is the keys after that.
    fn offer_signing_key(&self, offered: SigningKey) -> Answer<'_, Vec<SigningKey>>;

    /// Records that the service has started. It is recorded also in a database that is known to be damaged.
    fn record_start(&self, process: Process) -> Answer<'_, ()>;

    /// Records that the service stops, in the same way.
    fn record_stop(&self, process: Process, up_ms: u64) -> Answer<'_, ()>;

    /// A page of the audit records that are wanted, after record `after`, in order.
    fn trail_page(&self, wanted: Wanted, after: u64, limit: u16) -> Answer<'_, TrailPage>;

    /// The audit trail's head with its record.
    fn latest_record(&self) -> Answer<'_, LatestRecord>;

    /// The largest fencing token that any slot has seen.
    fn highest_token(&self) -> Answer<'_, u64>;

    /// Whether the storage can be written: a change that changes nothing and yet is written, after those that wait; and
    /// no write has failed a moment ago.
    fn probe(&self) -> Answer<'_, ()>;

    /// Why the storage cannot be used now, as far as that is known without asking it. What happened in the last millisecond may not be
    /// known yet: each change and each reading finds that itself.
    fn fault(&self) -> Option<String>;

    /// What an operator should know although bookings go on, each with its name.
    fn warnings(&self) -> Vec<(&'static str, String)>;

    /// What the storage is, as far as it can be read now: names and values for operators. `kind` is always there.
    fn described(&self) -> Answer<'_, Vec<(&'static str, String)>>;

    /// The length of the log that the storage writes before its data, if it has one and it can be read now.
    fn log_bytes(&self) -> Option<u64>;

    /// The committed audit records, for the exporter that writes them to `file`. Called once, when the service starts, on a thread that may
    /// block.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn outbox(&self, file: &Path) -> Result<Outbox, StoreError>;
}

/// What counts against a new booking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// What its scientist has booked at its telescope, as far as the telescope's rules count it.
    pub held: Vec<SlotRange>,
    /// The minutes that are charged to its proposal at its telescope; 0 without a proposal.
    pub used_min: i64,
    /// The catalogue's edition at the same moment: the rules and the proposal may be others than those that are known.
    pub edition: i64,
}

/// What takes the bookings of a period from the store, one after the other: with long notes they may be many megabytes together.
pub trait StandingReader: Send {
    /// Learns which bookings there are, before the first of them. After `Break` none of them comes.
    fn begin(&mut self, standing: Standing) -> ControlFlow<()>;

    /// Takes one booking, in the order of the [`Standing`].
    fn booking(&mut self, booking: &Booking);
}

/// The store did not do what was asked, or its outcome is unknown; with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot now: busy, full, broken, not in its place. Nothing was written.
    #[error("{0}")]
    Unavailable(String),
    /// It cannot do this: the database refuses this very write, or has a value here that makes no sense. Nothing was
    /// written. The same change will be refused again; others may succeed.
    #[error("{0}")]
    Refused(String),
    /// A commit failed, and whether it has written anything could not be found out.
    #[error("{0}")]
    Unknown(String),
}

/// What a list of bookings is narrowed to. `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The telescope's code.
    pub telescope: Option<String>,
    /// The scientist who booked.
    pub scientist_id: Option<i64>,
    /// Whether it stands.
    pub status: Option<Status>,
    /// Only bookings that end after this.
    pub from: Option<Timestamp>,
    /// Only bookings that start before this.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// The active bookings that have one of the slots of `new`.
    pub fn conflicts_with(new: &NewBooking) -> Self {
        Self {
            telescope: Some(new.telescope.code.clone()),
            scientist_id: None,
            status: Some(Status::Active),
            from: Some(new.slots.start()),
            until: Some(new.slots.end()),
        }
    }
}

/// A page of bookings.
#[derive(Clone, Debug)]
pub struct Page {
    /// In order of start, then number.
    pub bookings: Vec<Booking>,
    /// The place in that order up to which the store has looked, if there may be more after it.
    pub next: Option<(Timestamp, i64)>,
}

/// The chain's head with its record.
#[derive(Clone, Debug)]
pub struct LatestRecord {
    /// The head.
    pub head: ChainHead,
    /// Its record's line; `None` before the first.
    pub line: Option<String>,
}

/// Some of the audit records that were asked for.
#[derive(Clone, Debug)]
pub struct TrailPage {
    /// Their lines, in order.
    pub lines: Vec<String>,
    /// The record up to which the store has looked, if there are more after it.
    pub next: Option<u64>,
}
