//! The audit trail: who did what and when, so that it can be proved.
//!
//! A record is made in the transaction of the action it records, and chained to the one before; the file follows the
//! database. [`record`] and [`chain`] are pure, [`export`] writes the file and [`files`] names the ones that were closed;
//! [`form`] tells what form a file is in and [`shape`] is a record's; [`fields`] and [`filter`] read it back, and [`verify`] tells whether it is whole, all pure.

pub mod chain;
pub mod export;
pub mod fields;
pub mod files;
pub mod filter;
pub mod form;
pub mod record;
pub mod shape;
pub mod verify;

/// The trail's file in the data folder.
pub const TRAIL_FILE: &str = "audit.jsonl";
/// The same of the race demonstration.
pub const RACE_TRAIL_FILE: &str = "corrida-audit.jsonl";
