//! `completions`: a shell's completions, made from the command line's own definition.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;
use rust_i18n::t;

use super::outcome::Outcome;
use super::output::print;

/// Arguments of `completions`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  source <(sctec completions bash)
  sctec completions bash > ~/.local/share/bash-completion/completions/sctec
  sctec completions zsh > \"${fpath[1]}/_sctec\"
  sctec completions fish > ~/.config/fish/completions/sctec.fish")]
pub struct CompletionsArgs {
    /// The shell to print them for
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Prints the completions of `program`.
pub fn run(args: &CompletionsArgs, mut program: Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "sctec", &mut script);
    print(&String::from_utf8(script).context(t!("the completions are not text"))?)?;
    Ok(ExitCode::SUCCESS)
}
