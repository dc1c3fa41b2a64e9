//! The options of a service's log.

use slog::Level;

use super::file::Reopen;
use super::line::Format;
use super::stream::Stream;

/// The default size of a file at its rotation, in megabytes.
pub const ROTATE_MB_DEFAULT: u64 = 100;

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
    /// Services with the same stream write through one thread, in the order in which their lines were made. By default that are
    /// all services of the process.
    pub stream: Stream,
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
            stream: Stream::of_the_process(),
        }
    }
}

impl Config {
    /// Without the console: for programs that embed a service and have their own output.
    pub fn quiet() -> Self {
        Self { console: false, ..Self::default() }
    }
}
