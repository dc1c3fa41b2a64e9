//! How the latencies of a run are spread, as bars of text. Pure.
//!
//! All latencies of a run are in memory, so they are counted as they are: a library that keeps approximate counts is for streams
//! without end.

use std::fmt::Write;
use std::time::Duration;

use rust_i18n::t;

use super::stats::Fate;

/// How many spans of equal length there are.
const SPANS: u32 = 10;
/// The longest bar, in cells.
const BAR_MAX: usize = 50;
/// What a line has before and after its bar, in cells.
const LINE_REST: usize = 30;
/// The eighths of a cell, from one to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// The latencies from the end of the span before up to `up_to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Duration,
    up_to: Duration,
    count: usize,
    /// How many of them made a booking.
    won: usize,
}

/// Counts the answered requests in spans of equal length, from the shortest latency to the longest.
fn spans(fates: &[Fate]) -> Vec<Span> {
    let answered = || fates.iter().filter(|fate| fate.status.is_some());
    let (Some(min), Some(max)) = (answered().map(|fate| fate.latency).min(), answered().map(|fate| fate.latency).max())
    else {
        return Vec::new();
    };
    let count = if max == min { 1 } else { SPANS };
    let end = |index: u32| min + max.saturating_sub(min) * index / count;
    let span = |index| Span { from: end(index), up_to: end(index + 1), count: 0, won: 0 };
    let mut spans: Vec<Span> = (0..count).map(span).collect();
    for fate in answered() {
        // The last span ends with the longest latency, so each latency has a span.
        let index = spans.partition_point(|span| span.up_to < fate.latency).min(spans.len() - 1);
        spans[index].count += 1;
        spans[index].won += usize::from(fate.won());
    }
    spans
}

/// The histogram in lines of at most `width` cells, none if fewer than two requests were answered. With colours, the share of
/// the requests that made a booking is green.
pub fn histogram(fates: &[Fate], width: u16, colour: bool) -> String {
    let spans = spans(fates);
    let most = spans.iter().map(|span| span.count).max().unwrap_or(0);
    let mut text = String::new();
    if spans.iter().map(|span| span.count).sum::<usize>() < 2 {
        return text;
    }
    let longest = usize::from(width).saturating_sub(LINE_REST).clamp(1, BAR_MAX);
    let decimals = decimals(spans[0].up_to.saturating_sub(spans[0].from));
    let millis = |latency: Duration| format!("{:.decimals$}", latency.as_secs_f64() * 1000.0);
    let digits = spans.last().map_or(0, |span| millis(span.up_to).len());
    // Writing to a String cannot fail.
    let green = if colour { t!(" (green: booked)") } else { "".into() };
    let _ = writeln!(text, "{:<12}{}{green}", t!("histogram"), t!("latency ms, and how many"));
    for Span { from, up_to, count, won } in spans {
        let eighths = |part: usize| (part * longest * 8).div_ceil(most);
        let (all, won) = (eighths(count), eighths(won));
        let bar = if colour && won > 0 {
            let won = won.div_ceil(8) * 8;
            format!("{GREEN}{}{PLAIN}{}", bar(won.min(all.max(8))), bar(all.saturating_sub(won)))
        } else {
            bar(all)
        };
        let line = format!("  {:>digits$} – {:>digits$}  {count:>6}  {bar}", millis(from), millis(up_to));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// A bar of so many eighths of a cell.
fn bar(eighths: usize) -> String {
    let rest = (eighths % 8).checked_sub(1).map(|index| EIGHTHS[index]);
    "█".repeat(eighths / 8).chars().chain(rest).collect()
}

/// How many decimals of a millisecond tell the ends of spans of this length apart.
fn decimals(length: Duration) -> usize {
    match length.as_micros() {
        10_000.. => 0,
        1000.. => 1,
        100.. => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stress::outcome::Outcome;

    fn fate(status: Option<u16>, micros: u64) -> Fate {
        Fate {
            number: 1,
            request_id: String::new(),
            status,
            outcome: Outcome::Answered("x".into()),
            reason: None,
            booking_id: None,
            latency: Duration::from_micros(micros),
            finished: Duration::from_micros(micros),
        }
    }

    fn refused(latencies: impl IntoIterator<Item = u64>) -> Vec<Fate> {
        latencies.into_iter().map(|micros| fate(Some(409), micros)).collect()
    }

    #[test]
    fn every_answer_is_in_one_span_and_what_was_not_answered_in_none() {
        for latencies in [vec![5], vec![5, 5], vec![0, 1], vec![1, 2, 3, 1000], (0..=1000).collect(), vec![7; 300]] {
            let spans = spans(&refused(latencies.iter().copied()));
            assert_eq!(spans.iter().map(|span| span.count).sum::<usize>(), latencies.len(), "{latencies:?}");
            assert!(spans.windows(2).all(|pair| pair[0].up_to == pair[1].from));
            let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap();
            assert_eq!(micros(spans[0].from), *latencies.iter().min().unwrap());
            assert_eq!(micros(spans.last().unwrap().up_to), *latencies.iter().max().unwrap());
        }
        assert_eq!(spans(&[fate(None, 5)]), []);
        let spans = spans(&[fate(Some(201), 1000), fate(Some(409), 2000), fate(None, 60_000)]);
        assert_eq!((spans.len(), spans[0].won, spans[0].count, spans[9].count), (10, 1, 1, 1));
    }

    #[test]
    fn the_longest_bar_is_that_of_the_most_and_none_is_wider_than_the_terminal() {
        let text = histogram(&refused([1000, 2000, 2001, 2002, 11_000]), 80, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[1], format!("   1.0 –  2.0       2  {}", "█".repeat(50)));
        assert_eq!(lines[2], format!("   2.0 –  3.0       2  {}", "█".repeat(50)));
        assert_eq!(lines[3], "   3.0 –  4.0       0");
        assert_eq!(lines[10], format!("  10.0 – 11.0       1  {}", "█".repeat(25)));
        for width in [1, 40, 80, 120] {
            let text = histogram(&refused((0..100_000).map(|n| n * n % 60_000_000)), width, false);
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width.max(40))), "{text}");
        }
    }

    #[test]
    fn nothing_is_drawn_of_a_single_answer() {
        assert_eq!(histogram(&refused([5]), 80, true), "");
        assert_eq!(histogram(&[fate(None, 5)], 80, true), "");
        let equal = histogram(&refused([5000; 3]), 80, false);
        assert!(equal.ends_with(&format!("\n  5.000 – 5.000       3  {}\n", "█".repeat(50))), "{equal}");
    }

    #[test]
    fn a_winner_among_many_is_still_seen() {
        let mut fates = refused((0..1000).map(|n| 1000 + n % 100));
        fates[500].status = Some(201);
        let text = histogram(&fates, 80, true);
        assert_eq!(text.matches(&format!("{GREEN}█{PLAIN}█")).count(), 1, "{text}");
        assert!(!histogram(&fates, 80, false).contains('\x1b'));
    }
}
