//! `stress --sites`: contests of clients at different distances.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use rust_i18n::t;

use super::interrupted::unless_interrupted;
use crate::commands::outcome::{EXIT_CANNOT_RUN, EXIT_UNEXPECTED, Outcome};
use crate::commands::output::{colour, print, table_width};
use crate::commands::runtime::block_on;
use crate::commands::signals::by_signal;
use crate::stress::progress::Progress;
use crate::stress::report::Look;
use crate::stress::sites::file::Sites;
use crate::stress::sites::{self, Config, report};

/// The most bytes of a file of sites.
const FILE_MAX: u64 = 1024 * 1024;

/// Holds the contests and reports; the exit status says whether each had one winner.
///
/// # Errors
/// When it could not run.
pub(super) fn run(config: &Config, json: bool) -> Outcome {
    let progress = Progress::on_stderr(!json);
    let requests = config.contests.saturating_mul(u32::try_from(config.sites.sites.len()).unwrap_or(u32::MAX));
    let seen = match block_on(unless_interrupted(sites::run(config, &progress), &progress, requests))?? {
        Ok(seen) => seen,
        Err(signal) => return Ok(ExitCode::from(by_signal(signal.as_raw()))),
    };
    let text = if json {
        report::json(config, &seen)?
    } else {
        report::human(config, &seen, Look { colour: colour(), width: table_width() })
    };
    print(&text)?;
    Ok(match (seen.is_as_expected(), seen.is_not_judged()) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => ExitCode::from(EXIT_CANNOT_RUN),
        (false, false) => ExitCode::from(EXIT_UNEXPECTED),
    })
}

/// Reads a file of sites.
///
/// # Errors
/// When it cannot be read, or is none.
pub(super) fn read(file: &Path) -> anyhow::Result<Sites> {
    let named = || format!("--sites {}", file.display());
    let mut text = String::new();
    File::open(file).with_context(named)?.take(FILE_MAX + 1).read_to_string(&mut text).with_context(named)?;
    if text.len() as u64 > FILE_MAX {
        bail!("{}: {}", named(), t!("it is longer than %{most} bytes", most = FILE_MAX));
    }
    Sites::parse(&text).with_context(named)
}
