//! The options of a service's log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use slog::Level;

/// The default size of a file at its rotation, in megabytes.
pub const ROTATE_MB_DEFAULT: u64 = 100;
/// The format of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `LEVEL:INSTANT:SERVICE:MESSAGE req=ID`.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// Which lines are written, where, and in which format.
#[derive(Clone, Debug)]
pub struct Config {
    /// The least severe level that is written.
    pub level: Level,
    /// The format of a line.
    pub format: Format,
    /// Whether lines go to the service's file.
    pub file: bool,
    /// Whether lines go to standard output.
    pub console: bool,
    /// The size at which the file is rotated (it becomes `….1` and a new one begins), in megabytes; 0 never rotates.
    pub rotate_mb: u64,
    /// Asks for the file to be opened again, even if its path still leads to it.
    pub reopen: Reopen,
}

/// A request to open the log's file again, shared by its clones.
#[derive(Clone, Debug, Default)]
pub struct Reopen(Arc<AtomicU64>);

impl Reopen {
    /// Asks for it. The file is opened again within a second.
    pub fn ask(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many times it was asked for.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: Format::Text,
            file: true,
            console: true,
            rotate_mb: ROTATE_MB_DEFAULT,
            reopen: Reopen::default(),
        }
    }
}

impl Config {
    /// Without the console: for programs that embed a service and have their own output.
    pub fn quiet() -> Self {
        Self { console: false, ..Self::default() }
    }
}
