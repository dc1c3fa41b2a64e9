//! The audit trail: the proof of every booking and cancellation.
//!
//! A record is made in the transaction of its action, and chained to the record before. The file follows the database.
//!
//! [`record`], with [`catalogued`], and [`chain`] make a record's line. [`export`] writes the file, and [`files`] names the closed ones. [`form`]
//! recognises compressed files, [`shape`] is a record's exact form, [`fields`] and [`filter`] read records, [`contested`] decides
//! contests anew, and [`verify`] proves that a trail is whole. All but `export` and `files` are pure.

pub mod catalogued;
pub mod chain;
pub(crate) mod contested;
pub(crate) mod export;
pub(crate) mod fields;
pub(crate) mod files;
pub(crate) mod filter;
pub(crate) mod form;
pub mod record;
pub(crate) mod shape;
pub(crate) mod verify;

/// The trail's file in the data folder.
pub(crate) const TRAIL_FILE: &str = "audit.jsonl";
/// The trail's file of the race demonstration.
pub(crate) const RACE_TRAIL_FILE: &str = "corrida-audit.jsonl";
