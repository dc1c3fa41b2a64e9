//! What a subcommand's `run` gives, and the exit statuses.

use std::process::ExitCode;

/// What a subcommand's `run` gives.
pub type Outcome = anyhow::Result<ExitCode>;

/// Exit status: the result is not as expected.
pub const EXIT_UNEXPECTED: u8 = 1;
/// Exit status: could not run. The message says what to do.
pub const EXIT_CANNOT_RUN: u8 = 2;
/// Exit status: the clock cannot be shown to be within `--max-error`.
pub const EXIT_CLOCK_OFF: u8 = 3;

/// Exit status of a verification that could not run. 2 means that the trail was tampered with.
pub const EXIT_VERIFY_CANNOT_RUN: u8 = 1;
/// Exit status of a verification: the trail was tampered with, or the database contradicts itself.
pub const EXIT_TAMPERED: u8 = 2;
/// Exit status of a verification: records are missing at an end of the trail, or its last line is torn.
pub const EXIT_INCOMPLETE: u8 = 3;
