//! The executable: language, parse, dispatch, error chain, exit code.

// A closed pipe or a full disk would panic in println! and eprintln!: output goes through a writer that can say so.
#![warn(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)]

use std::env::{args_os, var_os};
use std::process::ExitCode;

use sctec::commands::{self, Cli};
use sctec::language::{self, Language};

fn main() -> ExitCode {
    language::speak(Language::chosen(args_os(), |name| var_os(name)));
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return Cli::refuse(error),
    };
    cli.run().unwrap_or_else(|error| {
        commands::tell(language::chain(error.as_ref()));
        ExitCode::from(commands::EXIT_CANNOT_RUN)
    })
}
