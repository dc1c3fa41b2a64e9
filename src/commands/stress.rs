//! `stress`: the run is checked before anything is sent, and judged after it.

use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};

use super::output::{colour, print};
use super::{EXIT_UNEXPECTED, Outcome, block_on, in_english};
use crate::cli::{Expect, StressArgs};
use crate::http::client::Url;
use crate::stress::progress::Progress;
use crate::stress::stats::Expectation;
use crate::stress::{self, Config, report};
use crate::time::Timestamp;

/// Connections where no number is asked for, if there are as many requests.
const CONCURRENCY_DEFAULT: u32 = 1000;

/// Sends the requests, reports, and says by its exit status whether what was expected was seen.
///
/// # Errors
/// When it could not run.
pub fn run(args: &StressArgs) -> Outcome {
    let config = checked(args)?;
    let seen = block_on(stress::run(&config, Progress::on_stderr(!args.json)))??;
    let text = if args.json { report::json(&config, &seen)? } else { report::human(&config, &seen, colour()) };
    print(&text)?;
    Ok(if seen.verdict.as_expected { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNEXPECTED) })
}

/// The arguments, as a run that makes sense.
fn checked(args: &StressArgs) -> anyhow::Result<Config> {
    let expectation = match args.expect {
        Some(Expect::Race) => Expectation::Race,
        Some(Expect::All) => Expectation::All,
        None if args.distinct => Expectation::All,
        Some(Expect::One) | None => Expectation::One,
    };
    if args.distinct && expectation == Expectation::Race {
        bail!("--expect race needs rivals for one slot; leave out --distinct");
    }
    let slot = args.slot.as_deref().map(|text| {
        // What is cut could turn an instant off the grid into one on it.
        Timestamp::parse_exact(text)
            .map_err(|error| anyhow!("--slot {text:?} is not an instant to book: it {}", in_english(error)))
    });
    Ok(Config {
        url: Url::parse(&args.url).context("--url")?,
        n: args.n,
        connections: args.n.min(args.concurrency.unwrap_or(CONCURRENCY_DEFAULT)),
        slot: slot.transpose()?,
        distinct: args.distinct,
        scientist: args.scientist,
        telescope: args.telescope.clone(),
        expectation,
    })
}
