//! Shared by search and verification: the text of a read error, the report of skipped lines, and the progress bar.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use rust_i18n::t;

use super::lines::LINE_MAX_MIB;
use crate::language::counted;

/// Only files larger than this get a progress bar: smaller ones are read in a moment.
const PROGRESS_BYTES: u64 = 64 << 20;

/// The context of a read error.
pub fn cannot_read(name: impl AsRef<Path>) -> String {
    t!("cannot read %{name}", name = name.as_ref().display()).into_owned()
}

/// A progress bar on standard error for a file of that length, if the file is large and standard error a terminal.
pub fn progress_bar(length: u64) -> ProgressBar {
    if length <= PROGRESS_BYTES || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = t!(
        "%{bar} %{done} of %{all}, %{time} left",
        bar = "{wide_bar}",
        done = "{binary_bytes}",
        all = "{binary_total_bytes}",
        time = "{eta}"
    );
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Reports skipped lines. A closed standard error is not a failure.
pub fn tell_passed_over(broken: u64, too_long: u64, unread: u64) {
    let (mib, mut stderr) = (LINE_MAX_MIB, io::stderr().lock());
    for (count, text) in [
        (
            broken,
            counted(
                broken,
                t!("1 line looks like an audit record but is not whole; sctec skipped it"),
                t!("%{n} lines look like audit records but are not whole; sctec skipped them", n = broken),
            ),
        ),
        (
            too_long,
            counted(
                too_long,
                t!("1 line is longer than %{mib} MiB; sctec skipped it", mib = mib),
                t!("%{n} lines are longer than %{mib} MiB; sctec skipped them", n = too_long, mib = mib),
            ),
        ),
        (
            unread,
            counted(
                unread,
                t!("1 record has details that cannot be read; sctec shows its other fields"),
                t!("%{n} records have details that cannot be read; sctec shows their other fields", n = unread),
            ),
        ),
    ] {
        if count > 0 {
            let _ = writeln!(stderr, "{text}");
        }
    }
}
