//! sctec: the core of a shared space telescope.
//!
//! Scientists all over the world compete for five-minute observation slots. Two services keep that just, consistent
//! and fault-proof: the [`scheduler`] has the agenda and the time, the [`coordinator`] has the locks. Both are library
//! functions, [`scheduler::serve`] and [`coordinator::serve`]; the executable is one user of them.
//!
//! ```no_run
//! # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
//! use sctec::coordinator;
//! use sctec::http::server::bind;
//! use sctec::scheduler::{self, Mode};
//!
//! let (locks, agenda) = (bind("127.0.0.1:0".parse()?)?, bind("127.0.0.1:5000".parse()?)?);
//! let mode = Mode::locked([format!("http://{}", locks.local_addr()?)]);
//! tokio::spawn(coordinator::serve(locks, coordinator::Config::new("sctec-data"), std::future::pending()));
//! let interrupted = async { drop(tokio::signal::ctrl_c().await) };
//! scheduler::serve(agenda, scheduler::Config::new("sctec-data", mode), interrupted).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/embed.rs` does the same, and stops both cleanly. Two things that a program may want of its own:
//!
//! - log lines go to standard output and to a file: `logging: logging::Config::quiet()` in both configurations keeps the file alone;
//! - a panic in a part that a service needs ends the service only if the program has called [`panics::install_hook`].
//!
//! # The tour
//!
//! The modules in reading order. Each imports only those below it.
//!
//! - [`commands`]: the command line, one file or folder for each subcommand;
//! - [`stress`]: many booking requests at one instant, and the verdict on the results;
//! - [`scheduler`]: the agenda over REST; the way of a booking is `scheduler::book`;
//! - [`coordinator`]: the lock table, the service around it, and its client;
//! - [`store`]: the agenda's storage: an interface, and SQLite behind it;
//! - [`audit`]: the record, its hash chain, and the file;
//! - [`agenda`]: slots, bookings and their rules;
//! - [`clock`]: Cristian's algorithm and its client;
//! - [`http`]: HTTP on hyper, without any domain;
//! - [`access`]: who asks, and what they may do;
//! - [`batch`]: adaptive batching; [`text`]: escaping; [`data_dir`] and [`files`]: the data folder and facts about files; [`stirring`]: what
//!   happens to a file; [`json`]: values as JSON; [`language`]: the catalogues of the command line;
//!   [`logging`]; [`panics`]; [`time`]: instants and the clock.
//!
//! # Where to look
//!
//! - Why is a second booking refused? `scheduler::leased`: the coordinator refuses the lock, or the store finds the slot claimed.
//! - Where is a lock's TTL bounded? [`coordinator::protocol`], in its `limits`.
//! - What does a booking look like on the wire? `scheduler::views`.
//! - Which flag sets the rotation? `commands::serve`, in its `args`: `--log-rotate-mb` and `--audit-rotate-mb`.
//! - When does a listener hear `perdidos`? [`http::channel`]: when it has missed events; `scheduler::live::publisher`: when events
//!   were dropped before they reached the coordinator.

// A closed pipe or a full disk would panic in println! and eprintln!: output goes through a writer that can say so.
#![warn(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)]
// Every file that we make is its user's alone: clippy.toml lists the functions that would make another one.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod commands;
pub mod scheduler;
pub mod stress;

pub mod coordinator;
mod store;

pub mod agenda;
pub mod audit;
pub mod clock;

pub mod http;

pub mod access;

mod batch;
mod data_dir;
mod files;
mod json;
pub mod language;
pub mod logging;
pub mod panics;
mod stirring;
mod text;
pub mod time;

// What `t!` expands to.
use language::{_rust_i18n_t, _rust_i18n_try_translate};
