//! `completions`: a shell's completions, made from the command line's own definition.

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use super::Outcome;
use super::output::print;
use crate::cli::{Cli, CompletionsArgs};

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sctec", &mut script);
    print(&String::from_utf8(script).context("the completions are not text")?)?;
    Ok(ExitCode::SUCCESS)
}
