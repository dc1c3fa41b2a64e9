//! One file per subcommand: arguments become a checked config, then it runs.

pub mod audit;
pub mod clock_sync;
pub mod serve;
pub mod stress;

use std::process::ExitCode;

/// Exit status: what was expected was not seen.
pub const EXIT_UNEXPECTED: u8 = 1;
/// Exit status: could not run. The message says what to do.
pub const EXIT_CANNOT_RUN: u8 = 2;

/// What a subcommand's `run` gives.
pub type Outcome = anyhow::Result<ExitCode>;
