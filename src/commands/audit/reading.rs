//! Shared by search and verification: the text of a read error, and the progress bar.

use std::io::{self, IsTerminal};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use rust_i18n::t;

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
