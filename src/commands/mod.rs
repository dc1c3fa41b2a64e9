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

use crate::time::{ParseTimestampError, Timestamp};

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

/// Runs the task of a command to its end. A lookup of a name may go on for long after it was given up; the exit does not
/// wait for it.
fn block_on<T>(task: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = runtime()?;
    let done = runtime.block_on(task);
    runtime.shutdown_background();
    Ok(done)
}

/// What is wrong with an instant. Its own errors are the API's, in Portuguese; here the command line speaks.
fn in_english(error: ParseTimestampError) -> String {
    match error {
        ParseTimestampError::Shape => "should be an RFC 3339 instant with a zone, as 2025-10-26T18:00:00Z".to_owned(),
        ParseTimestampError::NoSuchInstant => {
            "is on no calendar or clock; use an instant as 2025-10-26T18:00:00Z".to_owned()
        }
        ParseTimestampError::NoSuchOffset => {
            "has an offset that does not exist; they go from -23:59 to +23:59, as in 2025-10-26T15:00:00-03:00"
                .to_owned()
        }
        ParseTimestampError::NoLeapSecond => {
            "has a second 60, which can only be at 23:59:60Z of 30 June or 31 December".to_owned()
        }
        ParseTimestampError::OutOfRange => {
            format!("should be from {} to {}", Timestamp::MIN.seconds(), Timestamp::MAX.seconds())
        }
        ParseTimestampError::TooFine => {
            "should be exact to the microsecond, without a second 60 or further digits".to_owned()
        }
    }
}
