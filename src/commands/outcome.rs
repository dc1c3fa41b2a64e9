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
/// Exit status of `book` and `cancel`: no answer came, and nobody knows whether the change was made.
pub const EXIT_OUTCOME_UNKNOWN: u8 = 3;

/// Exit status of a verification that could not run. 2 means that the trail was tampered with.
pub const EXIT_VERIFY_CANNOT_RUN: u8 = 1;
/// Exit status of a verification: the trail was tampered with, or the database contradicts itself.
pub const EXIT_TAMPERED: u8 = 2;
/// Exit status of a verification: records are missing at an end of the trail, or its last line is torn.
pub const EXIT_INCOMPLETE: u8 = 3;

/// Exit status of `lock`: another holder has the lock.
pub const EXIT_LOCK_REFUSED: u8 = 123;
/// Exit status of `lock`: the lock was lost while the command ran. `timeout` has this status for a command that it ended.
pub const EXIT_LEASE_LOST: u8 = 124;
/// Exit status of `lock`: it could not run. This status and the next two are those of `env` and `timeout`.
pub const EXIT_LOCK_CANNOT_RUN: u8 = 125;
/// Exit status of `lock`: the command was found, and could not be started.
pub const EXIT_COMMAND_NOT_STARTED: u8 = 126;
/// Exit status of `lock`: there is no such command.
pub const EXIT_COMMAND_NOT_FOUND: u8 = 127;
