//! The audit trail: who did what and when, so that it can be proved.
//!
//! A record is made in the transaction of the action it records, and chained to the one before; the file follows the
//! database. [`record`] and [`chain`] are pure, [`export`] writes the file and [`files`] names the ones that were closed;
//! [`form`] tells what form a file is in and [`shape`] is a record's; [`fields`] and [`filter`] read it back, and [`verify`] tells whether it is whole, all pure.

pub mod chain;
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
/// The same of the race demonstration.
pub(crate) const RACE_TRAIL_FILE: &str = "corrida-audit.jsonl";
