//! Shows how far a run has come, only to a person at a terminal.

use std::borrow::Cow;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whether progress is shown.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Progress on stderr, if `wanted` and stderr is a terminal.
    pub fn on_stderr(wanted: bool) -> Self {
        Self { shown: wanted && std::io::stderr().is_terminal() }
    }

    /// A bar for `length` steps of one phase; it vanishes when it is done.
    pub fn bar(self, phase: impl Into<Cow<'static, str>>, length: u32) -> ProgressBar {
        if !self.shown {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(u64::from(length)), ProgressDrawTarget::stderr());
        // Without its template the bar has a plain style.
        if let Ok(style) = ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        bar.with_message(phase)
    }
}
