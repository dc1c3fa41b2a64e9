//! The black-box tests: the real executable on free ports, in folders of its own.
//!
//! They are one crate, so that the library is linked once. Only `tests/panics.rs` needs a process of its own.
//! A test that needs a tool is ignored and names the tool; `cargo test -- --ignored` runs those.

mod agenda;
mod agenda_live;
mod audit;
mod audit_damage;
mod audit_last;
mod audit_table;
mod authorship;
mod bad_input;
mod booking;
mod browser;
mod callers;
mod chaos;
mod clock_sync;
mod command_line;
mod common;
mod connections;
mod containers;
mod documents;
mod events;
mod examples;
mod faults;
mod field_codes;
mod follow;
mod foundation;
mod grace;
mod growth;
mod hangs;
mod hangup;
mod history;
mod house;
mod incident;
mod input;
mod language;
mod leases;
mod lock_command;
mod locks;
mod locks_cli;
mod logs;
mod metrics;
mod operate;
mod order;
mod page;
mod peers;
mod presence;
mod private_files;
mod queues;
mod scale;
mod startup;
mod stress;
mod terminal;
mod tokens;
mod trail;
mod verify;
