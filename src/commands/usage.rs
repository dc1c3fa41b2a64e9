//! What is said about wrong arguments, and the exit status.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Command;
use rust_i18n::t;

use super::first_tries::{with_bare_name, with_tip_of_place, with_tip_of_server, without_file_tip};
use super::outcome::{EXIT_CANNOT_RUN, EXIT_LOCK_CANNOT_RUN, EXIT_VERIFY_CANNOT_RUN};
use super::output::{CANNOT_WRITE, tell};
use super::translate::wrong::Translated;
use crate::language::{io_message, is_translated};

/// Prints what is wrong with the arguments, or the help. `audit --verify` exits 2 when a trail was tampered with, and `lock` has the
/// status of its command, so a mistyped option of theirs must not exit 2.
pub fn refuse(mut error: clap::Error, program: &Command) -> ExitCode {
    without_file_tip(&mut error);
    let is_subcommand = |argument: &OsString| program.get_subcommands().any(|it| argument == it.get_name());
    let subcommand = std::env::args_os().skip(1).find(is_subcommand).unwrap_or_default();
    let subcommand = subcommand.to_string_lossy();
    with_bare_name(&mut error);
    with_tip_of_place(&mut error, &subcommand);
    with_tip_of_server(&mut error, program, &subcommand);
    let cannot_run = if subcommand == "lock" {
        EXIT_LOCK_CANNOT_RUN
    } else if std::env::args_os().any(|argument| argument == "--verify") {
        EXIT_VERIFY_CANNOT_RUN
    } else {
        EXIT_CANNOT_RUN
    };
    let is_wrong = error.use_stderr();
    let printed = if is_translated() { error.apply::<Translated>().print() } else { error.print() };
    let printed = printed.and_then(|()| io::stdout().flush());
    if is_wrong {
        for name in empty_variables() {
            tell(t!("%{name} is set and empty; give it a value, or unset it", name = name));
        }
        // Standard error may be closed: the exit status stays the same.
        return ExitCode::from(cannot_run);
    }
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tell(format_args!("{CANNOT_WRITE}: {}", io_message(&error)));
            ExitCode::from(cannot_run)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The environment variables of this program that are set and empty. clap's message for an empty option does not name its
/// variable.
fn empty_variables() -> Vec<String> {
    let empty = std::env::vars_os().filter(|(_, value)| value.is_empty());
    empty.filter_map(|(name, _)| name.into_string().ok()).filter(|name| name.starts_with("SCTEC_")).collect()
}
