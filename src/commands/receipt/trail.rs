//! The entry of a receipt's request in the records of contests.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use anyhow::Context;
use rust_i18n::t;

use crate::agenda::receipt::Receipt;
use crate::audit::contested::{Contest, judge};
use crate::audit::record::CONTEST_DECIDED;
use crate::audit::shape::{FIRST_FIELD, instant_and_event};
use crate::commands::audit::source::Source;

/// What the trail says of a request.
pub struct Found {
    /// The booking that has won.
    pub booking: i64,
    /// Whether it is the request's.
    pub won: bool,
    /// The fields that differ from the receipt's.
    pub differs: Vec<&'static str>,
}

/// Looks for the request in these files, in this order.
pub fn find(files: &[PathBuf], receipt: &Receipt) -> anyhow::Result<Option<Found>> {
    for path in files {
        let unreadable = || t!("cannot read %{path}", path = path.display());
        let file = File::open(path).with_context(unreadable)?;
        let mut reader = BufReader::new(Source::of(file).with_context(unreadable)?);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).with_context(unreadable)? > 0 {
            if let Some(found) = in_line(&line, receipt) {
                return Ok(Some(found));
            }
            line.clear();
        }
    }
    Ok(None)
}

fn in_line(line: &[u8], receipt: &Receipt) -> Option<Found> {
    // In app.log a record follows the beginning of a log line.
    let at = memchr::memmem::find(line, FIRST_FIELD)?;
    let record = line[at..].trim_ascii_end();
    instant_and_event(record).filter(|(_, event)| *event == CONTEST_DECIDED.as_bytes())?;
    compared(&judge(record).ok()?.contest, receipt)
}

/// What a contest says of the request; `None` if it was not in it.
fn compared(contest: &Contest, receipt: &Receipt) -> Option<Found> {
    let of_request = |words: &str| words.split(' ').next() == Some(&receipt.req);
    let (nth, entry) = contest.entries.iter().enumerate().find(|(_, entry)| of_request(&entry.words))?;
    let same = [
        ("entrada", entry.words == receipt.words),
        ("carimbo_utc", entry.stamp.micros().to_string() == receipt.stamp),
        ("telescopio", contest.telescope == receipt.telescope),
        ("politica", contest.policy == receipt.policy),
    ];
    let differs = same.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name).collect();
    Some(Found { booking: contest.booking_id, won: nth == 0, differs })
}
