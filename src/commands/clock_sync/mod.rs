//! `clock-sync`: how far this machine's clock is off, in words or as JSON.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::ProgressBar;
use serde::Serialize;

use super::outcome::{EXIT_CLOCK_OFF, Outcome};
use super::output::{CANNOT_WRITE, is_broken_pipe, pause, tell};
use super::values::{Skew, parse_duration, parse_skew};
use crate::clock::client::Client;
use crate::clock::cristian::{self, Estimate, Sample};
use crate::clock::watch::{Measured, Step, Watch, Whose};
use crate::time::{Clock, micros};

/// The pause after a failed measurement of a watch, at the least.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Sampling that takes less is not worth a progress bar.
const PROGRESS_FROM: Duration = Duration::from_secs(1);
/// 03:00, when the slot begins that the assignment's astronomers compete for, in microseconds since midnight.
const CLICK_US: i128 = 3 * 3_600_000_000;
const MICROS_PER_DAY: i128 = 86_400_000_000;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// Arguments of `clock-sync`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  sctec clock-sync
  sctec clock-sync --simulate-skew +2s         São Paulo in the assignment: two seconds ahead
  sctec clock-sync --simulate-skew=-1s         Tokyo: one second behind
  sctec clock-sync --watch --interval-ms 1000
  sctec clock-sync --json --max-error 5ms || echo 'clock is off'

--watch looks up the scheduler's name again after each failure. When a clock was set, --watch prints which one and by how \
much, and measures the drift from there on. In JSON these are step_ms and step_of (server, local or both), else null.

Exit status: 0 done, 2 could not run, 3 the clock cannot be shown to be within --max-error. --watch runs until Ctrl-C (130) \
or until its output's pipe is closed (0).")]
pub struct ClockSyncArgs {
    /// The scheduler's entry point; its links lead to the time
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

/// Measures once, or with `--watch` until interrupted, and prints what was found.
///
/// # Errors
/// When no scheduler answers at the URL, or not with the time.
pub fn run(args: &ClockSyncArgs) -> Outcome {
    match measure_and_print(args, &mut io::stdout().lock()) {
        // The reader has seen enough: the normal end of `clock-sync --watch | head`.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        outcome => outcome,
    }
}

fn measure_and_print(args: &ClockSyncArgs, out: &mut impl Write) -> Outcome {
    let skew_us = args.simulate_skew.map_or(0, |skew| skew.micros);
    let mut client = Client::connect(&args.url, Clock::system(), skew_us)?;
    let (mut watch, since) = (Watch::default(), Instant::now());
    for number in 1_u64.. {
        let mut measurement = match measure(&mut client, args, since) {
            Ok(measurement) => measurement,
            // A watch outlives a scheduler that is being restarted.
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
        // The verdict does not depend on whether anyone reads the figures.
        if let Some(max_error) = args.max_error
            && !is_shown_within(&measurement.estimate, max_error)
        {
            let Estimate { offset_us, error_bound_us, .. } = measurement.estimate;
            tell(format_args!(
                "the clock cannot be shown to be within {max_error:?}: the offset is {} ms ± {} ms",
                millis(offset_us),
                millis(error_bound_us)
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

/// Waits. A watch that nobody reads any more ends; a single measurement has an exit status to give.
fn wait(args: &ClockSyncArgs, duration: Duration) -> io::Result<()> {
    if args.watch {
        return if pause(duration) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) };
    }
    thread::sleep(duration);
    Ok(())
}

/// What the samples of one measurement say.
struct Measurement {
    samples: Vec<Sample>,
    estimate: Estimate,
    /// When the sample that was used was taken, by the monotonic clock since the process began to measure.
    at: Duration,
    /// When watching: whether a clock was set since the measurement before.
    step: Option<Step>,
    /// Known when watching for long enough.
    drift_ppm: Option<f64>,
}

impl Measurement {
    fn measured(&self) -> Measured {
        let Estimate { offset_us, error_bound_us, used, .. } = self.estimate;
        let at_us = 0_i64.saturating_add_unsigned(micros(self.at));
        Measured { at_us, local_us: self.samples[used].t1, offset_us, error_bound_us }
    }
}

fn measure(client: &mut Client, args: &ClockSyncArgs, since: Instant) -> anyhow::Result<Measurement> {
    let interval = Duration::from_millis(args.interval_ms);
    // A bar draws on stderr only, and only on a terminal.
    let long = !args.watch && interval * args.samples > PROGRESS_FROM && io::stderr().is_terminal();
    let progress = if long { ProgressBar::new(args.samples.into()) } else { ProgressBar::hidden() };
    let (mut times, mut samples) = (Vec::new(), Vec::new());
    for number in 0..args.samples {
        if number > 0 {
            wait(args, interval)?;
        }
        let (at, sample) = client.timed_sample()?;
        times.push(at);
        samples.push(sample);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let estimate = cristian::estimate(&samples).context("--samples should be at least 1")?;
    let at = times[estimate.used].saturating_duration_since(since);
    Ok(Measurement { samples, estimate, at, step: None, drift_ppm: None })
}

/// Whether the truth is within `max_error` wherever inside the bound it is.
fn is_shown_within(estimate: &Estimate, max_error: Duration) -> bool {
    let worst_us = u128::from(estimate.offset_us.unsigned_abs()) + u128::from(estimate.error_bound_us);
    worst_us <= max_error.as_micros()
}

fn print_json(out: &mut impl Write, measurement: &Measurement) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Line {
        offset_ms: f64,
        error_bound_ms: f64,
        rtt_min_ms: f64,
        samples: Vec<LineSample>,
        used: usize,
        drift_ppm: Option<f64>,
        step_ms: Option<f64>,
        step_of: Option<&'static str>,
    }
    #[derive(Serialize)]
    struct LineSample {
        rtt_ms: f64,
        offset_ms: f64,
    }
    let Measurement { samples, estimate, drift_ppm, step, .. } = measurement;
    let samples = samples.iter().map(|sample| LineSample {
        rtt_ms: sample.round_trip_us() as f64 / 1e3,
        offset_ms: sample.offset_us() as f64 / 1e3,
    });
    let line = serde_json::to_string(&Line {
        offset_ms: estimate.offset_us as f64 / 1e3,
        error_bound_ms: estimate.error_bound_us as f64 / 1e3,
        rtt_min_ms: estimate.round_trip_us as f64 / 1e3,
        samples: samples.collect(),
        used: estimate.used,
        drift_ppm: *drift_ppm,
        step_ms: step.map(|step| step.by_us as f64 / 1e3),
        step_of: step.map(|step| match step.whose {
            Whose::Server => "server",
            Whose::Local => "local",
            Whose::Both => "both",
        }),
    })?;
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// One line of a watch, under a header.
fn print_line(out: &mut impl Write, number: u64, measurement: &Measurement) -> anyhow::Result<()> {
    if number == 1 {
        writeln!(out, "{:>6}  {:>14}  {:>10}  {:>13}  drift", "number", "offset ms", "± ms", "round trip ms")?;
    }
    let Measurement { estimate, drift_ppm, step, .. } = measurement;
    if let Some(step) = step {
        writeln!(out, "        {}; the drift is told anew from here", step_in_words(*step))?;
    }
    writeln!(
        out,
        "{number:>6}  {:>14}  {:>10}  {:>13}  {}",
        millis(estimate.offset_us),
        millis(estimate.error_bound_us),
        millis(estimate.round_trip_us),
        drift_ppm.map_or_else(|| "not known yet".to_owned(), drift_in_words)
    )?;
    Ok(out.flush()?)
}

/// The table of one measurement, and what it means.
fn print_report(out: &mut impl Write, measurement: &Measurement, skew: Option<Skew>) -> anyhow::Result<()> {
    let Measurement { samples, estimate, .. } = measurement;
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["sample", "round trip ms", "offset ms", ""]);
    for (index, sample) in samples.iter().enumerate() {
        let mark = if index == estimate.used { "used" } else { "" };
        table.add_row([
            (index + 1).to_string(),
            millis(sample.round_trip_us()),
            millis(sample.offset_us()),
            mark.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{table}")?;
    writeln!(out, "{}, ± {} ms.", offset_in_words(estimate), millis(estimate.error_bound_us))?;
    writeln!(out, "Shortest round trip of {} samples: {} ms.", samples.len(), millis(estimate.round_trip_us))?;
    if let Some(skew) = skew {
        writeln!(out, "{}", story(skew, estimate.offset_us))?;
    }
    Ok(out.flush()?)
}

/// Which way the clock is off and by how much, unless the bound says that it may well be right.
fn offset_in_words(estimate: &Estimate) -> String {
    let size = estimate.offset_us.unsigned_abs();
    if size <= estimate.error_bound_us {
        return format!("local clock in step with the server: offset {} ms", millis(estimate.offset_us));
    }
    let side = if estimate.offset_us < 0 { "ahead of" } else { "behind" };
    format!("local clock {} {side} the server", amount(size))
}

fn drift_in_words(ppm: f64) -> String {
    let verb = if ppm < 0.0 { "gains" } else { "loses" };
    format!("local clock {verb} {:.1} ppm", ppm.abs())
}

fn step_in_words(Step { by_us, whose }: Step) -> String {
    let size = amount(by_us.unsigned_abs());
    let side = |ahead: bool| if ahead { "ahead" } else { "back" };
    match whose {
        Whose::Server => format!("step: the server's clock was set {size} {}", side(by_us > 0)),
        Whose::Local => format!("step: the local clock was set {size} {}", side(by_us < 0)),
        Whose::Both => format!("step: both clocks were set, and the offset is {} ms another", millis(by_us)),
    }
}

/// What the simulated error would do to a booking: the first stage of the assignment's story.
fn story(skew: Skew, offset_us: i64) -> String {
    let local = CLICK_US + i128::from(skew.micros);
    let server = local + i128::from(offset_us);
    let (side, whose) = match skew.micros {
        2_000_000 => ("ahead", ", like São Paulo in the assignment"),
        -1_000_000 => ("behind", ", like Tokyo in the assignment"),
        micros if micros < 0 => ("behind", ""),
        _ => ("ahead", ""),
    };
    let size = amount(skew.micros.unsigned_abs());
    format!(
        "Simulated: this clock is {size} {side}{whose}.\n\
         A click at {} on this clock was at {} by the server's: that is the time to send.",
        time_of_day(local),
        time_of_day(server)
    )
}

/// Microseconds since midnight as a time of day to the nearest millisecond, with the day when it is another.
fn time_of_day(micros: i128) -> String {
    let micros = micros + 500;
    let (day, millis) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY) / 1000);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let time = format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if day == 0 { time } else { format!("{time} (day {day:+})") }
}

/// `2.000 s` from one second up, else `0.123 ms`.
fn amount(micros: u64) -> String {
    if micros < MICROS_PER_SECOND {
        return format!("{} ms", millis(micros));
    }
    // Rounded to the millisecond as an integer: a float would have too few digits for the largest.
    format!("{} s", millis(micros.saturating_add(500) / 1000))
}

/// A number of thousandths with three decimals: microseconds as milliseconds.
fn millis(thousandths: impl Into<i128>) -> String {
    let thousandths = thousandths.into();
    let sign = if thousandths < 0 { "-" } else { "" };
    let size = thousandths.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1000, size % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(offset_us: i64, error_bound_us: u64) -> Estimate {
        Estimate { offset_us, error_bound_us, round_trip_us: error_bound_us.saturating_mul(2), used: 0 }
    }

    #[test]
    fn the_sign_is_said_in_words() {
        let words = |offset_us| offset_in_words(&estimate(offset_us, 100));
        assert_eq!(words(-2_000_004), "local clock 2.000 s ahead of the server");
        assert_eq!(words(999_999), "local clock 999.999 ms behind the server");
        assert_eq!(words(1_000_000), "local clock 1.000 s behind the server");
        assert_eq!(words(-100), "local clock in step with the server: offset -0.100 ms");
        assert_eq!(words(i64::MIN), "local clock 9223372036854.776 s ahead of the server");
        assert_eq!(drift_in_words(-12.34), "local clock gains 12.3 ppm");
        let step = |whose, by_us| step_in_words(Step { by_us, whose });
        assert_eq!(step(Whose::Server, -2_000_000), "step: the server's clock was set 2.000 s back");
        assert_eq!(step(Whose::Local, -2_000_000), "step: the local clock was set 2.000 s ahead");
        assert_eq!(step(Whose::Both, -2_000), "step: both clocks were set, and the offset is -2.000 ms another");
    }

    #[test]
    fn within_means_the_bound_too() {
        let limit = Duration::from_millis(5);
        assert!(is_shown_within(&estimate(-4_900, 100), limit));
        assert!(!is_shown_within(&estimate(4_900, 101), limit));
        assert!(!is_shown_within(&estimate(i64::MIN, u64::MAX), limit));
    }

    #[test]
    fn the_story_of_the_assignment() {
        let story_of = |skew, offset_us| story(Skew { micros: skew }, offset_us);
        assert_eq!(
            story_of(2_000_000, -2_000_004),
            "Simulated: this clock is 2.000 s ahead, like São Paulo in the assignment.\n\
             A click at 03:00:02.000 on this clock was at 03:00:00.000 by the server's: that is the time to send."
        );
        assert!(story_of(-1_000_000, 999_990).contains("like Tokyo in the assignment.\nA click at 02:59:59.000 on"));
        let days = story_of(2 * 86_400_000_000, -2 * 86_400_000_000);
        assert!(days.contains("at 03:00:00.000 (day +2) on this clock was at 03:00:00.000 by"), "{days}");
        assert!(story_of(-10_800_001_000, 0).contains("at 23:59:59.999 (day -1) on"));
        story_of(i64::MIN, i64::MIN);
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_closed_connection() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&anyhow::Error::from(pipe())));
        let cause = Box::new(ureq::Error::Io(pipe()));
        let connection = crate::clock::client::ClientError::Unreachable { url: String::new(), cause };
        assert!(!is_broken_pipe(&anyhow::Error::from(connection)));
    }
}
