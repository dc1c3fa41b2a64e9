//! Shared by search and verification: the text of a read error, and the progress bar.

use std::io::{self, IsTerminal};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

/// Only files larger than this get a progress bar: smaller ones are read in a moment.
const PROGRESS_BYTES: u64 = 64 << 20;

/// The context of a read error.
pub fn cannot_read(name: impl AsRef<Path>) -> String {
    format!("cannot read {}", name.as_ref().display())
}

/// A progress bar on standard error for a file of that length, if the file is large and standard error a terminal.
pub fn progress_bar(length: u64) -> ProgressBar {
    if length <= PROGRESS_BYTES || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
