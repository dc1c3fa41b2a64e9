//! The command line: the list of subcommands. Each has a file or folder of its own, its clap arguments next to its `run`.

mod address;
mod asked;
mod audit;
mod backup;
mod caller;
mod clock_sync;
mod completions;
mod first_tries;
mod fitted;
mod health;
mod ignored;
mod lock;
mod locks;
mod manual;
mod migrate;
mod moments;
mod observing;
mod outcome;
mod output;
mod progress;
mod receipt;
mod restore;
mod runtime;
mod serve;
mod signals;
mod status;
mod store;
mod stress;
mod token;
mod translate;
mod usage;
mod values;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::language::Language;

use self::first_tries::with_first_tries;
use self::fitted::fitted;
pub use self::outcome::{EXIT_CANNOT_RUN, Outcome};
use self::output::help_width;
pub use self::output::tell;
pub use self::translate::help::{in_language, translated};

/// The core of a shared space telescope: no observation slot is booked twice.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  sctec serve-all                                  both services, data in ./sctec-data
  sctec agenda                                     the day of a telescope as a picture
  sctec book tomorrow 03:00 --scientist 7          an observation of five minutes
  sctec stress --n 10                              ten at once on one slot: one wins
  sctec audit --event AGENDAMENTO_CRIADO           all bookings that were made
  sctec locks --watch                              holders of locks, and how many requests wait
  sctec lock backup -- ./backup.sh                 a command under a lock
  sctec clock-sync                                 how far off this machine's clock is

Exit status: 0 as expected, 1 not as expected, 2 could not run (the message says what to do), \
3 the clock is off (clock-sync --max-error), or it is not known whether it was done (book, cancel). audit --verify and lock have statuses of their own: see their help.")]
pub struct Cli {
    /// The language of help, tables and messages [default: the locale's]
    #[arg(long, env = "SCTEC_LANG", global = true, display_order = 998, value_name = "LANGUAGE")]
    lang: Option<Language>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the agenda and the official time (servico-agendamento)
    ServeScheduler(serve::SchedulerArgs),
    /// Serve the locks (servico-coordenador)
    ServeCoordinator(serve::CoordinatorArgs),
    /// Serve both in one process, each on its own port
    ServeAll(serve::AllArgs),
    /// Draw a telescope's day: what is free, and what is booked by whom
    Agenda(observing::AgendaArgs),
    /// Book an observation
    Book(observing::BookArgs),
    /// Cancel a booking
    Cancel(observing::CancelArgs),
    /// List bookings
    Bookings(observing::BookingsArgs),
    /// Send n booking requests at one instant and judge the results
    Stress(stress::StressArgs),
    /// Search the audit trail, follow it, or prove that it is whole
    Audit(audit::AuditArgs),
    /// Check a receipt of a contest: what was received of a request, and when
    Receipt(receipt::ReceiptArgs),
    /// Show the locks and their holders, or release one by force
    Locks(locks::LocksArgs),
    /// Run a command while a lock is held, and end it if the lock is lost
    Lock(lock::LockArgs),
    /// Measure this machine's clock against the scheduler's, by Cristian's algorithm
    ClockSync(clock_sync::ClockSyncArgs),
    /// Make, list and revoke the tokens of a data folder
    Token(token::TokenArgs),
    /// Back up the agenda into one file, and check it; its service may run
    Backup(backup::BackupArgs),
    /// Put a backup in the place of the agenda, while no service runs on it
    Restore(restore::RestoreArgs),
    /// Move the agenda of a data folder to a PostgreSQL database, with its trail
    Migrate(migrate::MigrateArgs),
    /// Show how all services are, and which coordinator is elected
    Status(status::StatusArgs),
    /// Liveness check; --ready: readiness. For Docker, Kubernetes, systemd
    Health(health::HealthArgs),
    /// Print a shell's completions for these commands
    Completions(completions::CompletionsArgs),
    /// Write the manual pages, one for each command
    Manual(manual::ManualArgs),
}

impl Cli {
    /// The arguments of this process. Help and errors are in its language.
    ///
    /// # Errors
    /// What is wrong with them, or the help that they ask for.
    pub fn read() -> Result<Self, clap::Error> {
        let program = fitted(in_language(with_first_tries(Self::command())), usize::from(help_width()));
        program.try_get_matches().and_then(|matches| Self::from_arg_matches(&matches))
    }

    /// Says what is wrong with the arguments, or prints the help that they ask for.
    pub fn refuse(error: clap::Error) -> ExitCode {
        usage::refuse(error, &Self::command())
    }

    /// Runs the subcommand.
    ///
    /// # Errors
    /// When it could not run. The message says what to do.
    pub fn run(self) -> Outcome {
        match self.command {
            Command::ServeScheduler(args) => serve::scheduler(&args),
            Command::ServeCoordinator(args) => serve::coordinator(&args),
            Command::ServeAll(args) => serve::all(&args),
            Command::Agenda(args) => observing::agenda(&args),
            Command::Book(args) => observing::book(&args),
            Command::Cancel(args) => observing::cancel(&args),
            Command::Bookings(args) => observing::bookings(&args),
            Command::Stress(args) => stress::run(&args),
            Command::Audit(args) => audit::run(&args),
            Command::Receipt(args) => receipt::run(&args),
            Command::Locks(args) => locks::run(&args),
            Command::Lock(args) => Ok(lock::run(&args)),
            Command::ClockSync(args) => clock_sync::run(&args),
            Command::Token(args) => token::run(&args),
            Command::Backup(args) => backup::run(&args),
            Command::Restore(args) => restore::run(&args),
            Command::Migrate(args) => migrate::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Health(args) => health::run(&args),
            Command::Completions(args) => completions::run(&args, Self::command()),
            Command::Manual(args) => manual::run(&args, Self::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
