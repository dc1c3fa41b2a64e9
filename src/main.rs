//! The executable: parse, dispatch, error chain, exit code.

// A closed pipe or a full disk would panic in println! and eprintln!: output goes through a writer that can say so.
#![warn(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use sctec::commands::{self, CANNOT_WRITE, Cli, tell};

fn main() -> ExitCode {
    let program = commands::with_first_tries(Cli::command());
    let program = commands::fitted(program, usize::from(commands::help_width()));
    let cli = match program.try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(error),
    };
    cli.run().unwrap_or_else(|error| {
        tell(format_args!("{error:#}"));
        ExitCode::from(commands::EXIT_CANNOT_RUN)
    })
}

/// Prints what is wrong with the arguments, or the help. `audit --verify` exits 2 when a trail was tampered with, and `lock` has the
/// status of its command, so a mistyped option of theirs must not exit 2.
fn usage(mut error: clap::Error) -> ExitCode {
    commands::without_file_tip(&mut error);
    let program = Cli::command();
    let is_subcommand = |argument: &OsString| program.get_subcommands().any(|it| argument == it.get_name());
    let cannot_run = if std::env::args_os().skip(1).find(is_subcommand).is_some_and(|it| it == "lock") {
        commands::EXIT_LOCK_CANNOT_RUN
    } else if std::env::args_os().any(|argument| argument == "--verify") {
        commands::EXIT_VERIFY_CANNOT_RUN
    } else {
        commands::EXIT_CANNOT_RUN
    };
    let printed = error.print().and_then(|()| io::stdout().flush());
    if error.use_stderr() {
        for name in commands::empty_variables() {
            tell(format_args!("{name} is set and empty; give it a value, or unset it"));
        }
        // Standard error may be closed: the exit status stays the same.
        return ExitCode::from(cannot_run);
    }
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tell(format_args!("{CANNOT_WRITE}: {error}"));
            ExitCode::from(cannot_run)
        }
        _ => ExitCode::SUCCESS,
    }
}
