//! The executable: parse, dispatch, error chain, exit code.

// A closed pipe would panic in println!: output goes through a writer that can say so.
#![warn(clippy::unwrap_used, clippy::print_stdout)]

use std::process::ExitCode;

use clap::Parser;
use sctec::cli::{Cli, Command};
use sctec::commands;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let outcome = match cli.command {
        Command::ServeScheduler(args) => commands::serve::scheduler(&args),
        Command::ServeCoordinator(args) => commands::serve::coordinator(&args),
        Command::ServeAll(args) => commands::serve::all(&args),
        Command::Stress(args) => commands::stress::run(&args),
        Command::Audit(args) => commands::audit::run(&args),
        Command::Locks(args) => commands::locks::run(&args),
        Command::ClockSync(args) => commands::clock_sync::run(&args),
        Command::Health(args) => commands::health::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Manual(args) => commands::manual::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("sctec: {error:#}");
        ExitCode::from(commands::EXIT_CANNOT_RUN)
    })
}

/// Says what is wrong with the arguments, or gives the help that was asked for. To whom a verification says 2 when a trail
/// was tampered with, it must not say 2 for a mistyped option.
fn usage(error: &clap::Error) -> ExitCode {
    // Standard error may be closed, which is no reason to fail.
    let _ = error.print();
    let verifies = std::env::args_os().any(|argument| argument == "--verify");
    ExitCode::from(match error.exit_code() {
        0 => 0,
        _ if verifies => commands::audit::EXIT_VERIFY_CANNOT_RUN,
        _ => commands::EXIT_CANNOT_RUN,
    })
}
