//! Arguments of the commands for those who install and run the services.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::Shell;

use super::values::parse_duration;

/// Arguments of `health`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec health                                 the scheduler on this machine
  sctec health http://127.0.0.1:3000           the coordinator
  sctec health --ready || echo 'not now'       whether it can book now

Exit status: 0 well, 1 not well or nobody answered, 2 could not ask, for a reason that is on this machine: a name without \
an address, no free local port, too many open files.")]
pub struct HealthArgs {
    /// The service's entry point, scheduler or coordinator
    #[arg(env = "SCTEC_URL", default_value = "http://127.0.0.1:5000", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub url: String,
    /// Ask whether it can do its work now (/pronto), and not only whether it lives (/saude)
    #[arg(long)]
    pub ready: bool,
    /// How long to wait for the answer (as 500ms, 3s)
    #[arg(long, default_value = "3s", value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Duration,
}

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

/// Arguments of `manual`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec manual ~/.local/share/man/man1         then: man sctec-audit
  sctec manual . && man ./sctec.1")]
pub struct ManualArgs {
    /// Folder that the pages are written to; made if missing
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
