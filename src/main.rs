//! The executable: parse, dispatch, error chain, exit code.

// A closed pipe would panic in println!: output goes through a writer that can say so.
#![warn(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use sctec::cli::{self, Cli, Command};
use sctec::commands;
use sctec::logging::escaped;

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
        // What a server or a file said may be in it.
        eprintln!("sctec: {}", escaped(&format!("{error:#}")));
        ExitCode::from(commands::EXIT_CANNOT_RUN)
    })
}

/// Says what is wrong with the arguments, or gives the help that was asked for. To whom a verification says 2 when a trail
/// was tampered with, it must not say 2 for a mistyped option.
fn usage(error: &clap::Error) -> ExitCode {
    // Standard error may be closed, which is no reason to fail.
    let _ = error.print();
    let empty = if error.use_stderr() { cli::empty_variables() } else { Vec::new() };
    for name in empty {
        let _ = writeln!(io::stderr(), "sctec: {name} is set and empty; give it a value, or unset it");
    }
    let verifies = std::env::args_os().any(|argument| argument == "--verify");
    ExitCode::from(match error.exit_code() {
        0 => 0,
        _ if verifies => commands::audit::EXIT_VERIFY_CANNOT_RUN,
        _ => commands::EXIT_CANNOT_RUN,
    })
}
