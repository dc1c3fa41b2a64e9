//! `stress`: checks the arguments before anything is sent, and judges the run after it.

mod interrupted;
mod sites;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum, ValueHint};
use rust_i18n::t;

use self::interrupted::unless_interrupted;
use crate::commands::address::url_parser;
use crate::commands::caller::CallerArgs;
use crate::commands::outcome::{EXIT_CANNOT_RUN, EXIT_UNEXPECTED, Outcome};
use crate::commands::output::{colour, print, table_width};
use crate::commands::runtime::block_on;
use crate::commands::signals::by_signal;
use crate::commands::values::{whole_number, wrong_instant};
use crate::http::client::Url;
use crate::stress::progress::Progress;
use crate::stress::report::Look;
use crate::stress::stats::{Expectation, Verdict};
use crate::stress::{self, Config, report};
use crate::time::Timestamp;

/// The most connections where no number of them is given.
const CONCURRENCY_DEFAULT: u32 = 1000;
/// How many contests there are where no number of them is given.
const CONTESTS_DEFAULT: u32 = 100;
/// A slot as an example: on the grid, and ahead for some years.
const SLOT_EXAMPLE: &str = "2030-06-01T03:00:00Z";

/// Arguments of `stress`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec stress -n 10                           ten rivals for one free slot: one 201, nine 409
  sctec stress -n 10 --expect race             against serve-scheduler --no-lock: several 201
  sctec stress -n 5000 -c 50                   each connection carries a hundred requests
  sctec stress -n 1000 --distinct --json       a thousand slots, one request each
  sctec stress --sites examples/sites.json     contests of ten sites: who wins, and who would by arrival

Exit status: 0 the result is as expected, 1 it is not, 2 could not run or could not be judged: for example, because a slot of --slot \
was booked before, so that nobody can win it, or because every request was refused for another reason than a taken slot \
(404, 422). 130 interrupted by Ctrl-C, 143 by SIGTERM: the bookings that were made stay.")]
pub(super) struct StressArgs {
    /// The scheduler's entry point; everything else is found by following links
    #[arg(long, env = "SCTEC_URL", default_value = "http://127.0.0.1:5000", value_name = "URL", value_parser = url_parser())]
    url: String,
    /// Options of the call.
    #[command(flatten)]
    caller: CallerArgs,
    /// How many requests
    #[arg(short, long, alias = "requests", default_value_t = 10, value_name = "N", value_parser = whole_number::<u32>(1..=100_000))]
    n: u32,
    /// The slot, RFC 3339 on the five-minute grid [default: a free one of the coming day, or later]
    #[arg(long, value_name = "INSTANT")]
    slot: Option<String>,
    /// The scientist who books
    #[arg(long, default_value_t = 1, value_name = "ID")]
    scientist: i64,
    /// The telescope [default: the first one]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    telescope: Option<String>,
    /// Give each request a slot of its own
    #[arg(long)]
    distinct: bool,
    /// Connections open at once; each carries its requests one after the other [default: n, at most 1000]
    #[arg(short, long, alias = "connections", value_name = "N", value_parser = whole_number::<u32>(1..=10_000))]
    concurrency: Option<u32>,
    /// The expected result [default: one, or all with --distinct]
    #[arg(long, value_name = "WHAT")]
    expect: Option<Expect>,
    /// Instead of one run, hold contests of clients at different distances, which this file describes: who wins, and who would by arrival. A
    /// distance is emulated, and the scheduler has to trust this machine as a proxy (--trusted-proxy)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
        conflicts_with_all = ["n", "scientist", "distinct", "concurrency", "expect"])]
    sites: Option<PathBuf>,
    /// How many contests, each for a slot of its own [default: 100]
    #[arg(long, value_name = "N", requires = "sites", value_parser = whole_number::<u32>(1..=10_000))]
    contests: Option<u32>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// The expected result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Expect {
    /// Exactly one 201, every other 409, one booking listed
    One,
    /// Several 201 and as many bookings listed: the race
    Race,
    /// Every request 201, each booking listed
    All,
}

/// Sends the requests and reports; the exit status says whether the result is as expected.
///
/// # Errors
/// When it could not run.
pub fn run(args: &StressArgs) -> Outcome {
    if let Some(file) = &args.sites {
        return sites::run(&contests(args, file)?, args.json);
    }
    let config = checked(args)?;
    let progress = Progress::on_stderr(!args.json);
    let work = stress::run(&config, &progress);
    let seen = match block_on(unless_interrupted(work, &progress, config.n))?? {
        Ok(seen) => seen,
        Err(signal) => return Ok(ExitCode::from(by_signal(signal.as_raw()))),
    };
    let text = if args.json {
        report::json(&config, &seen)?
    } else {
        report::human(&config, &seen, Look { colour: colour(), width: table_width() })
    };
    print(&text)?;
    Ok(match seen.verdict {
        Verdict { as_expected: true, .. } => ExitCode::SUCCESS,
        Verdict { refused: Some(_), .. } => ExitCode::from(EXIT_CANNOT_RUN),
        Verdict { .. } => ExitCode::from(EXIT_UNEXPECTED),
    })
}

/// The arguments as a run, if they make sense together.
fn checked(args: &StressArgs) -> anyhow::Result<Config> {
    let expectation = match args.expect {
        Some(Expect::Race) => Expectation::Race,
        Some(Expect::All) => Expectation::All,
        None if args.distinct => Expectation::All,
        Some(Expect::One) | None => Expectation::One,
    };
    if args.distinct && expectation == Expectation::Race {
        bail!("{}", t!("--expect race needs rivals for one slot; leave out --distinct"));
    }
    Ok(Config {
        url: Url::parse(&args.url).context("--url")?,
        security: args.caller.security(std::slice::from_ref(&args.url))?,
        n: args.n,
        connections: args.n.min(args.concurrency.unwrap_or(CONCURRENCY_DEFAULT)),
        slot: slot(args)?,
        distinct: args.distinct,
        scientist: args.scientist,
        telescope: args.telescope.clone(),
        expectation,
    })
}

/// The arguments as contests.
fn contests(args: &StressArgs, file: &Path) -> anyhow::Result<stress::sites::Config> {
    Ok(stress::sites::Config {
        url: Url::parse(&args.url).context("--url")?,
        security: args.caller.security(std::slice::from_ref(&args.url))?,
        telescope: args.telescope.clone(),
        slot: slot(args)?,
        contests: args.contests.unwrap_or(CONTESTS_DEFAULT),
        sites: sites::read(file)?,
    })
}

/// The slot of `--slot`.
fn slot(args: &StressArgs) -> anyhow::Result<Option<Timestamp>> {
    let parsed = args.slot.as_deref().map(|text| {
        // A fraction that is cut off could turn an instant off the grid into one on it.
        Timestamp::parse_exact(text).map_err(|error| {
            let wrong = wrong_instant(error, SLOT_EXAMPLE);
            anyhow!(
                "{}",
                t!("--slot %{text} is not an instant to book: it %{wrong}", text = format!("{text:?}"), wrong = wrong)
            )
        })
    });
    parsed.transpose()
}
