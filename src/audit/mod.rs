//! The audit trail: who did what and when, so that it can be proved.
//!
//! A record is made in the transaction of the action it records, and chained to the one before; the file follows the
//! database. [`record`] and [`chain`] are pure, [`export`] writes the file, [`filter`] reads it back.

pub mod chain;
pub mod export;
pub mod filter;
pub mod record;
