//! Progress on standard error, for work that may take long: shown on a terminal alone.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use rust_i18n::t;

/// Only files larger than this get a progress bar: smaller ones are read in a moment.
const PROGRESS_BYTES: u64 = 64 << 20;
/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(200);

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

/// A line that shows that work on a file of that length goes on, where its end cannot be foreseen.
pub fn spinner(length: u64, text: String) -> ProgressBar {
    if length <= PROGRESS_BYTES || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(text);
    spinner.enable_steady_tick(TICK);
    spinner
}
