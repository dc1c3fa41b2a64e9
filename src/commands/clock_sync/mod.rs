//! `clock-sync`: how far this machine's clock is off, in words or as JSON.

mod print;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use rust_i18n::t;

use self::print::{Measurement, millis, print_json, print_line, print_report};
use super::address::url_parser;
use super::caller::CallerArgs;
use super::outcome::{EXIT_CLOCK_OFF, Outcome};
use super::output::{CANNOT_WRITE, is_broken_pipe, pause, tell};
use super::values::{Skew, parse_duration, parse_skew, whole_number};
use crate::clock::client::Client;
use crate::clock::cristian::{self, Estimate};
use crate::clock::watch::{Measured, Watch};
use crate::time::{Clock, micros};

/// The least pause of `--watch` after a failed measurement.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Sampling that takes longer shows a progress bar.
const PROGRESS_FROM: Duration = Duration::from_secs(1);

/// Arguments of `clock-sync`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec clock-sync
  sctec clock-sync --simulate-skew +2s         São Paulo in the assignment: two seconds ahead
  sctec clock-sync --simulate-skew=-1s         Tokyo: one second behind
  sctec clock-sync --watch --interval-ms 1000
  sctec clock-sync --json --max-error 5ms || echo 'clock is off'

--watch prints its first sample at once, and after that one line for each measurement. It looks up the scheduler's name again \
after each failure. When a clock was set, it prints which one and by how much, and measures the drift from there on. In JSON these \
are step_ms and step_of (server, local or both), else null.

Exit status: 0 done, 2 could not run, 3 the clock cannot be shown to be within --max-error. --watch runs until Ctrl-C (130) \
or until its output's pipe is closed (0).")]
pub struct ClockSyncArgs {
    /// The scheduler's entry point; its links lead to the time
    #[arg(long, env = "SCTEC_URL", default_value = "http://127.0.0.1:5000", value_name = "URL", value_parser = url_parser())]
    pub url: String,
    /// Options of the call.
    #[command(flatten)]
    pub caller: CallerArgs,
    /// Samples per measurement; the one with the least round trip is used
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = whole_number::<u32>(1..=1000))]
    pub samples: u32,
    /// Pause between two samples
    #[arg(long, default_value_t = 100, value_name = "MS", value_parser = whole_number::<u64>(0..=60_000))]
    pub interval_ms: u64,
    /// Print one JSON object per measurement
    #[arg(long)]
    pub json: bool,
    /// Measure again and again, and show the drift, until interrupted
    #[arg(long)]
    pub watch: bool,
    /// Exit 3 unless the offset and its error bound together are within this (as 5ms, 0.5s)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub max_error: Option<Duration>,
    /// Simulate a local clock that is off by this much (as +2s, -1s, 150ms)
    #[arg(long, value_name = "SKEW", value_parser = parse_skew, allow_hyphen_values = true)]
    pub simulate_skew: Option<Skew>,
}

/// Measures once, or with `--watch` until interrupted, and prints the measurements.
pub fn run(args: &ClockSyncArgs) -> Outcome {
    match measure_and_print(args, &mut io::stdout().lock()) {
        // A closed pipe is the normal end of `clock-sync --watch | head`.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        outcome => outcome,
    }
}

fn measure_and_print(args: &ClockSyncArgs, out: &mut impl Write) -> Outcome {
    let skew_us = args.simulate_skew.map_or(0, |skew| skew.micros);
    let security = args.caller.security(std::slice::from_ref(&args.url))?;
    let mut client = Client::connect(&args.url, &security, Clock::system(), skew_us)?;
    let (mut watch, since) = (Watch::default(), Instant::now());
    for number in 1_u64.. {
        // `--watch` shows its first sample at once, and not after a whole measurement.
        let samples = if args.watch && number == 1 { 1 } else { args.samples };
        let mut measurement = match measure(&mut client, args, samples, since) {
            Ok(measurement) => measurement,
            // `--watch` goes on while a scheduler restarts.
            Err(error) if args.watch && !is_broken_pipe(&error) => {
                tell(format_args!("{error:#}"));
                wait(args, Duration::from_millis(args.interval_ms).max(RETRY_PAUSE))?;
                continue;
            }
            Err(error) => return Err(error),
        };
        if args.watch {
            measurement.step = watch.take(measurement.measured());
            measurement.drift_ppm = watch.drift_ppm();
        }
        let printed = if args.json {
            print_json(out, &measurement)
        } else if args.watch {
            print_line(out, number, &measurement)
        } else {
            print_report(out, &measurement, args.simulate_skew)
        };
        // The exit status is the same when the output's pipe is closed.
        if let Some(max_error) = args.max_error
            // The first sample of `--watch` is no measurement yet: the best of several has a smaller error bound.
            && samples == args.samples
            && !is_shown_within(&measurement.estimate, max_error)
        {
            let Estimate { offset_us, error_bound_us, .. } = measurement.estimate;
            tell(t!(
                "the clock cannot be shown to be within %{limit}: the offset is %{offset} ms ± %{bound} ms",
                limit = format!("{max_error:?}"),
                offset = millis(offset_us),
                bound = millis(error_bound_us)
            ));
            return Ok(ExitCode::from(EXIT_CLOCK_OFF));
        }
        printed.context(CANNOT_WRITE)?;
        if !args.watch {
            break;
        }
        wait(args, Duration::from_millis(args.interval_ms))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits. `--watch` ends when its output's pipe is closed; a single measurement goes on to its exit status.
fn wait(args: &ClockSyncArgs, duration: Duration) -> io::Result<()> {
    if args.watch {
        return if pause(duration) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) };
    }
    thread::sleep(duration);
    Ok(())
}

impl Measurement {
    fn measured(&self) -> Measured {
        let Estimate { offset_us, error_bound_us, used, .. } = self.estimate;
        let at_us = 0_i64.saturating_add_unsigned(micros(self.at));
        Measured { at_us, local_us: self.samples[used].t1, offset_us, error_bound_us }
    }
}

fn measure(client: &mut Client, args: &ClockSyncArgs, count: u32, since: Instant) -> anyhow::Result<Measurement> {
    let interval = Duration::from_millis(args.interval_ms);
    // The bar is drawn on stderr, and only on a terminal.
    let long = !args.watch && interval * count > PROGRESS_FROM && io::stderr().is_terminal();
    let progress = if long { ProgressBar::new(count.into()) } else { ProgressBar::hidden() };
    let (mut times, mut samples) = (Vec::new(), Vec::new());
    for number in 0..count {
        if number > 0 {
            wait(args, interval)?;
        }
        let (at, sample) = client.timed_sample()?;
        times.push(at);
        samples.push(sample);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let estimate = cristian::estimate(&samples).context(t!("--samples should be at least 1"))?;
    let at = times[estimate.used].saturating_duration_since(since);
    Ok(Measurement { samples, estimate, at, step: None, drift_ppm: None })
}

/// Whether every offset within the error bound is within `max_error`.
fn is_shown_within(estimate: &Estimate, max_error: Duration) -> bool {
    let worst_us = u128::from(estimate.offset_us.unsigned_abs()) + u128::from(estimate.error_bound_us);
    worst_us <= max_error.as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::client::ClientError;
    use crate::http::unreachable::Cause;

    fn estimate(offset_us: i64, error_bound_us: u64) -> Estimate {
        Estimate { offset_us, error_bound_us, round_trip_us: error_bound_us.saturating_mul(2), used: 0 }
    }

    #[test]
    fn within_max_error_includes_the_error_bound() {
        let limit = Duration::from_millis(5);
        assert!(is_shown_within(&estimate(-4_900, 100), limit));
        assert!(!is_shown_within(&estimate(4_900, 101), limit));
        assert!(!is_shown_within(&estimate(i64::MIN, u64::MAX), limit));
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_closed_connection() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&anyhow::Error::from(pipe())));
        let (cause, error) = (Cause::Other, Some(Box::new(ureq::Error::Io(pipe()))));
        let connection = ClientError::Unreachable { url: String::new(), cause, error };
        assert!(!is_broken_pipe(&anyhow::Error::from(connection)));
    }
}
