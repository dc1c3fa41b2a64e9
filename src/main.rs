//! The executable: parse, dispatch, error chain, exit code.

// A closed pipe would panic in println!: output goes through a writer that can say so.
#![warn(clippy::unwrap_used, clippy::print_stdout)]

use std::process::ExitCode;

use clap::Parser;
use sctec::cli::{Cli, Command};
use sctec::commands;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::ServeScheduler(args) => commands::serve::scheduler(&args),
        Command::ServeCoordinator(args) => commands::serve::coordinator(&args),
        Command::ServeAll(args) => commands::serve::all(&args),
        Command::Stress(args) => commands::stress::run(&args),
        Command::Audit(args) => commands::audit::run(&args),
        Command::Locks(args) => commands::locks::run(&args),
        Command::ClockSync(args) => commands::clock_sync::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("sctec: {error:#}");
        ExitCode::from(commands::EXIT_CANNOT_RUN)
    })
}
