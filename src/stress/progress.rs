//! How far a run has come: shown to a person at a terminal, and told when the run is interrupted.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far a run has come. Its clones are the same.
#[derive(Clone, Debug)]
pub struct Progress(Arc<State>);

#[derive(Debug)]
struct State {
    shown: bool,
    /// The bar of the present phase.
    bar: Mutex<ProgressBar>,
    released: AtomicBool,
    answered: AtomicUsize,
}

impl Progress {
    /// Progress on stderr, if `wanted` and stderr is a terminal.
    pub fn on_stderr(wanted: bool) -> Self {
        Self(Arc::new(State {
            shown: wanted && std::io::stderr().is_terminal(),
            bar: Mutex::new(ProgressBar::hidden()),
            released: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
        }))
    }

    /// A bar for `length` steps of one phase; it vanishes when it is done.
    pub fn bar(&self, phase: impl Into<Cow<'static, str>>, length: u32) -> ProgressBar {
        if !self.0.shown {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(u64::from(length)), ProgressDrawTarget::stderr());
        // Without its template the bar has a plain style.
        if let Ok(style) = ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len}") {
            bar.set_style(style);
        }
        let bar = bar.with_message(phase);
        *self.0.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar.clone();
        bar
    }

    /// Takes the bar of the present phase away.
    pub fn clear(&self) {
        self.0.bar.lock().unwrap_or_else(PoisonError::into_inner).finish_and_clear();
    }

    /// Notes that the requests are released.
    pub fn release(&self) {
        self.0.released.store(true, Ordering::Relaxed);
    }

    /// Notes that one more request was answered.
    pub fn answer(&self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were answered so far; `None` before any was sent.
    pub fn answered(&self) -> Option<usize> {
        self.0.released.load(Ordering::Relaxed).then(|| self.0.answered.load(Ordering::Relaxed))
    }
}
