//! The executable: parse, dispatch, error chain, exit code.

// A closed pipe or a full disk would panic in println! and eprintln!: output goes through a writer that can say so.
#![warn(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)]

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use sctec::cli::{self, Cli, Command};
use sctec::commands::{self, output};

fn main() -> ExitCode {
    let program = Cli::command().term_width(usize::from(output::help_width()));
    let cli = match program.try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
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
        output::tell(format_args!("{error:#}"));
        ExitCode::from(commands::EXIT_CANNOT_RUN)
    })
}

/// Says what is wrong with the arguments, or gives the help that was asked for. To whom a verification says 2 when a trail
/// was tampered with, it must not say 2 for a mistyped option.
fn usage(error: &clap::Error) -> ExitCode {
    let cannot_run = if std::env::args_os().any(|argument| argument == "--verify") {
        commands::audit::EXIT_VERIFY_CANNOT_RUN
    } else {
        commands::EXIT_CANNOT_RUN
    };
    let printed = error.print().and_then(|()| io::stdout().flush());
    if error.use_stderr() {
        for name in cli::empty_variables() {
            output::tell(format_args!("{name} is set and empty; give it a value, or unset it"));
        }
        // Standard error may be closed, which is no reason to say something else.
        return ExitCode::from(cannot_run);
    }
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            output::tell(format_args!("{}: {error}", output::CANNOT_WRITE));
            ExitCode::from(cannot_run)
        }
        _ => ExitCode::SUCCESS,
    }
}
