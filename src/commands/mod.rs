//! One file per subcommand: arguments become a checked config, then it runs.

pub mod audit;
pub mod clock_sync;
pub mod completions;
pub mod health;
pub mod locks;
pub mod manual;
pub mod output;
pub mod serve;
pub mod stress;

use std::process::ExitCode;

use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;

/// Exit status: what was expected was not seen.
pub const EXIT_UNEXPECTED: u8 = 1;
/// Exit status: could not run. The message says what to do.
pub const EXIT_CANNOT_RUN: u8 = 2;

/// What a subcommand's `run` gives.
pub type Outcome = anyhow::Result<ExitCode>;

/// The threads that a subcommand's tasks run on. Allows the process as many file descriptors as the system lets it have:
/// each connection is one.
fn runtime() -> anyhow::Result<Runtime> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is not allowed, the connections are fewer.
    let _ = setrlimit(Resource::Nofile, limit);
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
