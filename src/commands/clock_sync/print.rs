//! A measurement as JSON, as a line of `--watch`, or as a table with words.

use std::io::Write;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use rust_i18n::t;
use serde::Serialize;

use crate::clock::cristian::{Estimate, Sample};
use crate::clock::watch::{Step, Whose};
use crate::commands::output::table_width;
use crate::commands::values::Skew;
use crate::language::counted;
use crate::text::wrapped;

/// 03:00, the start of the slot in the assignment's story, in microseconds since midnight.
const CLICK_US: i128 = 3 * 3_600_000_000;
const MICROS_PER_DAY: i128 = 86_400_000_000;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// One measurement: its samples and their estimate.
pub struct Measurement {
    pub samples: Vec<Sample>,
    pub estimate: Estimate,
    /// When the sample of the estimate was taken, by the monotonic clock, since the first measurement began.
    pub at: Duration,
    /// With `--watch`: whether a clock was set since the last measurement.
    pub step: Option<Step>,
    /// With `--watch`: the drift, after some seconds.
    pub drift_ppm: Option<f64>,
}

pub fn print_json(out: &mut impl Write, measurement: &Measurement) -> anyhow::Result<()> {
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

/// One line of `--watch`; a header before the first.
pub fn print_line(out: &mut impl Write, number: u64, measurement: &Measurement) -> anyhow::Result<()> {
    if number == 1 {
        let [number, offset, bound] = [t!("number"), t!("offset ms"), t!("± ms")];
        let (round_trip, drift) = (t!("round trip ms"), t!("drift"));
        writeln!(out, "{number:>6}  {offset:>14}  {bound:>10}  {round_trip:>13}  {drift}")?;
    }
    let Measurement { estimate, drift_ppm, step, .. } = measurement;
    if let Some(step) = step {
        let step = step_in_words(*step);
        writeln!(out, "        {}", t!("%{step}; the drift is measured again from here", step = step))?;
    }
    writeln!(
        out,
        "{number:>6}  {:>14}  {:>10}  {:>13}  {}",
        millis(estimate.offset_us),
        millis(estimate.error_bound_us),
        millis(estimate.round_trip_us),
        drift_ppm.map_or_else(|| t!("not known yet").into_owned(), drift_in_words)
    )?;
    Ok(out.flush()?)
}

/// The table of a measurement, and its meaning in words.
pub fn print_report(out: &mut impl Write, measurement: &Measurement, skew: Option<Skew>) -> anyhow::Result<()> {
    let Measurement { samples, estimate, .. } = measurement;
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        t!("sample"),
        t!("round trip ms"),
        t!("offset ms"),
        "".into(),
    ]);
    for (index, sample) in samples.iter().enumerate() {
        let mark = if index == estimate.used { t!("used") } else { "".into() };
        table.add_row([
            (index + 1).to_string(),
            millis(sample.round_trip_us()),
            millis(sample.offset_us()),
            mark.into_owned(),
        ]);
    }
    for column in table.column_iter_mut().take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{table}")?;
    let round_trip = millis(estimate.round_trip_us);
    let mut said = vec![
        format!("{}, ± {} ms.", offset_in_words(estimate), millis(estimate.error_bound_us)),
        counted(
            samples.len(),
            t!("Round trip of the one sample: %{round_trip} ms.", round_trip = round_trip),
            t!("Shortest round trip of %{n} samples: %{round_trip} ms.", n = samples.len(), round_trip = round_trip),
        )
        .into_owned(),
    ];
    said.extend(skew.iter().flat_map(|skew| story(*skew, estimate.offset_us)));
    for line in said {
        writeln!(out, "{}", table_width().map_or(line.clone(), |width| wrapped(&line, width.into(), "", "")))?;
    }
    Ok(out.flush()?)
}

/// The offset in words; within the error bound the clock counts as right.
fn offset_in_words(estimate: &Estimate) -> String {
    let size = estimate.offset_us.unsigned_abs();
    if size <= estimate.error_bound_us {
        let offset = millis(estimate.offset_us);
        return t!("local clock in step with the server: offset %{offset} ms", offset = offset).into_owned();
    }
    let said = if estimate.offset_us < 0 {
        t!("local clock %{size} ahead of the server", size = amount(size))
    } else {
        t!("local clock %{size} behind the server", size = amount(size))
    };
    said.into_owned()
}

fn drift_in_words(ppm: f64) -> String {
    let size = format!("{:.1}", ppm.abs());
    let said = if ppm < 0.0 {
        t!("local clock gains %{ppm} ppm", ppm = size)
    } else {
        t!("local clock loses %{ppm} ppm", ppm = size)
    };
    said.into_owned()
}

fn step_in_words(Step { by_us, whose }: Step) -> String {
    let size = amount(by_us.unsigned_abs());
    let said = match whose {
        Whose::Server if by_us > 0 => t!("step: the server's clock was set %{size} ahead", size = size),
        Whose::Server => t!("step: the server's clock was set %{size} back", size = size),
        Whose::Local if by_us < 0 => t!("step: the local clock was set %{size} ahead", size = size),
        Whose::Local => t!("step: the local clock was set %{size} back", size = size),
        Whose::Both => {
            t!("step: both clocks were set, and the offset is %{offset} ms another", offset = millis(by_us))
        }
    };
    said.into_owned()
}

/// The effect of the simulated skew on a booking: the first stage of the assignment's story.
fn story(skew: Skew, offset_us: i64) -> [String; 2] {
    let local = CLICK_US + i128::from(skew.micros);
    let server = local + i128::from(offset_us);
    let size = amount(skew.micros.unsigned_abs());
    let simulated = match skew.micros {
        2_000_000 => t!("Simulated: this clock is %{size} ahead, like São Paulo in the assignment.", size = size),
        -1_000_000 => t!("Simulated: this clock is %{size} behind, like Tokyo in the assignment.", size = size),
        micros if micros < 0 => t!("Simulated: this clock is %{size} behind.", size = size),
        _ => t!("Simulated: this clock is %{size} ahead.", size = size),
    };
    let (local, server) = (time_of_day(local), time_of_day(server));
    let click = t!(
        "A click at %{local} on this clock was at %{server} by the server's: that is the time to send.",
        local = local,
        server = server
    );
    [simulated.into_owned(), click.into_owned()]
}

/// Microseconds since midnight as a time of day, to the nearest millisecond; with the day if it is another one.
fn time_of_day(micros: i128) -> String {
    let micros = micros + 500;
    let (day, millis) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY) / 1000);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let time = format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if day == 0 { time } else { t!("%{time} (day %{day})", time = time, day = format!("{day:+}")).into_owned() }
}

/// `2.000 s` from one second up, else `0.123 ms`.
fn amount(micros: u64) -> String {
    if micros < MICROS_PER_SECOND {
        return format!("{} ms", millis(micros));
    }
    // Rounded as an integer: a float has too few digits for the largest values.
    format!("{} s", millis(micros.saturating_add(500) / 1000))
}

/// A number of thousandths with three decimals: microseconds as milliseconds.
pub fn millis(thousandths: impl Into<i128>) -> String {
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
    fn the_story_of_the_assignment() {
        let story_of = |skew, offset_us| story(Skew { micros: skew }, offset_us).join("\n");
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
}
