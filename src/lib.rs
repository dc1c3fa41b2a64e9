//! sctec: the core of a shared space telescope.
//!
//! Scientists all over the world compete for five-minute observation slots. Two services keep that just, consistent
//! and fault-proof: the [`scheduler`] has the agenda and the time, the [`coordinator`] has the locks. Both are library
//! functions, [`scheduler::serve`] and [`coordinator::serve`]; the executable is one user of them.
//!
//! ```no_run
//! # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
//! use sctec::{coordinator, http::server::bind, logging};
//!
//! let listener = bind("127.0.0.1:0".parse()?)?;
//! let config = coordinator::Config::new("sctec-data", logging::Config::default());
//! coordinator::serve(listener, config, async { drop(tokio::signal::ctrl_c().await) }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The modules in reading order, each of which imports only those below it:
//!
//! - [`commands`]: the command line;
//! - [`stress`]: rivals for one slot, on command;
//! - [`scheduler`]: the agenda over REST, and the way of a booking (`scheduler/book.rs`);
//! - [`coordinator`]: the lock table, its service and its client;
//! - [`store`]: SQLite, one writer, group commit;
//! - [`audit`]: the record, its hash chain, its file;
//! - [`agenda`]: what a slot and a booking are, and the rules;
//! - [`clock`]: Cristian's algorithm and its client;
//! - [`http`]: plumbing on hyper that knows no domain;
//! - [`batch`], [`data_dir`], [`files`], [`text`], [`logging`], [`panics`], [`time`]: what everything stands on.

// A closed pipe or a full disk would panic in println! and eprintln!: output goes through a writer that can say so.
#![warn(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)]

pub mod commands;
pub mod scheduler;
pub mod stress;

pub mod coordinator;
mod store;

pub mod agenda;
pub mod audit;
pub mod clock;

pub mod http;

mod batch;
mod data_dir;
mod files;
pub mod logging;
pub mod panics;
mod text;
pub mod time;
