//! The command line: clap definitions, nothing else.

mod operate;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::operate::{CompletionsArgs, HealthArgs, ManualArgs};
pub use self::values::Skew;
use self::values::{parse_duration, parse_skew, parse_tail};
use crate::coordinator::protocol::TOKENS_ABOVE_MAX;
use crate::logging::ROTATE_MB_DEFAULT;

/// The core of a shared space telescope: book each observation slot exactly once.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  sctec serve-all                                  both services, data in ./sctec-data
  sctec stress --n 10                              ten at once on one slot: one wins
  sctec audit --event AGENDAMENTO_CRIADO           who booked what, and when
  sctec locks --watch                              who holds which lock, and how many wait
  sctec clock-sync                                 how far off this machine's clock is

Exit status: 0 as expected, 1 not as expected, 2 could not run (the message says what to do), \
3 the clock is off (clock-sync --max-error). audit --verify has statuses of its own: see its help.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which of this program's environment variables are set and empty: what an option is then missing has no name of its own.
pub fn empty_variables() -> Vec<String> {
    let ours = std::env::vars_os().filter(|(_, value)| value.is_empty());
    ours.filter_map(|(name, _)| name.into_string().ok()).filter(|name| name.starts_with("SCTEC_")).collect()
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the agenda and the official time (servico-agendamento)
    ServeScheduler(SchedulerArgs),
    /// Serve the locks (servico-coordenador)
    ServeCoordinator(CoordinatorArgs),
    /// Serve both in one process, each on its own port
    ServeAll(AllArgs),
    /// Send n booking requests at one instant and judge what came of them
    Stress(StressArgs),
    /// Search the audit trail, follow it, or prove that it is whole
    Audit(AuditArgs),
    /// Show who holds which lock, or release one by force
    Locks(LocksArgs),
    /// Measure this machine's clock against the scheduler's, by Cristian's algorithm
    ClockSync(ClockSyncArgs),
    /// Ask a service whether it is well, for an engine or a supervisor
    Health(HealthArgs),
    /// Print a shell's completions for these commands
    Completions(CompletionsArgs),
    /// Write the manual pages, one for each command
    Manual(ManualArgs),
}

/// What every server takes.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Folder for data and logs; made if missing
    #[arg(long, env = "SCTEC_DATA_DIR", default_value = "sctec-data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Where log lines go: to the data folder's app.log or coordenador.log, to standard output, or to both
    #[arg(long, env = "SCTEC_LOG_TO", default_value = "both", value_name = "WHERE")]
    pub log_to: LogTo,
    /// How log lines look
    #[arg(long, env = "SCTEC_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// The least severe lines that are logged
    #[arg(long, env = "SCTEC_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: LogLevel,
    /// Close the log's file when it has this many megabytes, and keep the last five (app.log.1 to .5); 0 is never
    #[arg(long, env = "SCTEC_LOG_ROTATE_MB", default_value_t = ROTATE_MB_DEFAULT, value_name = "MB", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    pub log_rotate_mb: u64,
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogTo {
    /// The file and standard output
    Both,
    /// Standard output alone, where something else keeps it (a container engine, journald)
    Console,
    /// The file alone
    File,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// LEVEL:INSTANT:SERVICE:MESSAGE req=ID
    Text,
    /// One JSON object per line
    Json,
}

/// The least severe level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it all, and are shown as they are")]
pub enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

/// How the scheduler locks.
#[derive(Clone, Debug, Args)]
pub struct LockArgs {
    /// Pause inside the critical section, to widen the race or hold a lock in a test [default: 0; 100 in the race's
    /// demonstration]
    #[arg(long, env = "SCTEC_CRITICAL_DELAY_MS", value_name = "MS", value_parser = clap::value_parser!(u64).range(..=600_000))]
    pub critical_delay_ms: Option<u64>,
    /// How long a lock lives if it is never released, from 100 to 300000
    #[arg(long, env = "SCTEC_LOCK_TTL_MS", default_value_t = 10_000, value_name = "MS")]
    pub lock_ttl_ms: u64,
    /// How long a slot's lock stays refused after it was booked, up to 60000
    #[arg(long, env = "SCTEC_LOCK_RETENTION_MS", default_value_t = 1000, value_name = "MS")]
    pub lock_retention_ms: u64,
}

/// How the scheduler keeps its audit trail.
#[derive(Clone, Debug, Args)]
pub struct TrailArgs {
    /// Close the trail's file when it has this many megabytes, and go on in a new one [default: a single file]
    #[arg(long, env = "SCTEC_AUDIT_ROTATE_MB", value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub audit_rotate_mb: Option<u64>,
    /// Record refused bookings too: who asked, for what, why not
    ///
    /// A record of some 700 bytes, twice on disk, for each refusal: all who can reach the service can fill the disk with
    /// them, and a trail that cannot be written refuses all bookings. Put a limit of requests before it.
    #[arg(long, env = "SCTEC_AUDIT_REFUSALS", value_parser = BoolishValueParser::new())]
    pub audit_refusals: bool,
}

/// Arguments of `serve-scheduler`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec serve-scheduler
  sctec serve-scheduler --listen 127.0.0.1:0 --coordinator http://127.0.0.1:3000
  sctec serve-scheduler --no-lock        the race, in a database of its own (corrida.db)")]
pub struct SchedulerArgs {
    /// Address to listen on; port 0 is any free port
    #[arg(long, env = "SCTEC_LISTEN", default_value = "127.0.0.1:5000", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The coordinator's URL; of several ways to it, separated by commas, the next is tried when one does not answer
    #[arg(
        long,
        env = "SCTEC_COORDINATOR",
        default_value = "http://127.0.0.1:3000",
        value_name = "URL",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub coordinator: Vec<String>,
    /// Prove the race: no coordinator, no slot claim, check and save as two steps; never touches the real agenda
    #[arg(long, env = "SCTEC_NO_LOCK", value_parser = BoolishValueParser::new())]
    pub no_lock: bool,
    /// How it locks.
    #[command(flatten)]
    pub lock: LockArgs,
    /// How it keeps its audit trail.
    #[command(flatten)]
    pub trail: TrailArgs,
    /// What every server takes.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `serve-coordinator`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec serve-coordinator
  curl -H 'Content-Type: application/json' -d '{\"recurso\": \"X\"}' http://127.0.0.1:3000/lock")]
pub struct CoordinatorArgs {
    /// Address to listen on; port 0 is any free port
    #[arg(long, env = "SCTEC_LISTEN", default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// After a crash or stop, give no lock until those of before have run out (auto), or at once (0): safe where every
    /// write is checked against its token, as the scheduler's are
    #[arg(long, env = "SCTEC_GRACE", default_value = "auto", value_name = "GRACE")]
    pub grace: Grace,
    /// Give only tokens above N: after coordenador.json was lost, the largest token that a scheduler has seen, as its log
    /// and the coordinator's refusal name it
    #[arg(long, env = "SCTEC_TOKENS_ABOVE", default_value_t = 0, value_name = "N", hide_default_value = true,
        value_parser = clap::value_parser!(u64).range(..=TOKENS_ABOVE_MAX))]
    pub tokens_above: u64,
    /// What every server takes.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What a coordinator does while leases of before its start may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Grace {
    /// Gives no lock for as long as one of before may live
    Auto,
    /// Gives locks at once
    #[value(name = "0")]
    None,
}

/// Arguments of `serve-all`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec serve-all
  sctec serve-all --listen 127.0.0.1:0 --listen-coordinator 127.0.0.1:0 --data-dir /tmp/sctec")]
pub struct AllArgs {
    /// Address of the scheduler; port 0 is any free port
    #[arg(long, env = "SCTEC_LISTEN", default_value = "127.0.0.1:5000", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Address of the coordinator; port 0 is any free port
    #[arg(long, env = "SCTEC_LISTEN_COORDINATOR", default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
    pub listen_coordinator: SocketAddr,
    /// After a crash or stop, give no lock until those of before have run out (auto), or at once (0)
    #[arg(long, env = "SCTEC_GRACE", default_value = "auto", value_name = "GRACE")]
    pub grace: Grace,
    /// Give only tokens above N: after coordenador.json was lost, the largest token that was seen, as the log names it
    #[arg(long, env = "SCTEC_TOKENS_ABOVE", default_value_t = 0, value_name = "N", hide_default_value = true,
        value_parser = clap::value_parser!(u64).range(..=TOKENS_ABOVE_MAX))]
    pub tokens_above: u64,
    /// How the scheduler locks.
    #[command(flatten)]
    pub lock: LockArgs,
    /// How the scheduler keeps its audit trail.
    #[command(flatten)]
    pub trail: TrailArgs,
    /// What every server takes.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `stress`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec stress --n 10                          ten rivals for one free slot: one 201, nine 409
  sctec stress --n 10 --expect race            against serve-scheduler --no-lock: several 201
  sctec stress --n 1000 --distinct --json      a thousand slots, one request each

Exit status: 0 what was expected was seen, 1 it was not, 2 could not run.")]
pub struct StressArgs {
    /// The scheduler's entry point; everything else is found by following links
    #[arg(long, env = "SCTEC_URL", default_value = "http://127.0.0.1:5000", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub url: String,
    /// How many requests
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub n: u32,
    /// The slot, RFC 3339 on the five-minute grid [default: one that is free]
    #[arg(long, value_name = "INSTANT")]
    pub slot: Option<String>,
    /// Who books
    #[arg(long, default_value_t = 1, value_name = "ID")]
    pub scientist: i64,
    /// The telescope [default: the first one]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub telescope: Option<String>,
    /// Give each request a slot of its own
    #[arg(long)]
    pub distinct: bool,
    /// Connections open at once; each carries its requests one after the other [default: n, at most 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: Option<u32>,
    /// What should be seen [default: one, or all with --distinct]
    #[arg(long, value_name = "WHAT")]
    pub expect: Option<Expect>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What a stress run should see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Expect {
    /// Exactly one 201, every other 409, one booking listed
    One,
    /// Several 201 and as many bookings listed: the race
    Race,
    /// Every request 201, each booking listed
    All,
}

/// Arguments of `audit`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec audit --event AGENDAMENTO_CANCELADO
  sctec audit --scientist 7 --since 2025-10-26T00:00:00Z --format csv
  sctec audit sctec-data/app.log --booking 123 --format jsonl | jq .details
  sctec audit --follow --telescope Hubble-Acad
  sctec audit --follow --tail 0                  from now on
  cat audit.jsonl | sctec audit - --count
  sctec audit --verify                           the data folder, against its database
  sctec audit --verify --deep                    and the database against itself
  curl -s http://127.0.0.1:5000/auditoria/cabeca >> heads.jsonl      to keep elsewhere
  sctec audit --verify --head heads.jsonl        and that no record was written anew since

Filters combine.

A file that gzip compressed is read like the file that it was. Compressed, a closed file of the data folder may stay where \
it is, as audit-000000001707.jsonl.gz.

Exit status: 0 done (also when nothing matched, and when the output's reader has gone), 1 done, but records are missing or \
something cannot be read: each is named; 2 could not run.
With --verify: 0 all well, 1 could not run, 2 tampered (with --deep also: the database contradicts itself), 3 incomplete: a \
torn last line, or records that are missing at the end or before the beginning. Nothing is written to the data folder.
--follow runs until Ctrl-C (130) or until nobody reads its output (0).")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct AuditArgs {
    /// Files to read in this order, the trail's or app.log; - is standard input [default: all of the data folder's trail]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The data folder, when no file is named
    #[arg(long, env = "SCTEC_DATA_DIR", default_value = "sctec-data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The trail of the race's demonstration, which has a file and a database of its own in the data folder
    #[arg(long, conflicts_with = "files")]
    pub race: bool,
    /// Only this `event_type`, as `AGENDAMENTO_CRIADO`
    #[arg(long, value_name = "EVENT", value_parser = NonEmptyStringValueParser::new())]
    pub event: Option<String>,
    /// Only this `cientista_id`
    #[arg(long, value_name = "ID")]
    pub scientist: Option<i64>,
    /// Only this `agendamento_id`
    #[arg(long, value_name = "ID")]
    pub booking: Option<i64>,
    /// Only bookings of this slot: any instant inside it, RFC 3339
    #[arg(long, value_name = "INSTANT")]
    pub slot: Option<String>,
    /// Only this `telescopio`
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub telescope: Option<String>,
    /// Only what this request did
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub req: Option<String>,
    /// Only what was recorded at this instant or later, RFC 3339
    #[arg(long, value_name = "INSTANT")]
    pub since: Option<String>,
    /// Only what was recorded before this instant, RFC 3339
    #[arg(long, value_name = "INSTANT")]
    pub until: Option<String>,
    /// How to print [default: table on a terminal, else jsonl]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<AuditFormat>,
    /// With --format csv: begin with a byte order mark, by which Excel knows that the text is UTF-8
    #[arg(long)]
    pub bom: bool,
    /// Print only how many records match
    #[arg(long, conflicts_with_all = ["format", "follow", "bom"])]
    pub count: bool,
    /// Go on as the trail grows, through its rotation, until interrupted; wait for it if it is not there yet
    #[arg(long)]
    pub follow: bool,
    /// Of what is there, print only the last N records that match; with --follow, 0 is from now on
    #[arg(long, value_name = "N", value_parser = parse_tail, conflicts_with = "count")]
    pub tail: Option<usize>,
    /// Verify that the trail is whole and unchanged, and say what is wrong where it is not
    #[arg(long, conflicts_with_all = ["event", "scientist", "booking", "slot", "telescope", "req", "since", "until",
        "format", "bom", "count", "follow", "tail"])]
    pub verify: bool,
    /// With --verify: hold the database against itself as well: its pages, its references, bookings against the slots they
    /// claim and against the records. Reads all of it
    #[arg(long, requires = "verify", conflicts_with = "files")]
    pub deep: bool,
    /// With --verify: heads noted earlier, as GET /auditoria/cabeca gives them; each record has to be the one. - is
    /// standard input
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub head: Option<PathBuf>,
}

/// How audit records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// For people
    Table,
    /// The records' own bytes, one a line
    Jsonl,
    /// For spreadsheets
    Csv,
}

/// Arguments of `locks`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec locks
  sctec locks --watch --prefix Hubble-Acad_
  sctec locks --json | jq '.travas[].recurso'
  sctec locks --release X --reason 'its owner is gone'

A lock is held, retained (just released, still refused) or promised (free, but someone is next in line). A request that \
waits for several resources counts as waiting for each of them. The owner that loses a lock by --release is not told until \
it asks: what the lock guards should check the token.

Exit status: 0 done (also when nothing is locked), 1 there was nothing to release, 2 could not run. --watch runs until \
Ctrl-C (130) or until nobody reads its output (0).")]
pub struct LocksArgs {
    /// The coordinator's URL; of several, separated by commas, the first that answers
    #[arg(
        long,
        env = "SCTEC_COORDINATOR",
        default_value = "http://127.0.0.1:3000",
        value_name = "URL",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub url: Vec<String>,
    /// Only resources whose names begin so
    #[arg(long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    pub prefix: Option<String>,
    /// Show at most so many [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Go on showing them until interrupted
    #[arg(long)]
    pub watch: bool,
    /// Pause between two looks
    #[arg(long, default_value_t = 1000, value_name = "MS", requires = "watch", value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    pub interval_ms: u64,
    /// Print one JSON object per look, with the coordinator's own objects
    #[arg(long)]
    pub json: bool,
    /// Release the lock that this resource belongs to, no matter who holds it; the coordinator records it
    #[arg(long, value_name = "RESOURCE", conflicts_with_all = ["prefix", "limit", "watch"], value_parser = NonEmptyStringValueParser::new())]
    pub release: Option<String>,
    /// Why it is released, for the record
    #[arg(long, value_name = "TEXT", requires = "release", value_parser = NonEmptyStringValueParser::new())]
    pub reason: Option<String>,
}

/// Arguments of `clock-sync`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec clock-sync
  sctec clock-sync --simulate-skew +2s         São Paulo in the assignment: two seconds ahead
  sctec clock-sync --simulate-skew=-1s         Tokyo: one second behind
  sctec clock-sync --watch --interval-ms 1000
  sctec clock-sync --json --max-error 5ms || echo 'clock is off'

--watch looks up the scheduler's name again after each failure. When a clock is set, it says by how much and which one, and \
tells the drift anew from there; as JSON: step_ms and step_of (server, local or both), else null.

Exit status: 0 done, 2 could not run, 3 the clock cannot be shown to be within --max-error. --watch runs until Ctrl-C (130) \
or until nobody reads its output (0).")]
pub struct ClockSyncArgs {
    /// The scheduler's entry point; the time is found by following its link
    #[arg(long, env = "SCTEC_URL", default_value = "http://127.0.0.1:5000", value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub url: String,
    /// Samples per measurement; the one with the least round trip is used
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub samples: u32,
    /// Pause between two samples
    #[arg(long, default_value_t = 100, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub interval_ms: u64,
    /// Print one JSON object per measurement
    #[arg(long)]
    pub json: bool,
    /// Go on measuring, and show the drift, until interrupted
    #[arg(long)]
    pub watch: bool,
    /// Exit 3 unless the offset, its error bound included, is within this (as 5ms, 0.5s)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub max_error: Option<Duration>,
    /// Pretend that the local clock is off by this much (as +2s, -1s, 150ms)
    #[arg(long, value_name = "SKEW", value_parser = parse_skew, allow_hyphen_values = true)]
    pub simulate_skew: Option<Skew>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
