//! The arguments of `stress`, `locks` and `health`.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use crate::commands::values::parse_duration;

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
